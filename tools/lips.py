"""Lip measures of a tracked face: the six of ``grid``, and three that need the head pose removed.

``protrusion``: how far the lips stand before the eyes' corners and the nose's bridge;
``corner_left``, ``corner_right``: how high the mouth's corners (the speaker's left and right) are
above the point under the nose. All over the distance of the outer eye corners, as the first six.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_tools import grid

Array = NDArray[np.float64]

MEASURES: tuple[str, ...] = (*grid.MEASURES, "protrusion", "corner_left", "corner_right")
EYE_RIGHT, EYE_LEFT = 33, 263
_BEHIND = (33, 133, 362, 263, 168, 6)
_LIPS = (0, 13, 14, 17)
_UNDER_NOSE, _CORNER_LEFT, _CORNER_RIGHT = 2, 291, 61
_FLIP = np.diag([1.0, -1.0, -1.0])
"""MediaPipe's head pose has y upwards and z towards the camera; its landmarks have neither."""


def measure(lm: Array, numbers: list[int], mat: Array) -> Array:
    """Measures (n, 9) in the order of ``MEASURES``; nan where no face is.

    ``lm`` (n, m, 3) in pixels, numbered ``numbers``; ``mat`` (n, 4, 4) head poses.
    """
    eyes = eye_distance(lm, numbers)
    still = without_pose(lm, numbers, mat) / eyes

    def point(number: int) -> Array:
        return np.asarray(still[:, numbers.index(number)])

    behind = np.mean([point(k)[:, 2] for k in _BEHIND], axis=0)
    before = np.mean([point(k)[:, 2] for k in _LIPS], axis=0)
    under = point(_UNDER_NOSE)[:, 1]
    added = [behind - before, under - point(_CORNER_LEFT)[:, 1], under - point(_CORNER_RIGHT)[:, 1]]
    return np.column_stack([grid.lip_measures(lm, numbers), *added])


def eye_distance(lm: Array, numbers: list[int]) -> float:
    """Median distance of the outer eye corners in pixels; nan where no face is at all."""
    pair = lm[:, numbers.index(EYE_RIGHT), :2] - lm[:, numbers.index(EYE_LEFT), :2]
    apart = np.linalg.norm(pair, axis=1)
    return float(np.median(apart[~np.isnan(apart)])) if (~np.isnan(apart)).any() else float("nan")


def without_pose(lm: Array, numbers: list[int], mat: Array) -> Array:
    """Landmarks (n, m, 3) turned back by the head's rotation, about the middle of the eyes."""
    origin = (lm[:, numbers.index(EYE_RIGHT)] + lm[:, numbers.index(EYE_LEFT)]) / 2
    turned = _FLIP @ rotation(mat) @ _FLIP
    return np.asarray(np.einsum("nmi,nij->nmj", lm - origin[:, None], turned))


def rotation(mat: Array) -> Array:
    """Rotations (n, 3, 3) of head poses (n, 4, 4), freed of their scale."""
    part = mat[:, :3, :3]
    return np.asarray(part / np.linalg.norm(part, axis=1, keepdims=True))


def turned_deg(mat: Array) -> Array:
    """How far the face looks away from the camera, in degrees (n,), to the side or up and down."""
    return np.asarray(np.degrees(np.arccos(np.clip(rotation(mat)[:, 2, 2], -1.0, 1.0))))


def yaw_deg(mat: Array) -> Array:
    """How far the face is turned to a side, in degrees (n,)."""
    turned = rotation(mat)
    return np.asarray(np.degrees(np.arctan2(turned[:, 0, 2], turned[:, 2, 2])))


def roll_deg(mat: Array) -> Array:
    """How far the head is tilted towards a shoulder, in degrees (n,); 180 is upside down."""
    turned = rotation(mat)
    return np.asarray(np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 1, 1])))


def bridged(values: Array) -> Array:
    """Columns (n, k) with nan rows filled by straight lines; needs one row without nan."""
    at, out = np.arange(len(values)), values.copy()
    for column in out.T:
        bad = np.isnan(column)
        if bad.any() and not bad.all():
            column[bad] = np.interp(at[bad], at[~bad], column[~bad])
    return out
