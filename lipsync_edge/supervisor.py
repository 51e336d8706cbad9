"""Makes the threads, hears how they end, and stops them in reverse order. No other module does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lipsync_edge.clock import Clock
from lipsync_edge.errors import LipsyncError

log = logging.getLogger(__name__)


class Supervisor:
    """Owner of the program's threads and of the one reason why it stops."""

    JOIN_S = 3.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads: list[threading.Thread] = []
        self._beats: dict[str, float] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.reason = ""
        self.failed = False

    @property
    def stopping(self) -> bool:
        """True from the first call of :meth:`stop` on."""
        return self._stopping.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until somebody stops us, at most ``timeout_s``; True when it happened."""
        return self._stopping.wait(timeout_s)

    def stop(self, reason: str, failed: bool = False) -> None:
        """Ask every thread to end. The first reason is the one that is told."""
        with self._lock:
            if not self._stopping.is_set():
                self.reason, self.failed = reason, failed
                self._stopping.set()

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Run ``target`` in a thread of its own; an error in it stops the program with a reason."""
        thread = threading.Thread(target=self._guard, args=(name, target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def loop(self, name: str, step: Callable[[], object]) -> threading.Thread:
        """Run ``step`` again and again until we stop; every round is a heartbeat."""

        def rounds() -> None:
            while not self.stopping:
                step()
                self._beats[name] = self._clock.now()

        self._beats[name] = self._clock.now()  # the first round may be the one that hangs
        return self.spawn(name, rounds)

    def beat_ages_s(self) -> dict[str, float]:
        """Seconds since each looping thread's last heartbeat."""
        now_s = self._clock.now()
        return {name: now_s - beat_s for name, beat_s in self._beats.items()}

    def forgive(self, unseen_s: float) -> None:
        """Leave so much of all silence out: who asks did not run either (SIGSTOP, a debugger)."""
        now_s = self._clock.now()
        for name, beat_s in self._beats.copy().items():
            self._beats[name] = min(beat_s + unseen_s, now_s)

    def native_ids(self, name: str) -> list[int]:
        """The kernel's ids of the threads called ``name``."""
        return [t.native_id for t in self._threads.copy() if t.name == name and t.native_id]

    def join(self, *names: str) -> bool:
        """Wait for the threads called ``names`` (none: all), the youngest first.

        One that hangs is named in the log and left behind; then the answer is False.
        """
        ended = True
        for thread in reversed(self._threads.copy()):
            if (names and thread.name not in names) or thread is threading.current_thread():
                continue
            thread.join(self.JOIN_S)
            self._threads.remove(thread)
            if thread.is_alive():
                ended = False
                log.error("thread %s did not stop within %.0f s", thread.name, self.JOIN_S)
        return ended

    def finish(self, name: str, step: Callable[[], object]) -> None:
        """A step of the end: an error in it is told and makes the end a failed one, and the steps
        that follow come all the same."""
        if not self._guard(name, step):
            self.failed = True

    def _guard(self, name: str, target: Callable[[], object]) -> bool:
        """Whether it ended without an error."""
        try:
            target()
        except LipsyncError as error:
            self.stop(str(error), failed=True)
        except Exception as error:  # the one place: nothing must die unheard
            log.exception("%s failed", name)
            self.stop(f"{name} failed: {type(error).__name__}: {error}", failed=True)
        else:
            return True
        return False
