"""The only place where numbers become int8 and back: round, clip, cast, in this order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True)
class Quantization:
    """Affine int8: ``real = scale * (q - zero_point)`` (LiteRT quantisation spec)."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale {self.scale} must be a number above 0")
        if not LOWEST <= self.zero_point <= HIGHEST:
            raise ValueError(f"zero_point {self.zero_point} must lie in {LOWEST}..{HIGHEST}")

    def quantize(
        self,
        real: NDArray[np.float32],
        out: NDArray[np.int8],
        work: NDArray[np.float32] | None = None,
    ) -> NDArray[np.int8]:
        """Write round(real / scale) + zero_point, clipped to -128..127, into ``out``; return it.

        Halves go to the even neighbour; NaN becomes -128. ``work``, of real's shape, saves an
        allocation.
        """
        work = np.empty(real.shape, np.float32) if work is None else work
        np.divide(real, np.float32(self.scale), out=work)
        np.rint(work, out=work)
        work += np.float32(self.zero_point)
        np.fmax(work, np.float32(LOWEST), out=work)  # fmax and fmin prefer the number to a NaN
        np.fmin(work, np.float32(HIGHEST), out=work)
        np.copyto(out, work, casting="unsafe")
        return out

    def dequantize(self, q: NDArray[np.int8], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Write the real values of ``q`` into ``out``; return it."""
        np.subtract(q, np.float32(self.zero_point), out=out)
        out *= np.float32(self.scale)
        return out

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.int8]:
        """A new array that stands for 0.0: filled with the zero point."""
        return np.full(shape, self.zero_point, np.int8)
