"""The mouth of the drawing: lips, teeth, tongue, and the dark between.

Everything is a height over the mouth's width, y down. ``t`` runs from -1 (the corner at the left of
the picture, which is the head's right) to 1. The lips are ``gap`` apart in the middle,

    gap = OPEN * (1 - told) * max(0, sum of GAP[axis] * axis)        (``emphasis.GAP``)

and ``gap * (1 - |s|^p)^q`` elsewhere, ``s`` being ``t`` over the narrower width on which the lips
part; ``told`` is how sure the model's channel ``mouthClosure`` is of shut lips. The upper teeth
stay with the skull and the lower ones with the jaw, so that lips alone decide how much of them
shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync_edge.drawing import Array, Path, Pose, axis, band, mean, sides
from lipsync_edge.emphasis import CLOSURE_AXIS, DOUBT, GAP, SURE

Y, HALF_WIDTH, OPEN = 0.335, 0.25, 0.2
"""Height of the closed lips' seam, half the width at rest, and the gap of a fully open jaw."""
UPPER, LOWER = 0.052, 0.074
"""Thickness of the lips at rest."""
TEETH_WIDTH, TEETH_EDGE = 0.19, 0.034
"""Half the width of the row of teeth, and how far the upper ones reach below the seam."""
TEETH_BETWEEN = (0.0, 0.046, 0.086, 0.12, 0.149, 0.172)
N_POINTS = 41
LIP_TOP, LIP_LOW, LIP_LIGHT, SEAM = "#b4504e", "#c9645d", "#e59a8c", "#6b2527"
INSIDE, TEETH, TEETH_LINE, TONGUE, TONGUE_LINE = (
    *("#34090d", "#faf6ee", "#d3c8bd", "#c95b63", "#93343f"),
)


@dataclass(frozen=True)
class Mouth:
    """The edges (n,) of the lips over ``x`` (n,), the opening in the middle, how much lips are
    rounded and the lower one is rolled in, 0..1, where the jaw's teeth begin, and how much of the
    upper ones lips hide that are pushed forwards."""

    x: Array
    outer_top: Array
    inner_top: Array
    inner_bottom: Array
    outer_bottom: Array
    gap: float
    round: float
    roll: float
    jaw_teeth: float
    forward: float

    @property
    def chin(self) -> float:
        """The lowest height of the lower lip."""
        return float(self.outer_bottom.max())


def told(pose: Pose) -> float:
    """How sure the model is that the lips are shut, 0..1."""
    return min(max((axis(pose, CLOSURE_AXIS) - DOUBT) / (SURE - DOUBT), 0.0), 1.0)


def opening(pose: Pose) -> float:
    """How far the lips are apart in the middle, 1 = by a fully open jaw."""
    apart = sum(share * axis(pose, name) for name, share in GAP.items())
    return (1.0 - told(pose)) * max(0.0, apart)


def mouth(pose: Pose) -> Mouth:
    """The lips' edges for a pose."""
    jaw, pucker, funnel = (axis(pose, a) for a in ("jawOpen", "mouthPucker", "mouthFunnel"))
    smile, stretch = mean(pose, "mouthSmile"), mean(pose, "mouthStretch")
    gap = opening(pose)
    round_ = min(pucker + 0.6 * funnel, 1.0)
    press = min(mean(pose, "mouthPress") + 0.7 * told(pose), 1.0)
    wide = 1.0 + 0.4 * stretch + 0.2 * smile + 0.06 * press
    width = HALF_WIDTH * max(wide - 0.5 * pucker - 0.28 * funnel - 0.1 * min(gap, 1.0), 0.42)
    inner = width * (0.9 + 0.06 * stretch - 0.22 * round_)
    t = np.sin(np.linspace(-np.pi / 2, np.pi / 2, N_POINTS))
    s = np.minimum(np.abs(width * t) / inner, 1.0)
    apart = OPEN * gap * (1 - s ** (2.1 + 1.2 * stretch)) ** (0.72 - 0.2 * round_)
    # The upper lip rises by itself; the seam lies two fifths below it, and on a lowered jaw lower.
    rise = 0.15 * sum(sides(pose, "mouthUpperUp")) + 0.1 * funnel
    shut = max(0.0, jaw + rise + 0.15 * sum(sides(pose, "mouthLowerDown")) + 0.1 * funnel - gap)
    middle = Y + OPEN * (0.4 * gap - rise + 0.35 * shut) - 0.01 * axis(pose, "mouthShrugLower")
    lift = [
        0.01 + 0.075 * axis(pose, f"mouthSmile{side}") - 0.08 * axis(pose, f"mouthFrown{side}")
        for side in ("Left", "Right")
    ]
    base = middle - np.where(t > 0, *lift) * np.abs(t) ** 1.8 - 0.006 * (1 - t**2)
    base += (0.012 * np.exp(-((t / 0.25) ** 2)) - 0.006) * (1 - min(gap * 4, 1.0))
    up, down = (
        (a - b) * t for a, b in (sides(pose, "mouthUpperUp"), sides(pose, "mouthLowerDown"))
    )
    top = base - 0.4 * apart * (1 + 0.8 * up)
    bottom = base + 0.6 * apart * (1 + 0.8 * down)
    full = 1.0 + 0.55 * pucker + 0.3 * funnel - 0.28 * stretch - 0.15 * smile - 0.1 * min(gap, 1.0)
    roll = axis(pose, "mouthRollLower")
    upper = UPPER * max(full - 0.5 * press - 0.8 * axis(pose, "mouthRollUpper"), 0.15)
    lower = LOWER * max(full - 0.45 * press - 0.75 * roll, 0.15)
    bow = 1 - (0.3 - 0.12 * round_) * np.exp(-((t / 0.15) ** 2))
    # Outside, lips open over their whole width, so that their corners stay soft.
    outside = OPEN * gap * (1 - np.abs(t) ** 2.2) ** 0.72
    sideways = HALF_WIDTH * 0.12 * (axis(pose, "mouthLeft") - axis(pose, "mouthRight"))
    return Mouth(
        x=width * t + sideways * 2,
        outer_top=np.minimum(top, base - 0.4 * outside)
        - upper * (1 - np.abs(t) ** (1.7 + 0.8 * round_)) ** (0.9 - 0.3 * round_) * bow,
        inner_top=top,
        inner_bottom=bottom,
        outer_bottom=np.maximum(bottom, base + 0.6 * outside)
        + lower * (1 - np.abs(t) ** 2.3) ** (0.85 - 0.3 * round_),
        gap=gap,
        round=round_,
        roll=roll,
        jaw_teeth=Y + TEETH_EDGE - 0.01 + 0.93 * OPEN * jaw,
        forward=0.07 * pucker + 0.012 * funnel,
    )


def draw_mouth(pose: Pose) -> list[Path]:
    """The mouth, from the back to the front."""
    m = mouth(pose)
    out = axis(pose, "tongueOut") * min(m.gap / 0.1, 1.0)
    lower_lip = band(m.x, m.inner_bottom, m.outer_bottom)
    upper_lip = band(m.x, m.outer_top, m.inner_top)
    return [
        Path("inside", band(m.x, m.inner_top, m.inner_bottom), INSIDE),
        *_tongue(m),
        *_lower_teeth(m),
        Path("lower_lip", lower_lip, LIP_LOW, LIP_LOW, 0.004),
        _light(m),
        *_upper_teeth(m),
        *_tip(m, out),
        Path("upper_lip", upper_lip, LIP_TOP, LIP_TOP, 0.004),
        Path("seam_top", np.stack([m.x, m.inner_top], axis=1)[4:-4], "", SEAM, 0.009),
        Path("seam_bottom", np.stack([m.x, m.inner_bottom], axis=1)[4:-4], "", SEAM, 0.006),
    ]


def _within(m: Mouth, half_width: float, n: int = 25) -> tuple[Array, Array, Array]:
    """Places across the mouth, no further out than the lips, and the inner edges there."""
    x = np.clip(np.linspace(-half_width, half_width, n), m.x[0], m.x[-1])
    return x, np.interp(x, m.x, m.inner_top), np.interp(x, m.x, m.inner_bottom)


def _upper_teeth(m: Mouth) -> list[Path]:
    x, top, bottom = _within(m, TEETH_WIDTH)
    # Over a lower lip that is rolled in (f, v) the edge of the teeth stays in sight.
    bite = 0.02 * m.roll * min(m.gap / 0.1, 1.0)
    edge = np.minimum(_edge(x) - m.forward, bottom + bite * (bottom > top + 1e-3))
    shade = np.minimum(edge, top + 0.016)
    return [
        Path("upper_teeth", band(x, top, edge), TEETH),
        Path("upper_teeth_shade", band(x, top, shade), TEETH_LINE, alpha=0.5),
        *_gaps("upper_gap", x, top, np.maximum(edge, top)),
    ]


def _lower_teeth(m: Mouth) -> list[Path]:
    x, top, bottom = _within(m, 0.85 * TEETH_WIDTH)
    edge = np.clip(m.jaw_teeth + 0.05 * np.abs(x / (0.85 * TEETH_WIDTH)) ** 5, top, bottom)
    return [
        Path("lower_teeth", band(x, edge, bottom), "#e9e1d6"),
        *_gaps("lower_gap", x, edge, bottom, 0.8),
    ]


def _edge(x: Array) -> Array:
    """The lower edge of the upper teeth: an arch that rises to the sides."""
    r = np.abs(x) / TEETH_WIDTH
    return np.asarray(Y + TEETH_EDGE - 0.03 * r**2.2 - 0.07 * r**9)


def _gaps(name: str, x: Array, top: Array, bottom: Array, scale: float = 1.0) -> list[Path]:
    """The lines between teeth."""
    lines = []
    for k, b in enumerate(TEETH_BETWEEN[1:] + tuple(-b for b in TEETH_BETWEEN)):
        at = min(max(scale * b, x[0]), x[-1])  # at its end the row is hidden behind the lips
        high, low = (float(np.interp(at, x, edge)) for edge in (top, bottom))
        line = np.array([[at, high], [at, high if low - high < 0.004 else low]])
        lines.append(Path(f"{name}_{k}", line, "", TEETH_LINE, 0.004))
    return lines


def _tongue(m: Mouth) -> list[Path]:
    """The tongue at rest, behind the lower teeth; rounded lips draw it back."""
    x, top, bottom = _within(m, 0.62 * TEETH_WIDTH)
    t = np.linspace(-1, 1, len(x))
    back = m.jaw_teeth - 0.035 * (1 - 0.9 * m.round) - 0.05 * min(m.gap, 1.2)
    hill = np.clip(back + 0.05 * np.abs(t) ** 2.5 + 0.15 * np.abs(t) ** 12, top, bottom)
    groove = np.array([[0.0, min(hill[12] + 0.012, bottom[12])], [0.0, bottom[12]]])
    return [
        Path("tongue", band(x, hill, bottom), TONGUE),
        Path("tongue_line", groove, "", TONGUE_LINE, 0.006),
    ]


def _tip(m: Mouth, out: float) -> list[Path]:
    """The tip of the tongue between the teeth (l, th), over the lower lip where it is far out."""
    t = np.linspace(-1, 1, 21)
    x = np.clip(0.1 * (1 - 0.3 * m.round) * t, m.x[0], m.x[-1])
    top, bottom = np.interp(x, m.x, m.inner_top), np.interp(x, m.x, m.inner_bottom)
    arch = np.sqrt(1 - t**2)
    raised = np.maximum(Y + TEETH_EDGE - 0.012, top)
    upper = bottom - np.clip(min(3.0 * out, 1.0) * arch, 0, 1) * np.maximum(bottom - raised, 0)
    lower = bottom + arch * 0.09 * max(0.0, out - 0.25)
    light = upper + 0.012 * arch * min(4 * out, 1.0)
    return [
        Path("tongue_tip", band(x, upper, lower), TONGUE),
        Path("tongue_tip_light", band(x, upper, np.minimum(light, lower)), "#dd8286"),
    ]


def _light(m: Mouth) -> Path:
    """The light on the lower lip."""
    middle = slice(N_POINTS // 4, -N_POINTS // 4 + 1)
    thick = (m.outer_bottom - m.inner_bottom)[middle]
    x = m.x[middle] * 0.75
    t = np.linspace(-1, 1, len(x))
    centre = m.inner_bottom[middle] + 0.4 * thick
    half = 0.13 * thick * np.sqrt(1 - t**2)
    return Path("lip_light", band(x, centre - half, centre + half), LIP_LIGHT, alpha=0.75)
