"""A process that dies without a word, and the one that switches its servos off."""

from __future__ import annotations

import fcntl
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lipsync_edge.servos import BoardSpec, guardian
from lipsync_edge.servos.i2c import ALL_OFF
from lipsync_tools.drill.board import Board, Moment

SPEAKER = """
import os, signal, sys
import numpy as np
from lipsync_edge.servos import BoardSpec, Slot
from lipsync_edge.servos.pca9685 import Pca9685Board
from lipsync_edge.servos.remote import RemoteBus
boards = [BoardSpec(0x40), BoardSpec(0x41)]
board = Pca9685Board(boards, [Slot(0, 0), Slot(1, 3)], i2c=RemoteBus(sys.argv[1]))
board.open()
assert board.write(np.array([1500.0, 1200.0]))
sys.stdin.readline()
if sys.argv[2] == "close":
    board.close()
else:
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def on(moment: Moment) -> int:
    return sum(not math.isnan(us) for us in moment.pulses_us)


def speak(tmp_path: Path, end: str) -> list[Moment]:
    """Two boards pulse in another process, which ends in that way; what the boards then saw."""
    with Board(tmp_path / "bus", [BoardSpec(0x40), BoardSpec(0x41)]) as board:
        robot = subprocess.Popen(
            [sys.executable, "-c", SPEAKER, str(tmp_path / "bus"), end],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        # The guardian has the robot's standard error, which ends when both have ended.
        robot.communicate(b"\n", timeout=20)
        return board.moments


@pytest.mark.parametrize("end", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_death_without_a_word_switches_all_boards_off(tmp_path: Path, end: str) -> None:
    moments = speak(tmp_path, end)
    assert max(map(on, moments)) == 2
    assert [on(moment) for moment in moments[-2:]] == [1, 0], "a transaction for each board"


def test_who_closes_in_order_needs_no_guardian(tmp_path: Path) -> None:
    moments = speak(tmp_path, "close")
    off = next(k for k, m in enumerate(moments) if k > len(moments) - 4 and not on(m))
    assert off == len(moments) - 1, "nothing came after it"


def test_on_a_real_bus_it_selects_each_board_and_sends_the_same_byte_as_we_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda _, number, address: asked.append((number, address)))
    bus = tmp_path / "i2c-1"
    bus.write_bytes(b"")
    ours, theirs = os.pipe()
    os.close(theirs)  # the robot is dead already
    kept = os.dup(0)
    os.dup2(ours, 0)
    try:
        assert guardian.stand_by(str(bus), [0x40, 0x41]) == 0
    finally:
        os.dup2(kept, 0)
    assert asked == [(0x0703, 0x40), (0x0703, 0x41)]  # I2C_SLAVE of linux/i2c-dev.h
    assert bus.read_bytes() == ALL_OFF * 2


def test_a_bus_in_this_process_has_no_place() -> None:
    assert guardian.place_of(object()) == ""
