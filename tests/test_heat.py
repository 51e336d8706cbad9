"""The heat budget: against figures of motor makers, and what it lets through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lipsync_edge import config
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE
from lipsync_edge.heat import SHRUNK_AT, Heat
from lipsync_edge.render import Renderer
from lipsync_edge.servos.dynamics import PRESETS
from lipsync_edge.servos.thermal import LIMIT_K, THERMAL

TICK_S = 0.02
KINDS = tuple(PRESETS)
NEUTRAL_US, MIN_US, MAX_US = 1400.0, 1400.0, 1800.0


def heat(kinds: tuple[str, ...] = KINDS) -> Heat:
    """One servo of each kind, with the jaw's limits."""
    ones = np.ones(len(kinds))
    return Heat(kinds, NEUTRAL_US * ones, MIN_US * ones, MAX_US * ones)


def full_range(kind: str, seconds: float) -> np.ndarray:
    """From end to end, as fast as the servo can, and back at once."""
    half_s = (MAX_US - MIN_US) / PRESETS[kind].speed_us_per_s
    return np.where(np.arange(0.0, seconds, TICK_S) % (2 * half_s) < half_s, MAX_US, MIN_US)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """What the sample makes of a jaw of each kind, (n_ticks, n_kinds)."""
    columns = []
    for kind in KINDS:
        settings = config.load(None, [("servos.jaw.preset", kind)], head="jaw")
        ticks = Renderer(settings, open_source(str(SAMPLE))).ticks()
        columns.append([tick.widths_us[0] for tick in ticks])
    return np.array(columns).T


def test_every_servo_that_can_be_chosen_has_figures() -> None:
    assert set(THERMAL) == set(PRESETS)


def test_a_blocked_motor_warms_up_as_the_makers_formula_says() -> None:
    """FAULHABER: P (Rth1 (1 - e^(-t/tau1)) + Rth2 (1 - e^(-t/tau2))), here for an SG90 at stall."""
    one = Heat(("sg90",), *(np.array([v]) for v in (1500.0, 500.0, 2500.0)))
    one._current = lambda sent_us, dt_s: np.ones(1)  # type: ignore[method-assign]
    for _ in range(round(10 / TICK_S)):
        one.step(np.array([1500.0]), TICK_S)
    expected_k = 3.12 * (20 * (1 - math.exp(-10 / 4.2)) + 96 * (1 - math.exp(-10 / 484)))
    assert one.state[0] * LIMIT_K == pytest.approx(expected_k, rel=1e-3)


def test_holding_against_the_skin_costs_what_the_load_asks_for() -> None:
    """At the end of the travel: load over stall torque, squared, times the power at stall."""
    one = heat(("sg90",))
    for _ in range(round(3600 / 0.5)):
        one.step(np.array([MAX_US]), 0.5)
    assert one.state[0] * LIMIT_K == pytest.approx(3.12 * (0.5 / 1.8) ** 2 * (20 + 96), rel=0.01)


def test_no_pulse_no_heat() -> None:
    off = heat()
    for _ in range(1000):
        off.step(np.full(len(KINDS), math.nan), TICK_S)
        off.step(np.full(len(KINDS), NEUTRAL_US), TICK_S)
    np.testing.assert_array_equal(off.state, 0.0)


@pytest.mark.parametrize("minutes", [6, pytest.param(120, marks=pytest.mark.slow)])
def test_speech_without_a_pause_never_shrinks(speech: np.ndarray, minutes: int) -> None:
    spoken = heat()
    for _ in range(math.ceil(minutes * 60 / TICK_S / len(speech))):
        for widths_us in speech:
            assert spoken.cut(widths_us) is widths_us
            spoken.step(widths_us, TICK_S)
    assert (spoken.range == 1.0).all()
    assert 0.1 < spoken.state.max() < 0.95


@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_full_range_without_a_pause_shrinks_smoothly_and_recovers(minutes: int) -> None:
    moved, wanted = heat(), np.array([full_range(kind, minutes * 60.0) for kind in KINDS]).T
    last = np.ones(len(KINDS))
    was_hot = np.zeros(len(KINDS), dtype=bool)
    for widths_us in wanted:
        cut = moved.cut(widths_us)
        assert ((cut >= MIN_US) & (cut <= MAX_US)).all()
        moved.step(cut, TICK_S)
        assert (np.abs(moved.range - last) <= 0.1 * TICK_S + 1e-12).all(), "never a jump"
        last, was_hot = moved.range, was_hot | moved.hot
    assert was_hot[1:].all(), "an SG90 is at its budget then, the others are beyond it"
    assert moved.range[1:].max() < 1.0
    assert moved.state.max() < SHRUNK_AT + 0.05
    for _ in range(round(900 / 0.5)):
        moved.step(np.full(len(KINDS), NEUTRAL_US), 0.5)
    assert not moved.hot.any()
    assert (moved.range == 1.0).all()


def test_a_hot_servo_is_called_so_until_it_is_well_below_the_budget() -> None:
    one, flips, was = heat(("mg90s",)), 0, False
    for widths_us in full_range("mg90s", 600.0):
        one.step(one.cut(np.array([widths_us])), TICK_S)
        flips += bool(one.hot[0]) != was
        was = bool(one.hot[0])
    assert flips == 1


def test_mad_times_do_no_harm() -> None:
    mad = heat()
    for dt_s in (0.0, -1.0, 1e-9, 5.0, math.nan, 0.02):
        mad.step(np.full(len(KINDS), 1700.0), dt_s)
        assert np.isfinite(mad.state).all()
        assert np.isfinite(mad.range).all()
