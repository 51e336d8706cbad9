"""Sounds in which nobody speaks, and rooms and wires that speech comes through; made, not recorded.

All functions return float32 samples at 16 kHz, loudest about 1, and are the same for the same
``rng``. They need no licence. ``KINDS`` may be learned from, ``HELD_OUT`` are for judging alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16000
Sound = NDArray[np.float32]
Rng = np.random.Generator


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def _loud(sound: NDArray[np.float64]) -> Sound:
    peak = float(np.abs(sound).max()) if len(sound) else 0.0
    return np.asarray(sound / peak if peak > 0 else sound, np.float32)


def coloured(seconds: float, rng: Rng, slope_db_per_octave: float) -> NDArray[np.float64]:
    """Gaussian noise whose power falls by this much an octave: 0 white, -3 pink, -6 brown."""
    n = int(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    hz[0] = hz[1] if n > 1 else 1.0
    shaped = np.fft.irfft(spectrum * np.maximum(hz, 20.0) ** (slope_db_per_octave / 6.02), n)
    return np.asarray(shaped / max(float(np.abs(shaped).max()), 1e-12))


def band(sound: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """What lies between two frequencies, with soft edges, without delay."""
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    gain = 1 / (1 + (low_hz / np.maximum(hz, 1e-3)) ** 6) / (1 + (hz / high_hz) ** 8)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)))


def _place(out: NDArray[np.float64], piece: NDArray[np.float64], at_s: float) -> None:
    at = int(at_s * RATE_HZ)
    piece = piece[: max(0, len(out) - at)]
    out[at : at + len(piece)] += piece


def hiss(seconds: float, rng: Rng) -> Sound:
    """Steady noise of any colour between white and brown."""
    return _loud(coloured(seconds, rng, rng.uniform(-6.0, 0.0)))


def hum(seconds: float, rng: Rng) -> Sound:
    """Mains hum with its overtones, and a little hiss."""
    t, base = _time(seconds), float(rng.choice([50.0, 60.0]))
    tones = sum(
        rng.uniform(0.05, 1.0) / k**0.5 * np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6.3))
        for k in range(1, 30)
    )
    return _loud(np.asarray(tones) + 0.3 * coloured(seconds, rng, -3.0))


def _note(hz: float, seconds: float, rng: Rng, timbre: NDArray[np.float64], pluck: float
          ) -> NDArray[np.float64]:  # fmt: skip
    t = _time(seconds)
    vibrato = rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 7) * t) / 5.5
    phase = 2 * np.pi * hz * (t + vibrato)
    tone = sum(a * np.sin((k + 1) * phase) for k, a in enumerate(timbre) if hz * (k + 1) < 7500)
    rise = np.minimum(1.0, t / rng.uniform(0.005, 0.06))
    fall = np.minimum(1.0, (seconds - t) / 0.03)
    return np.asarray(tone * rise * fall * np.exp(-pluck * t))


def _drum(rng: Rng, kind: int) -> NDArray[np.float64]:
    t = _time(0.25)
    if kind == 0:  # a bass drum's pitch falls
        return np.asarray(
            np.sin(2 * np.pi * (50 * t + 3 * (1 - np.exp(-30 * t)))) * np.exp(-18 * t)
        )
    noise = rng.standard_normal(len(t))
    return np.asarray(
        0.5 * band(noise, 1500 if kind == 1 else 5000, 7500) * np.exp(-(25 * kind) * t)
    )


def music(seconds: float, rng: Rng) -> Sound:
    """Chords, a bass, a melody and drums, at any tempo and with other instruments each time."""
    out = np.zeros(int(seconds * RATE_HZ))
    beat_s = 60.0 / rng.uniform(70, 150)
    base_hz = 110.0 * 2 ** (rng.integers(-5, 7) / 12)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.random() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    timbres = [
        rng.uniform(0.2, 1, 12) / np.arange(1, 13) ** rng.uniform(0.4, 2.0) for _ in range(3)
    ]
    plucks = rng.uniform(0, 6, 3) * (rng.random(3) < 0.6)
    drums, loud = rng.random() < 0.75, rng.uniform(0.3, 1.0, 4)
    root, at_s = 0, 0.0
    while at_s < seconds:
        beat = round(at_s / beat_s)
        if beat % 4 == 0:
            root = int(rng.choice([0, 3, 4, 5]))
            for step in (0, 2, 4):
                semis = scale[(root + step) % 7] + 12 * ((root + step) // 7)
                note = _note(
                    base_hz * 2 ** (semis / 12), 4 * beat_s, rng, timbres[0], plucks[0] / 3
                )
                _place(out, 0.4 * loud[0] * note, at_s)
        bass = _note(base_hz / 2 * 2 ** (scale[root % 7] / 12), beat_s, rng, timbres[1], plucks[1])
        _place(out, 0.7 * loud[1] * bass, at_s)
        for half in range(2):
            if rng.random() < 0.6:
                semis = scale[rng.integers(7)] + 12 * rng.integers(1, 3)
                long_s = beat_s * rng.uniform(0.4, 1.2)
                note = _note(base_hz * 2 ** (semis / 12), long_s, rng, timbres[2], plucks[2])
                _place(out, 0.6 * loud[2] * note, at_s + half * beat_s / 2)
        if drums:
            _place(out, 1.2 * loud[3] * _drum(rng, 0 if beat % 2 == 0 else 1), at_s)
            _place(out, 0.5 * loud[3] * _drum(rng, 2), at_s + beat_s / 2)
        at_s += beat_s
    return _loud(out)


def band_music(seconds: float, rng: Rng) -> Sound:
    """Music of a band: some of it distorted, through an amplifier, in a room."""
    out = music(seconds, rng).astype(np.float64)
    drive = rng.uniform(1.0, 12.0)
    out = np.tanh(drive * out) / np.tanh(drive)
    out = band(out, rng.uniform(40, 250), rng.uniform(3000, 7800))
    wet = float(rng.uniform(0.0, 0.8))
    return _loud(box_reverb(_loud(out), rng, float(rng.uniform(0.2, 2.0)), wet).astype(np.float64))


def tones(seconds: float, rng: Rng) -> Sound:
    """Beeps, whistles and synthesiser tones: steady, swept, trembling, in any order."""
    out, at_s = np.zeros(int(seconds * RATE_HZ)), 0.0
    timbre = rng.uniform(0, 1, 10) / np.arange(1, 11) ** rng.uniform(0.3, 3.0)
    gap_s = rng.uniform(0, 0.5)
    while at_s < seconds:
        long_s = float(np.exp(rng.uniform(np.log(0.04), np.log(1.5))))
        t = _time(long_s)
        hz = float(np.exp(rng.uniform(np.log(90), np.log(3500))))
        bend = np.linspace(0, rng.uniform(-1, 1) if rng.random() < 0.5 else 0.0, len(t))
        shake = (
            rng.uniform(0, 0.3) * (rng.random() < 0.4) * np.sin(2 * np.pi * rng.uniform(3, 30) * t)
        )
        phase = 2 * np.pi * np.cumsum(hz * 2 ** (bend + shake)) / RATE_HZ
        tone = sum(a * np.sin((k + 1) * phase) for k, a in enumerate(timbre)
                   if hz * (k + 1) < 5000)  # fmt: skip
        if rng.random() < 0.3:  # one tone drives another's pitch, as synthesisers do
            tone = np.sin(phase + rng.uniform(1, 6) * np.sin(rng.uniform(0.5, 4) * phase))
        edge = np.minimum(1, np.minimum(t, long_s - t) / rng.uniform(0.003, 0.05))
        _place(out, rng.uniform(0.3, 1) * np.asarray(tone) * edge, at_s)
        at_s += long_s * rng.uniform(0.3, 1.2) + gap_s * rng.random()
    return _loud(out)


def applause(seconds: float, rng: Rng) -> Sound:
    """Hands of a few or of hundreds, swelling."""
    out = np.zeros(int(seconds * RATE_HZ))
    n = int(seconds * rng.uniform(8, 250))
    for at_s, colour in zip(rng.uniform(0, seconds, n), rng.uniform(600, 2500, n), strict=True):
        t = _time(0.02)
        clap = np.sin(2 * np.pi * colour * t + rng.uniform(0, 6)) + rng.standard_normal(len(t))
        _place(out, rng.uniform(0.1, 1) * clap * np.exp(-250 * t), float(at_s))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * _time(seconds) / rng.uniform(3, 12))
    return _loud(out * swell)


def engine(seconds: float, rng: Rng) -> Sound:
    """A motor that speeds up and slows down."""
    t = _time(seconds)
    turns = rng.uniform(15, 70) * (1 + 0.4 * np.sin(2 * np.pi * t / rng.uniform(3, 15)))
    phase = 2 * np.pi * np.cumsum(turns) / RATE_HZ
    tones = sum(rng.uniform(0.1, 1) / k**0.7 * np.sin(k * phase) for k in range(1, 40))
    return _loud(np.asarray(tones) + rng.uniform(0.2, 2) * coloured(seconds, rng, -4.0))


def thunder(seconds: float, rng: Rng) -> Sound:
    """Claps that roll away, over rain."""
    out = 0.1 * coloured(seconds, rng, -1.0)
    for at_s in rng.uniform(0, seconds, max(1, int(seconds / 8))):
        t = _time(5.0)
        roll = coloured(5.0, rng, -7.0) * np.exp(-t * rng.uniform(0.6, 2)) * np.minimum(1, t / 0.02)
        _place(out, rng.uniform(0.5, 1.5) * roll, float(at_s))
    return _loud(out)


def rain(seconds: float, rng: Rng) -> Sound:
    """Drops on something, over a hiss."""
    out = 0.2 * coloured(seconds, rng, -1.5)
    for at_s in rng.uniform(0, seconds, int(seconds * rng.uniform(20, 120))):
        t = _time(0.03)
        drop = np.sin(2 * np.pi * rng.uniform(800, 5000) * t) * np.exp(-rng.uniform(100, 400) * t)
        _place(out, rng.uniform(0.05, 0.6) * drop, float(at_s))
    return _loud(out)


def dog(seconds: float, rng: Rng) -> Sound:
    """Barks: a rough tone that rises and falls, in groups."""
    out = 0.003 * coloured(seconds, rng, -3.0)
    at_s = rng.uniform(0, 1.0)
    hz = rng.uniform(180, 700)
    while at_s < seconds:
        for _ in range(int(rng.integers(1, 5))):
            long_s = rng.uniform(0.09, 0.3)
            t = _time(long_s)
            bend = hz * (1 + 0.4 * np.sin(np.pi * t / long_s))
            phase = 2 * np.pi * np.cumsum(bend) / RATE_HZ
            tone = sum(np.sin(k * phase) / k**0.6 for k in range(1, 12))
            rough = np.asarray(tone) * (1 + 0.7 * rng.standard_normal(len(t)))
            _place(out, band(rough, 300, 3500) * np.sin(np.pi * t / long_s), at_s)
            at_s += long_s + rng.uniform(0.08, 0.4)
        at_s += rng.uniform(0.3, 2.0)
    return _loud(out)


def clatter(seconds: float, rng: Rng) -> Sound:
    """Keys, dishes and knocks: short ringing hits."""
    out = 0.002 * coloured(seconds, rng, -3.0)
    for at_s in rng.uniform(0, seconds, int(seconds * rng.uniform(1, 12))):
        t = _time(rng.uniform(0.02, 0.3))
        hit = sum(np.sin(2 * np.pi * rng.uniform(200, 6500) * t) for _ in range(4))
        fade = np.exp(-rng.uniform(15, 200) * t)
        _place(out, rng.uniform(0.1, 1) * np.asarray(hit) * fade, float(at_s))
    return _loud(out)


def drums(seconds: float, rng: Rng) -> Sound:
    """A drum kit alone."""
    out = np.zeros(int(seconds * RATE_HZ))
    step_s = 15.0 / rng.uniform(70, 150)
    pattern = rng.random((3, 16)) < np.array([[0.3], [0.25], [0.6]])
    for k in range(int(seconds / step_s)):
        for kind in range(3):
            if pattern[kind, k % 16]:
                _place(out, rng.uniform(0.5, 1.0) * _drum(rng, kind), k * step_s)
    return _loud(out)


def wind(seconds: float, rng: Rng) -> Sound:
    """Gusts that whistle a little."""
    t = _time(seconds)
    gust = 0.5 + 0.5 * np.sin(2 * np.pi * t / rng.uniform(2, 7) + rng.uniform(0, 6))
    whistle = band(rng.standard_normal(len(t)), 500, rng.uniform(700, 1500))
    return _loud(gust * (coloured(seconds, rng, -6.0) + 0.1 * gust * whistle))


def siren(seconds: float, rng: Rng) -> Sound:
    """A tone that goes up and down, or changes between two."""
    t, low, high = _time(seconds), rng.uniform(400, 700), rng.uniform(800, 1600)
    swing = np.sin(2 * np.pi * t / rng.uniform(0.5, 4))
    swing = np.sign(swing) if rng.random() < 0.5 else swing
    phase = 2 * np.pi * np.cumsum((low + high) / 2 + (high - low) / 2 * swing) / RATE_HZ
    return _loud(np.asarray(sum(np.sin(k * phase) / k for k in range(1, 6))))


def bells(seconds: float, rng: Rng) -> Sound:
    """Bells and chimes: inharmonic partials that ring for long."""
    out = np.zeros(int(seconds * RATE_HZ))
    for at_s in rng.uniform(0, seconds, max(1, int(seconds * rng.uniform(0.5, 3)))):
        t, hz = _time(3.0), rng.uniform(200, 1200)
        ratios = np.array([0.56, 0.92, 1.19, 1.71, 2.0, 2.74, 3.0, 3.76, 4.07])
        ring = sum(np.sin(2 * np.pi * hz * r * t) * np.exp(-t * (0.8 + r)) / r for r in ratios)
        _place(out, rng.uniform(0.3, 1) * np.asarray(ring), float(at_s))
    return _loud(out)


def birds(seconds: float, rng: Rng) -> Sound:
    """Chirps: whistles that sweep."""
    out = 0.003 * coloured(seconds, rng, -3.0)
    for at_s in rng.uniform(0, seconds, int(seconds * rng.uniform(1, 6))):
        t = _time(rng.uniform(0.04, 0.3))
        sweep = rng.uniform(2000, 5500) + rng.uniform(-8000, 8000) * (t - t[-1] / 2)
        chirp = np.sin(2 * np.pi * np.cumsum(np.clip(sweep, 800, 7500)) / RATE_HZ)
        _place(out, rng.uniform(0.2, 1) * chirp * np.sin(np.pi * t / t[-1]), float(at_s))
    return _loud(out)


def vacuum(seconds: float, rng: Rng) -> Sound:
    """A vacuum cleaner or a fan: a whine in a roar, stopping and starting."""
    t, whine = _time(seconds), rng.uniform(200, 900)
    tone = sum(np.sin(2 * np.pi * whine * k * t) / k for k in range(1, 8))
    on = np.clip(5 * np.sin(2 * np.pi * t / rng.uniform(5, 15)) + 4, 0, 1)
    return _loud(on * (0.3 * np.asarray(tone) + 2 * coloured(seconds, rng, -2.0)))


Maker = Callable[[float, Rng], Sound]
KINDS: dict[str, Maker] = {
    "music": music, "applause": applause, "engine": engine, "thunder": thunder, "rain": rain,
    "dog": dog, "clatter": clatter, "drums": drums, "band": band_music, "tones": tones,
    "hiss": hiss, "hum": hum, "wind": wind,
}  # fmt: skip
"""Non-speech to learn from and, with other seeds, to judge by."""
HELD_OUT: dict[str, Maker] = {"siren": siren, "bells": bells, "birds": birds, "vacuum": vacuum}
"""Non-speech that nothing has learned from."""


def babble(voices: Sequence[Sound], seconds: float, rng: Rng, n: int = 6) -> Sound:
    """``n`` of the voices (samples at 16 kHz) at once, each as loud as the others."""
    out = np.zeros(int(seconds * RATE_HZ))
    for _ in range(n):
        at = 0
        while at < len(out):
            said = voices[int(rng.integers(len(voices)))].astype(np.float64)
            piece = said[: len(out) - at] / max(float(said.std()), 1e-6)
            out[at : at + len(piece)] += piece
            at += max(len(piece), 1)
    return _loud(out)


def box_reverb(sound: Sound, rng: Rng, decay_s: float = 0.25, wet: float = 0.5) -> Sound:
    """The sound in a small box, such as a head: early echoes and a tail of ``decay_s`` to -60 dB.

    The direct sound keeps its place and level.
    """
    t = _time(decay_s)
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay_s)
    tail[: int(0.002 * RATE_HZ)] = 0.0
    for _ in range(6):
        tail[int(rng.uniform(0.001, 0.012) * RATE_HZ)] += rng.uniform(-8, 8)
    tail *= wet / max(float(np.sqrt((tail**2).sum())), 1e-12)
    n = len(sound) + len(tail)
    wet_sound = np.fft.irfft(np.fft.rfft(sound, n) * np.fft.rfft(tail, n), n)[: len(sound)]
    return np.asarray(sound + wet_sound, np.float32)


def telephone(sound: Sound) -> Sound:
    """300 to 3400 Hz."""
    return np.asarray(band(sound.astype(np.float64), 300.0, 3400.0), np.float32)
