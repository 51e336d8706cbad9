"""Servos let go when nobody has spoken for a while, and not before."""

from __future__ import annotations

import numpy as np

from lipsync_edge.idle import Idle

NEUTRAL = np.array([1400.0, 1500.0])
RELEASE = np.array([True, False])


def test_released_after_its_time_at_rest_and_only_where_allowed() -> None:
    idle = Idle(NEUTRAL, RELEASE, after_s=1.0)
    states = [idle.step(NEUTRAL + 5, 0.25).tolist() for _ in range(5)]
    assert states == [[False, False]] * 3 + [[True, False]] * 2


def test_any_motion_wakes_all_and_the_time_begins_anew() -> None:
    idle = Idle(NEUTRAL, RELEASE, after_s=1.0)
    for _ in range(9):
        idle.step(NEUTRAL, 0.25)
    assert not idle.step(NEUTRAL + np.array([0.0, 50.0]), 0.25).any()
    assert [idle.step(NEUTRAL, 0.25)[0] for _ in range(4)] == [False, False, False, True]


def test_the_first_tick_of_all_does_not_count_as_rest() -> None:
    assert not Idle(NEUTRAL, RELEASE, after_s=1.0).step(NEUTRAL, 0.02).any()


def test_nan_is_not_rest() -> None:
    idle = Idle(NEUTRAL, RELEASE, after_s=0.1)
    assert not idle.step(np.array([np.nan, 1500.0]), 5.0).any()
