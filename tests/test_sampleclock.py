"""The sample clock against made-up sound cards whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lipsync_edge.sampleclock import SampleClock

LATENCY_S = 0.03
Report = tuple[int, float, float, float]  # sample, when it is heard in truth, now_s, dac_s


def card(
    rate_hz: int, block: int, ppm: float, seconds: float, kind: str, *, seed: int = 1
) -> Iterator[Report]:
    """Blocks of a card that is ``ppm`` fast and was started at 100 s."""
    rng, real_hz = np.random.default_rng(seed), rate_hz * (1 + ppm * 1e-6)
    for k in range(int(seconds * rate_hz / block)):
        heard_s = 100 + k * block / real_hz
        now_s = heard_s - LATENCY_S
        if kind == "jitter":  # reports that are off by up to 20 ms
            yield k * block, heard_s, now_s, LATENCY_S + rng.uniform(-0.02, 0.02)
        elif kind == "pairs":  # two callbacks back to back, then a gap; good DAC times
            now_s = 100 - LATENCY_S + k // 2 * 2 * block / real_hz
            yield k * block, heard_s, now_s, heard_s - now_s + rng.normal(0, 5e-4)
        else:  # no DAC time, now and then 15 ms late
            yield k * block, heard_s, now_s + 0.015 * (rng.random() < 0.02), float(kind)


def feed(clock: SampleClock, reports: Iterator[Report], check: Callable[[float, float], None]):
    """``check(seconds since the start, error in seconds)`` after every report."""
    for at_sample, heard_s, now_s, dac_s in reports:
        clock.observe(at_sample, now_s, dac_s)
        check(heard_s - 100, clock.time_of(at_sample) - heard_s)


@pytest.mark.parametrize("ppm", [-200, 0, 200])
@pytest.mark.parametrize(("rate_hz", "block"), [(48_000, 256), (16_000, 512), (44_100, 32)])
def test_jitter_of_20_ms_is_smoothed_to_the_stated_bounds(
    rate_hz: int, block: int, ppm: float
) -> None:
    clock, worst = SampleClock(rate_hz), {0.5: 0.0, 5.0: 0.0}

    def check(since_s: float, error_s: float) -> None:
        for begin_s, worst_s in worst.items():
            if since_s >= begin_s:
                worst[begin_s] = max(worst_s, abs(error_s))

    feed(clock, card(rate_hz, block, ppm, 20, "jitter"), check)
    assert worst[0.5] < 4e-3
    assert worst[5.0] < 3e-3
    assert clock.resyncs == 0


@pytest.mark.parametrize("ppm", [-200, -20, 0, 150])
def test_drift_is_found_with_bursts_and_good_dac_times(ppm: float) -> None:
    clock, errors = SampleClock(48_000), []
    feed(clock, card(48_000, 256, ppm, 40, "pairs"), lambda _, error_s: errors.append(error_s))
    assert clock.drift_ppm == pytest.approx(ppm, abs=20)
    assert np.abs(errors).max() < 1.5e-3  # three sigma of the first report
    assert np.abs(errors[1000:]).max() < 4e-4


@pytest.mark.parametrize("dac", ["nan", "0", "-0.5", "2.5", "inf"])
def test_without_a_plausible_dac_time_the_drivers_latency_stands_in(dac: str) -> None:
    clock, errors = SampleClock(48_000, latency_s=LATENCY_S), []
    feed(clock, card(48_000, 256, 50, 10, dac), lambda _, error_s: errors.append(error_s))
    assert clock.implausible == len(errors)
    assert np.abs(errors[100:]).max() < 2e-3


def test_sample_at_and_time_of_are_inverse() -> None:
    clock = SampleClock(44_100)
    feed(clock, card(44_100, 256, -120, 5, "jitter"), lambda *_: None)
    for t_s in (99.0, 104.5, 105.0, 4000.0):
        assert clock.time_of(clock.sample_at(t_s)) == pytest.approx(t_s, abs=1e-9)


def test_time_hardly_runs_backwards() -> None:
    """However wild the reports, one of them moves the answer by a millisecond at most."""
    clock, steps = SampleClock(48_000), []
    for k, (at_sample, heard_s, now_s, dac_s) in enumerate(
        card(48_000, 256, 0, 10, "jitter", seed=7)
    ):
        before = clock.sample_at(heard_s) if clock.ready else 0.0
        clock.observe(at_sample, now_s, dac_s * (3 if k % 50 == 0 else 1))
        if k > clock.SETTLE:
            steps.append(abs(clock.sample_at(heard_s) - before) / 48)
    assert max(steps) <= 1.001 * 1e3 * clock.MAX_STEP_S


def test_a_few_wild_reports_do_not_move_the_anchor_but_a_lasting_shift_does() -> None:
    clock = SampleClock(48_000)
    block_s = 256 / 48_000

    def report(begin: int, end: int, late_s: float) -> None:
        for k in range(begin, end):
            clock.observe(k * 256, k * block_s + late_s, LATENCY_S)

    report(0, 200, 0.0)
    report(200, 205, 0.4)
    report(205, 400, 0.0)
    assert clock.resyncs == 0
    assert clock.time_of(400 * 256) == pytest.approx(400 * block_s + LATENCY_S, abs=5e-3)
    report(400, 600, 0.4)  # the card stood still for 0.4 s
    assert clock.resyncs == 1
    assert clock.time_of(600 * 256) == pytest.approx(600 * block_s + 0.4 + LATENCY_S, abs=1e-3)


@pytest.mark.parametrize("shift_s", [0.02, 0.066])
def test_after_an_xrun_the_shift_is_found_within_a_tick(shift_s: float) -> None:
    clock = SampleClock(48_000)
    block_s = 256 / 48_000
    for k in range(2000):
        clock.observe(k * 256, k * block_s, LATENCY_S)
    for k in range(2000, 2004):  # 20 ms
        clock.observe(k * 256, k * block_s + shift_s, LATENCY_S, k == 2000)
    assert clock.time_of(2004 * 256) == pytest.approx(
        2004 * block_s + LATENCY_S + shift_s, abs=3e-3
    )


def test_resync_begins_anew_at_the_next_report() -> None:
    clock = SampleClock(48_000)
    assert not clock.ready
    clock.observe(0, 100.0, LATENCY_S)
    assert clock.ready
    clock.resync()
    assert not clock.ready
    clock.observe(48_000, 160.0, LATENCY_S)
    assert clock.ready
    assert clock.sample_at(160.0 + LATENCY_S + 0.5) == pytest.approx(72_000)
