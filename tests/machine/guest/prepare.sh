#!/bin/sh
# Makes a Debian root file system the guest's: runs in it, once, while it is made. The robot itself
# is installed by `make install`, as on a Pi.
set -eu
guest=/usr/local/lib/guest
echo robot >/etc/hostname
printf '/dev/root / auto defaults 0 1\nnone /mnt/host hostfs defaults 0 0\n' >/etc/fstab
mkdir -p /mnt/host /etc/systemd/system/lipsync-edge.service.d
# What a first boot or a network would do is not what is measured.
for unit in systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer e2scrub_reap.service getty@.service systemd-firstboot.service; do
    ln -sf /dev/null /etc/systemd/system/$unit
done
systemd-machine-id-setup
touch /etc/.updated /var/.updated
# Somebody with an account, who may play sound; and who may do nothing else.
useradd --create-home --groups audio maker
cp $guest/guest-agent.service $guest/guest-hardware.service /etc/systemd/system/
cp $guest/machine.conf /etc/systemd/system/lipsync-edge.service.d/
systemctl enable guest-agent.service guest-hardware.service
depmod "$(ls /usr/lib/modules)"
cd /root/source
make install WHEELS=/root/wheels PINS='gpiod>=2.2' FIRMWARE=no
usermod -aG lipsync maker
rm -rf /root/source /root/wheels
