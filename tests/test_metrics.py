"""The figures of the evaluation, on signals whose answers theory knows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lipsync_tools import metrics as m

T = np.arange(300) / m.RATE_HZ
Array = NDArray[np.float64]


def babble(shift_s: float, seed: int = 0) -> Array:
    """Something like a mouth (twelve waves of 0.7 to 6.5 Hz), ``shift_s`` late, without any
    resampling."""
    rng = np.random.default_rng(seed)
    waves = zip(rng.uniform(0.7, 6.5, 12), rng.uniform(0, 6.28, 12), strict=True)
    return np.asarray(sum(np.sin(2 * math.pi * f * (T - shift_s) + p) for f, p in waves))


def bumps(at_s: tuple[float, ...]) -> Array:
    """Smooth bumps, 160 ms wide."""
    x = np.clip((T[:, None] - np.array(at_s)) / 0.08, -1, 1)
    return np.asarray((0.5 + 0.5 * np.cos(math.pi * x)).sum(axis=1))


@pytest.mark.parametrize("late_ms", [33, -17, 0, 1, 108])
def test_offset_reads_a_synthetic_shift_to_the_millisecond(late_ms: int) -> None:
    film = [babble(0.0, seed) for seed in (1, 2)]
    mouth = [0.4 * babble(late_ms / 1e3, seed) + 0.2 for seed in (1, 2)]
    assert m.sync_offset_ms(film, mouth) == late_ms


def test_offset_survives_noise() -> None:
    rng = np.random.default_rng(3)
    film = [babble(0.0, seed) for seed in range(8)]
    mouth = [babble(0.033, seed) + rng.normal(0, 1.0, len(T)) for seed in range(8)]
    assert m.sync_offset_ms(film, mouth) == pytest.approx(33, abs=3)


def test_low_pass_has_the_gain_of_two_butterworths_and_no_delay() -> None:
    # 1 / (1 + (f / fc)^4): 1 far below, a half at 10 Hz, an eighty-second at 30 Hz.
    for hz, gain in ((2.0, 1 / 1.0016), (10.0, 0.5), (30.0, 1 / 82)):
        wave = np.cos(2 * math.pi * hz * (T + 0.005))  # mirrored, it goes on
        assert m.low_pass(wave) == pytest.approx(gain * wave, abs=2e-3)


def test_pearson_over_clips() -> None:
    a, b = babble(0, 1), babble(0, 2)
    assert m.pearson([a, b], [3 * a + 1, 3 * b + 1]) == pytest.approx(1.0)
    assert m.pearson([a], [-a]) == pytest.approx(-1.0)
    assert math.isnan(m.pearson([a], [np.zeros_like(a)]))
    joined = np.corrcoef(np.concatenate([a, b]), np.concatenate([b, a]))[0, 1]
    assert m.pearson([a, b], [b, a]) == pytest.approx(joined)


def test_mtm_is_the_mean_gap_between_extrema() -> None:
    film = bumps((0.5, 1.1, 1.7, 2.3))
    late = bumps((0.52, 1.13, 1.74, 2.33))  # 20, 30, 40, 30 ms
    gaps = m.misalignments_ms(film, late)
    tops = sorted(gaps)[: len(gaps)]
    assert np.mean(tops) == pytest.approx(30, abs=5)
    assert m.misalignments_ms(film, film).max() == 0
    assert len(m.misalignments_ms(film, film)) >= 7  # four tops and the three valleys between


def test_mtm_of_a_mouth_that_never_moves_is_nothing() -> None:
    assert len(m.misalignments_ms(bumps((0.5, 1.5)), np.zeros(300))) == 0


def test_warping_finds_the_cheapest_path() -> None:
    a = np.array([0.0, 0, 5, 0, 0, 0, 7, 0])
    b = np.array([0.0, 0, 0, 5, 0, 7, 0, 0])
    path = m.warping_path(a, b, band=4)
    cost = sum((a[i] - b[j]) ** 2 for i, j in path)
    assert cost == 0, "both tops can be matched"
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [7, 7]
    steps = np.diff(path, axis=0)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (steps.sum(axis=1) >= 1).all()


def test_peaks_stand_out_on_both_sides() -> None:
    signal = np.array([0.0, 1, 0, 0.02, 0, 0.5, 0.49, 0.8, 0.2, 2])
    assert m.peaks(signal, prominence=0.05).tolist() == [1, 7]
    assert m.peaks(np.ones(10)).tolist() == []


def closure_at(begin_s: float, end_s: float, open_: float = 1.0) -> Array:
    """Open, a straight way down within 100 ms around ``begin_s``, shut, the same way up."""
    down = np.interp(T, [begin_s - 0.05, begin_s + 0.05], [open_, 0.0])
    up = np.interp(T, [end_s - 0.05, end_s + 0.05], [0.0, open_])
    return np.where((begin_s + end_s) / 2 > T, down, up)


def test_the_edges_of_a_closure_lie_where_the_lips_cross_the_threshold() -> None:
    signal = closure_at(1.003, 1.2)
    onset, release = m.closed_run(signal, 0.5, (1.05, 1.15)) or (0, 0)
    assert onset == pytest.approx(1.003, abs=1e-9)  # half-way down at a threshold of a half
    assert release == pytest.approx(1.2, abs=1e-9)
    onset, release = m.closed_run(signal, 0.2, (1.05, 1.15)) or (0, 0)
    assert onset == pytest.approx(1.033, abs=1e-9)
    assert m.closed_run(signal + 0.3, 0.2, (1.05, 1.15)) is None
    assert m.closed_run(signal, 0.5, (2.0, 2.1)) is None, "another phone"


def test_rest_is_no_edge() -> None:
    shut_from_the_start = np.where(T < 1.0, 0.0, 1.0)
    onset, release = m.closed_run(shut_from_the_start, 0.5, (0.9, 0.97)) or (0, 0)
    assert math.isnan(onset)
    assert release == pytest.approx(0.995, abs=0.006)
    long_rest = np.where((T > 0.2) & (T < 1.0), 0.0, 1.0)
    assert math.isnan((m.closed_run(long_rest, 0.5, (0.9, 0.97)) or (0, 0))[0])


def test_recall_and_false_closures_count_what_is_below() -> None:
    signal = np.minimum(closure_at(0.5, 0.6), np.minimum(closure_at(1.5, 1.6), 0.6 + 0 * T))
    phones = [(0.52, 0.58), (1.52, 1.58), (2.2, 2.3)]
    depths = [m.lowest(signal, p) for p in phones]
    assert m.below(depths, 0.3) == pytest.approx(2 / 3)
    assert m.below(depths, 0.7) == 1.0
    assert math.isnan(m.below([], 0.3))


def test_a_closure_counts_up_to_40_ms_beside_its_phone() -> None:
    signal = np.where(np.abs(T - 1.0) < 0.002, 0.0, 1.0)  # one sample at 1.00 s
    assert m.lowest(signal, (1.04, 1.1)) == 0.0
    assert m.lowest(signal, (1.05, 1.1)) == 1.0
    assert m.lowest(signal, (0.9, 0.96)) == 0.0
    assert m.lowest(signal, m.inside((0.9, 1.1)), 0.0) == 0.0
    assert m.inside((1.0, 1.2)) == pytest.approx((1.05, 1.15))


def test_the_best_threshold_parts_closures_from_vowels() -> None:
    closures, vowels = [0.1, 0.2, 0.15], [0.6, 0.8]
    assert m.best_threshold(closures, vowels, film=0.3) == 0.3, "anything between is as good"
    assert 0.2 < m.best_threshold(closures, vowels, film=0.12) < 0.6
    assert 0.2 < m.best_threshold(closures, vowels, film=0.9) < 0.6
    # One vowel lies among the closures: giving it up costs less than giving up two of five.
    best = m.best_threshold([0.1, 0.1, 0.1, 0.3, 0.3], [0.2, 0.9, 0.9, 0.9, 0.9], film=0.15)
    assert 0.3 < best < 0.9
    assert math.isnan(m.best_threshold([], [0.5], 0.2))


def test_timing_errors_are_signed_and_sized() -> None:
    found = m.TimingError.of([-30.0, 10.0, 20.0, float("nan"), 40.0])
    assert (found.n, found.mean, found.median, found.mean_abs) == (4, 10.0, 15.0, 25.0)
    assert found.p95_abs == pytest.approx(np.percentile([30, 10, 20, 40], 95))
    assert m.TimingError.of([]).n == 0


def test_jerk_is_the_third_derivative() -> None:
    assert m.mean_jerk(T**3) == pytest.approx(6.0, rel=1e-3)
    hz, size = 1.0, 0.5  # of a sine: 2/pi times amplitude times angular frequency cubed
    expected = 2 / math.pi * size * (2 * math.pi * hz) ** 3
    assert m.mean_jerk(size * np.sin(2 * math.pi * hz * T)) == pytest.approx(expected, rel=0.02)


def test_a_horn_that_swings_twice_a_second_travels_four_ways_and_turns_four_times() -> None:
    swing = 0.5 + 0.5 * np.sin(2 * math.pi * 2 * T)
    horns = np.stack([swing, np.full_like(swing, 0.3)], axis=1)  # the other one rests
    assert m.travel_per_s(horns) == pytest.approx(4.0, rel=0.02)
    assert m.reversals_per_s(horns) == pytest.approx(4.0, abs=0.4)
    assert m.reversals_per_s(horns[:, 1:]) == 0.0
    tremble = swing + 0.002 * np.sin(2 * math.pi * 25 * T)
    assert m.reversals_per_s(tremble[:, None]) == pytest.approx(4.0, abs=0.4)
