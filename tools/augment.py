"""Makes many voices, rooms and levels of a few: works on mel spectra in dB, whole batches at once.

Everything happens before the features' level, which is then computed as the robot computes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from lipsync_edge.features import Features, FeatureSpec

DB = 10.0 / math.log(10.0)
HUM_SHARE = 0.25


@dataclass(frozen=True)
class Voices:
    """How far the copies stray from the original."""

    warp: float = 1.25  # mel axis times 1 / warp .. warp: the length of the vocal tract
    tempo: float = 1.05
    tilt_db: float = 8.0
    ripple_db: float = 4.0
    noise_share: float = 0.4
    echo_share: float = 0.15
    rest_share: float = 0.15


def uniform(low: float, high: float, n: int, like: torch.Generator) -> Tensor:
    """(n,) numbers, evenly spread."""
    return low + (high - low) * torch.rand(n, generator=like)


def spread(high: float, n: int, like: torch.Generator) -> Tensor:
    """(n,) factors between 1 / high and high, evenly spread in the logarithm."""
    return torch.exp(math.log(high) * uniform(-1.0, 1.0, n, like))


def resample(x: Tensor, tempo: Tensor, warp: Tensor, n_frames: int) -> Tensor:
    """Bilinear copies of x (n, frames, bands), stretched in time and band, cut to n_frames."""
    n, length, bands = x.shape
    row = torch.arange(n_frames)[None] * tempo[:, None]
    column = torch.arange(bands)[None] * warp[:, None]
    grid = torch.empty(n, n_frames, bands, 2)
    grid[..., 0] = (2.0 * column / (bands - 1) - 1.0)[:, None, :]
    grid[..., 1] = (2.0 * row / (length - 1) - 1.0)[:, :, None]
    return torch.nn.functional.grid_sample(
        x[:, None], grid, align_corners=True, padding_mode="border"
    )[:, 0]


def noise_bank(spec: FeatureSpec, seconds: float = 60.0) -> Tensor:
    """Powers (2, frames, bands) of steady noises as the robot hears them: hiss, and mains hum."""
    rng = np.random.default_rng(11)
    n_samples = int(seconds * spec.sample_rate_hz)
    hiss = rng.standard_normal(n_samples)
    phase = 2.0 * np.pi * 50.0 * np.arange(n_samples) / spec.sample_rate_hz
    hum = sum(rng.uniform(0.05, 1.0) * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 30))
    features, bank = Features(spec), []
    for loud in (hiss, hum + 0.05 * hiss):
        sound = (0.1 * loud / np.abs(loud).max()).astype(np.float32)
        starts = range(0, n_samples - spec.frame_length, spec.hop_length)
        rows = [features.mel_db(sound[s : s + spec.frame_length]) for s in starts]
        power = np.exp(np.array(rows) / DB)
        bank.append(power / power.mean(axis=0).max())
    return torch.tensor(np.array(bank)).float()


def noise(n: int, n_frames: int, bank: Tensor, rng: torch.Generator) -> Tensor:
    """Steady noise of random colour, powers (n, n_frames, bands), loudest band about 1."""
    kinds = (torch.rand(n, generator=rng) < HUM_SHARE).long().tolist()
    starts = torch.randint(bank.shape[1] - n_frames, (n,), generator=rng).tolist()
    power = torch.stack([bank[k, s : s + n_frames] for k, s in zip(kinds, starts, strict=True)])
    bands = bank.shape[2]
    colour = uniform(-25.0, 8.0, n, rng)[:, None] * torch.linspace(0, 1, bands)
    ripple = 3.0 * torch.randn(n, 1, 8, generator=rng)
    colour = (
        colour
        + torch.nn.functional.interpolate(ripple, bands, mode="linear", align_corners=True)[:, 0]
    )
    power = power * torch.exp(colour / DB)[:, None]
    return power / power.mean(1).amax(1)[:, None, None]


def echo(power: Tensor, rng: torch.Generator) -> Tensor:
    """Adds a decaying tail (0.1 to 0.5 s to -60 dB) to powers (n, frames, bands)."""
    n = len(power)
    fall_s, share = uniform(0.1, 0.5, n, rng), spread(4.0, n, rng) * 0.08
    at_s = torch.arange(1, 31) * 0.01
    tail = share[:, None] * torch.exp(-13.8 * at_s / fall_s[:, None])
    kernel = torch.cat([tail.flip(1), torch.ones(n, 1)], dim=1)
    padded = torch.nn.functional.pad(power, (0, 0, 30, 0)).permute(2, 0, 1)
    out = torch.nn.functional.conv1d(padded, kernel[:, None], groups=n)
    return out.permute(1, 2, 0)


def relative(mel_db: Tensor, start_db: Tensor, share: Tensor, spec: FeatureSpec) -> Tensor:
    """Features of mel spectra (n, frames, bands); the level starts at ``start_db`` (n,), the
    running mean at ``share`` (n,) of what it comes to.

    The same as ``Features.relative`` frame by frame: a maximum that falls linearly is a running
    maximum of what is raised by the fall.
    """
    fall_db = spec.level_release_db_per_s * spec.hop_s * torch.arange(mel_db.shape[1])
    peaks = mel_db.amax(2)
    peaks[:, 0] = torch.maximum(peaks[:, 0], start_db)
    level = (peaks + fall_db).cummax(1).values - fall_db
    level = level.clamp_min(spec.level_floor_db)
    x = (1.0 + (mel_db - level[:, :, None]) / spec.range_db).clamp(0.0, 1.0)
    gain = spec.hop_s / spec.mean_s
    start = (1.0 - gain) * share[:, None, None] * x.mean(1, keepdim=True)
    mean, _ = lfilter([gain], [1.0, gain - 1.0], x.numpy(), axis=1, zi=start.numpy())
    return x - torch.from_numpy(mean).float()


class Copier:
    """Makes random copies of mel spectra."""

    def __init__(self, voices: Voices, spec: FeatureSpec, n_frames: int) -> None:
        self._voices, self._spec, self._n_frames = voices, spec, n_frames
        self._bank = noise_bank(spec)

    def copies(
        self, mel_db: Tensor, labels: Tensor, silent: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Copies of mel_db (n, frames, bands) and labels (n, frames, k), cut to n_frames.

        Returns features (n, n_frames, bands) and labels; in some of them nobody speaks, and the
        labels are ``silent`` (k,).
        """
        n, voices, spec = len(mel_db), self._voices, self._spec
        power, y = self._speak(mel_db, labels, rng)
        peak_db = DB * torch.log(power.amax((1, 2)))
        rest = torch.rand(n, generator=rng) < voices.rest_share
        noisy = torch.rand(n, generator=rng) < voices.noise_share
        under_db = torch.where(noisy, uniform(15.0, 60.0, n, rng), torch.tensor(90.0))
        noise_db = torch.where(rest, uniform(-120.0, -35.0, n, rng), peak_db - under_db)
        added = noise(n, self._n_frames, self._bank, rng)
        power = power * (~rest)[:, None, None] + torch.exp(noise_db / DB)[:, None, None] * added
        heard_db = DB * torch.log(power + 1e-14)
        # What was heard before has left its level and its mean; or the stream has just begun.
        loudest_db = torch.where(rest, torch.tensor(-10.0), peak_db + 3.0)
        share = torch.rand(n, generator=rng)
        start_db = spec.level_floor_db + share * (loudest_db - spec.level_floor_db).clamp_min(0.0)
        begun = (1.4 * torch.rand(n, generator=rng) - 0.4).clamp_min(0.0)
        y = torch.where(rest[:, None, None], silent, y)
        return relative(heard_db, start_db, begun, spec), y

    def _speak(self, mel_db: Tensor, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Powers (n, n_frames, bands) of other voices in other rooms, and their labels."""
        (n, _, bands), voices = mel_db.shape, self._voices
        tempo = spread(voices.tempo, n, rng)
        x = resample(mel_db, tempo, spread(voices.warp, n, rng), self._n_frames)
        y = resample(labels, tempo, torch.ones(n), self._n_frames)
        tilt = voices.tilt_db * uniform(-1, 1, n, rng)[:, None, None]
        x = x + tilt * torch.linspace(-1, 1, bands)
        ripple = voices.ripple_db * torch.randn(n, 1, 6, generator=rng) / 2.0
        x = x + torch.nn.functional.interpolate(ripple, bands, mode="linear", align_corners=True)
        power = torch.exp((x + uniform(-28.0, 12.0, n, rng)[:, None, None]) / DB)
        echoed = torch.rand(n, generator=rng) < voices.echo_share
        return torch.where(echoed[:, None, None], echo(power, rng), power), y
