"""No servos at all: what safe mode drives in place of the boards, which it leaves alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.servos import BoardHealth


class NoBoard:
    """A ``Board`` that takes every command and moves nothing; no bus is touched."""

    silenced = True

    def __init__(self, n_servos: int) -> None:
        self.name = "no board (safe mode)"
        self._off_us = np.full(n_servos, np.nan)

    def open(self) -> None:
        """Nothing to open."""

    def write(self, widths_us: NDArray[np.float64]) -> bool:
        """Taken, not sent."""
        if widths_us.shape != self._off_us.shape:
            raise ValueError(f"{widths_us.size} widths for {self._off_us.size} servos")
        return True

    def sent_us(self) -> NDArray[np.float64]:
        """All off, (n_servos,) NaN."""
        return self._off_us.copy()

    def health(self) -> BoardHealth:
        """Well, with nothing to report."""
        return BoardHealth(message="servos disabled")

    def detach(self) -> None:
        """They are off."""

    def close(self) -> None:
        """Nothing to close."""
