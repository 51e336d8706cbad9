"""A soft start: servos wake one after another, and each moves slowly at first.

Several servos that start at once draw their stall currents together, and the supply sags (an SG90
takes 0.65 A then, ten of them more than most supplies give). A horn whose place is known, from the
last pulse that it got, starts there. One whose place is unknown starts with its neutral pulse and
goes there as fast as it can: a hobby servo tells nobody where it stands, so that cannot be slow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SLOW_S = 0.5
"""How long a servo that woke is slower than it may be."""
LEAST_PACE = 0.1


@dataclass(frozen=True)
class Waking:
    """One tick, all (n_servos,): who is to stay off, at what pulse those start that wake just now
    (us, NaN for the others), and the share of its slew that each may use, 0..1."""

    asleep: NDArray[np.bool_]
    start_us: Array
    pace: Array


class Wake:
    """Who is awake. Pure: time is given."""

    def __init__(
        self, neutral_us: Array, last_us: Array | None = None, spacing_s: float = 0.04
    ) -> None:
        """``neutral_us``: (n_servos,); ``last_us``: the pulses that the horns are believed to stand
        at, NaN where nobody knows; ``spacing_s``: between two servos that wake."""
        self._neutral_us, self._spacing_s = neutral_us, max(spacing_s, 0.0)
        self.done = False
        """Every servo is awake and as fast as it may be."""
        self._begin(np.full_like(neutral_us, np.nan) if last_us is None else last_us)

    @property
    def duration_s(self) -> float:
        """How long it takes until all are awake and fast, at ticks that divide the spacing."""
        return (len(self._neutral_us) - 1) * self._spacing_s + SLOW_S

    def _begin(self, last_us: Array) -> None:
        known = np.isfinite(last_us)
        self._start_us = np.where(known, last_us, self._neutral_us)
        self._age_s = np.full(self._neutral_us.shape, -math.inf)  # since each one woke
        self._n_awake, self._wait_s = 0, 0.0
        self.done = not len(self._neutral_us)

    def anew(self, last_us: Array) -> None:
        """All outputs went off, the horns are limp: wake them anew, from ``last_us`` (n_servos,),
        NaN where unknown."""
        self._begin(last_us)

    def step(self, dt_s: float) -> Waking:
        """Go on by ``dt_s`` seconds; at most one servo wakes in a step, the first at once."""
        dt_s = dt_s if dt_s > 0 else 0.0  # NaN too
        self._age_s = self._age_s + dt_s
        self._wait_s -= dt_s
        start_us = np.full(self._neutral_us.shape, np.nan)
        if self._n_awake < len(self._neutral_us) and self._wait_s <= 1e-9:
            start_us[self._n_awake] = self._start_us[self._n_awake]
            self._age_s[self._n_awake] = 0.0
            self._n_awake += 1
            self._wait_s = self._spacing_s
        self.done = bool((self._age_s >= SLOW_S).all())
        pace = np.clip(LEAST_PACE + (1.0 - LEAST_PACE) * self._age_s / SLOW_S, LEAST_PACE, 1.0)
        pace[np.isfinite(start_us)] = 0.0  # the first pulse is the one that it starts with
        return Waking(self._age_s < 0.0, start_us, pace)
