"""What of the coming poses matters most: closures of the lips, then rounding, then amplitude.

An open mouth at a p, b or m is always noticed, a vowel that opens less hardly ever. So samples at
which the lips are closed get a large weight, on the servos that close them; samples of rounded lips
get a smaller one. Rounding may begin 150 ms early: before it, its servos are let loose a little.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CLOSURE_AXIS = "mouthClosure"
"""An axis of some models that is no blendshape: 1 where the lips are shut by intent."""
# What parts the lips, and what brings them together: the gap, in parts of a fully open jaw.
_BOTH: Mapping[str, float] = {"mouthLowerDown": 0.15, "mouthUpperUp": 0.15}
GAP: Mapping[str, float] = {
    "jawOpen": 1.0,
    "mouthClose": -1.0,
    "mouthFunnel": 0.2,
    **{f"{axis}{side}": share for axis, share in _BOTH.items() for side in ("Left", "Right")},
}
PRESS: Mapping[str, float] = {
    **dict.fromkeys(("mouthPressLeft", "mouthPressRight"), 0.5),
    **dict.fromkeys(("mouthRollLower", "mouthRollUpper"), 0.5),
}
ROUND: Mapping[str, float] = {"mouthPucker": 1.0, "mouthFunnel": 0.8}

CLOSURE_WEIGHT = 20.0
ROUND_WEIGHT = 4.0
LOOSE_WEIGHT = 0.3
WINDOW_S = 0.15
OPEN_BEFORE = 0.12
"""A mouth that was not opened this far within the window has no closure to make: it rests."""
DOUBT, SURE = 0.4, 0.8
"""A model's closure channel below the one counts as none, above the other as a whole one."""


class Emphasis:
    """Reads closures and rounding from poses over the axes of one model."""

    def __init__(self, axes: tuple[str, ...], mix: NDArray[np.floating]) -> None:
        """``mix``: the rig's weights (n_servos, n_axes)."""
        self._gap, self._press, self._round = (_row(axes, t) for t in (GAP, PRESS, ROUND))
        self._closure = axes.index(CLOSURE_AXIS) if CLOSURE_AXIS in axes else None
        self._close = axes.index("mouthClose") if "mouthClose" in axes else None
        self._jaw = axes.index("jawOpen") if "jawOpen" in axes else None
        whole = np.maximum(np.abs(mix).sum(axis=1), 1e-9)
        lips = np.abs(mix) @ ((self._gap != 0) | (self._press != 0))
        self._of_closure = np.minimum(lips / whole, 1.0)
        self._of_round = np.minimum((np.abs(mix) @ (self._round != 0)) / whole, 1.0)

    def gap(self, poses: Array) -> Array:
        """How far the lips are apart, (m,), 1 = a fully open jaw, from poses (m, n_axes)."""
        return self._apart(_sane(poses))

    def _apart(self, poses: Array) -> Array:
        gap: Array = np.maximum(poses @ self._gap, 0.0)
        return gap

    def closures(self, poses: Array, step_s: float) -> Array:
        """How much each of the poses (m, n_axes), ``step_s`` apart, is a closure: 0..1, (m,)."""
        poses = _sane(poses)
        gap = self._apart(poses)
        opened = _past_maximum(gap, round(WINDOW_S / step_s))
        shut, ajar = 0.04 + 0.08 * opened, 0.12 + 0.15 * opened
        closed = _share((ajar - gap) / (ajar - shut))
        closed *= _share((opened - OPEN_BEFORE / 2) / (OPEN_BEFORE / 2))
        pressed = _share((poses @ self._press - 0.15) / 0.2) * (gap < 0.2)
        closed = np.maximum(closed, pressed)
        if self._closure is not None:
            closed = np.maximum(closed, self._told(poses))
        return np.asarray(closed)

    def _told(self, poses: Array) -> Array:
        """How sure the model's own channel is of a closure, 0..1, (m,)."""
        return _share((poses[:, self._closure] - DOUBT) / (SURE - DOUBT))

    def weights(self, poses: Array, closures: Array, step_s: float) -> Array:
        """What each sample counts for each servo, (m, n_servos), 1 = an ordinary one."""
        rounding = _share(_sane(poses) @ self._round)
        coming = _past_maximum(rounding[::-1], round(WINDOW_S / step_s))[::-1]
        loose = 1.0 - (1.0 - LOOSE_WEIGHT) * (coming - rounding)[:, None] * self._of_round
        weights = 1.0 + (ROUND_WEIGHT - 1.0) * rounding[:, None] * self._of_round
        weights *= loose
        # Cubed: what only looks like a closure, and its slopes, shall not pull like one.
        weights += (CLOSURE_WEIGHT - 1.0) * (closures**3)[:, None] * self._of_closure
        return np.asarray(weights)

    def shut(self, poses: Array, closures: Array, clear: float) -> Array:
        """The poses with closures completed: lips that nearly meet, meet.

        ``clear``: 1 completes what is almost closed, more also what is half closed, 0 nothing.
        """
        poses = _sane(poses)
        gap = self._apart(poses)
        share = _share((0.1 * clear - gap) / (0.06 * clear)) * closures
        if self._closure is not None:
            share = np.maximum(share, np.minimum(clear * self._told(poses), 1.0))
        out = poses.copy()
        if self._close is not None:
            out[:, self._close] += share * gap
        elif self._jaw is not None:
            out[:, self._jaw] -= share * np.minimum(gap, out[:, self._jaw])
        return out


def _row(axes: tuple[str, ...], shares: Mapping[str, float]) -> Array:
    return np.array([shares.get(axis, 0.0) for axis in axes])


def _share(values: Array) -> Array:
    """Cut to 0..1; np.clip takes twice the time on so few values."""
    cut: Array = np.minimum(np.maximum(values, 0.0), 1.0)
    return cut


def _sane(poses: Array) -> Array:
    """Poses within -1..1, as every axis is; NaN is rest."""
    inside = np.minimum(np.maximum(poses, -1.0), 1.0)
    return np.nan_to_num(inside) if np.isnan(inside.sum()) else inside


def _past_maximum(values: Array, n: int) -> Array:
    """The largest of each value and the ``n`` before it."""
    out, reach = values.copy(), 1
    while reach <= n:  # doubling: after each pass, out holds the largest of `reach` values
        shift = min(reach, n + 1 - reach)
        out[shift:] = np.maximum(out[shift:], out[:-shift])
        reach += shift
    return out
