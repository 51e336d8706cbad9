"""The whole face of the drawing: hair, ears, skull and jaw, eyes, brows, nose, and the mouth.

Parts that lie nearer to the viewer move more when the head turns, which is all of its depth.
"""

from __future__ import annotations

import numpy as np

from lipsync_edge.drawing import (
    Array,
    Path,
    Pose,
    axis,
    band,
    ellipse,
    mean,
    shifted,
    smooth,
    turned,
)
from lipsync_edge.mouth import OPEN, draw_mouth, mouth

BACKGROUND, HALO = "#a9cbc6", "#bcd8d3"
SKIN, SHADE, DEEP, LINE = "#f3c6a4", "#e5ac88", "#c98a68", "#a8664a"
HAIR, HAIR_LIGHT, BROW = "#44302b", "#5d443b", "#47312a"
WHITE, IRIS, IRIS_DARK, PUPIL = "#fbf9f4", "#4c8a8f", "#2f6065", "#17242a"
BLUSH, SHIRT, SHIRT_DARK = "#e98f7f", "#35576e", "#2a475b"

EYE_X, EYE_Y, EYE_HALF = 0.237, -0.19, 0.13
CHIN_SHARE = 0.74
"""How far the chin goes down, as a share of the gap that the jaw makes."""
YAW, PITCH, ROLL = 0.10, 0.07, 0.30
"""A whole turn of an axis: shifts of what is at depth 1, in picture units; a tilt in radians."""
NECK = (0.0, 0.75)

# The right half of the face's outline from the top of the skull to the chin, jaw closed.
OUTLINE = np.array([(0.0, -0.83), (0.33, -0.76), (0.52, -0.54), (0.575, -0.24), (0.565, 0.04),
                    (0.525, 0.27), (0.43, 0.47), (0.28, 0.615), (0.12, 0.672)])  # fmt: skip
HAIR_BACK = np.array([(0.0, -0.965), (0.3, -0.925), (0.51, -0.77), (0.615, -0.52),
                      (0.62, -0.30)])  # fmt: skip
NAPE = np.array([(0.59, -0.14), (0.45, 0.0)])
FRINGE = np.array([(-0.612, -0.12), (-0.565, -0.14), (-0.535, -0.30), (-0.44, -0.475),
                   (-0.28, -0.55), (-0.05, -0.575), (0.14, -0.625), (0.27, -0.69), (0.37, -0.57),
                   (0.48, -0.45), (0.54, -0.30), (0.565, -0.14), (0.612, -0.12)])  # fmt: skip
STRANDS = (((-0.50, -0.55), (-0.36, -0.66), (-0.10, -0.70), (0.12, -0.72)),
           ((-0.40, -0.72), (-0.24, -0.79), (-0.02, -0.81), (0.16, -0.80)),
           ((0.33, -0.74), (0.44, -0.66), (0.52, -0.52), (0.56, -0.38)))  # fmt: skip
SHOULDERS = ((-1.05, 1.1), (-0.98, 0.98), (-0.66, 0.90), (-0.30, 0.84), (0.0, 0.90),
             (0.30, 0.84), (0.66, 0.90), (0.98, 0.98), (1.05, 1.1))  # fmt: skip
THROAT = ((-0.27, 0.3), (-0.265, 0.62), (-0.30, 0.86), (-0.14, 0.955), (0.0, 0.975),
          (0.14, 0.955), (0.30, 0.86), (0.265, 0.62), (0.27, 0.3))  # fmt: skip
COLLAR = ((-0.315, 0.855), (-0.15, 0.965), (0.0, 0.99), (0.15, 0.965), (0.315, 0.855))
EAR_FOLD = ((0.60, -0.12), (0.638, -0.08), (0.618, 0.01))
NOSE_SIDE = ((0.05, -0.15), (0.03, -0.02), (0.045, 0.06), (0.098, 0.115), (0.09, 0.158),
             (0.0, 0.185), (0.0, -0.1))  # fmt: skip
NOSE_WINGS = ((-0.096, 0.10), (-0.112, 0.138), (-0.088, 0.167), (-0.05, 0.163), (0.0, 0.186),
              (0.05, 0.163), (0.088, 0.167), (0.112, 0.138), (0.096, 0.10))  # fmt: skip


def draw(pose: Pose) -> list[Path]:
    """A face for a pose, to be drawn in this order; the picture is -1..1 both ways.

    Axes that are missing are 0, values are cut to -1..1, what is no number counts as 0.
    """
    drop = CHIN_SHARE * OPEN * axis(pose, "jawOpen")
    yaw, pitch, roll = (axis(pose, a) for a in ("headYaw", "headPitch", "headRoll"))

    def at(depth: float, paths: list[Path]) -> list[Path]:
        moved = shifted(paths, YAW * yaw * depth, -PITCH * pitch * depth)
        return turned(moved, ROLL * roll, *NECK)

    return [
        Path("background", np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float), BACKGROUND),
        Path("halo", ellipse(0.0, -0.1, 0.86, 0.86, 48), HALO),
        *at(-0.35, [_hair_back()]),
        *_body(),
        *at(-0.2, _ears()),
        *at(0.2, [_neck_shadow(drop)]),
        *at(0.35, _skull(pose, drop)),
        *at(0.75, [*_cheeks(pose, drop), *_folds(pose)]),
        *at(0.8, [*_eye(pose, 0), *_eye(pose, 1)]),
        *at(0.85, draw_mouth(pose)),
        *at(0.85, _chin_shade(pose, drop)),
        *at(1.15, _nose(pose)),
        *at(0.35, _fringe()),
        *at(0.8, [_brow(pose, 0), _brow(pose, 1)]),
    ]


def _mirror(points: Array) -> Array:
    return points * (-1.0, 1.0)


def _hair_back() -> Path:
    half = np.concatenate([HAIR_BACK, NAPE])
    ring = np.concatenate([half, _mirror(half)[:0:-1]])
    return Path("hair_back", smooth(ring, True), HAIR)


def _body() -> list[Path]:
    return [
        Path("shirt", smooth(SHOULDERS, False), SHIRT),
        Path("neck", smooth(THROAT, False), SHADE),
        Path("collar", smooth(COLLAR, False), "", SHIRT_DARK, 0.04),
    ]


def _ears() -> list[Path]:
    paths = []
    for side, name in ((1, "left"), (-1, "right")):
        ear = ellipse(side * 0.592, -0.05, 0.075, 0.14)
        fold = np.array(EAR_FOLD) * (side, 1)
        paths += [
            Path(f"ear_{name}", ear, SHADE),
            Path(f"ear_fold_{name}", smooth(fold, False), "", DEEP, 0.014),
        ]
    return paths


def _outline(pose: Pose, drop: float) -> Array:
    half = OUTLINE.copy()
    low = np.clip((half[:, 1] - 0.0) / 0.6, 0.0, 1.0)
    low = low * low * (3 - 2 * low)
    half[:, 0] *= 1 - 0.22 * drop * np.sin(np.pi * low)
    puff = np.exp(-(((half[:, 1] - 0.3) / 0.2) ** 2))
    half[:, 0] += puff * (0.05 * axis(pose, "cheekPuff") + 0.02 * mean(pose, "mouthSmile"))
    half[:, 1] += low * drop
    chin = np.array([(0.0, half[-1, 1] + 0.012)])
    ring = np.concatenate([half, chin, _mirror(half)[:0:-1]])
    jaw = 0.04 * (axis(pose, "jawLeft") - axis(pose, "jawRight"))
    ring[:, 0] += jaw * np.clip((ring[:, 1] - 0.2) / 0.5, 0, 1)
    return smooth(ring, True)


def _skull(pose: Pose, drop: float) -> list[Path]:
    edge = _outline(pose, drop)
    lit = (edge - (0.0, -0.1)) * (0.955, 0.975) + (-0.018, -0.1)
    return [Path("face_edge", edge, SHADE), Path("face", lit, SKIN)]


def _neck_shadow(drop: float) -> Path:
    y = 0.60 + drop
    edge = [(-0.262, 0.38), (-0.262, y - 0.02), (-0.14, y + 0.12), (0.0, y + 0.15),
            (0.14, y + 0.12), (0.262, y - 0.02), (0.262, 0.38)]  # fmt: skip
    return Path("neck_shadow", smooth(edge, False), DEEP, alpha=0.55)


def _cheeks(pose: Pose, drop: float) -> list[Path]:
    paths = []
    for side, name in ((1, "Left"), (-1, "Right")):
        up = 0.03 * axis(pose, f"mouthSmile{name}") + 0.03 * axis(pose, f"cheekSquint{name}")
        for k in range(7):
            r = 0.155 - 0.016 * k
            spot = ellipse(side * 0.36, 0.115 - up + 0.15 * drop, r, 0.75 * r)
            paths.append(Path(f"blush_{k}_{name}", spot, BLUSH, alpha=0.04))
    return paths


def _folds(pose: Pose) -> list[Path]:
    """The folds from the nose's wings to the mouth's corners."""
    m, paths = mouth(pose), []
    for side, name in ((1, "Left"), (-1, "Right")):
        corner = abs(m.x[-1 if side > 0 else 0])
        y = float(m.inner_top[-1 if side > 0 else 0])
        work = axis(pose, f"mouthSmile{name}") + 0.6 * axis(pose, f"mouthStretch{name}")
        work += 0.5 * axis(pose, f"mouthUpperUp{name}") + 0.5 * axis(pose, f"noseSneer{name}")
        fold = [(0.115, 0.13), (0.15 + 0.25 * corner, 0.2), (max(corner, 0.19) + 0.055, y - 0.03)]
        curve = smooth(np.array(fold) * (side, 1), False)
        width = 0.003 + 0.018 * min(max(work, 0.0), 1.0)
        paths.append(Path(f"fold_{name}", _tapered(curve, width), DEEP, alpha=0.45))
    return paths


def _tapered(curve: Array, width: float) -> Array:
    """The outline of a line (n, 2) that is ``width`` in the middle and ends in points."""
    along = np.gradient(curve, axis=0)
    across = along[:, ::-1] * (-1.0, 1.0) / np.hypot(*along.T)[:, None]
    half = width / 2 * np.sin(np.linspace(0, np.pi, len(curve)))[:, None] * across
    return np.concatenate([curve + half, (curve - half)[::-1]])


def _chin_shade(pose: Pose, drop: float) -> list[Path]:
    m = mouth(pose)
    y = m.chin + 0.035
    below = smooth([(-0.1, y - 0.006), (0.0, y + 0.012), (0.1, y - 0.006)], False)
    light = ellipse(0.0, 0.575 + drop, 0.1, 0.045)
    top = float(m.outer_top[len(m.x) // 2])
    ridges = [
        Path(f"philtrum_{side}",
             _tapered(np.linspace((side * 0.02, 0.2), (side * 0.034, top - 0.01), 7), 0.014),
             DEEP, alpha=0.3)
        for side in (-1, 1)
    ]  # fmt: skip
    return [
        Path("under_lip", _tapered(below, 0.03), DEEP, alpha=0.5),
        Path("chin_light", light, "#fbdcc2", alpha=0.4),
        *ridges,
    ]


def _nose(pose: Pose) -> list[Path]:
    up = 0.02 * mean(pose, "noseSneer")
    wide = 1 + 0.12 * mean(pose, "noseSneer") + 0.05 * mean(pose, "mouthSmile")
    scale = np.array((wide, 1.0))
    return shifted(
        [
            Path("nose_side", smooth(np.array(NOSE_SIDE) * scale, True), SHADE, alpha=0.45),
            Path("nose_light", ellipse(-0.015, 0.105, 0.034, 0.028), "#fde3cd", alpha=0.7),
            Path("nose", smooth(np.array(NOSE_WINGS) * scale, False), "", DEEP, 0.013),
            Path("nostril_left", ellipse(0.045 * wide, 0.163, 0.024, 0.010, 12), LINE, alpha=0.8),
            Path("nostril_right", ellipse(-0.045 * wide, 0.163, 0.024, 0.010, 12), LINE, alpha=0.8),
        ],
        0.0,
        -up,
    )


def _eye(pose: Pose, which: int) -> list[Path]:
    """The head's left eye (0) or right one (1)."""
    side, name = (1, "Left") if which == 0 else (-1, "Right")
    blink, wide, squint = (axis(pose, f"eye{a}{name}") for a in ("Blink", "Wide", "Squint"))
    smile = axis(pose, f"mouthSmile{name}")
    look = {a: axis(pose, f"eyeLook{a}{name}") for a in ("In", "Out", "Up", "Down")}
    up = look["Up"] - look["Down"]
    open_ = min(max(1 - blink, 0.0), 1.0)
    u = np.linspace(-1, 1, 21)
    x = side * EYE_X + EYE_HALF * u
    tilt = -0.012 * side * u
    low = 0.040 * (1 - 0.5 * squint - 0.25 * smile) * (1 - u**2) ** 0.8
    high = 0.078 * (1 + 0.3 * wide - 0.25 * squint + 0.18 * up) * (1 - np.abs(u) ** 2.2) ** 0.75
    bottom = EYE_Y + tilt + low
    top = bottom - open_ * (high + low) - (1 - open_) * 0.002
    centre_x = side * (EYE_X + 0.05 * (look["Out"] - look["In"]))
    centre_y = EYE_Y - 0.014 - 0.035 * up

    def disc(part: str, r: float, colour: str, dx: float = 0.0, dy: float = 0.0) -> Path:
        t = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 17))
        at = centre_x + dx + r * t
        arch = r * np.sqrt(1 - t**2)
        lids = [np.interp(at, x, lid) for lid in (top, bottom)]
        over = np.clip(centre_y + dy - arch, *lids)
        under = np.clip(centre_y + dy + arch, *lids)
        return Path(f"{part}_{name}", band(at, over, under), colour)

    crease = np.stack([x, EYE_Y + tilt - 0.03 - (high * 0.95) * (0.45 + 0.55 * open_)], axis=1)
    lash = np.stack([x, top], axis=1)
    return [
        Path(f"socket_{name}", ellipse(side * EYE_X, EYE_Y - 0.03, 0.15, 0.1), SHADE, alpha=0.35),
        Path(f"white_{name}", band(x, top, bottom), WHITE),
        disc("iris", 0.064, IRIS_DARK),
        disc("iris_light", 0.053, IRIS),
        disc("pupil", 0.030, PUPIL),
        disc("glint", 0.016, "#ffffff", -0.02, -0.022),
        Path(f"lid_shade_{name}", band(x, top, np.minimum(top + 0.014, bottom)), PUPIL, alpha=0.18),
        Path(f"lower_lid_{name}", np.stack([x, bottom], axis=1)[2:-2], "", DEEP, 0.008),
        Path(f"crease_{name}", crease[2:-2], "", DEEP, 0.010),
        Path(f"lash_{name}", lash, "", PUPIL, 0.02),
    ]


def _brow(pose: Pose, which: int) -> Path:
    side, name = (1, "Left") if which == 0 else (-1, "Right")
    inner, outer, down = (
        axis(pose, "browInnerUp"),
        axis(pose, f"browOuterUp{name}"),
        axis(pose, f"browDown{name}"),
    )
    u = np.linspace(0.0, 1.0, 13)  # from the nose outwards
    x = 0.105 + 0.275 * u
    lift = inner * (1 - u) ** 1.2 + outer * u**0.8 - 0.7 * down * (1 - 0.4 * u)
    y = -0.335 - 0.062 * np.sin(np.pi * (0.12 + 0.68 * u)) + 0.02 * u - 0.075 * lift
    half = 0.023 * (1 - 0.75 * u**1.6) * np.minimum(1, 0.55 + 4 * u)
    return Path(f"brow_{name}", band(side * x, y - half, y + half), BROW)


def _fringe() -> list[Path]:
    crown = np.concatenate([HAIR_BACK[::-1], _mirror(HAIR_BACK)[1:]])
    ring = np.concatenate([FRINGE, crown])
    strands = [
        Path(f"strand_{k}", smooth(strand, False), "", HAIR_LIGHT, 0.014)
        for k, strand in enumerate(STRANDS)
    ]
    return [Path("fringe", smooth(ring, True), HAIR), *strands]
