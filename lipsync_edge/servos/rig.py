"""From face poses to pulse widths: mixing, range, direction, trim and limits of every servo.

A servo rests at ``neutral_us``. Its *drive* is the weighted sum of its axes, -1 to 1:

* **two-sided** (a lip corner): ``neutral_us`` lies between the limits. Drive 1 reaches ``max_us``,
  drive -1 reaches ``min_us``; ``invert`` swaps the two ends.
* **one-sided** (a jaw): ``neutral_us`` is the closed end, equal to ``min_us`` where a longer pulse
  opens, equal to ``max_us`` with ``invert: true`` where a shorter pulse opens. A negative drive has
  no travel left and stays closed.

``trim_us`` shifts every pulse (a horn that sits a tooth off), the limits stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.servos import Slot
from lipsync_edge.servos.dynamics import PRESETS

if TYPE_CHECKING:
    from lipsync_edge.head import Head, Servo


FAR = 1e6
"""No axis goes beyond 1; sums of what is out of its mind must not overflow."""


class Rig:
    """The servos of one head, driven by the axes of one model. All arrays are (n_servos,).

    ``names``, ``slots``: who they are and where they are plugged in. ``neutral_us`` (with trim),
    ``min_us``, ``max_us``, ``slew_us_per_s``, ``lag_s``, ``speed_us_per_s``, ``accel_us_per_s2``:
    their options as arrays, ``dead_band_us`` that of their presets.
    ``release_on_idle``: True where the pulses may stop when nobody speaks. ``driven``: False where
    no axis of the model moves the servo, so that it stays at neutral. ``matrix``: the weights,
    (n_servos, n_axes); an axis that the model does not drive has no column. ``ends_us``: the signed
    ways from neutral that drive 1 and drive -1 mean, without trim.
    """

    def __init__(self, head: Head, axes: tuple[str, ...]) -> None:
        """``axes``: what the columns of a pose are, as the model's card names them."""
        options = [servo.options for servo in head.servos]
        self.names = tuple(servo.name for servo in head.servos)
        self.slots = tuple(Slot(o.board, o.channel) for o in options)
        self.min_us = np.array([o.min_us for o in options])
        self.max_us = np.array([o.max_us for o in options])
        self.neutral_us = np.clip(
            np.array([o.neutral_us + o.trim_us for o in options]), self.min_us, self.max_us
        )
        self.slew_us_per_s = np.array([o.slew_us_per_s for o in options])
        self.lag_s = np.array([o.lag_ms for o in options]) / 1e3
        self.speed_us_per_s = np.array([o.speed_us_per_s for o in options])
        self.accel_us_per_s2 = np.array([o.accel_us_per_s2 for o in options])
        self.dead_band_us = np.array([PRESETS[o.preset].dead_band_us for o in options])
        self.release_on_idle = np.array([o.on_idle == "release" for o in options])
        self.matrix = np.array([_weights(servo, axes) for servo in head.servos])
        self._mixes = tuple(servo.mix for servo in head.servos)
        self._used = self.matrix != 0
        self.driven: NDArray[np.bool_] = self._used.any(axis=1)
        ends = np.array([_travel_us(servo) for servo in head.servos])
        self.ends_us = ends[:, 0], ends[:, 1]

    def widths_us(self, poses: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pulse widths (n_servos,) in us for poses (n_axes,), or (n_servos, n_axes) with a row for
        each servo, as each looks ahead by its own lag.

        A servo with a value among its axes that is NaN or infinite gets its neutral pulse.
        """
        bad = (self._used & ~np.isfinite(poses)).any(axis=1)
        usable = np.where(self._used & ~bad[:, None], np.clip(poses, -FAR, FAR), 0.0)
        return self._driven((self.matrix * usable).sum(axis=1))

    def widths_grid(self, poses: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pulse widths (m, n_servos) in us for poses (m, n_axes), all servos alike.

        A value that is NaN or infinite gives the neutral pulse to the servos that it moves.
        """
        finite = np.isfinite(poses)
        poses = np.minimum(np.maximum(poses, -FAR), FAR)
        if finite.all():
            return self._driven(poses @ self.matrix.T)
        bad = ~finite @ self._used.T
        return self._driven(np.where(bad, 0.0, np.where(finite, poses, 0.0) @ self.matrix.T))

    def posed_us(self, pose: Mapping[str, float]) -> NDArray[np.float64]:
        """Pulse widths (n_servos,) in us of a pose, axes by name; the model need not know them."""
        drive = [sum(mix.get(axis, 0.0) * v for axis, v in pose.items()) for mix in self._mixes]
        return self._driven(np.nan_to_num(np.array(drive, dtype=np.float64)))

    def moves(self, axis: str) -> bool:
        """Whether any servo shows this axis of the face."""
        return any(mix.get(axis) for mix in self._mixes)

    def _driven(self, drive: NDArray[np.float64]) -> NDArray[np.float64]:
        drive = np.clip(drive, -1.0, 1.0)
        travel_us = np.where(drive >= 0, *self.ends_us)
        widths: NDArray[np.float64] = self.neutral_us + np.abs(drive) * travel_us
        return np.clip(widths, self.min_us, self.max_us)


def _weights(servo: Servo, axes: tuple[str, ...]) -> list[float]:
    return [servo.mix.get(axis, 0.0) for axis in axes]


def _travel_us(servo: Servo) -> tuple[float, float]:
    """Signed way from neutral that drive 1 and drive -1 mean, in us."""
    o = servo.options
    up_us, down_us = o.range * (o.max_us - o.neutral_us), o.range * (o.min_us - o.neutral_us)
    return (down_us, up_us) if o.invert else (up_us, down_us)
