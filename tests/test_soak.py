"""What the long run's judge makes of figures whose verdict is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsync_tools.soak import RATE_HZ, Recorder, judge, lag_ms

SUMMARY: dict[str, Any] = {
    "heard_s": 7200.0,
    "failed": False,
    "reason": "ran for 7200 s",
    "sound": {"xruns": 4, "underruns": 2, "input": {"xruns": 1}},
    "mover": {"late": 10, "ticks": 360_000},
}
N = 720


@pytest.mark.parametrize("lag", [1, 480, 4800, 20_000])
def test_the_lag_of_a_noise_is_found_to_the_sample(lag: int) -> None:
    random = np.random.default_rng(3)
    played = random.normal(0, 1000, 3 * RATE_HZ)
    heard = played[lag : lag + RATE_HZ] + random.normal(0, 100, RATE_HZ)
    assert lag_ms(heard, played) == pytest.approx(1e3 * lag / RATE_HZ, abs=0.01)


def test_another_noise_is_not_found() -> None:
    random = np.random.default_rng(3)
    assert np.isnan(lag_ms(random.normal(0, 1, RATE_HZ), random.normal(0, 1, 3 * RATE_HZ)))


def test_a_steady_run_is_well() -> None:
    found = judge(7200.0, [60_000] * N, [9] * N, [431.0] * N, [0.05], SUMMARY)
    assert found["wrong"] == []
    assert found["xruns_per_hour"] == 2
    assert found["late_ticks_per_hour"] == 5
    assert found["input_xruns_per_hour"] == 0.5
    assert (found["delay_drift_ms"], found["delay_jumps"], found["threads_leaked"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rss_kb", "threads", "lags", "said"),
    [
        (np.linspace(60_000, 61_000, N), [9] * N, [431.0] * N, "memory grew by 1.7 %"),
        ([60_000] * N, [9] * 500 + [10] * 220, [431.0] * N, "1 threads leaked"),
        ([60_000] * N, [9] * N, np.linspace(431, 433, N), "the delay drifted by 1.62 ms"),
        ([60_000] * N, [9] * N, [431.0, 450.0] * (N // 2), "the delay wandered over 19.0 ms"),
        (
            [60_000] * N,
            [9] * N,
            [431.0] * 600 + [float("nan")] * 20 + [431.0] * 100,
            "20 times of 647 the sound was not found",
        ),
    ],
)
def test_what_grows_leaks_or_drifts_is_said(
    rss_kb: list[float], threads: list[int], lags: list[float], said: str
) -> None:
    assert judge(7200.0, list(rss_kb), threads, list(lags), [], SUMMARY)["wrong"] == [said]


def test_a_run_without_any_sound_is_not_well() -> None:
    found = judge(7200.0, [60_000] * N, [9] * N, [float("nan")] * N, [], SUMMARY)
    assert found["wrong"][0] == "the delay drifted by nan ms"


def test_a_run_that_ended_early_or_fell_silent_is_not_well() -> None:
    steady: Any = ([60_000] * N, [9] * N, [431.0] * N)
    short = {**SUMMARY, "heard_s": 1200.0}
    assert judge(7200.0, *steady, [], short)["wrong"] == ["it ran for 1200 s in place of 7200"]
    assert judge(7200.0, *steady, [100.0, 50.0], SUMMARY)["wrong"] == [
        "150 s of silence in the sound"
    ]


def test_gaps_are_heard_wherever_blocks_begin() -> None:
    sound = np.ones((RATE_HZ, 2), np.int16)
    sound[1000:3000, Recorder.PLAYED] = 0  # 41.7 ms
    sound[5000:6000, Recorder.PLAYED] = 0  # 20.8 ms: too short to be heard
    for size in (333, 960, RATE_HZ):
        ear = Recorder.__new__(Recorder)
        ear._silent, ear.gaps_s = 0, []
        for begin in range(0, len(sound), size):
            ear._hear_gaps(sound[begin : begin + size, Recorder.PLAYED])
        assert ear.gaps_s == [pytest.approx(2000 / RATE_HZ, abs=1e-4)]
