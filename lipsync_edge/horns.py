"""Where the horns of a head are, and which face they show: commands through simulated servos.

    widths_us -> Dynamics -> horns -> share of the travel, and through the rig backwards -> axes

The rig cannot be turned round exactly: ten servos hold fewer numbers than the axes that move them,
and a one-sided servo at its end says only that its drive is zero or less. What a horn *shows* is
therefore the least-squares answer: of all axis values within their ranges, those whose drives come
nearest to the horns' (and, where several do, those nearest to zero).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.face import axis_range
from lipsync_edge.head import Head, servo_model
from lipsync_edge.servos.dynamics import Dynamics
from lipsync_edge.servos.rig import Rig

Array = NDArray[np.float64]

RIDGE = 0.01
"""Weight of the axes' own size against the drives' error."""
ROUNDS = 200
AT_END = 0.02
"""A drive within this share of a mechanical end stands for all drives beyond it."""


class Horns:
    """The servos of a head as they follow their commands."""

    def __init__(
        self, head: Head, rig: Rig, pwm_hz: float = 50.0, phase_s: float | None = None
    ) -> None:
        """They begin at rest. ``phase_s``: when after a tick a PWM frame begins; half a period
        where it is not given, which is the average of a board that runs on its own clock."""
        self._rig = rig
        phase_s = 0.5 / pwm_hz if phase_s is None else phase_s
        models = [servo_model(servo.options) for servo in head.servos]
        self._dynamics = Dynamics(models, rig.neutral_us, pwm_hz, phase_s)
        self.at_us: Array = rig.neutral_us.copy()
        """Where the horns are now, (n_servos,), as the pulse that would hold them there."""

    def step(self, widths_us: Array, dt_s: float) -> Array:
        """Hold commands (n_servos,) for ``dt_s`` seconds; returns ``at_us`` at the end of it.

        NaN: the servo is released, its horn stays.
        """
        self.at_us = self._dynamics.step(widths_us, dt_s)
        return self.at_us


def travel(rig: Rig, horns_us: Array) -> Array:
    """Horns (..., n_servos) as shares of their travel: 0 at ``min_us``, 1 at ``max_us``."""
    return np.asarray((horns_us - rig.min_us) / np.maximum(rig.max_us - rig.min_us, 1e-9))


class Seen:
    """The rig backwards: from horns to the axis values that they show."""

    def __init__(self, rig: Rig, axes: tuple[str, ...]) -> None:
        """``axes``: the columns of the rig's matrix."""
        self._rig, self._matrix = rig, rig.matrix
        ranges = np.array([axis_range(axis) for axis in axes]).reshape(-1, 2)
        # An axis that moves nothing is seen nowhere.
        used = (rig.matrix != 0).any(axis=0)
        self._low, self._high = ranges[:, 0] * used, ranges[:, 1] * used
        norm = float(np.linalg.norm(rig.matrix, 2)) if rig.matrix.size else 0.0
        self._step = 1.0 / (norm**2 + RIDGE)

    def drives(self, horns_us: Array) -> Array:
        """Horns (m, n_servos) as drives -1..1, which is the rig's way of counting."""
        away = horns_us - self._rig.neutral_us
        plus, minus = (away / np.where(end == 0, np.inf, end) for end in self._rig.ends_us)
        return np.asarray(np.clip(np.where(plus > 0, plus, -minus), -1.0, 1.0))

    def axes(self, horns_us: Array) -> Array:
        """Axis values (m, n_axes) that horns (m, n_servos) show.

        Accelerated projected gradient (Y. Nesterov 1983; A. Beck, M. Teboulle, SIAM J. Imaging
        Sciences 2(1), 2009) on the squared error of the drives.
        """
        wanted = self.drives(horns_us)
        plus, minus = self._rig.ends_us
        # Beyond these drives a servo does not move, so an error there is none.
        floor = (wanted <= -1.0 + AT_END) | ((minus == 0) & (wanted <= AT_END))
        roof = (wanted >= 1.0 - AT_END) | ((plus == 0) & (wanted >= -AT_END))
        found = np.zeros((len(wanted), self._matrix.shape[1]))
        ahead, momentum = found, 1.0
        for _ in range(ROUNDS):
            error = ahead @ self._matrix.T - wanted
            error[(floor & (error < 0)) | (roof & (error > 0))] = 0.0
            slope = error @ self._matrix + RIDGE * ahead
            new = np.minimum(np.maximum(ahead - self._step * slope, self._low), self._high)
            grown = 0.5 + (0.25 + momentum**2) ** 0.5
            ahead = new + (momentum - 1.0) / grown * (new - found)
            found, momentum = new, grown
        return found
