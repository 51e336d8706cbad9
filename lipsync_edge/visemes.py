"""Mouths that a lip-reader tells apart, as poses: the reference that drawings are judged by.

Sounds that look alike share a mouth, which is what a viseme is (C. G. Fisher, Journal of Speech and
Hearing Research 11(4), 1968): p b m, f v, w with the vowel of "who", and so on. The numbers are
ours: how these mouths are made on ARKit's axes.
"""

from __future__ import annotations

from collections.abc import Mapping


def both(**axes: float) -> dict[str, float]:
    """A pose; an axis that has sides is written without one and holds for both."""
    pose: dict[str, float] = {}
    for name, value in axes.items():
        names = (f"{name}Left", f"{name}Right") if name in SIDED else (name,)
        pose.update(dict.fromkeys(names, value))
    return pose


SIDED = {
    f"mouth{part}"
    for part in ("Stretch", "Smile", "Frown", "Press", "UpperUp", "LowerDown", "Dimple")
}
TOLD_BY = {"f v": "mouthRollLower", "l th": "tongueOut"}
"""The axis without which a mouth does not make a viseme, whatever else it looks like."""
VISEMES: Mapping[str, Mapping[str, float]] = {
    "rest": {},
    "p b m": both(jawOpen=0.12, mouthClose=0.12, mouthPress=0.6, mouthRollLower=0.2,
                  mouthClosure=1.0),
    "f v": both(jawOpen=0.1, mouthRollLower=0.6, mouthUpperUp=0.3, mouthLowerDown=0.1),
    "w oo": both(jawOpen=0.2, mouthPucker=0.8, mouthFunnel=0.4, mouthLowerDown=0.1),
    "ee": both(jawOpen=0.2, mouthStretch=0.7, mouthSmile=0.25, mouthUpperUp=0.3,
               mouthLowerDown=0.4),
    "ah": both(jawOpen=0.9, mouthLowerDown=0.5, mouthUpperUp=0.3),
    "eh": both(jawOpen=0.45, mouthLowerDown=0.4, mouthUpperUp=0.2, mouthStretch=0.15),
    "oh": both(jawOpen=0.6, mouthFunnel=0.6, mouthPucker=0.35),
    "s z": both(jawOpen=0.05, mouthStretch=0.3, mouthUpperUp=0.5, mouthLowerDown=0.85),
    "sh ch": both(jawOpen=0.1, mouthFunnel=0.75, mouthPucker=0.25, mouthUpperUp=0.3,
                  mouthLowerDown=0.3),
    "l th": both(jawOpen=0.35, tongueOut=0.5, mouthUpperUp=0.25, mouthLowerDown=0.3),
}  # fmt: skip
