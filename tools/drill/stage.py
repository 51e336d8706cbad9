"""One case's robot with all that is round it, and what a case measures there."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge import config
from lipsync_edge.clock import MonotonicClock
from lipsync_tools.drill import record
from lipsync_tools.drill.board import Board
from lipsync_tools.drill.service import Life, Service
from lipsync_tools.drill.sound import Cards, Ear
from lipsync_tools.drill.unit import Unit

PATIENCE_S = 30.0
START_S = 90.0  # the first time all its libraries come from the disk
FAKE = Path(__file__).parent / "fake"
OE_PIN = 17
SEEN_OFF_S = 0.3
"""The promise: outputs are off so soon after a death that software can see."""


MARKS = ("WARNING", "ERROR", "CRITICAL", "lipsync-edge:", "stopped:", "(detach)")
LEAST_GAP_S = 0.25  # blocks of 21 ms, and the sound server's own


class NotThere(Exception):
    """The part that a case tries, or a tool that it needs, is not there; in words."""


@dataclass
class Finding:
    """What a case found: sentences for the table, and all that was not as documented."""

    pulses: str = ""
    sound: str = ""
    normal: str = ""
    log: str = ""
    wrong: list[str] = field(default_factory=list)

    def must(self, holds: bool, otherwise: str) -> None:
        """Note ``otherwise`` where something does not hold."""
        if not holds:
            self.wrong.append(otherwise)


@dataclass
class World:
    """What all cases share: the sound cards with speech at the microphone, the unit.

    ``usual_gap_s``: the longest gap in the sound that a busy computer makes without any fault, as
    the case ``quiet`` has seen it.
    """

    cards: Cards
    unit: Unit
    folder: Path
    usual_gap_s: float = 0.15

    @property
    def sound_gap_s(self) -> float:
        """A head goes on talking whatever its board does: from here on a gap is one of ours."""
        return max(LEAST_GAP_S, 2 * self.usual_gap_s)

    @property
    def small_gap_s(self) -> float:
        """The same where nothing but a few words is asked of the head: hardly more than usual."""
        return max(0.1, self.usual_gap_s + 0.06)


class Stage:
    """Board, ear and service of one case. Use as a context manager."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.folder = world.folder / name
        self.folder.mkdir()
        self.config = self.folder / "config.yaml"
        self.clock = MonotonicClock()
        self._never = threading.Event()
        self._exits = ExitStack()
        self._n_lives = 1
        self._crashes = False
        self.board: Board
        self.ear: Ear
        self.service: Service
        self.outputs: record.Outputs

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    # ---- set up

    def prepare(
        self,
        options: dict[str, dict[str, Any]] | None = None,
        mischief: dict[str, Any] | None = None,
        wired: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Make all but the start. ``wired``: the board's /OE hangs on a pin of the computer."""
        self.write_config(options or {}, wired)
        settings = config.load(self.config)
        self.outputs = record.Outputs(settings.head)
        pin = OE_PIN if wired else -1
        self.board = self._exits.enter_context(
            Board(self.folder / "bus", settings.head.boards, pin)
        )
        self.ear = self._exits.enter_context(Ear(self.world.cards.speaker))
        environment = {**self.world.cards.environment, **(environment or {})}
        environment["LIPSYNC_DRILL_BOARD"] = str(self.folder / "bus")
        launcher = "lipsync_edge"
        if wired:
            environment["PYTHONPATH"] = str(FAKE)
        if mischief is not None:
            launcher = "lipsync_tools.drill.launch"
            files = {"trigger": str(self.folder / "now"), "once": str(self.folder / "done")}
            environment["LIPSYNC_DRILL"] = json.dumps({**files, **mischief})
            self._crashes = "crash" in mischief
        self.service = self._exits.enter_context(
            Service(self.world.unit, self.config, self.folder, environment, launcher)
        )

    def write_config(self, options: dict[str, dict[str, Any]], wired: bool = False) -> None:
        """The robot's config: the sound server, the drill's board, and ``options``."""
        sections: dict[str, dict[str, Any]] = {
            "audio": {
                "driver": "portaudio",
                "input": "mic",
                "output": "speaker",
                "rate_hz": 48_000,
                "frames_per_buffer": 1024,
            },
            "board": {"driver": "simulator", "bus": str(self.folder / "bus")},
            "gpio": {"output_enable": OE_PIN} if wired else {},
        }
        for name, values in options.items():
            sections[name] = {**sections.get(name, {}), **values}
        self.config.write_text(yaml.safe_dump({k: v for k, v in sections.items() if v}))

    def start(self) -> None:
        """Start the service and wait until it speaks. RuntimeError where it does not."""
        begun_s = self.clock.now()
        self.service.start()
        if not self.wait(lambda: self.spoken_s(begun_s) < math.inf, START_S):
            raise RuntimeError(f"the robot never spoke: {self.service.lines[-3:]}")
        self.pause(1.0)
        self._n_lives = len(self.service.lives)

    def trigger(self) -> float:
        """Let the prepared mischief happen, now that it speaks; returns when it did.
        RuntimeError where it does not."""
        (self.folder / "now").touch()
        done = self.folder / "done"
        if not self.wait(lambda: done.exists() and bool(done.read_text())):
            raise RuntimeError("the prepared mischief did not happen")
        return float(done.read_text())

    # ---- what was seen

    @property
    def restarts(self) -> int:
        """How often the manager has started the robot since it spoke."""
        return len(self.service.lives) - self._n_lives

    def wait(self, condition: Callable[[], bool], at_most_s: float = PATIENCE_S) -> bool:
        """Until the condition holds; False where it did not in time."""
        end_s = self.clock.now() + at_most_s
        while not condition():
            if self.clock.now() >= end_s:
                return False
            self.pause(0.02)
        return True

    def pause(self, seconds: float) -> None:
        """Let time go by; Ctrl-C ends it."""
        self._never.wait(seconds)

    def off_s(self, from_s: float) -> float:
        """When all outputs were off, at or after a time; infinite: never."""
        return record.first_off_s(self.board.moments.copy(), from_s)

    def wait_off_s(self, from_s: float) -> float:
        """The same, and wait for it."""
        self.wait(lambda: self.off_s(from_s) < math.inf)
        return self.off_s(from_s)

    def is_on_at(self, at_s: float) -> bool:
        """Whether there were pulses just before a time: without, a fault shows nothing."""
        return record.is_on_at(self.board.moments.copy(), at_s)

    def spoken_s(self, from_s: float) -> float:
        """When servos moved, a sound came and the service was ready, all after a time."""
        moved_s = record.first_spoken_s(self.board.moments.copy(), from_s, self.outputs)
        life = self.service.lives[-1]
        ready_s = math.inf if math.isnan(life.ready_s) else life.ready_s
        return max(
            moved_s,
            self.ear.sounds_since(from_s),
            ready_s if math.isnan(life.ended_s) else math.inf,
        )

    def life(self, number: int = -1) -> Life:
        """One run of the robot."""
        return self.service.lives[number]

    def travel_us(self, from_s: float) -> float:
        """How far from neutral a servo came since a time."""
        moments = self.board.moments.copy()
        return max((self.outputs.reach_us(m) for m in moments if m.at_s > from_s), default=0.0)

    def first_line(self, from_s: float) -> str:
        """The first warning or error of the log after a time."""
        return next(iter(self.told(from_s)), "")

    def told(self, from_s: float, to_s: float = math.inf) -> list[str]:
        """The warnings and errors of the log between two times."""
        lines = self.service.lines.copy()
        return [text for at_s, text in lines if from_s <= at_s < to_s and text.startswith(MARKS)]

    # ---- what all cases share

    def tell(self, finding: Finding, from_s: float, to_s: float) -> record.Story:
        """Tell pulses, sound and log between two times; returns what the pulses did."""
        story = record.story(self.board.moments.copy(), from_s, to_s)
        finding.pulses = story.text
        self.gap(finding, from_s, to_s)
        finding.log = self.first_line(from_s) or "nothing"
        return story

    def gap(self, finding: Finding, from_s: float, to_s: float) -> float:
        """Tell the longest stretch without a sound; returns its seconds."""
        gaps = self.ear.gaps(from_s, to_s)
        longest_s = max((b - a for a, b in gaps), default=0.0)
        finding.sound = f"gap of {longest_s:.2f} s" if gaps else "no gap"
        return longest_s

    def again(self, finding: Finding, from_s: float, zero_s: float) -> float:
        """Wait until it speaks after ``from_s``; tell how long after ``zero_s`` that was."""
        self.wait(lambda: self.spoken_s(from_s) < math.inf)
        spoken_s = self.spoken_s(from_s)
        if math.isinf(spoken_s):
            finding.wrong.append("it does not speak again")
            finding.normal = "never"
            return self.clock.now()
        finding.normal = f"{spoken_s - zero_s:.1f} s"
        self.pause(0.5)
        return spoken_s

    def stays_off(self, finding: Finding, off_s: float, to_s: float = math.inf) -> None:
        """Note a pulse between the moment at which all outputs were off and another."""
        on_s = record.first_on_s(self.board.moments.copy(), off_s, to_s)
        finding.must(math.isinf(on_s), f"pulses again {on_s - off_s:.2f} s after they were off")

    def off_between(self, finding: Finding, at_s: float) -> float:
        """What the first life must leave that ends by a fault at ``at_s``: pulses up to then, and
        none from soon after until the next life begins. Returns when they were off."""
        off_s, lives = self.off_s(at_s), self.service.lives.copy()
        next_s = lives[1].begun_s if len(lives) > 1 else math.inf
        finding.must(self.is_on_at(at_s), "outputs were off before it: this shows nothing")
        finding.must(off_s < next_s, "outputs were not off before the next start")
        self.stays_off(finding, off_s, next_s)
        return off_s

    def finish(self, finding: Finding, reachable: bool = True) -> None:
        """Stop the service where it runs; check what must hold in every case. ``reachable``: the
        robot can switch its outputs off."""
        running = math.isnan(self.life().ended_s)
        self.service.stop()
        if running:
            finding.must(self.life().code == 0, f"its stop ended with {self.life().code}")
        moments = self.board.moments.copy()
        outside = self.outputs.outside(moments)
        finding.must(not outside, f"{len(outside)} moments with a pulse outside limits")
        finding.must(bool(moments), "the board was never spoken to")
        if reachable and moments:
            finding.must(record.is_off(moments[-1]), "outputs are on after its end")
        lines = [text for _, text in self.service.lines.copy()]
        if not self._crashes:
            finding.must(not any(map(record.is_unforeseen, lines)), "an error that nobody foresaw")
