"""Real time from the kernel: as root where the tests may, and refused as to a desktop's user."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from lipsync_edge import realtime

ROOT = os.geteuid() == 0
PRINT = """
import os, resource
from lipsync_edge import realtime
{before}
print(realtime.lock_memory())
print(realtime.prioritize([os.getpid()], 20))
print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.sched_getparam(0).sched_priority)
locked = [line for line in open("/proc/self/status") if line.startswith("VmLck")]
print(locked[0].split()[1])
realtime.unlock_memory()
"""


def in_a_process(before: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRINT.format(before=before)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.skipif(not ROOT, reason="needs root to become somebody who may nothing")
def test_an_ordinary_user_is_told_what_would_allow_it() -> None:
    before = """
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
os.setuid(65534)
"""
    memory, priority, scheduled, locked = in_a_process(before)
    assert memory == "memory is not locked (limit 64 kB; LimitMEMLOCK=infinity allows it)"
    assert priority.startswith("no real-time priority (")
    assert "LimitRTPRIO" in priority
    assert scheduled == "0 0"
    assert locked == "0"


@pytest.mark.skipif(not ROOT, reason="only root has the right without a limit")
def test_with_the_rights_it_is_done() -> None:
    memory, priority, scheduled, locked = in_a_process("")
    if memory or priority:
        pytest.skip(f"this machine refuses it even to root: {memory} {priority}")
    assert scheduled == f"{os.SCHED_FIFO} 20"
    assert int(locked) > 10_000, "kB"


def test_a_low_limit_is_respected_before_it_hurts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "_may_lock", lambda: False)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8_388_608, 8_388_608))
    assert "limit 8192 kB" in realtime.lock_memory()


def test_our_threads_are_listed_and_those_that_ended_do_not_matter() -> None:
    assert os.getpid() in realtime.thread_ids()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert realtime.prioritize([child.pid], 20) == ""
