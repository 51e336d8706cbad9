"""From a face pose to a drawing: a short list of filled and stroked paths, in picture units.

The picture runs from -1 to 1 in x (to the right) and y (down). Parts are drawn in their order, one
over the other; nothing is clipped, since whatever lies behind an edge (teeth behind lips, an iris
behind lids) is cut by that edge's height instead. So the same few paths serve SVG, a raster
(``raster``) and a browser's canvas. It is a drawing, not anatomy: its proportions are chosen so
that lips can be read.

Two pictures of the face differ in the coordinates of their points alone: paths, their order,
colours and numbers of points stay, so a film needs the points of each picture and one set of
styles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pose = Mapping[str, float]


@dataclass(frozen=True)
class Path:
    """One path: ``points`` (n, 2) joined by straight lines, in picture units.

    ``fill`` and ``stroke`` are colours as ``#rrggbb``, empty for none; ``width`` of the stroke in
    picture units, its ends and joints are round; ``alpha`` 0..1. A path with a fill is closed.
    """

    name: str
    points: Array
    fill: str = ""
    stroke: str = ""
    width: float = 0.0
    alpha: float = 1.0


def axis(pose: Pose, name: str) -> float:
    """The value of an axis, cut to -1..1; missing or no number: 0."""
    value = float(pose.get(name, 0.0))
    return min(max(value, -1.0), 1.0) if math.isfinite(value) else 0.0


def sides(pose: Pose, name: str) -> tuple[float, float]:
    """The values of an axis that has two sides: (head's left, head's right)."""
    return axis(pose, name + "Left"), axis(pose, name + "Right")


def mean(pose: Pose, name: str) -> float:
    """The mean of the two sides of an axis."""
    return sum(sides(pose, name)) / 2


def smooth(points: Sequence[tuple[float, float]] | Array, closed: bool, steps: int = 5) -> Array:
    """A Catmull-Rom curve through ``points``, ``steps`` points for each of its parts."""
    p = np.asarray(points, float)
    around = [p[-1:], p, p[:2]] if closed else [2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]]
    q = np.concatenate(around)
    a, b, c, d = (q[k : len(q) - 3 + k, None, :] for k in range(4))
    t = (np.arange(steps) / steps)[None, :, None]
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, p[-1:]])


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 24) -> Array:
    """The outline (n, 2) of an ellipse."""
    turn = np.linspace(0.0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], axis=1)


def band(x: Array, top: Array, bottom: Array) -> Array:
    """The outline (2 n, 2) of what lies between two heights over ``x`` (n,)."""
    return np.concatenate(
        [np.stack([x, top], axis=1), np.stack([x, np.maximum(top, bottom)], axis=1)[::-1]]
    )


def shifted(paths: Iterable[Path], x: float, y: float) -> list[Path]:
    """The paths, moved."""
    return [replace(path, points=path.points + np.array((x, y))) for path in paths]


def turned(paths: Iterable[Path], radians: float, x: float, y: float) -> list[Path]:
    """The paths, turned clockwise on screen round the point ``x``, ``y``."""
    c, s = math.cos(radians), math.sin(radians)
    matrix = np.array([[c, s], [-s, c]])
    return [replace(p, points=(p.points - (x, y)) @ matrix + (x, y)) for p in paths]


def svg_path(points: Array, closed: bool) -> str:
    """The ``d`` of an SVG path in thousandths of a picture unit."""
    whole = np.rint(points * 1000).astype(int)
    start, steps = whole[0], np.diff(whole, axis=0)
    return f"M{start[0]},{start[1]}l" + " ".join(f"{x},{y}" for x, y in steps) + "z" * closed


def svg_style(path: Path) -> str:
    """The attributes of a path other than its ``d``."""
    parts = [f'fill="{path.fill or "none"}"']
    if path.stroke:
        parts.append(f'stroke="{path.stroke}" stroke-width="{path.width * 1000:.0f}"')
    if path.alpha < 1:
        parts.append(f'opacity="{path.alpha:.2f}"')
    return " ".join(parts)


def svg(paths: Sequence[Path], size: int) -> str:
    """An SVG file of one picture, ``size`` pixels wide and high."""
    parts = [
        f'<path id="{p.name}" {svg_style(p)} d="{svg_path(p.points, bool(p.fill))}"/>'
        for p in paths
    ]
    return _svg_frame(size, parts)


def svg_film(pictures: Sequence[Sequence[Path]], fps: float, size: int) -> str:
    """An SVG file that moves (SMIL): pictures of one face, ``fps`` a second, again and again."""
    parts = []
    for versions in zip(*pictures, strict=True):
        first = versions[0]
        ways = [svg_path(p.points, bool(p.fill)) for p in versions]
        moves = ""
        if len(set(ways)) > 1:
            moves = (
                f'<animate attributeName="d" dur="{len(ways) / fps:.3f}s" '
                f'repeatCount="indefinite" values="{";".join(ways)}"/>'
            )
        parts.append(f'<path {svg_style(first)} d="{ways[0]}">{moves}</path>')
    return _svg_frame(size, parts)


def _svg_frame(size: int, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" '
        'viewBox="-1000 -1000 2000 2000" stroke-linecap="round" stroke-linejoin="round">'
    )
    return "\n".join([head, *parts, "</svg>", ""])
