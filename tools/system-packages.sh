#!/bin/sh
# Installs the Debian packages that are missing (as root), or prints the one line that does.
#   system-packages.sh robot PYTHON   what building the robot's Python environment needs
#   system-packages.sh wheels PYTHON  the same where Python packages come compiled
#   system-packages.sh pins PYTHON    what building the library for a Pi 5's pins needs beside that
#   system-packages.sh service        what the robot needs beside its Python environment
#   system-packages.sh mdns           what gives the robot's page a name in the local network
#   system-packages.sh web            what the tests of the page need: a browser, names, services
#   system-packages.sh learn          what learning needs: synthesisers
#   system-packages.sh pulse          what the tests with a sound server need
#   system-packages.sh qemu           what emulates a Pi's processor
#   system-packages.sh machine        what builds the machine of the tests: Debian in a file
#   system-packages.sh extract        what reading films needs
#   system-packages.sh film           what writing films needs
set -eu

need=""
add() { need="$need $*"; }

case "$1" in
robot)
    python=${2:-python3}
    if ! command -v "$python" >/dev/null 2>&1; then
        add python3 python3-venv python3-dev
    else
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
            echo "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1)." >&2
            echo "Point to another one: make run PYTHON=python3.12" >&2
            exit 1
        }
        "$python" -c 'import venv, ensurepip' 2>/dev/null || add python3-venv
        "$python" -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || add python3-dev
    fi
    command -v cc >/dev/null 2>&1 || add gcc libc6-dev
    # PyAudio has no Linux wheels: it is compiled against PortAudio.
    [ -e /usr/include/portaudio.h ] || add portaudio19-dev
    ;;
wheels)
    "${2:-python3}" -c 'import venv, ensurepip' 2>/dev/null || add python3 python3-venv
    ldconfig -p 2>/dev/null | grep -q libportaudio.so.2 || add libportaudio2
    ;;
pins)
    # lgpio has wheels for the Pi up to Python 3.12. Its own C sources need this and a compiler.
    "${2:-python3}" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' ||
        command -v swig >/dev/null 2>&1 || add swig
    ;;
service)
    # The sound card `robot` is a loopback of ALSA; aplay speaks through it.
    command -v aplay >/dev/null 2>&1 || add alsa-utils
    command -v udevadm >/dev/null 2>&1 || add udev
    command -v modprobe >/dev/null 2>&1 || add kmod
    ;;
mdns)
    [ -x /usr/sbin/avahi-daemon ] || add avahi-daemon
    ;;
web)
    command -v chromium >/dev/null 2>&1 || add chromium
    command -v npm >/dev/null 2>&1 || add npm
    command -v espeak-ng >/dev/null 2>&1 || add espeak-ng
    command -v openssl >/dev/null 2>&1 || add openssl
    [ -x /usr/sbin/avahi-daemon ] || add avahi-daemon
    command -v avahi-browse >/dev/null 2>&1 || add avahi-utils
    command -v dbus-daemon >/dev/null 2>&1 || add dbus-daemon
    ;;
pulse)
    command -v pulseaudio >/dev/null 2>&1 || add pulseaudio
    command -v pactl >/dev/null 2>&1 || add pulseaudio-utils
    ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1 || add libasound2-plugins
    ;;
qemu)
    command -v qemu-aarch64-static >/dev/null 2>&1 || command -v qemu-aarch64 >/dev/null 2>&1 ||
        add qemu-user
    ;;
machine)
    command -v mmdebstrap >/dev/null 2>&1 || add mmdebstrap debian-archive-keyring
    command -v mke2fs >/dev/null 2>&1 || [ -x /usr/sbin/mke2fs ] || add e2fsprogs
    command -v zstd >/dev/null 2>&1 || add zstd
    ;;
extract)
    command -v ffmpeg >/dev/null 2>&1 || add ffmpeg
    # MediaPipe's OpenCV and its graphics context load these, even where no screen is.
    has_library() { ldconfig -p 2>/dev/null | grep -q "$1"; }
    has_library libGL.so.1 || add libgl1
    has_library libEGL.so.1 || add libegl1
    has_library libGLESv2.so.2 || add libgles2
    has_library libglib-2.0.so.0 || add libglib2.0-0
    ;;
film)
    command -v ffmpeg >/dev/null 2>&1 || add ffmpeg
    ;;
learn)
    # Speech with exact phone times in many languages.
    command -v espeak-ng >/dev/null 2>&1 || add espeak-ng
    command -v flite >/dev/null 2>&1 || add flite
    # Music with recorded instruments, to learn what is not speech.
    command -v fluidsynth >/dev/null 2>&1 || add fluidsynth
    [ -e /usr/share/sounds/sf2/FluidR3_GM.sf2 ] || add fluid-soundfont-gm
    ;;
prompts)
    # Recorded prompts and their words, to judge languages by; nothing learns from them.
    for language in en es fr it ru; do
        [ -e "/usr/share/asterisk/sounds/$language/agent-pass.wav" ] ||
            add "asterisk-core-sounds-$language asterisk-core-sounds-$language-wav"
    done
    ;;
*)
    echo "usage: $0 robot PYTHON | wheels PYTHON | pins PYTHON | service | mdns | web | pulse | qemu | machine | extract | film | learn | prompts" >&2
    exit 2
    ;;
esac

[ -n "$need" ] || exit 0
install="apt-get install -y --no-install-recommends$need"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing, and there is no apt-get here. On Debian it would be: $install" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    echo "installing:$need"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
else
    echo "These packages are missing. Please run this line, then the same command again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
