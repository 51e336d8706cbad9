"""The face in the terminal: the mouth in braille dots, a bar for each servo, one line of health."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.face import mouth_shape
from lipsync_edge.head import Head
from lipsync_edge.telemetry import Scene

# Bit of each dot of a braille character, by row (4) and column (2): Unicode 15, U+2800.
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
HOME, CLEAR_LINE, HIDE, SHOW = "\x1b[{}A", "\x1b[K", "\x1b[?25l", "\x1b[?25h"


def mouth_dots(pose: Mapping[str, float], n_rows: int, n_columns: int) -> NDArray[np.bool_]:
    """The lips as a raster (n_rows, n_columns) of dots; the mouth fills its width."""
    shape = mouth_shape(pose)
    x = np.linspace(-1.0, 1.0, n_columns)
    # A dot is as high as it is wide, so that the picture keeps its proportions.
    y = 0.42 - np.arange(n_rows)[:, None] * 2.0 / n_columns
    edges = [
        np.interp(x, shape.x, edge, left=np.nan, right=np.nan)
        for edge in (shape.outer_top, shape.inner_top, shape.inner_bottom, shape.outer_bottom)
    ]
    seam = 1.0 / n_columns  # closed lips still show the line where they meet
    upper = (y <= edges[0]) & (y >= edges[1] + seam)
    lower = (y <= edges[2] - seam) & (y >= edges[3])
    return np.asarray(upper | lower)


def braille(dots: NDArray[np.bool_]) -> list[str]:
    """Lines of text for a raster whose sides are multiples of 4 (rows) and 2 (columns)."""
    rows, columns = dots.shape
    cells = dots.reshape(rows // 4, 4, columns // 2, 2).transpose(0, 2, 1, 3)
    codes = 0x2800 + (cells * DOTS).sum(axis=(2, 3))
    return ["".join(map(chr, line)) for line in codes]


def bar(share: float, width: int = 16) -> str:
    """A bar of ``width`` characters, filled to ``share`` (0..1) in eighths."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width)


class FaceView:
    """Draws one picture over the other; leaves the terminal as it was."""

    ROWS, COLUMNS = 12, 46
    NARROWEST = 26  # a name, a pulse, and the spaces between them

    def __init__(self, limits_us: Mapping[str, tuple[float, float]], out: TextIO = sys.stdout):
        self._limits_us, self._out = limits_us, out
        self._lines = 0

    def draw(self, scene: Scene) -> None:
        """Show the pose, the pulses, and the line of health below."""
        room = shutil.get_terminal_size().columns - self.COLUMNS - 3
        names = list(self._limits_us)
        n_columns = 1 if len(names) <= self.ROWS or room < 2 * self.NARROWEST else 2
        width = max(4, min(16, room // n_columns - self.NARROWEST))
        widths_us = scene.snapshot.widths_us
        mouth = braille(mouth_dots(scene.snapshot.pose, 4 * self.ROWS, 2 * self.COLUMNS))
        bars = [self._bar(name, widths_us.get(name, np.nan), width) for name in names]
        n_lines = max(len(mouth), -(-len(bars) // n_columns))
        lines = [
            f" {mouth[k] if k < len(mouth) else ' ' * self.COLUMNS}  {' '.join(bars[k::n_lines])}"
            for k in range(n_lines)
        ]
        self._print([*lines, "", f" {scene.health}"])

    def close(self) -> None:
        """Show the cursor again."""
        if self._lines:
            self._out.write(SHOW)
            self._out.flush()

    def _bar(self, name: str, width_us: float, width: int) -> str:
        low, high = self._limits_us[name]
        if np.isnan(width_us):
            return f"{name:<16} {'off':>7} {'':{width}}"
        return f"{name:<16} {width_us:4.0f} us {bar((width_us - low) / (high - low), width)}"

    def _print(self, lines: Sequence[str]) -> None:
        back = HOME.format(self._lines) if self._lines else HIDE
        self._out.write(back + "".join(f"\r{line}{CLEAR_LINE}\n" for line in lines))
        self._out.flush()
        self._lines = len(lines)


class PlainView:
    """A line of health a second, where no face can be drawn (a log, a pipe)."""

    def __init__(self, clock: Clock, out: TextIO = sys.stdout) -> None:
        self._clock, self._out = clock, out
        self._next_s = clock.now() + 1.0

    def draw(self, scene: Scene) -> None:
        """Write ``scene.health`` when a second has passed."""
        if self._clock.now() >= self._next_s:
            self._next_s += 1.0
            print(scene.health, file=self._out, flush=True)

    def close(self) -> None:
        """Nothing to restore."""


class NoView:
    """Draws nothing."""

    def draw(self, scene: Scene) -> None:
        """Do nothing with ``scene``."""

    def close(self) -> None:
        """Nothing to restore."""


def make_view(ui: str, head: Head) -> FaceView | PlainView | NoView:
    """The view called ``ui``; auto draws the face where there is a terminal."""
    if ui == "none":
        return NoView()
    if ui == "face" or (ui == "auto" and sys.stdout.isatty() and _shows_braille(sys.stdout)):
        limits_us = {s.name: (s.options.min_us, s.options.max_us) for s in head.servos}
        return FaceView(limits_us)
    return PlainView(MonotonicClock())


def _shows_braille(out: TextIO) -> bool:
    try:
        "⣿█".encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
