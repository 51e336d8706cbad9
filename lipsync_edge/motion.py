"""From poses to pulse widths: which pose each servo is to follow now, given its own lag.

This version commands the pose itself, early by the servo's lag. It does not yet plan for a servo's
speed and acceleration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.servos.rig import Rig
from lipsync_edge.timeline import Timeline


@dataclass(frozen=True)
class Step:
    """One tick's wish: widths (n_servos,) in microseconds, the pose (n_axes,) that is to be seen
    now, and whether a pose was missing."""

    widths_us: NDArray[np.float64]
    pose: NDArray[np.float64]
    starved: bool


class Motion:
    """Reads the timeline where each servo's horn will be when it has followed the command."""

    def __init__(self, rig: Rig, rate_hz: int, trail_ms: float = 0.0) -> None:
        """``rate_hz``: the stream's rate; ``trail_ms``: planned delay of the mouth (live mode)."""
        self.rate_hz = rate_hz
        self.names = rig.names
        self.neutral_us = rig.neutral_us
        self._rig = rig
        # One row a servo, and a last one without lag: what the mouth is meant to show now.
        self._ahead = (np.append(rig.lag_s, 0.0) - trail_ms / 1e3) * rate_hz

    def step(self, heard_sample: float, timeline: Timeline) -> Step:
        """The widths to command while captured sample ``heard_sample`` is heard."""
        poses, starved = timeline.at(heard_sample + self._ahead)
        return Step(self._rig.widths_us(poses[:-1]), poses[-1], starved)
