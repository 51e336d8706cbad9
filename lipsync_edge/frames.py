"""Cuts a stream of samples into overlapping frames, each with its absolute sample index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class Framer:
    """Collects samples and hands out frames; the result does not depend on the chunking.

    Frame ``k`` covers samples ``k * hop_length`` to ``k * hop_length + frame_length`` (exclusive),
    counted from the index given to :meth:`reset`.
    """

    def __init__(self, frame_length: int, hop_length: int) -> None:
        if not 0 < hop_length <= frame_length:
            raise ValueError(f"hop_length {hop_length} must lie in 1..{frame_length}")
        self._frame_length = frame_length
        self._hop_length = hop_length
        self._buffer = np.zeros(0, np.float32)
        self._at_sample = 0

    def reset(self, at_sample: int = 0) -> None:
        """Forget what is collected; the next sample pushed has index ``at_sample``."""
        self._buffer = np.zeros(0, np.float32)
        self._at_sample = at_sample

    def push(self, samples: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Take (n,) samples; yield ``(at_sample, frame)`` with frame (frame_length,), a view."""
        buffer = np.concatenate([self._buffer, samples]) if self._buffer.size else samples
        n_frames = max(0, (len(buffer) - self._frame_length) // self._hop_length + 1)
        start = self._at_sample
        used = n_frames * self._hop_length
        self._buffer = buffer[used:].copy()
        self._at_sample = start + used
        for k in range(n_frames):
            offset = k * self._hop_length
            yield start + offset, buffer[offset : offset + self._frame_length]
