"""Moves one servo by hand, for calibration: slowly, only while somebody holds on, then limp.

A jog is a wish with an end: it moves the servo until its lease is over, so that a phone that falls
asleep, or a network that goes away, stops the horn at once. All other servos are off meanwhile. It
knows no limits of the config, which are what is being looked for, but those of the kind of servo.

Wishes come from another thread: each is one object that is put in place of the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RELEASE_S = 3.0
"""So long a servo holds after its last lease; a horn that presses on something gets warm."""
END_S = 60.0
"""After so long without any wish the head follows the sound again."""
BUZZ_US, BUZZ_TURN_S, BUZZ_TURNS = 40.0, 0.12, 8
US_PER_S = (10.0, 4000.0)
HOLD_S = (0.1, 1.0)


@dataclass(frozen=True)
class Wish:
    """``servo``: its index, -1: none; ``to_us`` at ``us_per_s`` until ``until_s``; ``buzz``: wiggle
    about where it is instead; ``at_s``: when it was said."""

    servo: int
    at_s: float
    to_us: float = math.nan
    us_per_s: float = 0.0
    until_s: float = -math.inf
    buzz: bool = False


@dataclass(frozen=True)
class SetUpState:
    """What is told: the servo's name, empty where none was touched; its pulse or the last one it
    had, us; whether it is limp."""

    servo: str
    us: float
    released: bool


class SetUp:
    """One servo at a time. ``wish`` may be set by another thread at any time."""

    def __init__(
        self,
        names: Sequence[str],
        low_us: float,
        high_us: float,
        neutral_us: Array,
        last_us: Array,
        now_s: float,
    ) -> None:
        """``low_us``, ``high_us``: what no pulse leaves; ``neutral_us``, ``last_us`` (n,): where
        the horns are believed to stand, NaN in the latter: unknown, so at neutral."""
        self._names, self._low_us, self._high_us = tuple(names), low_us, high_us
        known_us = np.where(np.isnan(last_us), neutral_us, last_us)
        self._at_us = np.clip(known_us, low_us, high_us)
        self._last_s = math.nan
        self._doing: Wish | None = None
        self._middle_us = math.nan
        self._before_us = self._at_us.copy()
        self.wish = Wish(-1, now_s)
        self.state = SetUpState("", math.nan, True)

    def where_us(self, servo: int) -> float:
        """Where a servo is, or was when its pulses ended."""
        return float(self._at_us[servo])

    def over(self, now_s: float) -> bool:
        """Nobody said anything for long."""
        return now_s - self.wish.at_s > END_S

    def step(self, now_s: float) -> Array:
        """The pulses (n,) us for now, NaN: off, which all are but one."""
        wish = self.wish
        dt_s = min(max(now_s - self._last_s, 0.0), 0.1) if math.isfinite(self._last_s) else 0.0
        self._last_s = now_s
        self._before_us = self._at_us.copy()
        if wish is not self._doing:
            self._begin(wish)
        widths_us = np.full(len(self._names), np.nan)
        on = wish.servo >= 0 and (self._buzz if wish.buzz else self._jog)(wish, now_s, dt_s)
        if on:
            widths_us[wish.servo] = self._at_us[wish.servo]
        if wish.servo >= 0:
            name = self._names[wish.servo]
            self.state = SetUpState(name, self.where_us(wish.servo), not on)
        elif self.state.servo:
            self.state = SetUpState(self.state.servo, self.state.us, True)
        return widths_us

    def lost(self) -> None:
        """What the last step gave did not reach the servo, which stands where it stood."""
        self._at_us = self._before_us.copy()

    def _begin(self, wish: Wish) -> None:
        last, self._doing = self._doing, wish
        if last is not None and last.buzz:
            if wish.buzz and wish.servo == last.servo:
                return  # about the same middle, or quick taps would carry the horn away
            self._put(last.servo, self._middle_us)
        self._middle_us = self._at_us[wish.servo] if wish.servo >= 0 else math.nan

    def _jog(self, wish: Wish, now_s: float, dt_s: float) -> bool:
        if now_s < wish.until_s:
            reach_us = wish.us_per_s * dt_s
            way_us = min(max(wish.to_us - self._at_us[wish.servo], -reach_us), reach_us)
            self._put(wish.servo, self._at_us[wish.servo] + way_us)
        return now_s < wish.until_s + RELEASE_S

    def _buzz(self, wish: Wish, now_s: float, _: float) -> bool:
        turn = int((now_s - wish.at_s) / BUZZ_TURN_S)
        going = turn < BUZZ_TURNS
        self._put(wish.servo, self._middle_us + (BUZZ_US * (-1) ** turn if going else 0.0))
        return going

    def _put(self, servo: int, width_us: float) -> None:
        if math.isfinite(width_us):
            self._at_us[servo] = min(max(width_us, self._low_us), self._high_us)
