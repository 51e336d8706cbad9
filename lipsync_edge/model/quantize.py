"""The only place where numbers become int8 and back: round, clip, cast, in this order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantization:
    """Affine int8: ``real = scale * (q - zero_point)`` (LiteRT quantisation spec)."""

    scale: float
    zero_point: int

    def quantize(self, real: NDArray[np.float32], out: NDArray[np.int8]) -> NDArray[np.int8]:
        """Write round(real / scale) + zero_point, clipped to -128..127, into ``out``; return it."""
        scaled = np.rint(real / self.scale) + self.zero_point
        out[...] = np.clip(scaled, -128, 127).astype(np.int8)
        return out

    def dequantize(self, q: NDArray[np.int8], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Write the real values of ``q`` into ``out``; return it."""
        np.subtract(q, np.float32(self.zero_point), out=out)
        out *= np.float32(self.scale)
        return out
