"""Streaming log-mel features, robust to the level of the voice; training and robot use this file.

One frame in, one feature vector out, with two small states: a *level* that follows the loudest
recent band, and each band's running *mean*. Everything is relative to the level, so that a whisper
and a shout look alike, and the mean is taken off, which removes the colour of microphone, room and
steady noise. Nothing ever looks at the whole utterance. Batch is the same code run over all frames,
hence equal to streaming bit for bit under any chunking.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.frames import Framer


@dataclass(frozen=True)
class FeatureSpec:
    """What the features are. A model's card repeats it, and is refused where it differs.

    Mel scale: O'Shaughnessy (1987), ``2595 log10(1 + f / 700)``; triangular filters.
    """

    kind: str = "log-mel-centred/1"
    sample_rate_hz: int = 16000
    frame_length: int = 400
    hop_length: int = 160
    n_fft: int = 512
    n_mels: int = 40
    low_hz: float = 80.0
    high_hz: float = 7600.0
    preemphasis: float = 0.97
    range_db: float = 60.0
    level_floor_db: float = -66.0
    level_release_db_per_s: float = 6.0
    mean_s: float = 1.0  # time constant of the running mean

    def digest(self) -> str:
        """Hex SHA-256 of the fields, in a fixed order."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def hop_s(self) -> float:
        """Time between two feature vectors, in seconds."""
        return self.hop_length / self.sample_rate_hz


def mel_filters(spec: FeatureSpec) -> NDArray[np.float64]:
    """Triangular mel filters, shape (n_fft // 2 + 1, n_mels), each with a sum of 1."""
    low, high = 2595.0 * np.log10(1.0 + np.array([spec.low_hz, spec.high_hz]) / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(low, high, spec.n_mels + 2) / 2595.0) - 1.0)
    bins_hz = np.arange(spec.n_fft // 2 + 1) * spec.sample_rate_hz / spec.n_fft
    rise = (bins_hz[:, None] - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    fall = (edges_hz[2:] - bins_hz[:, None]) / (edges_hz[2:] - edges_hz[1:-1])
    filters = np.maximum(0.0, np.minimum(rise, fall))
    sums = filters.sum(axis=0)
    # The lowest filters are narrower than a bin: take the nearest bin, so that none is empty.
    nearest = np.abs(bins_hz[:, None] - edges_hz[1:-1]).argmin(axis=0)
    for k in np.flatnonzero(sums == 0):
        filters[nearest[k], k] = 1.0
    return np.asarray(filters / filters.sum(axis=0))


class Features:
    """Turns samples into feature vectors, frame by frame, in work space that is allocated once."""

    def __init__(self, spec: FeatureSpec | None = None) -> None:
        self.spec = spec or FeatureSpec()
        self._framer = Framer(self.spec.frame_length, self.spec.hop_length)
        self._filters = mel_filters(self.spec)
        # 0 dB is a sine at full scale: its windowed power is (sum of the window / 2) ** 2.
        window = np.hanning(self.spec.frame_length + 1)[:-1]
        self._window = window / (window.sum() / 2.0)
        self._padded = np.zeros(self.spec.n_fft)
        self._power = np.zeros(self.spec.n_fft // 2 + 1)
        self._level_db = self.spec.level_floor_db
        self._mean = np.zeros(self.spec.n_mels)

    def reset(self, at_sample: int = 0) -> None:
        """Start anew; the next sample has index ``at_sample`` (in samples of the spec's rate)."""
        self._framer.reset(at_sample)
        self._level_db = self.spec.level_floor_db
        self._mean.fill(0.0)

    def push(self, samples: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
        """Take (n,) samples in -1..1; return ``(at_sample of the frame, features (n_mels,))``.

        What is no number counts as silence, what is out of range as its limit: one bad sample must
        not spoil the level for the seconds that it takes to fall.
        """
        clean = np.clip(np.where(np.isfinite(samples), samples, np.float32(0)), -1.0, 1.0)
        frames = self._framer.push(clean)
        return [(at_sample, self.relative(self.mel_db(frame))) for at_sample, frame in frames]

    def mel_db(self, frame: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mel spectrum of one frame (frame_length,), shape (n_mels,), in dB under full scale."""
        spec, x = self.spec, self._padded
        x[: spec.frame_length] = frame
        x[1 : spec.frame_length] -= spec.preemphasis * frame[:-1]
        x[: spec.frame_length] *= self._window
        spectrum = np.fft.rfft(x)
        np.add(spectrum.real**2, spectrum.imag**2, out=self._power)
        return np.asarray(10.0 * np.log10(self._power @ self._filters + 1e-14))

    def relative(self, mel_db: NDArray[np.float64]) -> NDArray[np.float32]:
        """Features of the next frame (n_mels,), from its mel spectrum in dB; within -1..1.

        Before the mean is taken off, 0 is range_db under the level or less, 1 is at it.
        """
        spec = self.spec
        fallen_db = self._level_db - spec.level_release_db_per_s * spec.hop_s
        self._level_db = max(float(mel_db.max()), fallen_db, spec.level_floor_db)
        relative = np.clip(1.0 + (mel_db - self._level_db) / spec.range_db, 0.0, 1.0)
        self._mean += (relative - self._mean) * (spec.hop_s / spec.mean_s)
        return np.asarray(relative - self._mean, np.float32)


def batch(samples: NDArray[np.float32], spec: FeatureSpec | None = None) -> NDArray[np.float32]:
    """Features of a whole recording, shape (n_frames, n_mels); for training and checks."""
    features = Features(spec)
    rows = [row for _, row in features.push(samples)]
    return np.array(rows, np.float32).reshape(-1, features.spec.n_mels)
