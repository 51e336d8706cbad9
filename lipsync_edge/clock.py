"""Time and waiting. The one module that may sleep; everything else is handed a clock."""

from __future__ import annotations

import math
import threading
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


class Ticker:
    """Deadlines at a steady rate. Late means resync: a missed tick is dropped, never caught up."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.resyncs = 0
        self.skipped_s = 0.0  # by how much the last deadline was missed, where it was given up
        self._next_s = math.inf  # the first call sets the phase

    def advance(self, now_s: float) -> float:
        """The next deadline; where it passed more than a period ago, a new phase begins now."""
        self.skipped_s = 0.0
        if math.isinf(self._next_s):
            self._next_s = now_s
        elif now_s - self._next_s > self.period_s:
            self.resyncs += 1
            self.skipped_s = now_s - self._next_s
            self._next_s = now_s
        deadline_s = self._next_s
        self._next_s += self.period_s
        return deadline_s


class Bell:
    """Wakes one waiting thread. Ringing never blocks and makes nothing new: for audio callbacks.

    One thread rings, one waits. Rings that nobody heard yet count as one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Let :meth:`wait` return."""
        if self._lock.locked():
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring, at most ``timeout_s``; True when it rang since the last call."""
        return self._lock.acquire(timeout=timeout_s)
