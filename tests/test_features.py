"""Features: chunking, level, bad samples, and where a known sound lands."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.features import Features, FeatureSpec, batch, mel_filters
from lipsync_edge.frames import Framer

SPEC = FeatureSpec()


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n_samples = int(seconds * SPEC.sample_rate_hz)
    swell = 0.55 + 0.45 * np.sin(np.arange(n_samples) / 1500.0)
    return (0.1 * swell * rng.standard_normal(n_samples)).astype(np.float32)


def tone(hz: float, seconds: float = 0.5) -> np.ndarray:
    t = np.arange(int(seconds * SPEC.sample_rate_hz)) / SPEC.sample_rate_hz
    return np.sin(2 * np.pi * hz * t).astype(np.float32)


def stream(samples: np.ndarray, sizes: list[int]) -> list[tuple[int, np.ndarray]]:
    features, rows, at = Features(), [], 0
    for size in itertools.cycle(sizes):
        rows += features.push(samples[at : at + size])
        at += size
        if at >= len(samples):
            return rows
    raise AssertionError


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
def test_streaming_equals_batch_bit_for_bit(sizes: list[int]) -> None:
    samples = noise(1.0)
    rows = stream(samples, sizes)
    assert np.array([row for _, row in rows]).tobytes() == batch(samples).tobytes()


def test_rows_carry_the_index_of_their_frame() -> None:
    features = Features()
    features.reset(at_sample=1000)
    rows = features.push(noise(0.1))
    # (1600 - 400) / 160 + 1 whole frames
    assert [at for at, _ in rows] == [1000 + 160 * k for k in range(8)]


def test_reset_forgets_samples_and_level() -> None:
    features, samples = Features(), noise(0.5)
    first = features.push(samples)
    features.push(tone(440.0))
    features.reset()
    again = features.push(samples)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, again, strict=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_counts_as_silence(bad: float) -> None:
    samples, silenced = noise(1.0), noise(1.0)
    samples[4000:4100] = bad
    silenced[4000:4100] = 0.0
    assert np.array_equal(batch(samples), batch(silenced))


def test_a_sample_out_of_range_counts_as_full_scale() -> None:
    samples, limited = noise(0.5), noise(0.5)
    samples[3000], limited[3000] = 1e30, 1.0
    assert np.array_equal(batch(samples), batch(limited))


def test_features_lie_between_minus_1_and_1_even_for_silence() -> None:
    silence = batch(np.zeros(3200, np.float32))
    assert silence.dtype == np.float32
    assert silence.shape == (18, SPEC.n_mels)
    assert (silence == 0.0).all()
    loud = batch(np.concatenate([np.sign(tone(300.0)), np.zeros(8000, np.float32)]))
    assert 0.9 < loud.max() <= 1.0
    assert -1.0 <= loud.min() < -0.1


def test_a_tone_at_a_bands_centre_lands_in_that_band() -> None:
    """O'Shaughnessy: mel = 2595 log10(1 + f / 700); 80 Hz is 121.95 mel, 7600 Hz 2786.97 mel.

    With 42 edges the step is 65.0006 mel, so band 13 (the 14th) has its centre at 1031.96 mel,
    which is 1048.98 Hz.
    """
    row = batch(tone(1048.98))[10]
    assert row.argmax() == 13


def test_full_scale_is_0_db() -> None:
    """A full-scale sine peaks at (sum of the window / 2) ** 2; pre-emphasis adds its gain."""
    features, hz = Features(), 32 * SPEC.sample_rate_hz / SPEC.n_fft  # exactly bin 32
    features._filters = np.eye(SPEC.n_fft // 2 + 1)  # look at the bins themselves
    gain_db = 20 * np.log10(abs(1 - 0.97 * np.exp(-2j * np.pi * hz / SPEC.sample_rate_hz)))
    peak_db = features.mel_db(tone(hz)[800:1200]).max()
    assert peak_db == pytest.approx(gain_db, abs=0.15)


def test_no_band_is_empty() -> None:
    filters = mel_filters(SPEC)
    assert filters.shape == (257, 40)
    assert filters.sum(axis=0) == pytest.approx(np.ones(40))


@pytest.mark.parametrize("gain_db", [-24.0, -12.0, 12.0])
def test_gain_shifts_nothing_while_the_voice_is_above_the_floor(gain_db: float) -> None:
    samples = sum(np.float32(0.03) * tone(400.0 * k, 2.0) for k in range(2, 9))
    samples = samples * (1 - np.abs(tone(2.0, 2.0)) / 2)
    plain, scaled = batch(samples), batch(samples * np.float32(10 ** (gain_db / 20)))
    assert plain.std() > 0.1, "there is something to compare"
    assert np.abs(plain - scaled).max() < 2e-3


def test_after_a_loud_sound_the_level_falls_as_declared() -> None:
    """6 dB/s over a range of 60 dB: what is steady rises by 0.1 per second."""
    samples = np.concatenate([tone(1000.0, 0.2), 0.01 * tone(1000.0, 2.0)]).astype(np.float32)
    peaks = batch(samples, FeatureSpec(mean_s=1e9)).max(axis=1)
    assert peaks[150] - peaks[50] == pytest.approx(0.1, abs=1e-3)


def test_what_is_steady_fades_as_declared() -> None:
    """A first-order mean with a time constant of 100 hops leaves 0.99 ** (k + 1) of a step."""
    steady = batch(tone(1000.0, 3.0))
    band = steady[0].argmax()
    assert steady[[0, 49, 199], band] == pytest.approx([0.99, 0.99**50, 0.99**200], abs=1e-3)


def test_the_digest_follows_every_field() -> None:
    assert FeatureSpec().digest() == SPEC.digest()
    assert (
        len({SPEC.digest(), FeatureSpec(n_mels=41).digest(), FeatureSpec(kind="x").digest()}) == 3
    )


def test_a_framer_wants_a_hop_within_the_frame() -> None:
    with pytest.raises(ValueError, match="hop_length 500"):
        Framer(400, 500)
