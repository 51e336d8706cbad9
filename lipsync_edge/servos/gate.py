"""The last gate before the wire: whatever a bug upstream computes, a servo only gets what it may.

The gate knows positions and speed. Smooth starts and stops (limits on acceleration) are the
business of the motion planner, which knows where it wants to go; a gate that braked softly would
have to overshoot somewhere, so this one does not try.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Widths = NDArray[np.float64]
MAX_DT_S = 0.1
"""After a stall a servo may not make up for lost time at one stroke."""


class Gate:
    """Limits for ``n`` servos and what was sent to them last. Pure and deterministic."""

    def __init__(self, min_us: ArrayLike, max_us: ArrayLike, slew_us_per_s: ArrayLike) -> None:
        """All (n,): microseconds, microseconds, microseconds per second. ValueError on nonsense."""
        limits = [np.array(v, dtype=np.float64, ndmin=1) for v in (min_us, max_us, slew_us_per_s)]
        self._min_us, self._max_us, self._slew_us_per_s = limits
        if len({limit.shape for limit in limits}) != 1 or self._min_us.ndim != 1:
            raise ValueError("min_us, max_us and slew_us_per_s must have one value per servo")
        if not all(np.isfinite(limit).all() for limit in limits):
            raise ValueError("limits must be finite numbers")
        if (self._min_us > self._max_us).any() or (self._slew_us_per_s <= 0).any():
            raise ValueError("min_us must not be above max_us, slew_us_per_s must be above 0")
        self._sent_us = np.full(self._min_us.shape, np.nan)
        self._stands_us = self._sent_us  # where horns without a pulse are believed to stand
        self.refused = 0
        """How many single commands were no number at all (NaN, infinite) and were not sent."""

    def begin(self, start_us: ArrayLike) -> None:
        """Where the horns of servos that are off are believed to stand, (n,) us, cut to the limits:
        their next command starts there. NaN: as before. Servos that are on are left as they are.
        """
        start_us = np.minimum(np.maximum(start_us, self._min_us), self._max_us)
        self._stands_us = np.where(np.isnan(start_us), self._stands_us, start_us)

    def pass_(self, widths_us: ArrayLike, dt_s: float, pace: ArrayLike = 1.0) -> Widths:
        """Let ``widths_us`` (n,) through, ``dt_s`` seconds after the last call; returns what may
        be sent, (n,). ``pace``: the share of the slew rate that may be used, one or (n,), 0..1.

        Commands are clamped to the limits and to the slew rate, counted from what was sent last;
        ``dt_s`` counts as 0 when negative or NaN and as at most ``MAX_DT_S``. A command that is
        NaN or infinite is refused: that servo keeps its last pulse (or stays off). After ``off``
        it goes on from its last pulse, where its horn stands if nobody moved it, or from what
        ``begin`` said. Where nobody knows, the first command may be anywhere within the limits.
        """
        wanted = np.asarray(widths_us, dtype=np.float64)
        if wanted.shape != self._sent_us.shape:
            raise ValueError(f"{wanted.size} widths for {self._sent_us.size} servos")
        self._stands_us = self._last_us()
        finite = np.isfinite(wanted)
        self.refused += int(wanted.size - np.count_nonzero(finite))
        wanted = np.where(finite, wanted, self._sent_us)  # NaN, off, stays NaN
        wanted = np.minimum(np.maximum(wanted, self._min_us), self._max_us)
        self._sent_us = self._slewed(wanted, dt_s, pace)
        return self._sent_us.copy()

    def take_over(self, other: Gate) -> None:
        """Go on from what another gate for the same servos let through last.

        A place outside of these limits is left at the slew rate: a jump would not be safer.
        """
        self._sent_us, self._stands_us = other.sent_us, other._stands_us

    @property
    def sent_us(self) -> Widths:
        """What was let through last, (n,) us, NaN: off."""
        return self._sent_us.copy()

    def off(self, which: NDArray[np.bool_] | None = None) -> Widths:
        """Release the servos where ``which`` (n,) is true, in place of what ``pass_`` has just let
        through; all without it. Returns what may be sent, (n,), NaN for those that are off.
        """
        if which is None:
            self._stands_us = self._last_us()
        self._sent_us = np.where(True if which is None else which, np.nan, self._sent_us)
        return self._sent_us.copy()

    def _last_us(self) -> Widths:
        return np.where(np.isnan(self._sent_us), self._stands_us, self._sent_us)

    def _slewed(self, wanted_us: Widths, dt_s: float, pace: ArrayLike) -> Widths:
        known = ~np.isnan(self._stands_us)
        dt_s = 0.0 if math.isnan(dt_s) else min(max(dt_s, 0.0), MAX_DT_S)
        slew_us_per_s = self._slew_us_per_s * np.clip(np.nan_to_num(pace), 0.0, 1.0)
        reach_us = np.where(known, slew_us_per_s * dt_s, np.inf)
        last_us = np.where(known, self._stands_us, wanted_us)
        slewed: Widths = np.minimum(np.maximum(wanted_us, last_us - reach_us), last_us + reach_us)
        return slewed
