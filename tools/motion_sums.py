"""What each clip adds to a system's figures, so that figures can be found of any choice of clips.

Shares and times are a sum over a count; Pearson's r comes from six sums. So a figure of a
resampled set of clips is a weighted sum, and a thousand of them cost next to nothing: the
uncertainty of a *difference* of two systems over the same clips is bootstrapped (B. Efron,
R. Tibshirani, An Introduction to the Bootstrap, 1993, percentile interval), pairwise by clip and
within each speaker, since clips of one speaker are drawn, not the speakers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
POOLED = ("closures", "short", "tight", "false", "onset", "release", "timing", "rounds", "spreads")
"""Over all phones of all speakers; the others are a mean of the speakers' own."""
N_RESAMPLES = 2000


def ratio(values: Sequence[float] | Array) -> Array:
    """Sum and count of the values that are numbers, (2,)."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return np.array([known.sum(), known.size])


def moments(a: Array, b: Array) -> Array:
    """What Pearson's r of two signals (n,) is made of, (6,)."""
    return np.array([a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b])


@dataclass(frozen=True)
class Sums:
    """Clips' sums by figure: ``of[name]`` is (n_clips, 2) or (n_clips, 6)."""

    speakers: tuple[str, ...]
    of: Mapping[str, Array]

    @classmethod
    def join(cls, speakers: Sequence[str], rows: Sequence[Mapping[str, Array]]) -> Sums:
        """From one mapping per clip."""
        names = rows[0] if rows else {}
        return cls(tuple(speakers), {name: np.array([row[name] for row in rows]) for name in names})

    def figure(self, name: str, counts: Array | None = None) -> Array:
        """A figure of the clips, each taken ``counts`` (m, n_clips) times; (m,), NaN for none."""
        of = self.of[name]
        counts = np.ones((1, len(of))) if counts is None else counts
        if name in POOLED:
            return _value(counts @ of)
        names = np.array(self.speakers)
        each = [_value(counts[:, names == s] @ of[names == s]) for s in dict.fromkeys(names)]
        return np.asarray(np.mean(each, axis=0))

    def resampled(self, n: int = N_RESAMPLES, seed: int = 0) -> Array:
        """How often each clip is drawn, (n, n_clips): with replacement, speaker by speaker."""
        rng, names = np.random.default_rng(seed), np.array(self.speakers)
        counts = np.zeros((n, len(names)))
        for speaker in dict.fromkeys(names):
            own = np.flatnonzero(names == speaker)
            counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), n)
        return counts


def difference(ours: Sums, other: Sums, name: str) -> tuple[float, float, float]:
    """Ours minus the other's, and its 95 % interval; NaN where there is nothing to compare."""
    point = float((ours.figure(name) - other.figure(name))[0])
    if not np.isfinite(point):
        return point, float("nan"), float("nan")
    counts = ours.resampled()
    with np.errstate(invalid="ignore"):
        drawn = ours.figure(name, counts) - other.figure(name, counts)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return point, float(low), float(high)


def _value(sums: Array) -> Array:
    """Ratios of (m, 2), Pearson's r of (m, 6)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if sums.shape[1] == 2:
            return np.asarray(sums[:, 0] / sums[:, 1])
        n, a, b, aa, bb, ab = sums.T
        scale = np.sqrt(np.maximum((n * aa - a * a) * (n * bb - b * b), 0.0))
        return np.asarray(np.where(scale > 1e-9 * n * n, n * ab - a * b, np.nan) / scale)
