"""The face pose: named axes, the vocabulary of ARKit's blendshapes plus the head's rotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# https://developer.apple.com/documentation/arkit/arfaceanchor/blendshapelocation
BLENDSHAPES: tuple[str, ...] = (
    *(
        f"brow{name}"
        for name in ("DownLeft", "DownRight", "InnerUp", "OuterUpLeft", "OuterUpRight")
    ),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *(
        f"eye{name}{side}"
        for name in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
        for side in ("Left", "Right")
    ),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight", "tongueOut"),
)
HEAD_AXES: tuple[str, ...] = ("headYaw", "headPitch", "headRoll")
AXES: tuple[str, ...] = BLENDSHAPES + HEAD_AXES
CHANNELS: tuple[str, ...] = ("mouthClosure", "speech")
"""What a model may tell beside the face: how likely the lips are shut by intent, and that somebody
speaks, 0..1. They are no shapes: a head profile cannot drive a servo with them."""


def axis_range(axis: str) -> tuple[float, float]:
    """Lowest and highest value of an axis: 0..1, for the head's rotation -1..1."""
    return (-1.0, 1.0) if axis in HEAD_AXES else (0.0, 1.0)


@dataclass(frozen=True)
class MouthShape:
    """Heights of the lips' edges over the mouth's width, for whoever draws it.

    ``x`` (n,) runs from the left corner to the right one as seen from the front, in mouth widths
    of about -1..1; the four edges (n,) are heights, up is positive.
    """

    x: NDArray[np.float64]
    outer_top: NDArray[np.float64]
    inner_top: NDArray[np.float64]
    inner_bottom: NDArray[np.float64]
    outer_bottom: NDArray[np.float64]


def mouth_shape(pose: Mapping[str, float], n_points: int = 41) -> MouthShape:
    """A mouth that shows ``pose`` (missing axes are 0); a drawing, not a measurement."""

    def axis(name: str) -> float:
        sides = (pose.get(name + "Left", 0.0), pose.get(name + "Right", 0.0))
        return pose.get(name, sum(sides) / 2)

    pucker, funnel, jaw = axis("mouthPucker"), axis("mouthFunnel"), axis("jawOpen")
    width = 0.72 + 0.2 * axis("mouthStretch") + 0.15 * axis("mouthSmile")
    width -= 0.3 * pucker + 0.15 * funnel + 0.1 * jaw
    open_share = 1.0 - axis("mouthClose")
    rise = open_share * (0.08 * jaw + 0.16 * axis("mouthUpperUp") + 0.08 * funnel)
    drop = open_share * (0.5 * jaw + 0.16 * axis("mouthLowerDown") + 0.1 * funnel)
    full = 1.0 + 0.5 * pucker + 0.2 * funnel
    full -= 0.5 * axis("mouthPress") + 0.3 * axis("mouthRollLower")
    t = np.linspace(-1.0, 1.0, n_points)
    arch = np.sqrt(np.maximum(0.0, 1.0 - t**2))
    corners = 0.15 * (axis("mouthSmile") - axis("mouthFrown")) * t**2
    cupid = 1.0 - 0.25 * np.exp(-((t / 0.15) ** 2))
    return MouthShape(
        x=width * t,
        outer_top=corners + rise * arch + 0.15 * full * arch * cupid,
        inner_top=corners + rise * arch,
        inner_bottom=corners - drop * arch,
        outer_bottom=corners - drop * arch - 0.2 * full * arch,
    )
