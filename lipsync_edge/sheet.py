"""A sheet of the distinct mouths of a sentence, each with its time and what it looks like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.drawing import Pose
from lipsync_edge.mouth import told
from lipsync_edge.portrait import draw
from lipsync_edge.raster import Pixels, captioned, pixels
from lipsync_edge.visemes import TOLD_BY, VISEMES

VIEW = (0.0, 0.37, 0.46)
"""The lower face: what of the picture is shown."""
MOUTH_VIEW = (0.0, 0.37, 0.3)
"""What of the picture a mouth is judged by."""
THUMB = 32
INTENT = 0.08
"""What lips shut by intent count, on the scale of ``distance``."""
COLUMNS, ROWS = 4, 3


@dataclass(frozen=True)
class Sheet:
    """The picture, and for each mouth its time and the viseme whose drawing is nearest."""

    pixels: Pixels
    mouths: list[dict[str, object]]


def look(pose: Pose) -> NDArray[np.float64]:
    """What the eye gets of a mouth: its small picture, (THUMB * THUMB * 3,), 0..1."""
    return pixels(draw(pose), THUMB, MOUTH_VIEW, over=4).reshape(-1) / 255.0


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far looks (..., n) are apart: the root of the mean squared difference, 0..1."""
    return np.asarray(np.sqrt(np.mean((one - other) ** 2, axis=-1)))


def distinct(looks: NDArray[np.float64], n: int) -> list[int]:
    """Of looks (m, n_values) the ``n`` that differ most, beginning with the first; in their order.

    Each next one is the furthest from all that were taken (T. F. Gonzalez, Theoretical Computer
    Science 38, 1985).
    """
    taken, far = [0], distance(looks, looks[0])
    while len(taken) < min(n, len(looks)):
        taken.append(int(far.argmax()))
        far = np.minimum(far, distance(looks, looks[taken[-1]]))
    return sorted(set(taken))


def features(pose: Pose) -> NDArray[np.float64]:
    """A look, and lips that are shut by intent: little to see beside lips at rest, yet they mean
    the most."""
    seen = look(pose)
    return np.append(seen, INTENT * len(seen) ** 0.5 * told(pose))


def nearest_viseme(pose: Pose) -> str:
    """The viseme whose drawing is nearest, of those that the pose's axes can make."""
    names = [name for name in VISEMES if TOLD_BY.get(name, "jawOpen") in pose or name == "rest"]
    looks = np.array([features(VISEMES[name]) for name in names])
    return names[int(distance(looks, features(pose)).argmin())]


def sheet(poses: Iterable[Pose], times_s: Sequence[float], cell: int) -> Sheet:
    """The mouths of a film, ``cell`` pixels wide and high each."""
    kept, looks = [], []
    for pose in poses:
        kept.append({a: v for a, v in pose.items() if not a.startswith("eye")})
        looks.append(features(kept[-1]))
    taken = distinct(np.array(looks), COLUMNS * ROWS)
    cells, mouths = [], []
    for k in taken:
        name = nearest_viseme(kept[k])
        mouths.append({"time_s": round(times_s[k], 3), "like": name})
        picture = pixels(draw(kept[k]), cell, VIEW)
        cells.append(captioned(picture, f"{times_s[k]:.2f} s   {name}"))
    cells += [np.full_like(cells[0], 255)] * (COLUMNS * ROWS - len(cells))
    rows = [np.concatenate(cells[k : k + COLUMNS], axis=1) for k in range(0, len(cells), COLUMNS)]
    return Sheet(np.concatenate(rows), mouths)
