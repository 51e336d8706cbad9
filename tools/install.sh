#!/bin/sh
# Puts the robot into a running system, as root, or into a root file system that is being made.
#   install.sh install   the program, its service and what they need; a second time changes nothing
#   install.sh files     the same without the program: only what the system reads
#   install.sh uninstall stop and remove it; config and state stay
#   install.sh purge     remove these and the user too
#   install.sh wheels    collect in WHEELS what `install` needs, for a robot without network
# DESTDIR=folder: the root of another system; nothing is started, no package is installed.
# WHEELS=folder: take Python packages from there and from nowhere else.
# HEAD=jaw OUTPUT=USB: what a new config shall say.
# FIRMWARE=no: leave the boot configuration alone.   PYTHON=python3.13: another Python.
# WEB=no: without the web page, and without that of an earlier install.
# BOARD="Raspberry Pi 5": for which computer, where that is not this one.
# PINS=rpi-lgpio: another library for the pins than the one that is usual there.
set -eu
umask 022 # the services' users read what root puts here

DESTDIR=${DESTDIR:-}
DESTDIR=${DESTDIR%/}
WHEELS=${WHEELS:-}
PYTHON=${PYTHON:-python3}
WEB=${WEB:-yes}
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PREFIX=/opt/lipsync-edge
ETC=/etc/lipsync-edge
STATE=/var/lib/lipsync-edge
UNIT=lipsync-edge.service
WEB_UNIT=lipsync-edge-web.service
UNITS=/usr/local/lib/systemd/system
WANTS=/etc/systemd/system/multi-user.target.wants

# What is ours alone lies under /usr/local/lib, so that a file of the same name in /etc overrules it.
files() {
    cat <<'LIST'
systemd/lipsync-edge.service /usr/local/lib/systemd/system/lipsync-edge.service
systemd/watchdog.conf /usr/local/lib/systemd/system.conf.d/60-lipsync-edge.conf
systemd/modules-load.d/lipsync-edge.conf /usr/local/lib/modules-load.d/lipsync-edge.conf
systemd/modprobe.d/lipsync-edge.conf /usr/local/lib/modprobe.d/lipsync-edge.conf
systemd/sysusers.d/lipsync-edge.conf /usr/local/lib/sysusers.d/lipsync-edge.conf
systemd/udev/lipsync-edge.rules /usr/local/lib/udev/rules.d/70-lipsync-edge.rules
systemd/alsa/lipsync-edge.conf /etc/alsa/conf.d/70-lipsync-edge.conf
systemd/polkit/lipsync-edge.rules /etc/polkit-1/rules.d/60-lipsync-edge.rules
systemd/pulses-off /opt/lipsync-edge/share/pulses-off
systemd/config.yaml /opt/lipsync-edge/share/config.yaml
firmware/config.txt /opt/lipsync-edge/share/firmware/config.txt
docs/service.md /opt/lipsync-edge/share/doc/lipsync-edge/service.md
docs/wiring.md /opt/lipsync-edge/share/doc/lipsync-edge/wiring.md
LIST
}
web_files() {
    cat <<'LIST'
systemd/lipsync-edge-web.service /usr/local/lib/systemd/system/lipsync-edge-web.service
systemd/sysusers.d/lipsync-edge-web.conf /usr/local/lib/sysusers.d/lipsync-edge-web.conf
systemd/tmpfiles.d/lipsync-edge-web.conf /usr/local/lib/tmpfiles.d/lipsync-edge-web.conf
systemd/avahi/lipsync-edge.service /etc/avahi/services/lipsync-edge.service
docs/web.md /opt/lipsync-edge/share/doc/lipsync-edge/web.md
LIST
}
BACKOFF=$UNITS/$UNIT.d/backoff.conf
MERGE=$PREFIX/share/firmware/merge

say() { echo "lipsync-edge: $*"; }
die() {
    echo "lipsync-edge: $*" >&2
    exit 1
}

checksum() { sha256sum "$1" 2>/dev/null | cut -d' ' -f1; }
SHIPPED=$(checksum "$DESTDIR$PREFIX/share/config.yaml") # the default of the install before

# Whether systemd runs and is the one to be told.
live() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

need_root() {
    [ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || die "this needs root: sudo make $1"
}

check_words() {
    case "${HEAD:-}${OUTPUT:-}" in
    *['"\|&']*) die "HEAD and OUTPUT may not hold any of \" \\ | &" ;;
    esac
    case "${HEAD:-}" in
    */* | *.yaml | *.yml) check_path ;;
    esac
}

# The service sees no home and no /tmp; a path that is no whole one begins at the config's folder.
check_path() {
    case "$HEAD" in
    "~"* | /home/* | /root/* | /run/user/* | /tmp/* | /var/tmp/*) ;;
    /*) return 0 ;;
    *) [ ! -e "$DESTDIR$ETC/$HEAD" ] || return 0 ;;
    esac
    name=${HEAD##*/}
    die "the service cannot read $HEAD: copy it to $ETC first, by" \
        "sudo install -D -m 644 $HEAD $ETC/$name; then say HEAD=$name"
}

install_program() {
    [ -n "$DESTDIR" ] || sh "$SOURCE/tools/system-packages.sh" \
        "$([ -n "$WHEELS" ] && echo wheels || echo robot)" "$PYTHON"
    [ -n "$DESTDIR" ] || sh "$SOURCE/tools/system-packages.sh" service
    [ -n "$DESTDIR" ] || ! web || sh "$SOURCE/tools/system-packages.sh" mdns ||
        say "note: without avahi the page has no name: open it by the computer's address"
    venv=$DESTDIR$PREFIX
    same_python "$venv" || "$PYTHON" -m venv --clear "$venv"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    say "installing the program into $venv"
    copy_source "$work/source"
    pip wheel --no-deps --wheel-dir "$work" "$work/source"
    # By its name: of a path pip would note where it lay, and that place goes away.
    pip install --force-reinstall --no-deps --no-index --find-links "$work" lipsync-edge
    pip install "lipsync-edge$(extras)" # what it needs, for it is there itself
    install_pins
    rewrite_paths "$venv"
    rm -rf "$work"
    trap - EXIT
    mkdir -p "$DESTDIR/usr/local/bin"
    ln -sfn "$PREFIX/bin/lipsync-edge" "$DESTDIR/usr/local/bin/lipsync-edge"
    ! web || ln -sfn "$PREFIX/bin/lipsync-edge-web" "$DESTDIR/usr/local/bin/lipsync-edge-web"
}

web() { [ "$WEB" != no ]; }
extras() { if web; then echo "[web]"; fi; }

pip() {
    command=$1
    shift
    if [ -n "$WHEELS" ]; then
        set -- --no-index --find-links "$WHEELS" "$@"
    fi
    "$venv/bin/python" -m pip "$command" --quiet --disable-pip-version-check "$@"
}

same_python() {
    [ "$("$1/bin/python" -c 'import sys, pip; print(sys.version_info[:2])' 2>/dev/null)" = \
        "$("$PYTHON" -c 'import sys; print(sys.version_info[:2])')" ]
}

# Building in the user's own folder would leave files of root there.
copy_source() {
    mkdir -p "$1"
    for part in lipsync_edge tools models setup.py pyproject.toml README.md LICENSE; do
        cp -R "$SOURCE/$part" "$1/"
    done
    find "$1" -name __pycache__ -prune -exec rm -rf {} +
}

# Which library this computer's pins need; nothing where it has none, or where nobody can know.
pins_library() {
    if [ -n "${PINS:-}" ]; then
        echo "$PINS"
        return
    fi
    case "${BOARD:-$([ -n "$DESTDIR" ] || tr -d '\0' 2>/dev/null </proc/device-tree/model)}" in
    *"Raspberry Pi 5"* | *"Compute Module 5"*) echo "rpi-lgpio>=0.6" ;;
    *"Raspberry Pi"*) echo "RPi.GPIO>=0.7.1" ;;
    esac
}

# It compiles on a Pi, or needs a newer system; without pins nobody needs it.
install_pins() {
    pins=$(pins_library)
    case "$pins" in
    "") return 0 ;;
    rpi-lgpio*) leave RPi.GPIO ;;
    RPi.GPIO*) leave rpi-lgpio ;;
    esac
    [ -n "$DESTDIR$WHEELS" ] || pins_compiler || true # most need none
    with_pins pip install ||
        say "note: $pins could not be installed: LED, button, /OE and servo power stay unused"
}

# Both are the same module to Python, so the other one has to go first.
leave() {
    ! "$venv/bin/python" -m pip show --quiet "$1" 2>/dev/null ||
        "$venv/bin/python" -m pip uninstall --quiet --yes "$1"
}

pins_compiler() {
    case "$pins" in
    *lgpio*) sh "$SOURCE/tools/system-packages.sh" pins "$PYTHON" ;;
    esac
}

# PYPI is lgpio's own word: it compiles the C sources that it brings, and needs no library of the
# system, which has it in some releases only.
with_pins() { (export PYPI=1 && "$@" "$pins"); }

# A venv names itself in its scripts; in a root file system that is not where it will be.
rewrite_paths() {
    [ -n "$DESTDIR" ] || return 0
    grep -IlF -d skip "$DESTDIR$PREFIX" "$1"/bin/* "$1/pyvenv.cfg" | while read -r file; do
        [ -L "$file" ] || sed -i "s|$DESTDIR$PREFIX|$PREFIX|g" "$file"
    done
}

install_files() {
    # Who disabled a service wants it so after an update too. First of all: what breaks off further
    # down looks like an update at the next try.
    for unit in $(new_units); do enable "$unit"; done
    web || remove_web
    wanted_files | while read -r from to; do
        install -D -m 644 "$SOURCE/$from" "$DESTDIR$to"
    done
    install -D -m 755 "$SOURCE/firmware/merge" "$DESTDIR$MERGE"
    install_backoff
    install_config
    make_users
    if live; then
        systemctl daemon-reload
        udevadm control --reload && udevadm trigger --subsystem-match=i2c-dev \
            --subsystem-match=gpio --subsystem-match=sound
        modprobe -a i2c-dev snd-aloop || say "note: this kernel lacks i2c-dev or snd-aloop"
        # An update; a first install waits for the next start.
        for unit in $(units); do # the head first: the page asks it
            systemctl try-restart "$unit" || say "it does not start again: journalctl -u $unit"
        done
    fi
    merge_firmware
    say "done. Restart the computer (the first time), then: systemctl status lipsync-edge"
}

units() { if web; then echo "$UNIT $WEB_UNIT"; else echo "$UNIT"; fi; }

new_units() {
    for unit in $(units); do [ -e "$DESTDIR$UNITS/$unit" ] || echo "$unit"; done
}

wanted_files() {
    files
    ! web || web_files
}

# systemd before 254 does not know the words and would warn of them.
install_backoff() {
    for library in "$DESTDIR"/usr/lib/systemd/libsystemd-shared-*.so \
        "$DESTDIR"/usr/lib/*/systemd/libsystemd-shared-*.so; do
        version=${library##*-}
        version=${version%%[!0-9]*}
        if [ "${version:-0}" -ge 254 ]; then
            install -D -m 644 "$SOURCE/systemd/backoff.conf" "$DESTDIR$BACKOFF"
            return
        fi
    done
    rm -f "$DESTDIR$BACKOFF"
}

# As dpkg does it: a config that nobody touched follows ours; one that was changed stays, and a new
# default is put beside it.
install_config() {
    config=$DESTDIR$ETC/config.yaml
    ours=$(checksum "$SOURCE/systemd/config.yaml")
    theirs=$(checksum "$config")
    if [ -z "$theirs" ] || [ "$theirs" = "$SHIPPED" ]; then
        install -D -m 644 "$SOURCE/systemd/config.yaml" "$config"
        fill_in
    elif [ "$theirs" = "$ours" ]; then
        fill_in
    else
        keep_config
    fi
    if web && [ ! -e "$DESTDIR$ETC/web.yaml" ]; then
        install -D -m 644 "$SOURCE/systemd/web.yaml" "$DESTDIR$ETC/web.yaml"
    fi
}

keep_config() {
    if [ "$SHIPPED" != "$ours" ]; then
        install -D -m 644 "$SOURCE/systemd/config.yaml" "$config.new"
        say "your $ETC/config.yaml stays as it is; the new default is $ETC/config.yaml.new"
    fi
    says_so || say "note: HEAD and OUTPUT are for a new config, and yours stays as it is. To change it:" \
        "sudo nano $ETC/config.yaml (head:, output:), then: lipsync-edge restart"
}

# Whether the config says what HEAD and OUTPUT ask for, if they do.
says_so() {
    [ -z "${HEAD:-}" ] || grep -qxF "head: \"$HEAD\"" "$config" || return 1
    [ -z "${OUTPUT:-}" ] || grep -qxF "  output: \"$OUTPUT\"" "$config"
}

fill_in() {
    [ -z "${HEAD:-}" ] || sed -i "s|^head: .*|head: \"$HEAD\"|" "$config"
    [ -z "${OUTPUT:-}" ] || sed -i "s|^  output: .*|  output: \"$OUTPUT\"|" "$config"
}

make_users() {
    if [ -n "$DESTDIR" ] && [ ! -e "$DESTDIR/etc/passwd" ]; then
        return # a package: the system makes them, and gives them their files, at its next start
    elif command -v systemd-sysusers >/dev/null 2>&1; then
        systemd-sysusers --root="${DESTDIR:-/}" lipsync-edge.conf
        ! web || systemd-sysusers --root="${DESTDIR:-/}" lipsync-edge-web.conf
        ! web || systemd-tmpfiles --root="${DESTDIR:-/}" --create lipsync-edge-web.conf
    else
        die "systemd-sysusers is missing: sudo apt-get install systemd"
    fi
    if [ -z "$DESTDIR" ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        usermod -aG lipsync,audio "$SUDO_USER" # who installs it may talk to it
    fi
}

enable() {
    mkdir -p "$DESTDIR$WANTS"
    ln -sfn "$UNITS/$1" "$DESTDIR$WANTS/$1"
}

merge_firmware() {
    [ "${FIRMWARE:-yes}" != no ] || return 0
    for config in "$DESTDIR/boot/firmware/config.txt" "$DESTDIR/boot/config.txt"; do
        if [ -f "$config" ]; then
            "$PYTHON" "$DESTDIR$MERGE" "$config"
            return
        fi
    done
}

uninstall() {
    remove_web
    if live; then
        systemctl disable --now "$UNIT" 2>/dev/null || true # ends with outputs off
    fi
    if [ -z "$DESTDIR" ] && [ -x "$PREFIX/bin/lipsync-edge" ]; then
        "$PREFIX/bin/lipsync-edge" detach "$ETC/config.yaml" 2>/dev/null || true
    fi
    [ ! -x "$DESTDIR$MERGE" ] || [ "${FIRMWARE:-yes}" = no ] || undo_firmware
    files | while read -r _ to; do rm -f "$DESTDIR$to"; done
    rm -rf "$DESTDIR$PREFIX" "$DESTDIR$UNITS/$UNIT.d"
    rm -f "$DESTDIR$WANTS/$UNIT" "$DESTDIR/usr/local/bin/lipsync-edge"
    if live; then
        systemctl daemon-reload
        udevadm control --reload
    fi
}

# The config goes back to root: nobody is left who saves it.
remove_web() {
    [ -e "$DESTDIR$UNITS/$WEB_UNIT" ] || [ -L "$DESTDIR$WANTS/$WEB_UNIT" ] || return 0
    if live; then
        systemctl disable --now "$WEB_UNIT" 2>/dev/null || true
    fi
    if [ "$(id -u)" = 0 ] && [ -d "$DESTDIR$ETC" ]; then
        chown root:root "$DESTDIR$ETC"
        chmod 755 "$DESTDIR$ETC"
        [ ! -e "$DESTDIR$ETC/config.yaml" ] || chown -h root:root "$DESTDIR$ETC/config.yaml"
    fi
    web_files | while read -r _ to; do rm -f "$DESTDIR$to"; done
    rm -rf "$DESTDIR$UNITS/$WEB_UNIT.d"
    rm -f "$DESTDIR$WANTS/$WEB_UNIT" "$DESTDIR/usr/local/bin/lipsync-edge-web"
}

undo_firmware() {
    for config in "$DESTDIR/boot/firmware/config.txt" "$DESTDIR/boot/config.txt"; do
        if [ -f "$config" ]; then
            "$PYTHON" "$DESTDIR$MERGE" --undo "$config"
            return
        fi
    done
}

purge() {
    uninstall
    rm -rf "$DESTDIR$ETC" "$DESTDIR$STATE" "$DESTDIR$STATE-web"
    for user in lipsync-web lipsync; do
        if [ -z "$DESTDIR" ] && id "$user" >/dev/null 2>&1; then
            userdel "$user" || say "note: the user $user is left"
        fi
    done
    say "removed, with config and state"
}

collect_wheels() {
    [ -n "$WHEELS" ] || die "say where to: make wheels WHEELS=folder"
    sh "$SOURCE/tools/system-packages.sh" robot "$PYTHON"
    pins=$(pins_library)
    pins_compiler
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    copy_source "$work/source"
    "$PYTHON" -m venv "$work/venv"
    collect "$work/source$(extras)" 'setuptools>=70.1'
    [ -z "$pins" ] || with_pins collect ||
        say "note: $pins could not be had: LED, button, /OE and servo power will stay unused"
    rm -f "$WHEELS"/lipsync_edge-*.whl # `install` builds it from the source that it finds
    say "collected in $WHEELS; on a computer of the same kind: make install WHEELS=$WHEELS"
}

collect() {
    "$work/venv/bin/python" -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$WHEELS" "$@"
}

case "${1:-}" in
install)
    need_root install
    check_words
    install_program
    install_files
    ;;
files)
    need_root install
    check_words
    install_files
    ;;
uninstall)
    need_root uninstall
    uninstall
    say "removed; $ETC and $STATE are kept (sudo make purge removes them too)"
    ;;
purge)
    need_root purge
    purge
    ;;
wheels) collect_wheels ;;
*)
    echo "usage: $0 install | files | uninstall | purge | wheels" >&2
    exit 2
    ;;
esac
