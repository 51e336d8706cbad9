"""How long the guest had to wait for its processor: a sleeper that wakes 50 times a second.

It comes before all else in the guest, robot included, so what it misses was taken by the computer
that the guest runs on. In the guest, of the standard library alone:

    python3 steal.py STOP       until the file STOP is there; prints JSON
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PERIOD_S = 0.02
LATE_S = 0.01  # half a tick: so late, the robot counts a tick as late
LONGEST_S = 120.0
PRIORITY = 80  # SCHED_FIFO; the robot's are below 50


@dataclass(frozen=True)
class Steal:
    """What was missed: the worst, and how often it was half a tick or more. ``n``: wakes."""

    worst_s: float
    n_late: int
    n: int

    @property
    def quiet(self) -> bool:
        """Whether what the robot missed then was not taken by this computer. The sound waits for
        one and a half periods at least; half as many ticks as may be late say nothing."""
        return self.n > 0 and self.worst_s < PERIOD_S and self.n_late < 5


def of(lates_s: Sequence[float]) -> Steal:
    """From how late each wake was."""
    return Steal(max(lates_s, default=0.0), sum(s >= LATE_S for s in lates_s), len(lates_s))


def watch(stop: Path) -> list[float]:
    """How late each wake was, until the file is there."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    begun_s = due_s = time.monotonic()
    lates_s: list[float] = []
    while due_s - begun_s < LONGEST_S and (len(lates_s) % 25 or not stop.exists()):
        due_s = max(due_s + PERIOD_S, time.monotonic())  # a look at the file is not a late wake
        time.sleep(max(0.0, due_s - time.monotonic()))
        lates_s.append(time.monotonic() - due_s)
    return lates_s


if __name__ == "__main__":
    steal = of(watch(Path(sys.argv[1])))
    print(json.dumps({"worst_s": steal.worst_s, "n_late": steal.n_late, "n": steal.n}))
