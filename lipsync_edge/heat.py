"""A heat budget for every servo: how warm its motor must be by now, and how far it may still go.

Nobody measures the temperature inside a hobby servo, so it is reckoned from the pulses. The motor's
current, as a share of its stall current, is the sum, signs heeded, of

* friction, while it moves;
* the load that it moves and holds: skin is a spring, so this grows with the distance from neutral,
  up to the preset's ``load_share`` at the end of the travel;
* acceleration: inertia times acceleration over stall torque, which is acceleration over free speed
  times the mechanical time constant.

Its square heats the winding, the winding heats the case, the case heats the air: two stages with a
time constant each, added (the usual reckoning of motor makers). ``servos.thermal`` has the figures.
A horn that is blocked from outside is not seen here: nothing tells it. Above the budget the range
shrinks round neutral, slowly enough that nobody sees a jump, and grows again as the motor cools.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.servos.dynamics import PRESETS
from lipsync_edge.servos.thermal import FRICTION, LIMIT_K, MECHANICAL_S, THERMAL

Array = NDArray[np.float64]
SHRUNK_AT = 1.25
"""The state at which no range is left, so that the motor can only cool."""
COOL_AT = 0.9
"""A servo that got too hot is called so until it is down to this."""
RANGE_PER_S = 0.1
MOST_DT_S = 1.0
LEAST_DT_S = 1e-3


class Heat:
    """``n`` servos. ``state`` (n,): 0 = as warm as the room, 1 = as warm as it may get; ``range``
    (n,): the share of the way from neutral that is left. Pure and deterministic."""

    def __init__(
        self, presets: Sequence[str], neutral_us: Array, min_us: Array, max_us: Array
    ) -> None:
        """``presets``: what the servos are, names of ``servos.dynamics.PRESETS``; the rest (n,)."""
        models = [PRESETS[preset] for preset in presets]
        motors = [THERMAL[preset] for preset in presets]
        self._neutral_us = neutral_us
        travel_us = np.maximum(max_us - neutral_us, neutral_us - min_us)
        self._load_per_us = np.array([m.load_share for m in models]) / np.maximum(travel_us, 1.0)
        self._speed = np.array([m.speed_us_per_s for m in models])
        self._per_accel = MECHANICAL_S / np.array([m.no_load_us_per_s for m in models])
        self._rise_k = np.array(
            [[m.stall_w * m.winding_k_per_w, m.stall_w * m.case_k_per_w] for m in motors]
        ).T
        self._time_s = np.array([[m.winding_s, m.case_s] for m in motors]).T
        self._warm_k = np.zeros_like(self._rise_k)
        self._horn_us, self._v = self._neutral_us.copy(), np.zeros(len(models))
        self._owed_s = 0.0
        self.range: Array = np.ones(len(models))
        self.hot: NDArray[np.bool_] = np.zeros(len(models), dtype=bool)

    @property
    def state(self) -> Array:
        """Warmth (n,) as a share of what is allowed; above 1 it is too much."""
        warmth: Array = self._warm_k.sum(axis=0) / LIMIT_K
        return warmth

    @property
    def warm_k(self) -> Array:
        """How warm winding and case are, (2, n) K above the room."""
        return self._warm_k.copy()

    def warm(self, warm_k: Array, ago_s: float) -> None:
        """Begin with what ``warm_k`` was ``ago_s`` seconds ago; since then all was off."""
        warm_k = np.clip(np.nan_to_num(warm_k), 0.0, self._rise_k)
        self._warm_k = warm_k * np.exp(-max(ago_s, 0.0) / self._time_s)
        self.hot = self.state > 1.0
        left = (SHRUNK_AT - self.state) / (SHRUNK_AT - 1.0)
        self.range = np.minimum(np.maximum(left, 0.0), 1.0)

    def take_over(self, other: Heat) -> None:
        """Go on from the warmth of the same servos under another config."""
        self._warm_k, self._horn_us, self._v = other._warm_k, other._horn_us, other._v
        self.range, self.hot, self._owed_s = other.range, other.hot, other._owed_s

    def cut(self, widths_us: Array) -> Array:
        """Widths (n,) in us within the range that is left; those of cool servos as they came."""
        if not self.hot.any() and (self.range >= 1.0).all():
            return widths_us
        shrunk = self._neutral_us + (widths_us - self._neutral_us) * self.range
        return np.where(self.range < 1.0, shrunk, widths_us)

    def step(self, sent_us: Array, dt_s: float) -> None:
        """What was sent, (n,) us, NaN for no pulse, and the seconds since the last call."""
        self._owed_s = min(self._owed_s + (dt_s if dt_s > 0 else 0.0), MOST_DT_S)
        if self._owed_s < LEAST_DT_S:  # a speed over no time would be nonsense
            return
        dt_s, self._owed_s = self._owed_s, 0.0
        settled = 1.0 - np.exp(-dt_s / self._time_s)
        self._warm_k += (self._rise_k * self._current(sent_us, dt_s) ** 2 - self._warm_k) * settled
        state = self.state
        self.hot = (state > 1.0) | (self.hot & (state > COOL_AT))
        left = (SHRUNK_AT - state) / (SHRUNK_AT - 1.0)
        wanted = np.minimum(np.maximum(left, 0.0), 1.0)
        self.range = _within(wanted, self.range, RANGE_PER_S * dt_s)

    def _current(self, sent_us: Array, dt_s: float) -> Array:
        """Share (n,) of the stall current, 0..1; friction and load help to brake."""
        on = np.isfinite(sent_us)
        way = self._speed * dt_s
        goal_us = np.where(on, sent_us, self._horn_us)
        horn_us, self._horn_us = self._horn_us, _within(goal_us, self._horn_us, way)
        v = (self._horn_us - horn_us) / dt_s
        a, self._v = (v - self._v) / dt_s, v
        current = FRICTION * np.sign(v) + self._load_per_us * (self._horn_us - self._neutral_us)
        current += self._per_accel * a
        return np.where(on, np.minimum(np.abs(current), 1.0), 0.0)


def _within(wanted: Array, last: Array, reach: Array | float) -> Array:
    return np.minimum(np.maximum(wanted, last - reach), last + reach)
