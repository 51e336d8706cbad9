"""The resampler against mathematics: a sine stays where it is, an impulse stays when it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.audio.resample import HALF_FILTER, Resampler, to_float, to_int16

RATES = [(48_000, 16_000), (44_100, 16_000), (16_000, 48_000), (22_050, 48_000), (192_000, 16_000)]


def convert(sound: np.ndarray, in_hz: int, out_hz: int, sizes: list[int]) -> np.ndarray:
    resampler, pieces, begin = Resampler(in_hz, out_hz), [], 0
    while begin < len(sound):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(resampler.push(sound[begin : begin + size]))
        begin += size
    return np.concatenate([*pieces, resampler.flush()])


@pytest.mark.parametrize(("in_hz", "out_hz"), RATES)
def test_a_sine_keeps_its_phase_and_length(in_hz: int, out_hz: int) -> None:
    n_samples = in_hz // 4 + 17
    t_s = np.arange(n_samples) / in_hz
    out = convert(np.sin(2 * np.pi * 440 * t_s + 0.3).astype(np.float32), in_hz, out_hz, [333])
    assert abs(len(out) - n_samples * out_hz / in_hz) <= 1
    inner = slice(out_hz // 50, -out_hz // 50)  # away from the edges, where the sine begins at once
    expected = np.sin(2 * np.pi * 440 * np.arange(len(out)) / out_hz + 0.3)
    assert np.abs(out - expected)[inner].max() < 1e-4


@pytest.mark.parametrize(("in_hz", "out_hz"), RATES)
def test_an_impulse_stays_when_it_is(in_hz: int, out_hz: int) -> None:
    sound = np.zeros(in_hz // 5, np.float32)
    sound[in_hz // 10] = 1.0
    out = convert(sound, in_hz, out_hz, [100])
    assert np.abs(out).argmax() == out_hz // 10


@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5), pair=st.sampled_from(RATES))
@settings(max_examples=25, deadline=None)
def test_the_chunking_does_not_matter_bit_for_bit(sizes: list[int], pair: tuple[int, int]) -> None:
    sound = np.random.default_rng(3).standard_normal(5000).astype(np.float32)
    assert np.array_equal(convert(sound, *pair, sizes), convert(sound, *pair, [len(sound)]))


@pytest.mark.parametrize("quality", sorted(HALF_FILTER))
@pytest.mark.parametrize(("in_hz", "out_hz"), [*RATES, (8000, 48_000)])
def test_the_declared_delay_is_the_real_one(in_hz: int, out_hz: int, quality: str) -> None:
    """What is out at any time lags what is in by the declared delay at most, and hardly less."""
    resampler, n_out, worst_s = Resampler(in_hz, out_hz, quality), 0, 0.0
    for n_in in range(16, in_hz // 10, 16):
        n_out += len(resampler.push(np.zeros(16, np.float32)))
        worst_s = max(worst_s, n_in / in_hz - n_out / out_hz)
    assert worst_s <= resampler.delay_s
    assert worst_s > resampler.delay_s - 3 / min(in_hz, out_hz)


def test_equal_rates_pass_through() -> None:
    resampler, sound = Resampler(16_000, 16_000), np.arange(100, dtype=np.float32)
    assert np.array_equal(resampler.push(sound), sound)
    assert resampler.delay_s == 0
    assert len(resampler.flush()) == 0


@pytest.mark.parametrize("n_samples", [0, 1, 2, 50, 159])
def test_very_short_sounds_have_the_right_length(n_samples: int) -> None:
    sound = np.ones(n_samples, np.float32)
    assert len(convert(sound, 48_000, 16_000, [10])) == round(n_samples / 3)
    assert len(convert(sound, 16_000, 48_000, [10])) == n_samples * 3


def test_after_reset_or_flush_it_begins_anew() -> None:
    sound = np.random.default_rng(4).standard_normal(1000).astype(np.float32)
    resampler = Resampler(48_000, 16_000)
    first = np.concatenate([resampler.push(sound), resampler.flush()])
    second = resampler.push(sound)
    resampler.reset()
    third = resampler.push(sound)
    assert np.array_equal(first[: len(second)], second)
    assert np.array_equal(second, third)


def test_every_int16_survives_float() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_int16(to_float(every)), every)
    assert to_float(every).dtype == np.float32


def test_floats_are_rounded_and_clipped() -> None:
    steps = np.array([-2.0, -1.0, 1.4 / 32768, 1.6 / 32768, -1.6 / 32768, 1.0, 9.0], np.float32)
    assert to_int16(steps).tolist() == [-32768, -32768, 1, 2, -2, 32767, 32767]
