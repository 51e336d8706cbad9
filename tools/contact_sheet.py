"""A picture of a set: the widest mouth of each clip as points, its opening, its sound.

Drawn from the numbers that are kept: there are no pictures of anybody in it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_tools import shards

MOST = 60
COLUMNS = 5
WIDTH, HEIGHT, FACE = 260, 132, 96
INK, PALE, LIPS, SOUND = (40, 40, 40), (170, 170, 170), (190, 40, 60), (120, 150, 200)
_LIP_POINTS = frozenset(
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
     78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415)
)  # fmt: skip


def draw(folder: Path) -> bytes:
    """PNG of a set's contact sheet; of many clips, some from everywhere."""
    from PIL import Image, ImageDraw

    where = [(path, clip["clip"]) for path in shards.shard_paths(folder)
             for clip in shards.read_film(path)["clips"] if clip["kept"]]  # fmt: skip
    if len(where) > MOST:
        where = [where[k] for k in np.linspace(0, len(where) - 1, MOST).astype(int)]
    rows = max(1, -(-len(where) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    wanted: dict[Path, set[str]] = {}
    for path, stem in where:
        wanted.setdefault(path, set()).add(stem)
    k = 0
    for path, stems in wanted.items():
        for stem, members in shards.read_members(path):
            if stem in stems:
                _cell(pen, members, k % COLUMNS * WIDTH, k // COLUMNS * HEIGHT)
                k += 1
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    return file.getvalue()


def _cell(pen: Any, members: dict[str, bytes], x: int, y: int) -> None:
    import soundfile

    told = json.loads(members["json"])
    with np.load(io.BytesIO(members["npz"]), allow_pickle=False) as track:
        numbers, lm = track["idx"].tolist(), track["lm"]
        opening = track["measures"][:, 0]
    samples, _ = soundfile.read(io.BytesIO(members["flac"]), dtype="float32")
    moved = told["figures"]["sound_moved_ms"]
    pen.text((x + 4, y + 2), f"{told['speaker']}  {told['film']}"[:40], fill=INK)
    agreement = told["figures"]["sync"]["agreement"]
    under = f"{told['start_s']:.1f} s  r {agreement:.2f}" + (f"  {moved:+d} ms" if moved else "")
    pen.text((x + 4, y + HEIGHT - 14), under, fill=INK)
    _face(pen, lm[int(np.nanargmax(opening))], numbers, x + 4, y + 16)
    _curves(pen, opening, samples, x + FACE + 12, y + 20, WIDTH - FACE - 20, HEIGHT - 40)


def _face(pen: Any, points: NDArray[np.float32], numbers: list[int], x: int, y: int) -> None:
    low = np.nanmin(points[:, :2], axis=0)
    size = float(np.nanmax(points[:, :2] - low)) or 1.0
    for number, point in zip(numbers, points, strict=True):
        px, py = ((point[:2] - low) / size * FACE + (x, y)).astype(int).tolist()
        pen.ellipse((px - 1, py - 1, px + 1, py + 1), fill=LIPS if number in _LIP_POINTS else PALE)


def _curves(pen: Any, opening: NDArray[np.float64], samples: NDArray[np.float32],
            x: int, y: int, width: int, height: int) -> None:  # fmt: skip
    blocks = np.array_split(np.abs(samples), width)
    loud = np.array([float(block.max()) if len(block) else 0.0 for block in blocks])
    loud /= max(float(loud.max()), 1e-6)
    middle = y + height * 3 // 4
    for k, level in enumerate(loud):
        reach = int(level * height / 4)
        pen.line((x + k, middle - reach, x + k, middle + reach), fill=SOUND)
    shown = np.nan_to_num(opening - np.nanmin(opening))
    shown /= max(float(shown.max()), 1e-6)
    at = np.linspace(x, x + width - 1, len(shown))
    line = [(int(a), int(y + height / 2 - v * height / 2)) for a, v in zip(at, shown, strict=True)]
    pen.line(line, fill=LIPS)
