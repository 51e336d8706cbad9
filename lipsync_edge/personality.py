"""How a head speaks: a few knobs of its profile, applied to poses before they reach the rig.

The knobs only shape what is asked for. Range, speed and limits of the servos stay what they are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.face import CHANNELS, HEAD_AXES
from lipsync_edge.options import PersonalityOptions

Array = NDArray[np.float64]
BREATH_S = 4.0
"""One breath of a person at rest: 12 to 20 a minute."""


class Personality:
    """The knobs of one head over the axes of one model."""

    def __init__(self, options: PersonalityOptions, axes: tuple[str, ...]) -> None:
        self.options = options
        self.is_plain = options.amplitude == 1.0 and options.clear == 1.0 and not options.asymmetry
        self._gain = np.array([_gain(options, axis) for axis in axes])
        self._jaw = axes.index("jawOpen") if "jawOpen" in axes else None

    def gained(self, poses: Array) -> Array:
        """Poses (m, n_axes) with amplitude and asymmetry alone, for those who see no neighbours."""
        if self.is_plain:
            return poses
        return np.asarray(np.clip(poses * self._gain, np.where(poses < 0, -1.0, 0.0), 1.0))

    def shape(self, poses: Array, step_s: float) -> Array:
        """Poses (m, n_axes), ``step_s`` seconds apart, as this head makes them; 0..1 or -1..1.

        ``clear`` above 1 enlarges what departs from the mean of the surrounding 200 ms: vowels open
        further, consonants close further, at the same average.
        """
        if self.is_plain:
            return poses
        out = poses * self._gain
        if self.options.clear != 1.0:
            half = max(1, round(0.1 / step_s))
            out = out + (self.options.clear - 1.0) * (out - _mean(out, half))
        return np.asarray(np.clip(out, np.where(poses < 0, -1.0, 0.0), 1.0))

    def breathe(self, poses: Array, times_s: Array) -> None:
        """Let the jaw breathe where it does less by itself; ``poses`` (m, n_axes) are changed in
        place, ``times_s`` (m,)."""
        if self._jaw is not None and self.options.breathing > 0:
            wave = 0.5 - 0.5 * np.cos(2.0 * math.pi / BREATH_S * times_s)
            breath = np.where(np.isfinite(wave), self.options.breathing * wave, 0.0)
            np.maximum(poses[:, self._jaw], breath, out=poses[:, self._jaw])


def _gain(options: PersonalityOptions, axis: str) -> float:
    if axis in HEAD_AXES + CHANNELS:
        return 1.0
    side = -1.0 if axis.endswith("Left") else 1.0 if axis.endswith("Right") else 0.0
    return options.amplitude * (1.0 + side * options.asymmetry)


def _mean(values: Array, half: int) -> Array:
    """The mean of each row and its ``half`` neighbours on both sides, (m, n)."""
    padded = np.pad(values, ((half + 1, half), (0, 0)), mode="edge").cumsum(axis=0)
    return np.asarray((padded[2 * half + 1 :] - padded[: -2 * half - 1]) / (2 * half + 1))
