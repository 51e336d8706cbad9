"""Counts starts that ended in a crash, and says when to go on without servos: safe mode.

A start notes that it runs, its end notes how. Found running by the next start, it was killed or
died. What ended in another boot is not counted: nobody can tell a pulled plug from a crash of the
computer, and pulling the plug is how makers mend things. Hence: crashes in a row, since power-on.
"""

from __future__ import annotations

from pathlib import Path

from lipsync_edge.errors import (
    AudioError,
    BoardError,
    ConfigError,
    ControlError,
    GpioError,
    LipsyncError,
)
from lipsync_edge.store import State, Store

MISSING = (AudioError, BoardError, ConfigError, ControlError, GpioError)
"""Refused at the start for something that is not there or not right: no crash, however often."""
NAME = "runs"


def boot_id() -> str:
    """What tells this boot from every other, random(4); empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Runs:
    """The history of starts in a store. ``safe_mode``: why the servos must stay off, or empty."""

    STABLE_S = 600.0

    def __init__(self, store: Store, limit: int, boot: str) -> None:
        """``limit``: crashes in a row that are enough, 0: never; ``boot``: see :func:`boot_id`."""
        self._store, self._limit, self._boot = store, limit, boot
        self._crashes, self._reason = 0, ""
        self._stable = False
        self.safe_mode = ""

    def begin(self) -> None:
        """A start: count what the last one left behind, and note that we run."""
        last = self._store.load(NAME) or {}
        if last.get("boot") == self._boot:
            self._crashes = _count(last.get("crashes"))
            self._reason = str(last.get("reason", ""))
            if last.get("running") is True:
                self._crashes += 1
                self._reason = "it was killed, or died without a word"
        if 0 < self._limit <= self._crashes:
            self.safe_mode = (
                f"servos off, since the last {self._crashes} runs crashed (last: {self._reason}). "
                "Mend it, then `lipsync-edge reload` or restart"
            )
        self._save(running=True)

    def alive(self, age_s: float) -> None:
        """We run since ``age_s`` seconds; long enough, and what was before is forgotten.

        Not in safe mode, where nothing is proven by it.
        """
        if age_s >= self.STABLE_S and not self._stable and not self.safe_mode:
            self._stable = True
            if self._crashes:
                self._crashes, self._reason = 0, ""
                self._store.later(NAME, self._state(running=True))

    def end(self, reason: str, failed: bool) -> None:
        """An end in order, or a failure of ours that was noticed: a crash, too."""
        self._crashes, self._reason = (self._crashes + 1, reason) if failed else (0, "")
        self._save(running=False)

    def refuse(self, error: LipsyncError) -> None:
        """The start ended in ``error``. Nothing to count where a device is missing: it may come."""
        if not isinstance(error, MISSING):
            self._crashes, self._reason = self._crashes + 1, str(error)
        self._save(running=False)

    def _save(self, running: bool) -> None:
        self._store.save(NAME, self._state(running))

    def _state(self, running: bool) -> State:
        return {
            "boot": self._boot,
            "running": running,
            "crashes": self._crashes,
            "reason": self._reason,
        }


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
