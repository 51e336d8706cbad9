"""The journal without waiting: threads leave records in a queue, one thread of its own writes them.

A console or a journal that stalls must not keep the mover from its tick. Where the queue is full,
records are counted, not waited for. Warnings and errors pass a rate limit by their format string.
"""

from __future__ import annotations

import logging
import queue

from lipsync_edge.clock import Clock
from lipsync_edge.ratelimit import RateLimit


class Limited(logging.Filter):
    """Thins out records from WARNING on; those below, asked for by the maker, all pass."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._limit = clock, RateLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to tell it; what was held back since is told with it."""
        if record.levelno < logging.WARNING:
            return True
        held_back = self._limit.ask(f"{record.name} {record.msg}", self._clock.now())
        if held_back:
            record.msg, record.args = f"{record.getMessage()} ({held_back} more since)", ()
        return held_back is not None


class LogQueue(logging.Handler):
    """Stands in for the root logger's handlers between :meth:`install` and :meth:`remove`."""

    ROOM = 1000  # records
    PATIENCE_S = 0.1

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._queue: queue.Queue[logging.LogRecord] = queue.Queue(self.ROOM)
        self._filter = Limited(clock)
        self._handlers: list[logging.Handler] = []
        self._lost = 0

    def install(self) -> None:
        """From now on records go into the queue; somebody must call :meth:`step`."""
        root = logging.getLogger()
        self._handlers, root.handlers = root.handlers, [self]

    def remove(self) -> None:
        """The handlers are as they were. Then call :meth:`step` until it finds nothing."""
        root = logging.getLogger()
        if root.handlers == [self]:
            root.handlers = self._handlers

    def emit(self, record: logging.LogRecord) -> None:
        """Leave ``record`` in the queue; never waits."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def step(self, patience_s: float = PATIENCE_S) -> bool:
        """Write the next record, waiting at most ``patience_s``; False where none came."""
        try:
            record = self._queue.get(timeout=patience_s) if patience_s else self._queue.get_nowait()
        except queue.Empty:
            return False
        if self._filter.filter(record):
            if self._lost:
                record.msg, record.args = f"{record.getMessage()} [{self._lost} lines lost]", ()
                self._lost = 0
            for handler in self._handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)
        return True
