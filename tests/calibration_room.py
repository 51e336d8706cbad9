"""A room with a speaker, a servo and noise, for tests: everything in it is known.

Nothing here shares code with what is tested, except for the sweep that the speaker plays.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.calibration import sweep
from lipsync_edge.cli import SAMPLE

Floats = NDArray[np.float64]
NOISES = ("pink", "hum", "babble", "mixed")


@cache
def hello(rate_hz: int) -> Floats:
    with wave.open(str(SAMPLE)) as file:
        speech = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        own_hz = file.getframerate()
    n_samples = int(len(speech) * rate_hz / own_hz)
    return np.interp(np.arange(n_samples) * own_hz / rate_hz, np.arange(len(speech)), speech)


def pink(rng: np.random.Generator, n_samples: int) -> Floats:
    size = 1 << n_samples.bit_length()  # the quickest for an FFT
    spectrum = np.fft.rfft(rng.standard_normal(size))
    return np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), size)[:n_samples]


def hum(rng: np.random.Generator, n_samples: int, rate_hz: int) -> Floats:
    """Mains with harmonics, a fan, and hiss."""
    t_s = np.arange(n_samples) / rate_hz
    mains_hz = rng.choice([50.0, 60.0]) * rng.uniform(0.998, 1.002)
    out = sum(
        np.sin(2 * np.pi * (k * mains_hz * t_s + rng.uniform())) / k ** rng.uniform(0.7, 1.5)
        for k in range(1, 12)
    )
    return np.asarray(out + 0.1 * rng.standard_normal(n_samples))


def babble(rng: np.random.Generator, n_samples: int, rate_hz: int) -> Floats:
    """Two to six people who talk at once."""
    speech, out = hello(rate_hz), np.zeros(n_samples)
    for _ in range(rng.integers(2, 7)):
        speed = rng.uniform(0.85, 1.2)
        at = (rng.uniform(0, len(speech)) + speed * np.arange(n_samples)) % (len(speech) - 1)
        out += rng.uniform(0.5, 1.0) * np.interp(at, np.arange(len(speech)), speech)
    return out


def loudness(sound: Floats, rate_hz: int) -> float:
    """Mean power above 200 Hz: a rumble that no small microphone hears makes no case harder."""
    size = 1 << len(sound).bit_length()
    power = np.abs(np.fft.rfft(sound, size)) ** 2
    heard = power[np.fft.rfftfreq(size, 1 / rate_hz) > 200]
    return float(2 * heard.sum() / size / len(sound))


def make_noise(kind: str, rng: np.random.Generator, n_samples: int, rate_hz: int) -> Floats:
    """Noise of loudness 1."""
    if kind == "mixed":
        parts = [make_noise(k, rng, n_samples, rate_hz) for k in NOISES[:3]]
        out = sum(rng.uniform(0.2, 1.0) * part for part in parts)
    elif kind == "pink":
        out = pink(rng, n_samples)
    else:
        out = {"hum": hum, "babble": babble}[kind](rng, n_samples, rate_hz)
    return np.asarray(out / np.sqrt(loudness(out, rate_hz)))


class Motor:
    """One servo's sound: gears that whine while they spin up, a rattle, a case that rings."""

    def __init__(self, rng: np.random.Generator, rate_hz: int) -> None:
        self.rng, self.rate_hz = rng, rate_hz
        self.whine_hz = rng.uniform(350, 1600)
        self.harmonics = rng.uniform(0.1, 1.0, 6)
        self.case_hz = rng.uniform(500, 6500, 4)
        self.case_q = rng.uniform(3, 25, 4)
        self.rattle = rng.uniform(0.3, 2.0)
        self.run_s = rng.uniform(0.03, 0.11)
        self.ramp_s = rng.uniform(0.5e-3, 5e-3)
        self.ring_s = rng.uniform(3e-3, 15e-3)
        self.pulsed = rng.uniform() < 0.4  # an analogue servo feeds its motor in bursts
        self.directions = rng.uniform(0.7, 1.3, 2)

    def burst(self, k: int) -> Floats:
        """The sound of tap ``k``, from the first moment of motion."""
        rng, rate_hz = self.rng, self.rate_hz
        run_s = self.run_s * rng.uniform(0.85, 1.15)
        t_s = np.arange(int((run_s + 6 * self.ring_s) * rate_hz)) / rate_hz
        speed = 1 - 0.6 * np.exp(-t_s / (0.3 * run_s))
        turns = np.cumsum(self.whine_hz * speed * self.directions[k % 2] ** 0.3) / rate_hz
        whine = sum(a * np.sin(2 * np.pi * (h + 1) * turns) for h, a in enumerate(self.harmonics))
        sound = whine * (0.4 + 0.6 * speed) + self.rattle * rng.standard_normal(len(t_s))
        sound *= np.minimum(1.0, t_s / self.ramp_s)
        sound *= np.where(t_s < run_s, 1.0, np.exp(-(t_s - run_s) / self.ring_s))
        if self.pulsed:
            sound *= 0.35 + 0.65 * ((t_s * 50) % 1 < 0.55)
        return self._ring(sound) * self.directions[k % 2] * rng.uniform(0.85, 1.15)

    def _ring(self, sound: Floats) -> Floats:
        """Resonances of the case (of the first order of magnitude: a bank of band-passes)."""
        hz = np.fft.rfftfreq(2 * len(sound), 1 / self.rate_hz)
        gain = 0.15 + sum(
            1 / (1 + 1j * q * (hz / f - f / np.maximum(hz, 1.0)))
            for f, q in zip(self.case_hz, self.case_q, strict=True)
        )
        return np.fft.irfft(np.fft.rfft(sound, 2 * len(sound)) * gain)[: len(sound)]


def reverberation(rng: np.random.Generator, rate_hz: int) -> Floats:
    """A room's answer: the direct sound at 0, some walls, a tail of 0.1 to 0.4 s (RT60)."""
    rt60_s = rng.uniform(0.1, 0.4)
    t_s = np.arange(int(rt60_s * rate_hz)) / rate_hz
    out = rng.standard_normal(len(t_s)) * 10 ** (-3 * t_s / rt60_s)
    out[: int(2e-3 * rate_hz)] = 0
    out *= 10 ** (-rng.uniform(0, 10) / 20) / np.sqrt(np.sum(out**2))
    out[0] = 1.0
    return out


def convolve(a: Floats, b: Floats) -> Floats:
    n = len(a) + len(b) - 1
    size = 1 << n.bit_length()
    return np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size), size)[:n]


def add(out: Floats, part: Floats, at: float) -> None:
    """Mix ``part`` in at an index with a fraction."""
    begin, fraction = int(at), at % 1.0
    shifted = np.append(part, 0.0) * (1 - fraction) + np.append(0.0, part) * fraction
    end = min(len(out), begin + len(shifted))
    out[begin:end] += shifted[: end - begin]


@dataclass
class Case:
    """A recording and the truth about it."""

    rate_hz: int
    recorded: Floats
    played_at: NDArray[np.int64]
    commanded_s: Floats
    delay_s: float
    lag_s: float
    pwm_hz: float


def make_case(
    seed: int,
    snr_db: float,
    noise: str = "",
    *,
    rate_hz: int = 16_000,
    n_taps: int = 20,
    silent: bool = False,
) -> Case:
    """A random room, servo and noise. ``snr_db``: power of the servo's bursts while they last over
    the power of the noise, both above 200 Hz. ``silent``: the servo makes no sound."""
    rng = np.random.default_rng(seed)
    noise = noise or NOISES[seed % len(NOISES)]
    delay_s = rng.uniform(0.01, 0.25)
    played_at = (np.cumsum(rng.uniform(0.25, 0.4, 5)) * rate_hz).astype(np.int64)
    begin_s = played_at[-1] / rate_hz + 0.8
    commanded_s = begin_s + np.cumsum(rng.uniform(0.5, 0.75, n_taps))
    pwm_hz = 50.0 * rng.uniform(0.93, 1.07)
    fixed_s = rng.uniform(0.01, 0.12)
    waits = rng.uniform() < 0.75
    phase = rng.uniform()
    wait_s = ((phase - commanded_s * pwm_hz) % 1.0) / pwm_hz if waits else 0 * commanded_s
    starts_s = commanded_s + wait_s + fixed_s + 0.5e-3 * rng.standard_normal(n_taps)
    motor, walls = Motor(rng, rate_hz), reverberation(rng, rate_hz)
    sound = np.zeros(int((commanded_s[-1] + 1.0) * rate_hz))
    bursts = [motor.burst(k) for k in range(n_taps)]
    power = np.mean([loudness(b[: int(motor.run_s * rate_hz)], rate_hz) for b in bursts])
    for start_s, burst in zip(starts_s, bursts, strict=True):
        if not silent:
            add(sound, burst, start_s * rate_hz)
    loud = np.sqrt(power) * rng.uniform(1.0, 3.0)
    speaker = reverberation(rng, rate_hz)
    for at in played_at:
        add(
            sound, loud * convolve(sweep(rate_hz), speaker[: rate_hz // 50]), at + delay_s * rate_hz
        )
    sound = convolve(sound, walls)[: len(sound)]
    level = np.sqrt(power) * 10 ** (-snr_db / 20)
    recorded = sound + level * make_noise(noise, rng, len(sound), rate_hz)
    recorded = np.rint(recorded * 8000 / np.abs(recorded).max()) / 32768  # a quiet 16-bit input
    lag_s = fixed_s + (0.5 / pwm_hz if waits else 0.0)
    return Case(rate_hz, recorded, played_at, commanded_s, delay_s, lag_s, 50.0)
