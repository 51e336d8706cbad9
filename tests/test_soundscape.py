"""Made sounds: right length, finite, the same for the same seed, and what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_tools.soundscape import (
    HELD_OUT,
    KINDS,
    RATE_HZ,
    babble,
    box_reverb,
    coloured,
    telephone,
)

ALL = {**KINDS, **HELD_OUT}


@pytest.mark.parametrize("kind", ALL)
def test_every_kind(kind: str) -> None:
    sound = ALL[kind](2.0, np.random.default_rng(5))
    assert sound.shape == (2 * RATE_HZ,)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(1.0)
    assert np.array_equal(sound, ALL[kind](2.0, np.random.default_rng(5)))
    assert not np.array_equal(sound, ALL[kind](2.0, np.random.default_rng(6)))


def test_no_kind_is_learned_and_kept_aside() -> None:
    assert not set(KINDS) & set(HELD_OUT)


@pytest.mark.parametrize("slope", [0.0, -3.0, -6.0])
def test_colour(slope: float) -> None:
    sound = coloured(20.0, np.random.default_rng(1), slope)
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    octave = [power[(hz >= low) & (hz < 2 * low)].mean() for low in (250, 500, 1000, 2000)]
    assert np.diff(10 * np.log10(octave)) == pytest.approx(slope, abs=0.6)


def test_telephone_keeps_its_band() -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    for hz, kept in ((100, False), (1000, True), (6000, False)):
        tone = np.sin(2 * np.pi * hz * t).astype(np.float32)
        assert bool(telephone(tone).std() > 0.6) is kept


def test_reverb_rings_after_the_sound_and_not_before() -> None:
    click = np.zeros(RATE_HZ, np.float32)
    click[1000] = 1.0
    rung = box_reverb(click, np.random.default_rng(0))
    assert np.abs(rung[:1000]).max() < 1e-9
    early, late = np.square(rung[1001:3000]).sum(), np.square(rung[6000:]).sum()
    assert early > 0.05
    assert late < early * 1e-3


def test_babble_is_of_all_voices() -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    voices = [np.sin(2 * np.pi * hz * t).astype(np.float32) for hz in (300, 700)]
    sound = babble(voices, 1.0, np.random.default_rng(0), n=8)
    spectrum = np.abs(np.fft.rfft(sound))
    assert min(spectrum[300], spectrum[700]) > 20 * np.median(spectrum)
