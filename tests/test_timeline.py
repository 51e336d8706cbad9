"""Poses by sample index: interpolation, hold, easing, holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_edge.timeline import Timeline, TimelineSpec

HOP = 160.0


def make(capacity: int = 64) -> Timeline:
    return Timeline(TimelineSpec(2, HOP, hold_samples=800, ease_samples=1600, capacity=capacity))


def at(timeline: Timeline, *samples: float) -> tuple[list[list[float]], bool]:
    poses, starved = timeline.at(np.array(samples, float))
    return poses.round(9).tolist(), starved


def test_nothing_known_is_neutral_and_not_starved() -> None:
    assert at(make(), -np.inf, -5, 0, 1e6) == ([[0, 0]] * 4, False)


def test_between_two_poses_lies_the_straight_line() -> None:
    timeline = make()
    timeline.put(1000, np.array([0.0, 1.0], np.float32))
    timeline.put(1160, np.array([1.0, 0.0], np.float32))
    assert at(timeline, 1000, 1040, 1160) == ([[0, 1], [0.25, 0.75], [1, 0]], False)


def test_before_the_first_pose_is_neutral() -> None:
    timeline = make()
    timeline.put(1000, np.array([1.0, 1.0], np.float32))
    assert at(timeline, 999) == ([[0, 0]], False)


def test_starved_holds_then_eases_to_neutral() -> None:
    timeline = make()
    timeline.put(1000, np.array([1.0, 0.5], np.float32))
    assert at(timeline, 1800) == ([[1, 0.5]], True)  # still held
    assert at(timeline, 1800 + 800) == ([[0.5, 0.25]], True)  # half way of the slope
    assert at(timeline, 1800 + 1600) == ([[0, 0]], True)
    assert at(timeline, 1e9) == ([[0, 0]], True)


def test_a_short_hole_is_bridged_a_long_one_starves() -> None:
    timeline = make()
    timeline.put(0, np.array([1.0, 1.0], np.float32))
    timeline.put(3 * HOP, np.array([0.0, 0.0], np.float32))
    assert at(timeline, 1.5 * HOP) == ([[0.5, 0.5]], False)
    timeline.put(13 * HOP, np.array([1.0, 1.0], np.float32))
    assert at(timeline, 8 * HOP)[1]


def test_indexes_must_ascend() -> None:
    timeline = make()
    timeline.put(100, np.array([1.0, 1.0], np.float32))
    timeline.put(100, np.array([0.0, 0.0], np.float32))
    timeline.put(50, np.array([0.0, 0.0], np.float32))
    assert timeline.newest == 100
    assert at(timeline, 100)[0] == [[1, 1]]


@given(st.integers(1, 300), st.integers(2, 50))
def test_the_ring_keeps_the_newest(n_poses: int, capacity: int) -> None:
    timeline = make(capacity)
    for k in range(n_poses):
        timeline.put(k * HOP, np.array([k, -k], np.float32))
    oldest = max(0, n_poses - capacity)
    poses, starved = timeline.at(np.arange(oldest, n_poses) * HOP)
    assert poses[:, 0].tolist() == list(range(oldest, n_poses))
    assert not starved


@given(st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=30))
def test_values_never_leave_the_range_of_the_poses(samples: list[float]) -> None:
    timeline = make()
    rng = np.random.default_rng(1)
    for k in range(40):
        timeline.put(k * HOP * rng.uniform(1, 5), rng.uniform(0, 1, 2).astype(np.float32))
    poses, _ = timeline.at(np.array(samples))
    assert poses.min() >= 0
    assert poses.max() <= 1


def test_poses_do_not_depend_on_how_many_are_asked_for_at_once() -> None:
    timeline = make()
    for k in range(20):
        timeline.put(k * HOP, np.array([k % 3, k % 5], np.float32))
    samples = np.linspace(0, 19 * HOP, 57)
    together, _ = timeline.at(samples)
    alone = np.concatenate([timeline.at(samples[k : k + 1])[0] for k in range(len(samples))])
    np.testing.assert_array_equal(together, alone)
    assert pytest.approx(together[-1]) == [19 % 3, 19 % 5]


@pytest.mark.filterwarnings("error")
def test_what_is_no_pose_is_left_out_and_what_is_too_much_is_cut() -> None:
    timeline = make()
    timeline.put(0, np.array([0.5, 0.25], np.float32))
    timeline.put(HOP, np.array([np.inf, -3e38], np.float32))
    timeline.put(2 * HOP, np.array([np.nan, 1.0], np.float32))
    for no_time in (np.nan, np.inf):
        timeline.put(no_time, np.array([0.0, 0.0], np.float32))
    timeline.put(3 * HOP, np.array([-np.inf, 1.0], np.float32))
    poses, starved = at(timeline, 0, HOP, 2 * HOP, 3 * HOP)
    assert poses == [[0.5, 0.25], [1e6, -1e6], [0, -499999.5], [-1e6, 1]]
    assert not starved
