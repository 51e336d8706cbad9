"""Poses by absolute sample index: written by the analyzer, read by the mover, never waiting.

One writer and one reader need no lock: the writer fills a slot before it counts it, and the ring is
far longer than the stretch that is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FAR = 1e6
"""No axis goes further than 1; more than this can only be nonsense, and sums of it overflow."""


@dataclass(frozen=True)
class TimelineSpec:
    """Sizes and times of a timeline, in samples of the stream's rate."""

    n_axes: int
    hop_samples: float
    hold_samples: float
    ease_samples: float
    capacity: int = 1024


class Timeline:
    """A ring of poses with ascending sample indexes; neutral is the pose of zeros."""

    # A pose may be missing now and then (a refused NaN); a longer hole counts as starved.
    MAX_GAP_HOPS = 3.5

    def __init__(self, spec: TimelineSpec) -> None:
        self.spec = spec
        # Every entry is written twice, so that the newest `capacity` are always contiguous.
        self._at = np.full(2 * spec.capacity, -np.inf)
        self._poses = np.zeros((2 * spec.capacity, spec.n_axes))
        self._count = 0

    @property
    def newest(self) -> float:
        """Sample index of the newest pose; -inf before the first."""
        return float(self._at[(self._count - 1) % self.spec.capacity])

    def put(self, at_sample: float, pose: NDArray[np.float32]) -> None:
        """Append the pose (n_axes,) of ``at_sample``; indexes must ascend, others are ignored.

        So is a pose with a NaN in it; what lies far beyond -1..1 is cut.
        """
        if not at_sample > self.newest or math.isinf(at_sample) or np.isnan(pose).any():
            return
        pose = np.minimum(np.maximum(pose, -FAR), FAR)
        slot = self._count % self.spec.capacity
        for k in (slot, slot + self.spec.capacity):
            self._poses[k] = pose
            self._at[k] = at_sample
        self._count += 1

    def at(self, samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
        """Poses (n, n_axes) at ``samples`` (n,), and whether any of them was starved.

        Between two poses: linear interpolation. Past the newest, or in a hole: the last pose is
        held for ``hold_samples``, then eases to neutral within ``ease_samples``.
        """
        start = self._count % self.spec.capacity
        at = self._at[start : start + self.spec.capacity]
        poses = self._poses[start : start + self.spec.capacity]
        after = np.searchsorted(at, samples, side="right")
        before = np.maximum(after - 1, 0)
        after = np.minimum(after, len(at) - 1)
        left, right = at[before], at[after]
        begun = np.isfinite(left) & np.isfinite(samples)
        left = np.where(begun, left, 0.0)
        samples = np.where(begun, samples, 0.0)
        span = right - left
        joined = begun & (span > 0) & (span <= self.MAX_GAP_HOPS * self.spec.hop_samples)
        share = np.where(joined, (samples - left) / np.where(joined, span, 1.0), 0.0)
        out = poses[before] + share[:, None] * (poses[after] - poses[before])
        age = np.where(begun & ~joined, samples - left, 0.0)
        out *= self._ease(age)[:, None] * begun[:, None]
        return out, bool((age > 0).any())

    def _ease(self, age: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weight of a held pose by its age in samples: 1, then a cosine-like slope to 0."""
        x = np.clip((age - self.spec.hold_samples) / self.spec.ease_samples, 0.0, 1.0)
        return np.asarray(1.0 - x * x * (3.0 - 2.0 * x))
