"""Makes many voices, rooms and levels of a few: works on mel spectra in dB, whole batches at once.

Everything happens before the features' level, which is then computed as the robot computes it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from lipsync_edge.features import FeatureSpec
from lipsync_tools import orchestra, soundscape
from lipsync_tools.spoken import mel_db_of

DB = 10.0 / math.log(10.0)
BANK_FORMAT = 1  # counts up when the same kinds would sound otherwise
PIECES = {
    "music": 12, "band": 16, "tones": 24, "engine": 40, "rain": 15, "wind": 15, "orchestra": 140,
}  # fmt: skip
NOISE_PIECES = 5  # of every other kind, 20 s each
KIND_SHARES = {
    "music": 3.0,
    "band": 3.0,
    "tones": 5.0,
    "hiss": 3.0,
    "hum": 1.5,
    "engine": 4.0,
    "rain": 2.0,
    "wind": 2.0,
    "orchestra": 8.0,
}
"""How often a kind of noise is drawn, against 1 for the others."""
Bank = dict[str, Tensor]
LOUD_SHARE = 0.35  # of the noisy copies: speech can be lower than what disturbs it
ALONE_LOUD_SHARE = 0.55  # of the copies in which nobody speaks


@dataclass(frozen=True)
class Voices:
    """How far the copies stray from the original."""

    warp: float = 1.25  # mel axis times 1 / warp .. warp: the length of the vocal tract
    tempo: float = 1.05
    tilt_db: float = 8.0
    ripple_db: float = 4.0
    noise_share: float = 0.4
    babble_share: float = 0.2  # of the noisy copies: what disturbs are other voices
    echo_share: float = 0.15
    rest_share: float = 0.3
    wire_share: float = 0.15  # heard through a telephone or from an 8 kHz recording


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


def noise_bank(spec: FeatureSpec, cache: Path | None = None, seconds: float = 20.0) -> Bank:
    """Powers (n, frames, bands) of non-speech by kind: ``soundscape.KINDS`` and an orchestra.

    In each piece one frame in twenty is louder than 1 in its loudest band. ``cache``: a folder in
    which it is kept. Without FluidSynth there is no orchestra.
    """
    makers = dict(soundscape.KINDS)
    if orchestra.is_there():
        makers["orchestra"] = orchestra.play
    decided = [BANK_FORMAT, spec.digest(), sorted(makers), PIECES, NOISE_PIECES, seconds]
    key = hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:12]
    path = cache / f"noise-{key}.npz" if cache else None
    if path and path.exists():
        with np.load(path) as kept:
            return {kind: torch.tensor(kept[kind]).float() for kind in makers}
    bank = {kind: np.array(_pieces_of(kind, make, spec, seconds), np.float16)
            for kind, make in makers.items()}  # fmt: skip
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(part, **bank)
        part.replace(path)
    return {kind: torch.tensor(pieces).float() for kind, pieces in bank.items()}


def _pieces_of(
    kind: str, make: soundscape.Maker, spec: FeatureSpec, seconds: float
) -> list[NDArray[np.float64]]:
    rng, out = np.random.default_rng(11), []
    for _ in range(PIECES.get(kind, NOISE_PIECES)):
        power = np.exp(mel_db_of(0.3 * make(seconds, rng), spec) / DB)
        out.append(power / max(float(np.percentile(power.max(axis=1), 95)), 1e-12))
    return out


def noise(n: int, n_frames: int, bank: Bank, rng: torch.Generator) -> Tensor:
    """Non-speech of random kind and colour, powers (n, n_frames, bands), loudest band about 1."""
    shares = torch.tensor([KIND_SHARES.get(kind, 1.0) for kind in bank])
    picks = torch.multinomial(shares, n, replacement=True, generator=rng).tolist()
    rows, kinds = [], list(bank.values())
    for k in picks:
        piece = int(torch.randint(len(kinds[k]), (1,), generator=rng))
        start = int(torch.randint(kinds[k].shape[1] - n_frames, (1,), generator=rng))
        rows.append(kinds[k][piece, start : start + n_frames])
    power = torch.stack(rows)
    bands = power.shape[2]
    colour = uniform(-18.0, 8.0, n, rng)[:, None] * torch.linspace(0, 1, bands)
    ripple = 3.0 * torch.randn(n, 1, 8, generator=rng)
    ripple = torch.nn.functional.interpolate(ripple, bands, mode="linear", align_corners=True)
    return power * torch.exp((colour + ripple[:, 0]) / DB)[:, None]


def babble(power: Tensor, rng: torch.Generator, voices: int = 5) -> Tensor:
    """For each of powers (n, frames, bands) some of the others talking at once, loudest band 1."""
    n, length, _ = power.shape
    out = torch.zeros_like(power)
    for _ in range(voices if n > 1 else 0):
        other = int(torch.randint(1, n, (1,), generator=rng))
        begin = int(torch.randint(length, (1,), generator=rng))
        level_db = uniform(-10.0, 0.0, n, rng)[:, None, None]
        voice = power.roll((other, begin), (0, 1))
        loudest = voice.amax((1, 2), keepdim=True).clamp_min(1e-12)
        out += voice / loudest * torch.exp(level_db / DB)
    return out / out.amax((1, 2), keepdim=True).clamp_min(1e-12)


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


def wire(n: int, spec: FeatureSpec, rng: torch.Generator) -> Tensor:
    """What a narrow line lets through of each band, powers (n, bands): up to 3.2 to 5 kHz, and in
    half of them from 150 to 350 Hz on."""
    low, high = 2595.0 * np.log10(1.0 + np.array([spec.low_hz, spec.high_hz]) / 700.0)
    mels = torch.linspace(float(low), float(high), spec.n_mels + 2)[1:-1]
    hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    top = uniform(3200.0, 5000.0, n, rng)[:, None]
    bottom = (uniform(-200.0, 350.0, n, rng)[:, None]).clamp_min(1.0)
    return 1 / (1 + (hz / top) ** 24) / (1 + (bottom / hz) ** 8)


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

    def __init__(
        self, voices: Voices, spec: FeatureSpec, n_frames: int, cache: Path | None = None
    ) -> None:
        """``cache``: a folder for the noises, see :func:`noise_bank`."""
        self._voices, self._spec, self._n_frames = voices, spec, n_frames
        self._bank = noise_bank(spec, cache)

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
        loud = torch.rand(n, generator=rng) < LOUD_SHARE
        under_db = torch.where(loud, uniform(-2.0, 20.0, n, rng), uniform(15.0, 60.0, n, rng))
        under_db = torch.where(noisy, under_db, torch.tensor(90.0))
        loud = torch.rand(n, generator=rng) < ALONE_LOUD_SHARE
        alone_db = torch.where(loud, uniform(-50.0, 0.0, n, rng), uniform(-120.0, -35.0, n, rng))
        noise_db = torch.where(rest, alone_db, peak_db - under_db)
        added = noise(n, self._n_frames, self._bank, rng)
        talking = (torch.rand(n, generator=rng) < voices.babble_share) & ~rest
        added = torch.where(talking[:, None, None], babble(power, rng), added)
        power = power * (~rest)[:, None, None] + torch.exp(noise_db / DB)[:, None, None] * added
        narrow = torch.rand(n, generator=rng) < voices.wire_share
        through = torch.where(narrow[:, None], wire(n, spec, rng), torch.tensor(1.0))
        heard_db = DB * torch.log(power * through[:, None] + 1e-14)
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
