#!/bin/sh
# In a network of its own: a message bus, an avahi that announces what is in FOLDER, and somebody who
# looks for it.   unshare --net --mount --pid --fork --kill-child sh mdns.sh FOLDER
set -eu
ip link set lo up
ip link add lan0 type veth peer name lan1
ip address add 10.9.8.7/24 dev lan0
ip link set lan0 up
ip link set lan1 up
mount -t tmpfs none /run
mkdir -p /etc/avahi/services
mount --bind "$1" /etc/avahi/services
cat >/run/bus.conf <<'CONF'
<busconfig>
  <type>session</type>
  <listen>unix:path=/run/bus</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
CONF
cat >/run/avahi.conf <<'CONF'
[server]
host-name=robot
use-ipv6=no
allow-interfaces=lan0
[publish]
publish-workstation=no
CONF
dbus-daemon --config-file=/run/bus.conf --fork --nopidfile
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/bus
avahi-daemon --file=/run/avahi.conf --no-drop-root --no-chroot --no-rlimits --daemonize
for kind in _lipsync-edge._tcp _http._tcp; do
    tries=0
    until avahi-browse --parsable --resolve --terminate $kind | grep '^=' || [ $tries -ge 20 ]; do
        tries=$((tries + 1))
    done
done
avahi-resolve -4 --name robot.local
