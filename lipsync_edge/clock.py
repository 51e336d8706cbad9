"""Time and waiting. The one module that may sleep; everything else is handed a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, and a way to wait for one of them."""

    def now(self) -> float:
        """Monotonic time in seconds."""

    def sleep_until(self, deadline_s: float) -> None:
        """Return at ``deadline_s`` or, when that is past, at once."""


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, deadline_s: float) -> None:
        wait_s = deadline_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)


class VirtualClock:
    """A clock that stands still until told to go on; waiting moves it. For ``render`` and tests."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now(self) -> float:
        return self._now_s

    def sleep_until(self, deadline_s: float) -> None:
        self._now_s = max(self._now_s, deadline_s)
