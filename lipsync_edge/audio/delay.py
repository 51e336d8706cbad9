"""The delay line to the speaker: sound waits here so that the mouth may move before it."""

from __future__ import annotations

import numpy as np

from lipsync_edge.audio import Samples


class DelayLine:
    """Delays a stream by exactly ``n_samples``, whatever the size of the blocks; 0 copies."""

    def __init__(self, n_samples: int) -> None:
        self.n_samples = n_samples
        self._waiting = np.zeros(n_samples, np.int16)  # a ring; the oldest is at _oldest
        self._oldest = 0

    def process(self, block: Samples, out: Samples) -> None:
        """Fill ``out`` (n,) with what entered ``n_samples`` ago. The arrays must not overlap."""
        n_old = min(len(block), self.n_samples)
        n_through = len(block) - n_old
        self._take(out[:n_old])
        out[n_old:] = block[:n_through]
        self._put(block[n_through:])

    def _take(self, out: Samples) -> None:
        n_first = min(len(out), self.n_samples - self._oldest)
        out[:n_first] = self._waiting[self._oldest : self._oldest + n_first]
        out[n_first:] = self._waiting[: len(out) - n_first]

    def _put(self, block: Samples) -> None:
        """Replace the oldest ``len(block)`` samples, which were just taken."""
        n_first = min(len(block), self.n_samples - self._oldest)
        self._waiting[self._oldest : self._oldest + n_first] = block[:n_first]
        self._waiting[: len(block) - n_first] = block[n_first:]
        if self.n_samples:
            self._oldest = (self._oldest + len(block)) % self.n_samples
