"""How loud the sound was, in steps of ten milliseconds, for a meter beside the mouth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class Loudness:
    """The last ``KEPT_S`` seconds. One thread adds, any thread reads."""

    STEP_S, KEPT_S = 0.01, 8.0

    def __init__(self, rate_hz: int) -> None:
        """``rate_hz``: of the samples that are added."""
        self._step = max(1, round(self.STEP_S * rate_hz))
        n = round(self.KEPT_S / self.STEP_S)
        self._energy, self._count = np.zeros(n), np.zeros(n)
        self._which = np.full(n, -1, np.int64)

    def add(self, at_sample: int, block: NDArray[np.int16]) -> None:
        """Samples (n,) of 16 bits, the first of which has the index ``at_sample``."""
        begin = 0
        while begin < len(block):
            step = (at_sample + begin) // self._step
            end = min(len(block), (step + 1) * self._step - at_sample)
            part = block[begin:end].astype(np.float32)
            slot = step % len(self._which)
            if self._which[slot] != step:
                self._which[slot], self._energy[slot], self._count[slot] = step, 0.0, 0.0
            self._energy[slot] += float(part @ part)
            self._count[slot] += len(part)
            begin = end

    def at(self, sample: float) -> float:
        """The root mean square round this sample, 0..1 of full scale; 0: unknown."""
        if not math.isfinite(sample):
            return 0.0
        step = int(sample) // self._step
        slot = step % len(self._which)
        if self._which[slot] != step or not self._count[slot]:
            return 0.0
        return math.sqrt(self._energy[slot] / self._count[slot]) / 32768.0
