"""What stands between the wish to move and the gate, so that servos live long.

A soft start, the heat budget, smaller and slower moves while the supply sags, and rest on demand.
Pure; the mover steps it. ``ease``, ``resting`` and ``blocked`` may be set by another thread at any
time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.heat import Heat
from lipsync_edge.wake import Wake

Array = NDArray[np.float64]
EASE_PER_S = 0.5
"""How fast the range follows ``ease``; a jump would be seen."""
AT_REST_US = 10.0


@dataclass(frozen=True)
class Leave:
    """What may be done in this tick: widths (n_servos,) in us, the share of the slew that may be
    used, and for the gate where servos start that wake, and who is to be off; None: nobody."""

    widths_us: Array
    pace: Array | float = 1.0
    start_us: Array | None = None
    asleep: NDArray[np.bool_] | None = None


class Care:
    """The care for ``n`` servos. ``last_us`` (n,): where the horns are believed to stand, NaN where
    nobody knows; ``ease``: the share of range and speed that is asked for, 0..1; ``resting``: True
    brings all to neutral and then switches the outputs off, until it is False again;
    ``blocked``: True switches them off at once; ``all_off``: whether they are."""

    def __init__(self, neutral_us: Array, wake: Wake, heat: Heat, last_us: Array) -> None:
        """``neutral_us``, ``last_us``: (n,) us; the wake must have been given the latter, too."""
        self._neutral_us, self._wake, self._heat = neutral_us, wake, heat
        self._eased = 1.0
        self.all_off = True
        self.last_us = last_us
        self.ease = 1.0
        self.resting = False
        self.blocked = False
        self._dropped = False

    @property
    def awake(self) -> bool:
        """All servos are awake and as fast as ever (on idle they may yet be off)."""
        return self._wake.done and not self.all_off

    @property
    def wake_s(self) -> float:
        """How long a soft start takes."""
        return self._wake.duration_s

    @property
    def hot(self) -> NDArray[np.bool_]:
        """Who is over the heat budget, (n,)."""
        return self._heat.hot

    @property
    def heat(self) -> Array:
        """Warmth (n,): 1 is as warm as a servo may get."""
        return self._heat.state

    @property
    def warm_k(self) -> Array:
        """How warm windings and cases are reckoned to be, (2, n) K above the room."""
        return self._heat.warm_k

    def take_over(self, other: Care) -> None:
        """Go on where the care for the same servos under another config was. What others set is
        left to them."""
        self._heat.take_over(other._heat)
        self.last_us, self.all_off = other.last_us, other.all_off
        self._wake.anew(self.last_us)
        self._wake.done = other._wake.done
        self._eased = other._eased

    def step(self, widths_us: Array, dt_s: float) -> Leave:
        """What may become of the wish ``widths_us`` (n,), ``dt_s`` after the last one."""
        dropped = self._dropped
        if dropped:
            self._dropped = False
        if (self.blocked or dropped) and not self.all_off:
            self.lost()
        if self.blocked or (self.resting and self.all_off):
            return Leave(widths_us, asleep=np.ones(self._neutral_us.shape, dtype=bool))
        widths_us = self._heat.cut(widths_us)
        reach = EASE_PER_S * max(dt_s, 0.0)
        self._eased = min(max(self.ease, self._eased - reach), self._eased + reach)
        if self._eased < 1.0:
            widths_us = self._neutral_us + (widths_us - self._neutral_us) * self._eased
        if self._wake.done:
            return Leave(widths_us, self._eased)
        waking = self._wake.step(dt_s)
        return Leave(widths_us, self._eased * waking.pace, waking.start_us, waking.asleep)

    def sent(self, sent_us: Array, dt_s: float) -> None:
        """What went to the servos, (n,) us, NaN: off."""
        self._heat.step(sent_us, dt_s)
        on = ~np.isnan(sent_us)
        self.last_us = np.where(on, sent_us, self.last_us)
        if not self.resting:
            self.all_off = self.all_off and not on.any()
        elif not self.all_off:
            away_us = np.abs(sent_us - self._neutral_us)
            if not (away_us > AT_REST_US).any():  # NaN, off, is no way from neutral
                self.lost()

    def drop(self) -> None:
        """Rest at once: off with the next step, without a way to neutral. For any thread."""
        self.resting = True
        self._dropped = True

    def obey_as(self, other: Care) -> None:
        """What another one was asked for: to rest, or to drop all, if it has not yet done that."""
        self.resting = other.resting
        if other._dropped:
            self._dropped = True

    def lost(self) -> None:
        """All outputs went off: wake all anew, from where they were sent last."""
        self._wake.anew(self.last_us)
        self.all_off = True
