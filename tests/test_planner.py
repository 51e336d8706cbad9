"""The planner: what it promises for any input, and what it does with a closure ahead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lipsync_edge.emphasis import CLOSURE_WEIGHT
from lipsync_edge.planner import Planner

N, AHEAD = 3, 8
SLEW, ACCEL = np.array([0.05, 0.13, 0.3]), np.array([0.02, 0.09, 0.3])
REST = np.array([0.0, 0.5, 1.0])
EPS = 1e-9

anything = st.floats(allow_nan=True, allow_infinity=True, width=32)
usual = st.floats(-0.25, 1.25, width=32)
plans = hnp.arrays(np.float64, (N, AHEAD), elements=st.one_of(usual, anything))
weights = hnp.arrays(np.float64, (N, AHEAD), elements=st.one_of(st.floats(0.0, 30.0), anything))


def planner(dead_band: float = 0.01) -> Planner:
    return Planner(REST, SLEW, ACCEL, AHEAD, dead_band)


def run(chain: Planner, path: np.ndarray, heavy: np.ndarray | None = None) -> np.ndarray:
    """Commands (n_ticks, N) for targets (n_ticks + AHEAD, N) and their weights."""
    heavy = np.ones_like(path) if heavy is None else heavy
    ticks = range(len(path) - AHEAD)
    return np.array([chain.step(path[k : k + AHEAD].T, heavy[k : k + AHEAD].T) for k in ticks])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(plans, weights), min_size=1, max_size=25))
def test_no_command_leaves_limits_slew_or_acceleration(
    ticks: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Whatever comes, and after it rest: the plan goes on from the last one without a jump."""
    chain = planner()
    sent = [REST, REST]
    sent += [chain.step(*tick) for tick in ticks]
    home = np.repeat(REST[:, None], AHEAD, 1)
    sent += [chain.step(home, np.ones_like(home)) for _ in range(80)]
    path = np.array(sent)
    assert ((path >= 0) & (path <= 1)).all()
    assert (np.abs(np.diff(path, axis=0)) <= SLEW + EPS).all()
    assert (np.abs(np.diff(path, 2, axis=0)) <= ACCEL + EPS).all()
    np.testing.assert_array_equal(path[-1], REST)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.1, 0.9),
    hnp.arrays(np.float64, (60 + AHEAD, N), elements=st.floats(-0.009, 0.009)),
)
def test_noise_within_the_dead_band_moves_nothing(level: float, noise: np.ndarray) -> None:
    chain = Planner(np.full(N, level), SLEW, ACCEL, AHEAD, 0.01)
    assert (run(chain, level + noise) == level).all()


def test_a_move_comes_to_rest_once_and_stays() -> None:
    rng = np.random.default_rng(0)
    path = np.concatenate([np.zeros((10, N)), np.full((60 + AHEAD, N), 0.6)])
    path += rng.uniform(-0.004, 0.004, path.shape)
    chain = Planner(np.zeros(N), SLEW, ACCEL, AHEAD, 0.01)
    sent = run(chain, path)
    assert np.abs(sent[-1] - 0.6).max() < 0.02
    assert not np.diff(sent[-25:], axis=0).any()


def test_a_slow_servo_starts_early_and_arrives_in_time() -> None:
    """0.6 of the travel at 0.1 a tick needs 6 ticks and a few to gain speed; a servo that waits
    for the edge would stand at 0.6 when the target is 0."""
    path = np.concatenate([np.full((20, 1), 0.6), np.zeros((20 + AHEAD, 1))])
    heavy = np.where(path == 0, CLOSURE_WEIGHT, 1.0)
    slow = Planner([0.6], 0.1, 0.04, AHEAD)
    sent = run(slow, path, heavy)[:, 0]
    assert sent[20] < 0.07
    assert sent[14] > 0.3, "and no earlier than it must"


def test_a_target_is_reached_however_little_the_far_ones_count() -> None:
    """The first case stayed at 0.7 for good; then servos of all speeds, and ever less trust."""
    rng = np.random.default_rng(1)
    slew = np.append(0.12685, rng.uniform(0.03, 0.4, 400))
    accel = np.append(0.05073, slew[1:] * rng.uniform(0.2, 1.0, 400))
    fall = np.append(1.0, rng.uniform(0.3, 1.5, 400))[:, None]
    trust = np.exp(-fall * np.arange(AHEAD))
    trust[0] = 0.82, 0.31, 0.08, 0.02, 0.01, 0.003, 0.001, 0.0004
    chain = Planner(np.zeros(slew.size), slew, accel, AHEAD, 0.0125)
    n_ticks = np.ceil(1 / slew + slew / accel) + 3  # at full speed, and what it takes to gain it
    path = np.array([chain.step(np.ones_like(trust), trust) for _ in range(int(n_ticks.max()))])
    reached = path[n_ticks.astype(int) - 1, np.arange(slew.size)]
    assert reached.min() > 0.97


def closure(opening: float, n_closed: int) -> tuple[np.ndarray, np.ndarray]:
    """An opening that a closure ends soon: 4 ticks up, 4 down, closed, up again."""
    up = opening * np.array([0.25, 0.6, 0.9, 1.0, 0.9, 0.6, 0.25])
    path = np.concatenate([np.zeros(8), up, np.zeros(n_closed), up, np.zeros(AHEAD + 5)])
    heavy = np.ones_like(path)
    heavy[15 : 15 + n_closed] = CLOSURE_WEIGHT
    return path[:, None], heavy[:, None]


@pytest.mark.parametrize("n_closed", [2, 3, 5])
def test_a_closure_is_reached_and_the_opening_before_it_gives_way(n_closed: int) -> None:
    path, heavy = closure(0.9, n_closed)
    slow = (0.15, 0.06)
    planned = run(Planner([0.0], *slow, AHEAD), path, heavy)[:, 0]
    blind = run(Planner([0.0], *slow, AHEAD), path)[:, 0]
    closed = slice(15, 15 + n_closed)
    assert planned[closed].min() < 0.07
    assert planned[closed].min() < blind[closed].min()
    assert 0.3 < planned[8:15].max() < 0.9


def test_a_fast_servo_follows_exactly() -> None:
    times = np.arange(60 + AHEAD) * 0.02
    path = (0.5 + 0.4 * np.sin(2 * np.pi * 3 * times))[:, None]
    sent = run(Planner([path[0, 0]], 0.5, 0.5, AHEAD), path)
    assert np.abs(sent - path[:60])[5:].max() < 0.03


def test_what_was_really_sent_is_where_the_next_plan_begins() -> None:
    chain = planner()
    up = np.full((N, AHEAD), 0.8)
    chain.step(up, np.ones_like(up))
    chain.sent(np.array([0.01, np.nan, 0.97]))
    held = chain.at.copy()
    assert held[[0, 2]].tolist() == [0.01, 0.97]
    assert (np.abs(chain.step(up, np.ones_like(up)) - held) <= SLEW + EPS).all()


def test_the_same_input_gives_the_same_plan_for_any_number_of_servos() -> None:
    rng = np.random.default_rng(3)
    path, heavy = rng.random((40, 26)), rng.uniform(0.3, 20, (40, 26))
    many = run(Planner(np.zeros(26), 0.2, 0.1, AHEAD), path, heavy)
    for k in (0, 11, 25):
        one = run(Planner([0.0], 0.2, 0.1, AHEAD), path[:, [k]], heavy[:, [k]])
        np.testing.assert_allclose(one[:, 0], many[:, k], atol=1e-9)


def test_near_the_optimum_of_another_solver() -> None:
    """Ten problems, hence a wide bound; `lipsync_tools.plan_optimum` compares 200."""
    optimum = pytest.importorskip("lipsync_tools.plan_optimum")
    for preset in ("mg90s", "jaw"):
        found = optimum.compare(preset, 10, seed=5)
        assert 0.999 < found["median"] < 1.15
        assert found["median"] < found["plain_median"]
