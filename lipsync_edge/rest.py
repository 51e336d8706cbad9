"""When a model says that nobody speaks, the mouth closes, whatever the axes say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.face import CHANNELS

SPEECH = CHANNELS[1]
QUIET = 0.4
"""Speech less likely than this is none: a doubt must not shut a mouth that speaks."""
HOLD_S = 0.3
"""Pauses between words and the closures of stops are shorter."""
CLOSE_S = 0.2
OPEN_S = 0.05
MOUTH = ("mouth", "jaw", "tongue")


class Rest:
    """Scales the mouth's axes of one model's poses; does nothing without the channel ``speech``."""

    def __init__(self, axes: tuple[str, ...], hop_s: float) -> None:
        """``axes``: what a pose is; ``hop_s``: the time between two."""
        self._speech = axes.index(SPEECH) if SPEECH in axes else None
        self._mouth = np.array([a.startswith(MOUTH) and a not in CHANNELS for a in axes])
        self._hop_s = hop_s
        self.reset()

    def reset(self) -> None:
        """The stream begins anew."""
        self._quiet, self._share = 0, 1.0

    def step(self, pose: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next pose (n_axes,), changed in place and returned. Poses must have a finite speech
        channel to count; others pass."""
        if self._speech is None or not np.isfinite(pose[self._speech]):
            return pose
        self._quiet = self._quiet + 1 if pose[self._speech] < QUIET else 0
        held = self._quiet <= round(HOLD_S / self._hop_s)
        towards = self._hop_s / OPEN_S if held else -self._hop_s / CLOSE_S
        self._share = min(max(self._share + towards, 0.0), 1.0)
        if self._share < 1.0:
            pose[self._mouth] *= np.float32(self._share)
        return pose
