"""The soft start: one servo after another, slowly, from where it stood."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_edge.servos.gate import Gate
from lipsync_edge.wake import LEAST_PACE, SLOW_S, Wake

TICK_S = 0.02
NEUTRAL_US = np.linspace(1300.0, 1700.0, 10)


def started(wake: Wake, seconds: float, tick_s: float = TICK_S) -> dict[int, float]:
    """When each servo woke, in seconds."""
    woke: dict[int, float] = {}
    for k in range(round(seconds / tick_s)):
        waking = wake.step(tick_s if k else 0.0)
        new = [i for i in np.flatnonzero(~waking.asleep).tolist() if i not in woke]
        assert len(new) <= 1, "never two at once"
        assert np.flatnonzero(np.isfinite(waking.start_us)).tolist() == new
        woke |= dict.fromkeys(new, k * tick_s)
    return woke


def test_ten_servos_wake_one_after_another_within_a_second() -> None:
    wake = Wake(NEUTRAL_US)
    woke = started(wake, 0.86)
    assert list(woke) == list(range(10))
    assert min(np.diff(list(woke.values()))) >= 0.04 - 1e-9
    assert wake.duration_s == pytest.approx(0.86)
    assert not wake.done
    wake.step(TICK_S)
    assert wake.done


def test_the_spacing_holds_at_any_tick_and_a_stall_wakes_no_crowd() -> None:
    for tick_s in (0.0025, 0.02, 0.1, 3.0):
        woke = list(started(Wake(NEUTRAL_US, spacing_s=0.15), 40 * tick_s + 3, tick_s).values())
        assert len(woke) == 10
        assert min(np.diff(woke)) >= 0.15 - 1e-9


def test_known_horns_start_where_they_stood_unknown_ones_at_neutral() -> None:
    last_us = np.full(10, math.nan)
    last_us[3] = 1111.0
    wake, first = Wake(NEUTRAL_US, last_us, spacing_s=0.0), np.full(10, math.nan)
    for _ in range(10):
        start_us = wake.step(TICK_S).start_us
        first = np.where(np.isnan(first), start_us, first)
    np.testing.assert_array_equal(first, np.where(np.arange(10) == 3, 1111.0, NEUTRAL_US))


def test_each_is_slow_at_first_and_then_as_fast_as_ever() -> None:
    wake = Wake(NEUTRAL_US[:1])
    paces = [float(wake.step(TICK_S if k else 0.0).pace[0]) for k in range(40)]
    assert paces[0] == 0.0, "the first pulse is where it stood"
    assert LEAST_PACE < paces[1] < 0.2
    assert paces == sorted(paces)
    assert paces[round(SLOW_S / TICK_S) - 2] < 1.0
    assert paces[-1] == 1.0
    assert wake.done


def test_after_a_loss_all_wake_anew() -> None:
    wake = Wake(NEUTRAL_US)
    started(wake, 3.0)
    assert wake.done
    wake.anew(np.full(10, 1234.0))
    assert not wake.done
    waking = wake.step(TICK_S)
    assert waking.asleep.sum() == 9
    assert waking.start_us[0] == 1234.0


@given(
    st.lists(st.floats(allow_nan=True) | st.floats(500, 2500), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1) | st.just(math.nan), max_size=20),
)
def test_through_the_gate_no_pulse_is_outside_the_limits(
    last: list[float], dts: list[float]
) -> None:
    low, high = np.array([1000.0, 1200.0, 900.0]), np.array([2000.0, 1900.0, 2100.0])
    gate = Gate(low, high, [5000.0, 100.0, 1e5])
    wake = Wake((low + high) / 2, np.array(last), spacing_s=0.02)
    for dt_s in dts:
        waking = wake.step(dt_s)
        gate.begin(waking.start_us)
        gate.pass_(high + 500, dt_s, waking.pace)
        sent_us = gate.off(waking.asleep)
        on = ~np.isnan(sent_us)
        assert ((sent_us >= low) & (sent_us <= high))[on].all()
        assert not on[waking.asleep].any()


def test_the_gate_goes_on_from_the_known_place_at_the_given_pace() -> None:
    gate = Gate([1000.0, 1000.0], [2000.0, 2000.0], [5000.0, 5000.0])
    gate.begin([1200.0, math.nan])
    assert gate.pass_([2000.0, 1800.0], 0.02, 0.1).tolist() == [1210.0, 1800.0]
    gate.begin([1999.0, 1999.0])  # they are on: nothing happens
    assert gate.pass_([2000.0, 1800.0], 0.02, [1.0, 0.0]).tolist() == [1310.0, 1800.0]
    assert gate.pass_([2000.0, 1000.0], 0.02, math.nan).tolist() == [1310.0, 1800.0]
    assert gate.pass_([2000.0, 1000.0], 0.02, 9.0).tolist() == [1410.0, 1700.0]
