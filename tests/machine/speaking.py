"""What the cases have in common: somebody speaks through the guest's robot, and what came of it."""

from __future__ import annotations

import time

from lipsync_edge import config
from tests.machine import pulses, speech
from tests.machine.guest import Guest

UNIT = "lipsync-edge.service"
CONFIG = "/etc/lipsync-edge/config.yaml"
STATE = "/var/lib/lipsync-edge"
RECORD = "/sys/kernel/debug/pca9685-sim/log"
FAULTS = "/sys/module/i2c_pca9685_sim/parameters"
PERSON = "maker"  # an account as any other, in the groups audio and lipsync
FILE = "speech.wav"
COUNT_US = 4.88  # at 50 Hz, data sheet section 7.3.5


def speak(guest: Guest) -> str:
    """Begin to play the file to the card `robot`; the request's name for ``guest.hear``."""
    path = guest.shared / FILE
    if not path.exists():
        speech.write(path)
    words = ["aplay", "-q", "-D", "robot", f"/mnt/host/{FILE}"]
    return guest.ask({"run": words, "user": PERSON, "timeout_s": 60})


def record(guest: Guest) -> list[pulses.Entry]:
    """All that the servo board was told lately."""
    answer = guest.run("cat", RECORD)
    assert answer.code == 0, answer.err
    return pulses.entries(answer.out)


def moves(guest: Guest, since_s: float) -> list[int]:
    """The counts that were sent to the servo after a moment of the guest's clock."""
    changes = pulses.pulses(record(guest))
    return [count for at_s, count in changes if at_s > since_s and count != pulses.OFF]


def wait_for_moves(guest: Guest, since_s: float, at_least: int = 20, timeout_s: float = 30) -> None:
    """Until the mouth moves. TimeoutError. The agent takes its time, so this does not spin."""
    end_s = time.monotonic() + timeout_s
    while len(moves(guest, since_s)) < at_least:
        if time.monotonic() > end_s:
            raise TimeoutError(f"less than {at_least} moves in {timeout_s} s")


def wait_for_state(guest: Guest, name: str, timeout_s: float = 30) -> None:
    """Until the head has kept something: the pose, say, once it came to rest. TimeoutError."""
    end_s = time.monotonic() + timeout_s
    while name not in guest.run("ls", STATE).out.split():
        if time.monotonic() > end_s:
            raise TimeoutError(f"no {name} in {timeout_s} s")


def now_s(guest: Guest) -> float:
    """The guest's monotonic clock."""
    return guest.run("true").ended_s


def limits() -> tuple[int, int]:
    """The least and the greatest count that the head's servo may ever get."""
    (jaw,) = config.load(None, head="jaw").head.servos
    low, high = jaw.options.min_us / COUNT_US, jaw.options.max_us / COUNT_US
    return round(low) - 1, round(high) + 1


def outside(told: list[pulses.Entry]) -> list[int]:
    """The counts that it must not have got, in all of the record."""
    low, high = limits()
    counts = [count for _, count in pulses.pulses(told) if count != pulses.OFF]
    return [count for count in counts if not low <= count <= high]
