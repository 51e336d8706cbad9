"""Starts the unmodified program with one thing prepared to go wrong, as $LIPSYNC_DRILL asks (JSON).

``crash``: the thread that raises an error, ``sound`` for the audio callback, ``recording`` for that
of the card that records, ``main`` for the main thread; ``slow_disk_s``: how long it takes to flush
a file; ``trigger``: the file that lets it happen as soon as it is there; ``once``: a file that is
made when it happened, with the monotonic time in it, so that it happens once; ``sys``: where the
kernel's files are in place of /sys; ``words``: more of the command line; ``unguarded``: no
guardian, ``wild``: no limits, for the drill's tests of itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_edge import app, cli
from lipsync_edge.audio.courier import BlockCourier, Intake
from lipsync_edge.clock import MonotonicClock
from lipsync_edge.servos import guardian
from lipsync_edge.servos.gate import Gate
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.supply import Sensors


class Mischief(Exception):
    """What the drill lets fail; no error that anybody expects."""


def failing(step: Callable[..., Any], trigger: Path, once: Path) -> Callable[..., Any]:
    """``step``, which raises once after the file ``trigger`` has come."""
    clock = MonotonicClock()

    def wrapped(*given: Any, **named: Any) -> Any:
        if trigger.exists() and not once.exists():
            once.write_text(repr(clock.now()))
            raise Mischief("made by the drill")
        return step(*given, **named)

    return wrapped


def slow(fsync: Callable[[int], None], seconds: float, trigger: Path, once: Path) -> Any:
    """``fsync``, which takes so long, once, after the file ``trigger`` has come."""
    clock = MonotonicClock()

    def wrapped(fd: int) -> None:
        if trigger.exists() and not once.exists():
            once.write_text(repr(clock.now()))
            clock.sleep_until(clock.now() + seconds)
        fsync(fd)

    return wrapped


def prepare(plan: dict[str, Any]) -> None:
    """Do what the plan says to the classes of the robot, before one of them is used."""
    if plan.get("unguarded"):
        guardian.place_of = lambda _: ""
    if plan.get("wild"):
        Gate.pass_ = lambda _, widths_us, *__: 2.0 * np.asarray(widths_us)  # type: ignore
    if root := plan.get("sys"):
        app.Sensors = lambda: Sensors(Path(root))  # type: ignore[attr-defined]
    thread = plan.get("crash", "")
    given = Path(plan.get("trigger", "/nonexistent")), Path(plan.get("once", "/nonexistent"))
    if seconds := plan.get("slow_disk_s"):
        os.fsync = slow(os.fsync, float(seconds), *given)  # type: ignore[assignment]
    if thread == "sound":
        BlockCourier.carry = failing(BlockCourier.carry, *given)  # type: ignore[method-assign]
    elif thread == "recording":
        Intake.carry = failing(Intake.carry, *given)  # type: ignore[method-assign]
    elif thread == "main":
        app.Robot._tell = failing(app.Robot._tell, *given)  # type: ignore[method-assign]
    elif thread:
        loop = Supervisor.loop

        def spoiled(self: Supervisor, name: str, step: Callable[[], None]) -> Any:
            return loop(self, name, failing(step, *given) if name == thread else step)

        Supervisor.loop = spoiled  # type: ignore[method-assign]


if __name__ == "__main__":
    asked = json.loads(os.environ.get("LIPSYNC_DRILL", "{}"))
    prepare(asked)
    raise SystemExit(cli.main([*sys.argv[1:], *asked.get("words", ())]))
