"""What systemd, the kernel and the program make of each other's troubles in a real boot."""

from __future__ import annotations

import signal

from tests.machine import pulses
from tests.machine.conftest import Figures
from tests.machine.guest import Guest
from tests.machine.speaking import (
    FAULTS,
    UNIT,
    moves,
    now_s,
    outside,
    record,
    speak,
    wait_for_moves,
)  # fmt: skip

OFF_S = 0.3  # after a death that software can see
WATCHDOG_S = 5.0  # WatchdogSec


def silenced(guest: Guest, since_s: float) -> float:
    """Seconds from a moment at which the servo moved until it got no more pulses, and that until
    the next start. The service has to be ready again."""
    guest.until(UNIT, "ActiveState", "active")
    name = "ExecMainStartTimestampMonotonic"
    started_s = int(guest.properties(UNIT, name)[name]) / 1e6
    told = record(guest)
    changes = pulses.pulses(told)
    assert since_s < started_s, "it was not started again"
    assert pulses.is_on_at(changes, since_s), "it did not move before: this shows nothing"
    assert outside(told) == []
    return pulses.silent_after(changes, since_s, started_s)


def speaking(guest: Guest) -> None:
    """Let it be in mid-sentence."""
    begun_s = now_s(guest)
    speak(guest)
    wait_for_moves(guest, begun_s)


def talks_again(guest: Guest) -> int:
    """How many moves a sentence makes, once the service is ready."""
    guest.until(UNIT, "ActiveState", "active")
    begun_s = now_s(guest)
    assert guest.hear(speak(guest)).code == 0
    assert outside(record(guest)) == []
    return len(moves(guest, begun_s))


def test_a_killed_head_is_off_at_once_and_comes_back(guest: Guest, figures: Figures) -> None:
    speaking(guest)
    killed_s = guest.kill(UNIT, signal.SIGKILL)
    guest.until(UNIT, "NRestarts", "1")
    off_s = silenced(guest, killed_s)
    figures["SIGKILL"] = {"off_after_s": round(off_s, 3), "moves_after": talks_again(guest)}
    assert off_s <= OFF_S
    assert figures["SIGKILL"]["moves_after"] > 100


def test_the_watchdog_ends_a_stopped_head(guest: Guest, figures: Figures) -> None:
    speaking(guest)
    stopped_s = guest.kill(UNIT, signal.SIGSTOP)
    guest.until(UNIT, "NRestarts", "1")
    off_s = silenced(guest, stopped_s)
    log = guest.run("journalctl", "-b", "-u", UNIT, "-o", "cat").out
    figures["SIGSTOP"] = {"off_after_s": round(off_s, 3), "moves_after": talks_again(guest)}
    assert "Watchdog timeout" in log
    assert off_s <= WATCHDOG_S + OFF_S
    assert figures["SIGSTOP"]["moves_after"] > 100


def test_a_dead_bus_is_said_and_survived(guest: Guest, figures: Figures) -> None:
    speaking(guest)
    pid = guest.properties(UNIT, "MainPID")
    dead = guest.run("sh", "-c", f"echo -1 > {FAULTS}/nack; sleep 4")
    status = guest.run("lipsync-edge", "status", user="maker")
    moved = moves(guest, dead.began_s + 0.1)
    guest.run("sh", "-c", f"echo 0 > {FAULTS}/nack")
    assert status.code == 0, status.err
    assert "board ok" not in status.out
    assert moved == []
    again = talks_again(guest)
    log = guest.run("journalctl", "-b", "-u", UNIT, "-o", "cat").out
    figures["I2C NACK"] = {"lines_in_4_s": len(log.splitlines()), "moves_after": again}
    assert again > 100
    assert guest.properties(UNIT, "MainPID") == pid
    assert "does not answer" in log
    assert "Traceback" not in log


SLOW = """\
lipsync-edge restart
until [ "$(systemctl show -P ActiveState {unit})" = reloading ]; do sleep 0.05; done
kill -STOP {pid}
sleep 8
kill -CONT {pid}
"""


def test_a_new_start_on_request_may_take_longer_than_the_watchdog(
    guest: Guest, figures: Figures
) -> None:
    """As on a Pi Zero, which loads libraries and model for longer than WatchdogSec."""
    guest.until(UNIT, "ActiveState", "active")
    before = guest.properties(UNIT, "MainPID", "NRestarts")
    asked = guest.run("sh", "-c", SLOW.format(unit=UNIT, pid=before["MainPID"]))
    assert asked.code == 0, asked.err
    guest.until(UNIT, "ActiveState", "active")
    after = guest.properties(UNIT, "MainPID", "NRestarts")
    log = guest.run("journalctl", "-b", "-u", UNIT, "-o", "cat").out
    figures["restart"] = {"moves_after": talks_again(guest)}
    assert after == before, "the same process went on"
    assert "Watchdog timeout" not in log.split("asked to start anew")[-1]
    assert figures["restart"]["moves_after"] > 100
