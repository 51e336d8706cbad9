"""When nobody speaks: which servos may rest without pulses, so that they neither hum nor heat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Idle:
    """Watches the commands; after ``after_s`` at neutral the servos of ``release`` may let go.

    The whole head decides: while any servo moves, none is released, since a mouth that speaks again
    in a moment should not wake one servo after the other.
    """

    TOLERANCE_US = 10.0  # less than a servo's dead band (SG90: 10 us)

    def __init__(
        self, neutral_us: NDArray[np.float64], release: NDArray[np.bool_], after_s: float
    ) -> None:
        """``neutral_us``, ``release``: (n_servos,); ``after_s`` seconds."""
        self._neutral_us, self._release, self._after_s = neutral_us, release, after_s
        self._rest_s = 0.0

    def take_over(self, other: Idle) -> None:
        """Go on where another one for the same servos is."""
        self._rest_s = min(other._rest_s, self._after_s)

    def step(self, widths_us: NDArray[np.float64], dt_s: float) -> NDArray[np.bool_]:
        """Which servos (n_servos,) may be off now, given what they were told to do, (n_servos,)."""
        resting = bool((np.abs(widths_us - self._neutral_us) <= self.TOLERANCE_US).all())
        self._rest_s = min(self._rest_s + max(dt_s, 0.0), self._after_s) if resting else 0.0
        return self._release & (self._rest_s >= self._after_s)
