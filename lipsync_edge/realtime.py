"""Real time from the kernel, where it lets us: memory that stays in, threads that go first.

A page that must be read back from an SD card costs tens of milliseconds, a busy neighbour some
more; the mover's tick is 20 ms. Both are refused to ordinary users, who do well without.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

PRIORITIES: Mapping[str, int] = {"sound": 50, "input": 45, "mover": 40, "analyzer": 20}
"""SCHED_FIFO priorities, 1..99: who is late first when late comes first. All below the kernel's own
interrupt threads at 50 but for the callback, which may not wait for the mover. sched(7)."""
# mlockall(2), Linux on all architectures that we run on. On fault: a page stays from its first use
# on. Without that, all of the libraries and 8 MB of stack per thread come in at once: 320 MB
# resident in place of 60, too much for a Pi Zero 2.
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
CAP_IPC_LOCK = 14  # capabilities(7)


def lock_memory() -> str:
    """What we once used stays in memory from here on; returns why not, empty where done.

    With MCL_FUTURE under a limit, an allocation would fail later, in the middle of a sentence;
    hence only without a limit, or with the right to ignore it.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and not _may_lock():
        return f"memory is not locked (limit {soft // 1024} kB; LimitMEMLOCK=infinity allows it)"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT):
        return f"memory is not locked ({os.strerror(ctypes.get_errno())})"
    return ""


def unlock_memory() -> None:
    """Undo :func:`lock_memory`; harmless where it did nothing."""
    ctypes.CDLL(None).munlockall()


def _may_lock() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    held = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), "0")
    return bool(int(held, 16) >> CAP_IPC_LOCK & 1)


def thread_ids() -> set[int]:
    """The kernel's ids of all our threads, those of C libraries too."""
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except OSError:
        return set()


def prioritize(thread_ids: Iterable[int], priority: int) -> str:
    """Give threads SCHED_FIFO; returns why not, empty where all have it. sched_setscheduler(2)."""
    try:
        for thread_id in thread_ids:
            # What they start in turn is ordinary again.
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(thread_id, policy, os.sched_param(priority))
    except ProcessLookupError:
        return ""  # it ended meanwhile
    except OSError as error:
        return f"no real-time priority ({error.strerror}; LimitRTPRIO=50 allows it)"
    return ""


class Realtime:
    """Asks for it where wanted; says once, in one line, that it was refused, and goes on."""

    def __init__(self, wanted: bool, level: int) -> None:
        """``level``: how loud to say it: a service should have it, a desktop need not."""
        self._wanted, self._level = wanted, level
        self._locked = False

    def lock(self) -> None:
        """Lock the memory. Call it when all is loaded."""
        if self._wanted:
            trouble = lock_memory()
            self._locked = not trouble
            self._say(trouble)

    def give(self, name: str, thread_ids: Iterable[int]) -> None:
        """Give the threads the priority called ``name``, see ``PRIORITIES``."""
        if self._wanted:
            trouble = prioritize(thread_ids, PRIORITIES[name])
            self._wanted = not trouble
            self._say(trouble)

    def close(self) -> None:
        """Unlock what was locked."""
        if self._locked:
            unlock_memory()
            self._locked = False

    def _say(self, trouble: str) -> None:
        if trouble:
            log.log(self._level, "runs without real time: %s", trouble)
