"""What `doctor` reads from the system itself: groups, boot configuration, cards, service, socket.

Every function looks below ``root`` (/), so that it can be shown another computer.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lipsync_edge.config import Config
from lipsync_edge.errors import LipsyncError

ROOT = Path("/")
BOOT_CONFIGS = ("boot/firmware/config.txt", "boot/config.txt")
"""Since Raspberry Pi OS 12 (bookworm), and before."""
UNIT = "lipsync-edge.service"
FAST_BUS_HZ = 400_000
SYSTEMCTL_S = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``ok`` may be true with a remark that matters little."""

    name: str
    ok: bool
    words: str
    remedy: str = ""

    def text(self) -> str:
        """One line, and each remedy in a line of its own."""
        line = f"{'ok ' if self.ok else 'BAD'} {self.name}: {self.words}"
        return "\n    -> ".join([line, *self.remedy.splitlines()])


@dataclass(frozen=True)
class User:
    """Who asks: name, whether it is root, and the ids of the groups of this login."""

    name: str
    is_root: bool
    gids: frozenset[int]


def this_user() -> User:
    """The user of this process."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container
        name = str(uid)
    return User(name, uid == 0, frozenset([os.getegid(), *os.getgroups()]))


def groups(config: Config, user: User, root: Path = ROOT) -> Iterator[Finding]:
    """Whether the user may use the devices that this config needs, by their groups."""
    wanted = [("audio", "snd/pcm*", "the sound cards", config.audio.driver != "dummy")]
    wanted.append(("i2c", "i2c-*", "the servo boards", config.board.driver in ("auto", "pca9685")))
    pins = config.gpio.driver != "dummy" and any(pin >= 0 for pin in _pins(config))
    wanted.append(("gpio", "gpiochip*", "the pins", pins))
    for group, pattern, what, needed in wanted:
        entry = _group(root, group)
        if entry is None or not needed or not any((root / "dev").glob(pattern)):
            continue
        gid, members = entry
        name = f"group {group}"
        if user.is_root or gid in user.gids:
            yield Finding(name, True, f"{user.name} may use {what}")
        elif user.name in members:
            yield Finding(name, False, f"{user.name} is in it, but not since this login",
                          "log out and in again, or restart")  # fmt: skip
        else:
            yield Finding(name, False, f"{user.name} is not in it, so {what} are not for it",
                          f"sudo usermod -aG {group} {user.name}, then log out and in again"
                          )  # fmt: skip


def _pins(config: Config) -> list[int]:
    gpio = config.gpio
    return [gpio.status_led, gpio.button, gpio.output_enable, gpio.servo_power]


def _group(root: Path, name: str) -> tuple[int, list[str]] | None:
    """Id and members of a group, group(5); None where there is no such group."""
    for line in _lines(root / "etc/group"):
        fields = line.split(":")
        if len(fields) == 4 and fields[0] == name and fields[2].isdigit():
            return int(fields[2]), fields[3].split(",")
    return None


def boot_config(root: Path = ROOT) -> Iterator[Finding]:
    """A Pi's boot configuration: I2C on, and fast. Nothing on other computers."""
    found = [root / name for name in BOOT_CONFIGS if (root / name).is_file()]
    if not found:
        return
    shown = f"/{found[0].relative_to(root)}"
    values = parameters(found[0])
    has_bus = any((root / "dev").glob("i2c-*"))
    if values.get("i2c_arm", "off") not in ("on", "1", "yes", "true"):
        yield Finding("boot", False, f"I2C is off in {shown}",
                      "sudo raspi-config nonint do_i2c 0, then restart")  # fmt: skip
        return
    if not has_bus:
        yield Finding("boot", False, f"I2C is on in {shown}, but there is no /dev/i2c-1",
                      "restart, if that was set since the last start\n"
                      "else load the module that makes it: sudo modprobe i2c-dev")  # fmt: skip
        return
    text = values.get("i2c_arm_baudrate", "100000")
    hertz = int(text) if text.isdigit() else 0
    words, remedy = f"I2C is on in {shown}, at {text} Hz", ""
    if hertz < FAST_BUS_HZ:
        remedy = f"servos move more evenly with dtparam=i2c_arm_baudrate={FAST_BUS_HZ} there"
    yield Finding("boot", True, words, remedy)


def parameters(path: Path) -> Mapping[str, str]:
    """The ``dtparam`` settings of a config.txt that hold on some Pi; the last one wins.

    Format: raspberrypi.com/documentation/computers/config_txt.html. ``i2c`` is short for
    ``i2c_arm``, and so for the baud rate (README of the firmware's overlays).
    """
    values, counts = {}, True
    for line in (full.partition("#")[0].strip() for full in _lines(path)):
        if line.startswith("["):
            counts = line.lower() != "[none]"
        elif counts and line.startswith("dtparam="):
            for part in line.partition("=")[2].split(","):
                key, _, value = part.partition("=")
                key = re.sub(r"^i2c(?=$|_baudrate$)", "i2c_arm", key.strip())
                values[key] = value.strip().lower() or "on"
    return values


def loopback(config: Config, root: Path = ROOT) -> Iterator[Finding]:
    """The loopback card, where the config hears it; and whether there is any card at all."""
    cards = _lines(root / "proc/asound/cards")
    if config.audio.driver == "dummy" or "loopback" not in config.audio.input.lower():
        if config.audio.driver == "portaudio" and not any("[" in line for line in cards):
            yield Finding("sound cards", False, "the kernel knows no sound card",
                          "plug in a USB sound card, or enable the overlay of your I2S card; "
                          "then look with: aplay -l")  # fmt: skip
        return
    if any("loopback" in line.lower() for line in cards):
        yield Finding("loopback card", True, "other programs can play into the head")
        return
    loaded = any(line.startswith("snd_aloop ") for line in _lines(root / "proc/modules"))
    if loaded:
        yield Finding("loopback card", False, "its module is loaded, but there is no card",
                      "sudo modprobe -r snd-aloop && sudo modprobe snd-aloop")  # fmt: skip
    else:
        yield Finding("loopback card", False, "its module is not loaded",
                      "sudo modprobe snd-aloop\n"
                      "for every start: echo snd-aloop | sudo tee /etc/modules-load.d/aloop.conf"
                      )  # fmt: skip


def service(root: Path = ROOT, systemctl: str = "systemctl") -> Iterator[Finding]:
    """What systemd says about the service; nothing where systemd does not run or knows none."""
    if not (root / "run/systemd/system").is_dir():
        return
    wanted = "LoadState,ActiveState,SubState,Result,NRestarts,StatusText"
    told = _output([systemctl, "show", UNIT, f"--property={wanted}"])
    state = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    if state.get("LoadState") != "loaded":
        return
    words = f"{state.get('ActiveState', '')} ({state.get('SubState', '')})"
    if state.get("StatusText"):
        words += f": {state['StatusText']}"
    if state.get("NRestarts", "0") not in ("0", ""):
        words += f"; restarted {state['NRestarts']} times"
    if state.get("ActiveState") in ("active", "activating", "reloading"):
        yield Finding("service", True, words)
    elif state.get("ActiveState") == "failed":
        last = _output([systemctl, "status", "--no-pager", "--lines=5", UNIT]).splitlines()[-5:]
        words = "\n      ".join([f"{words}, {state.get('Result', '')}; last words:", *last])
        yield Finding("service", False, words,
                      "mend what is named there, then: sudo systemctl restart lipsync-edge"
                      )  # fmt: skip
    else:
        yield Finding("service", True, words, "start it: sudo systemctl start lipsync-edge")


def _output(command: list[str]) -> str:
    """What a command prints; nothing where it cannot be run. Its exit code tells nothing here."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=SYSTEMCTL_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def control(path: str) -> Iterator[Finding]:
    """Whether a running head answers at its socket; nothing where there is none."""
    from lipsync_edge.client import Client

    if not path or not os.path.lexists(path):
        return
    try:
        with Client(path, timeout_s=3.0) as head:
            status = head.status()
    except LipsyncError as error:
        yield Finding("control socket", False, error.message, error.remedy)
    else:
        words = str(status.get("line", "")) or "the head answers"
        yield Finding("control socket", True, f"{path}: {words}")


def has_sound(path: str, config: Config) -> bool:
    """Whether a head that was started with this config answers at ``path`` and has the devices that
    it names now. ALSA's hardware devices are open to one program alone, and PortAudio does not list
    what it cannot open."""
    from lipsync_edge.client import Client

    try:
        with Client(path, timeout_s=3.0) as head:
            theirs, status = head.describe().get("config"), head.status()
    except LipsyncError:
        return False
    lost = status.get("lost") or status.get("input_lost")
    device = str(status.get("device")).lower()
    names = {config.audio.output, config.audio.input} - {"default", ""}
    named = all(name.lower() in device for name in names)
    return theirs == config.source and named and bool(status.get("ready")) and not lost


def _lines(path: Path) -> list[str]:
    """The lines of a file; none where it cannot be read."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
