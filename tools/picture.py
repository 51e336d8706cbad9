"""Draws what a sound becomes: the wave, the mouth, its axes, and the pulses of the servos.

python -m lipsync_tools.picture IN.wav -o OUT.png [--head mouth10] [--from 0.2] [--to 3]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from lipsync_edge import config
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE
from lipsync_edge.face import mouth_shape
from lipsync_edge.render import rows

SHOWN = ("jawOpen", "mouthClose", "mouthPucker", "mouthStretchLeft")
N_MOUTHS = 14
LIP, INSIDE, SKIN = "#b5484f", "#3a1416", "#f3d9c6"


def read_table(path: str, head: str) -> tuple[dict[str, Any], config.Config]:
    """Columns of ``render``'s table as arrays, and the config that made it."""
    settings = config.load(None, [], head=head)
    source = open_source(path)
    names, *lines = rows(settings, source)
    source.close()
    values = np.array(lines, float).T
    return dict(zip(names, values, strict=True)), settings


def read_sound(path: str) -> tuple[Any, int]:
    """All samples of a file, and its rate."""
    source = open_source(path)
    parts = []
    while len(part := source.read(1 << 16)):
        parts.append(part)
    source.close()
    return np.concatenate(parts), source.rate_hz


def draw_mouths(axes: Any, table: dict[str, Any], begin_s: float, end_s: float) -> None:
    """A row of mouths, each over the moment at which it is seen."""
    times_s = np.linspace(begin_s, end_s, N_MOUTHS + 2)[1:-1]
    scale = 0.56 * (times_s[1] - times_s[0])
    poses = {k.removeprefix("pose."): v for k, v in table.items() if k.startswith("pose.")}
    for time_s in times_s:
        k = int(np.abs(table["time_s"] - time_s).argmin())
        shape = mouth_shape({name: float(values[k]) for name, values in poses.items()})
        x = table["time_s"][k] + scale * shape.x
        axes.fill_between(x, shape.outer_bottom, shape.outer_top, color=LIP, lw=0)
        axes.fill_between(x, shape.inner_bottom, shape.inner_top, color=INSIDE, lw=0.8)
        axes.plot(x, shape.inner_top, color=INSIDE, lw=0.8)
    axes.set_facecolor(SKIN)
    axes.set_ylim(-1.05, 0.55)
    axes.set_yticks([])
    axes.set_ylabel("mouth")


def draw(path: str, out: Path, head: str, span_s: tuple[float, float]) -> None:
    """The whole picture, as a PNG."""
    table, settings = read_table(path, head)
    samples, rate_hz = read_sound(path)
    begin_s, end_s = span_s[0], min(span_s[1], len(samples) / rate_hz)
    figure, panels = plt.subplots(
        4, 1, figsize=(11, 7), sharex=True, height_ratios=(1, 1.1, 1.5, 1.9), layout="constrained"
    )
    panels[0].plot(np.arange(len(samples)) / rate_hz, samples / 32768, color="#456", lw=0.4)
    panels[0].set_ylabel("sound heard")
    draw_mouths(panels[1], table, begin_s, end_s)
    for name in SHOWN:
        panels[2].plot(table["time_s"], table[f"pose.{name}"], label=name, lw=1.4)
    panels[2].set_ylabel("face pose")
    panels[2].set_ylim(-0.03, 1.25)
    panels[2].legend(ncols=4, fontsize=8, loc="upper right")
    for servo in settings.head.servos:
        widths_us = table[f"width_us.{servo.name}"]
        if np.ptp(widths_us) > 1:
            panels[3].plot(table["time_s"], widths_us, label=servo.name, lw=1.1)
    panels[3].set_ylabel("pulses, us")
    panels[3].margins(y=0.25)
    panels[3].legend(ncols=5, fontsize=7, loc="upper right")
    panels[3].set_xlabel("seconds")
    panels[3].set_xlim(begin_s, end_s)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def main() -> int:
    """Draw and say where."""
    parser = argparse.ArgumentParser(prog="picture", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("input", nargs="?", default=str(SAMPLE), help="sound file (WAV)")
    parser.add_argument("-o", "--output", type=Path, default=Path("picture.png"))
    parser.add_argument("--head", default="mouth10", help="head profile")
    parser.add_argument("--from", type=float, default=0.0, dest="begin_s", help="first second")
    parser.add_argument("--to", type=float, default=np.inf, dest="end_s", help="last second")
    arguments = parser.parse_args()
    draw(arguments.input, arguments.output, arguments.head, (arguments.begin_s, arguments.end_s))
    print(arguments.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
