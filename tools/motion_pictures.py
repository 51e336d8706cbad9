"""Pictures of motion: one B with and without look-ahead; which speed serves for which figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from lipsync_edge import config
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE
from lipsync_edge.head import servo_model
from lipsync_edge.horns import travel
from lipsync_edge.render import Renderer
from lipsync_edge.servos.dynamics import US_PER_60_DEG, Dynamics
from lipsync_tools.grid import RATE_HZ
from lipsync_tools.labels import CLOSED, Phone
from lipsync_tools.motion_report import Figures

Array = NDArray[np.float64]

SAMPLE_TEXT = (
    "hello i am a robot head and this is my mouth "
    "bob pam and will may move five warm waffles"
)  # fmt: skip
POSE, COMMAND, HORN, LIPS = "#7a7a7a", "#d08a2c", "#20639b", "#f1d3d3"
COLOURS = {"straight": "#b5484f", "lag": "#d08a2c", "plan": "#20639b"}
TOLD = {
    "straight": "written straight through",
    "lag": "constant lag compensated",
    "plan": "planned",
}


@dataclass(frozen=True)
class Trace:
    """One servo over a sound: what is wanted and commanded at ticks (n,), where its horn is at
    every millisecond (m,), all as shares of its travel."""

    tick_s: float
    wanted: Array
    command: Array
    horn: Array


def trace(path: str, servo: str, planner: str, head: str, preset: str) -> Trace:
    """A real run of the chain over a sound file, with a simulated servo."""
    changes = [("motion.planner", planner), (f"servos.{servo}.preset", preset)]
    settings = config.load(None, changes, head=head)
    source = open_source(path)
    renderer = Renderer(settings, source)
    ticks = list(renderer.ticks())
    source.close()
    rig, k = renderer.rig, renderer.rig.names.index(servo)
    commands = np.array([tick.widths_us for tick in ticks])
    period_s = 1 / settings.board.pwm_hz
    models = [servo_model(s.options) for s in settings.head.servos]
    dynamics = Dynamics(models, rig.neutral_us, settings.board.pwm_hz, period_s / 2)
    tick_s = 1 / settings.motion.rate_hz
    horns = np.concatenate([rig.neutral_us[None], dynamics.run(commands, tick_s)])
    wanted = rig.widths_grid(np.array([tick.pose for tick in ticks]))
    shares = [travel(rig, widths)[:, k] for widths in (wanted, commands, horns)]
    return Trace(tick_s, *shares)


def draw_sound_and_trace(
    path: str, found: Trace, title: str, phones: list[Phone], span_s: tuple[float, float], out: Path
) -> None:
    """One picture: the sound, the phones that close the lips, and what the servo does."""
    figure, (top, panel) = plt.subplots(
        2, 1, figsize=(9, 4.6), sharex=True, height_ratios=(1, 4), layout="constrained"
    )
    samples, rate_hz = _read_sound(path)
    top.plot(np.arange(len(samples)) / rate_hz, samples / 32768, color="#456", lw=0.4)
    top.set_ylabel("heard")
    top.set_yticks([])
    for name, begin, end in phones:
        if name in CLOSED and begin < span_s[1] and end > span_s[0]:
            for axes in (top, panel):
                axes.axvspan(begin, end, color=LIPS, lw=0)
            top.text((begin + end) / 2, 0.9, name, ha="center", va="top", size=9, weight="bold",
                     transform=top.get_xaxis_transform(), clip_on=True)  # fmt: skip
    at = np.arange(len(found.command)) * found.tick_s
    panel.plot(at, found.wanted, "--", color=POSE, lw=1.6, label="pose that is heard")
    panel.step(at, found.command, where="post", color=COMMAND, lw=1.2, label="command")
    horn_s = np.arange(len(found.horn)) / 1000
    panel.plot(horn_s, found.horn, color=HORN, lw=2.4, label="horn")
    panel.set_ylim(-0.03, 1.05)
    panel.set_ylabel("jaw: 0 shut, 1 open")
    panel.set_xlabel("seconds")
    panel.set_xlim(*span_s)
    panel.legend(loc="upper right", fontsize=9, ncols=3)
    top.set_title(title, fontsize=11)
    _save(figure, out)


def draw_idea(folder: Path, path: str = str(SAMPLE), text: str = SAMPLE_TEXT) -> list[Path]:
    """The two pictures of docs/motion.md, around the first B of the shipped sentence's Bob."""
    import pocketsphinx

    from lipsync_tools.phones import align, read_mono

    decoder = pocketsphinx.Decoder(samprate=RATE_HZ, bestpath=False, loglevel="FATAL", lm=None)
    phones = align(decoder, read_mono(Path(path)), text)
    begin_s = next(p[1] for p, q in pairwise(phones)
                   if (p[0], q[0]) == ("B", "AA") and p[1] > 3.0)  # fmt: skip
    made = []
    for planner, title in (
        (
            "straight",
            "Without look-ahead: the jaw gapes at the B and shuts when it is over",
        ),
        (
            "plan",
            "With look-ahead: the jaw sets out before the B and is shut when it is heard",
        ),
    ):
        out = folder / f"motion-{planner}.png"
        found = trace(path, "jaw", planner, "jaw", "jaw")
        span_s = (begin_s - 0.3, begin_s + 0.75)
        draw_sound_and_trace(path, found, title, phones, span_s, out)
        made.append(out)
    return made


def draw_speeds(sweep: Mapping[float, Mapping[str, Figures]], out: Path) -> None:
    """Figures of a jaw over the speed of its servo under load."""
    panels: tuple[tuple[str, Callable[[Figures], float], float | None], ...] = (
        ("closures made, %", lambda f: 100 * f.closure_recall, 95.0),
        ("as shut as the film, %", lambda f: 100 * f.closure_recall_tight, None),
        ("vowels shut by mistake, %", lambda f: 100 * f.closure_false, 3.0),
        ("|error| of onset and release, ms", lambda f: f.timing.mean_abs, 20.0),
        ("mouth late, ms", lambda f: f.offset_ms, 0.0),
        ("r with the film, in speech", lambda f: f.r_speech, None),
    )
    speeds = sorted(sweep)
    figure, grid = plt.subplots(2, 3, figsize=(11, 6), sharex=True, layout="constrained")
    for axes, (told, value, target) in zip(grid.flat, panels, strict=True):
        for way, colour in COLOURS.items():
            line = [value(sweep[speed][way]) for speed in speeds]
            axes.plot(speeds, line, "o-", color=colour, ms=3.5, lw=1.6, label=TOLD[way])
        if target is not None:
            axes.axhline(target, color="#888", ls=":", lw=1)
        axes.set_title(told, fontsize=10)
        axes.set_xscale("log")
        axes.set_xticks(speeds, [f"{s * 60 / US_PER_60_DEG:.0f}" for s in speeds], fontsize=8)
        axes.minorticks_off()
        axes.grid(alpha=0.25)
    for axes in grid[1]:
        axes.set_xlabel("speed of the servo under load, degrees/s")
    grid[0, 0].legend(fontsize=8)
    _save(figure, out)


def _read_sound(path: str) -> tuple[Any, int]:
    source, parts = open_source(path), []
    while len(part := source.read(1 << 16)):
        parts.append(part)
    source.close()
    return np.concatenate(parts), source.rate_hz


def _save(figure: Any, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
