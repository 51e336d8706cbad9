"""`render`: a sound file becomes a table of poses and pulses, as fast as the machine can.

The same chain as `run`, with the sound device replaced by arithmetic: at every tick the analyzer
has heard what a real stream would have delivered by then. Hence the table does not depend on the
machine, on its load, or on the size of the chunks that the file is read in.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TextIO

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.audio import Source
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import Chain, make_chain, make_model
from lipsync_edge.clock import VirtualClock
from lipsync_edge.config import Config
from lipsync_edge.errors import UsageError
from lipsync_edge.horns import Horns, Seen, travel
from lipsync_edge.model import Model
from lipsync_edge.servos.dummy import DummyBoard
from lipsync_edge.servos.rig import Rig
from lipsync_edge.telemetry import Telemetry


class Pump:
    """Hands a source's samples to the analyzer up to an exact index; silence after the end."""

    def __init__(self, source: Source, chunk: int) -> None:
        self._source, self._chunk = source, chunk
        self._pending = np.zeros(0, np.int16)
        self._given = 0
        self.total: int | None = None  # samples in the source, known at its end

    def advance(self, upto: int, chain: Chain) -> None:
        """Push samples until ``upto`` (exclusive) have been given."""
        while self._given < upto:
            if not len(self._pending):
                self._pending = self._next(upto)
            n_samples = min(len(self._pending), upto - self._given)
            chain.analyzer.push(self._pending[:n_samples])
            self._pending = self._pending[n_samples:]
            self._given += n_samples

    def peek(self, upto: int) -> None:
        """Read on until ``upto`` samples are known to exist, or the end is."""
        while self.total is None and self._given + len(self._pending) < upto:
            self._pending = np.concatenate([self._pending, self._read()])

    def _next(self, upto: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        samples = self._read() if self.total is None else np.zeros(0, np.int16)
        return samples if len(samples) else np.zeros(upto - self._given, np.int16)

    def _read(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        samples = self._source.read(self._chunk)
        if not len(samples):
            self.total = self._given + len(self._pending)
        return samples


@dataclass(frozen=True)
class Tick:
    """One row: the moment ``time_s`` of the sound that is heard, the pose (n_axes,) that the mouth
    is to show then, the widths (n_servos,) in us that are commanded then (early by the lag)."""

    time_s: float
    pose: NDArray[np.float64]
    widths_us: NDArray[np.float64]


class Renderer:
    """A chain in a time of its own, over one source."""

    def __init__(self, config: Config, source: Source, model: Model | None = None) -> None:
        """``model``: another than the config's, for instance one that knows the truth."""
        # A table has a pulse in every row, also where a robot would let the servos rest.
        config = replace(config, motion=replace(config.motion, idle_s=math.inf))
        self._clock, telemetry = VirtualClock(), Telemetry()
        self.config, self.model = config, model or make_model(config, self._clock)
        self.rig = Rig(config.head, self.model.axes)
        board = DummyBoard(len(self.rig.slots), clock=self._clock)
        board.open()
        self._source, self._rate_hz = source, source.rate_hz
        self._chain = make_chain(
            config, self.model, self.rig, board, Ring(16), source.rate_hz, self._clock, telemetry
        )

    def ticks(self, chunk: int = 4096) -> Iterator[Tick]:
        """All ticks of the mover until the end of the source."""
        options, chain, rate_hz = self.config, self._chain, self._rate_hz
        behind = options.audio.frames_per_buffer + options.model.inference_ms * rate_hz / 1e3
        pump = Pump(self._source, chunk)
        tick = 0
        while True:
            time_s = tick / options.motion.rate_hz
            heard = time_s * rate_hz
            arrived = max(0, int(heard + chain.lookahead_samples - behind))
            pump.advance(arrived, chain)
            pump.peek(int(heard) + 1)
            if pump.total is not None and heard >= pump.total:
                return
            self._clock.sleep_until(time_s)
            widths_us = chain.mover.tick(heard, time_s)
            pose = np.array(list(chain.mover.snapshot.pose.values()))
            yield Tick(time_s, pose, widths_us)
            tick += 1


def rows(
    config: Config, source: Source, chunk: int = 4096, simulate: bool = False
) -> Iterator[list[str]]:
    """The table: a row of column names, then one row per mover tick.

    ``time_s``: the moment of the sound that is heard; ``pose.AXIS``: what the mouth is to show
    then; ``width_us.SERVO``: the pulse that is commanded then (early by the servo's lag). With
    ``simulate`` also ``horn.SERVO``: where the horn is then, 0..1 of its travel, after all commands
    before this one; ``seen.AXIS``: the axis values that the horns show.
    """
    renderer = Renderer(config, source)
    axes, rig = renderer.model.axes, renderer.rig
    names = ["time_s", *(f"pose.{a}" for a in axes), *(f"width_us.{n}" for n in rig.names)]
    if simulate:
        names += [*(f"horn.{n}" for n in rig.names), *(f"seen.{a}" for a in axes)]
        horns, seen = Horns(config.head, rig, config.board.pwm_hz), Seen(rig, axes)
    yield names
    for tick in renderer.ticks(chunk):
        row = [f"{tick.time_s:.4f}", *(f"{v:.5f}" for v in tick.pose)]
        row += [f"{w:.2f}" for w in tick.widths_us]
        if simulate:
            shares, shown = travel(rig, horns.at_us), seen.axes(horns.at_us[None])[0]
            row += [f"{v:.5f}" for v in (*shares, *shown)]
            horns.step(tick.widths_us, 1 / config.motion.rate_hz)
        yield row


def render(
    config: Config,
    source: Source,
    out: str,
    chunk: int = 4096,
    progress: bool = True,
    simulate: bool = False,
) -> tuple[int, float, bool]:
    """Write the table to the file ``out`` (``-``: standard output).

    Returns the number of rows, the time of the last one in seconds, and False where Ctrl-C ended
    it: then the rows so far are kept. On an error nothing is left behind.
    """
    n_rows, last_s, complete = 0, 0.0, True
    with _output(out) as file:
        try:
            for row in rows(config, source, chunk, simulate):
                file.write(",".join(row) + "\n")
                if row[0] != "time_s":
                    n_rows, last_s = n_rows + 1, float(row[0])
                if progress and n_rows % 500 == 0:
                    _show_progress(last_s)
        except KeyboardInterrupt:
            complete = False
    if progress and n_rows >= 500:
        print(file=sys.stderr)
    return n_rows, last_s, complete


def _show_progress(done_s: float) -> None:
    if sys.stderr.isatty():
        minutes, seconds = divmod(int(done_s), 60)
        print(f"\rrendered {minutes}:{seconds:02d}", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _output(out: str) -> Iterator[IO[str] | TextIO]:
    """A file that appears under its name only when it is complete."""
    if out == "-":
        yield sys.stdout
        return
    if Path(out).exists() and not Path(out).is_file():  # /dev/null, a pipe: must not be replaced
        with Path(out).open("w", encoding="ascii", newline="\n") as file:
            yield file
        return
    part = Path(out + ".part")
    try:
        with part.open("w", encoding="ascii", newline="\n") as file:
            yield file
        os.replace(part, out)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
