"""The face pose: named axes, the vocabulary of ARKit's blendshapes plus the head's rotation."""

from __future__ import annotations

# https://developer.apple.com/documentation/arkit/arfaceanchor/blendshapelocation
BLENDSHAPES: tuple[str, ...] = (
    *(f"brow{name}" for name in ("DownLeft", "DownRight", "InnerUp", "OuterUpLeft", "OuterUpRight")),
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


def axis_range(axis: str) -> tuple[float, float]:
    """Lowest and highest value of an axis: 0..1, for the head's rotation -1..1."""
    return (-1.0, 1.0) if axis in HEAD_AXES else (0.0, 1.0)
