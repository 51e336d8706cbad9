"""The servo board without hardware."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_edge.clock import VirtualClock
from lipsync_edge.servos import Slot
from lipsync_edge.servos.dummy import RECORD_LENGTH, DummyBoard


def opened(faults: str = "", start_s: float = 50.0) -> tuple[DummyBoard, VirtualClock]:
    clock = VirtualClock(start_s)
    board = DummyBoard(2, [Slot(0, 0), Slot(0, 1)], faults=faults, clock=clock)
    board.open()
    return board, clock


def test_it_records_times_and_copies_of_widths() -> None:
    board, clock = opened()
    widths_us = np.array([1500.0, np.nan])
    assert board.write(widths_us)
    widths_us[0] = 0.0
    clock.sleep_until(50.5)
    assert board.write(np.array([1600.0, 1700.0]))
    board.close()
    assert [at_s for at_s, _ in board.record] == [50.0, 50.5, 50.5]
    np.testing.assert_array_equal(board.record[0][1], [1500.0, np.nan])
    assert np.isnan(board.sent_us()).all()
    assert board.health().writes == 2


def test_it_misbehaves_on_command() -> None:
    board, clock = opened("nack@1:0.2 slow@2:0.3 dead@3")
    outcome = {}
    for at_s in (0.0, 1.0, 1.1, 1.2, 3.0, 99.0):
        clock.sleep_until(50.0 + at_s)
        outcome[at_s] = board.write(np.array([1500.0, 1500.0]))
    assert outcome == {0.0: True, 1.0: False, 1.1: False, 1.2: True, 3.0: False, 99.0: False}
    health = board.health()
    assert (health.ok, health.writes, health.nacks, health.failures) == (False, 2, 4, 2)
    assert "plays dead" in health.message
    assert np.isnan(board.sent_us()).all()


def test_slow_makes_one_update_longer() -> None:
    board, clock = opened("slow@2:0.3")
    clock.sleep_until(52.0)
    board.write(np.array([1500.0, 1500.0]))
    board.write(np.array([1500.0, 1500.0]))
    assert clock.now() == pytest.approx(52.3)


def test_dead_for_a_while_comes_back() -> None:
    board, clock = opened("dead@1:2")
    clock.sleep_until(51.0)
    assert not board.write(np.array([1500.0, 1500.0]))
    clock.sleep_until(53.0)
    assert board.write(np.array([1500.0, 1500.0]))
    assert board.health().ok


def test_the_record_does_not_grow_for_ever() -> None:
    board, _ = opened()
    for _ in range(RECORD_LENGTH + 10):
        board.write(np.array([1500.0, 1500.0]))
    assert len(board.record) == RECORD_LENGTH


def test_unknown_faults_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'nack'"):
        DummyBoard(2, faults="nak@1")
    with pytest.raises(ValueError, match="3 widths for 2 servos"):
        opened()[0].write(np.zeros(3))
