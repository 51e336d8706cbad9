"""Drawings as pixels, by Pillow (the extra ``face``).

Why Pillow: it comes as a wheel for every Pi and desktop, needs no system library, and writes PNG.
Cairo would draw edges smoothly by itself, but pycairo has no Linux wheels and cairocffi wants a
library that a robot's system does not have. Pillow's polygons have hard edges, hence a picture is
drawn ``OVER`` times as large and averaged.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.drawing import Path
from lipsync_edge.errors import UsageError

Pixels = NDArray[np.uint8]
OVER = 3
WHOLE = (0.0, 0.0, 1.0)
"""Centre and half the side of the whole picture, in picture units."""


def pillow() -> Any:
    """The modules (Image, ImageDraw, ImageFont). Raises UsageError with the remedy."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise UsageError(
            "Pictures need the package Pillow.",
            f"Install it with: {sys.executable} -m pip install pillow",
        ) from None
    return Image, ImageDraw, ImageFont


def pixels(
    paths: Sequence[Path],
    size: int,
    view: tuple[float, float, float] = WHOLE,
    over: int = OVER,
) -> Pixels:
    """The picture (size, size, 3); ``view``: centre x, y and half the side of what is shown.

    ``over=1``: every pixel has the very colour of one path.
    """
    image_module, draw_module, _ = pillow()
    n = size * over
    image = image_module.new("RGB", (n, n))
    draw = draw_module.Draw(image, "RGBA")
    x, y, half = view
    for path in paths:
        if path.alpha > 0:
            points = (path.points - (x - half, y - half)) * (n / (2 * half)) - 0.5
            _paint(draw, path, points, max(1, round(path.width * n / (2 * half))))
    return np.asarray(image.reduce(over) if over > 1 else image)


def _paint(draw: Any, path: Path, points: NDArray[np.float64], width: int) -> None:
    corners = [tuple(point) for point in points.tolist()]
    if path.fill:
        draw.polygon(corners, fill=_colour(path.fill, path.alpha))
    if not path.stroke:
        return
    colour = _colour(path.stroke, path.alpha)
    if path.fill:
        corners.append(corners[0])
    draw.line(corners, fill=colour, width=width, joint="curve")
    r = width / 2
    if r > 1 and not path.fill and path.alpha == 1:
        for px, py in (corners[0], corners[-1]):
            draw.ellipse((px - r, py - r, px + r, py + r), fill=colour)


def _colour(text: str, alpha: float) -> tuple[int, int, int, int]:
    red, green, blue = (int(text[k : k + 2], 16) for k in (1, 3, 5))
    return red, green, blue, round(255 * alpha)


def captioned(picture: Pixels, text: str) -> Pixels:
    """The picture with a line of text in its lower left corner."""
    image_module, draw_module, font_module = pillow()
    image = image_module.fromarray(picture)
    draw = draw_module.Draw(image, "RGBA")
    high = max(11, picture.shape[0] // 20)
    font = font_module.load_default(high)
    text = text.encode("latin-1", "replace").decode("latin-1")
    at = (high // 2, picture.shape[0] - high * 3 // 2)
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    pad = high // 3
    draw.rounded_rectangle((left - pad, top - pad, right + pad, bottom + pad), pad, (0, 0, 0, 130))
    draw.text(at, text, font=font, fill=(255, 255, 255, 255))
    return np.asarray(image)


def save_png(picture: Pixels, path: FilePath) -> None:
    """Write a PNG, whatever the name ends in."""
    image_module, _, _ = pillow()
    image_module.fromarray(picture).save(path, "PNG", optimize=True)
