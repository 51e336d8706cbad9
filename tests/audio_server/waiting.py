"""Waiting for what another process does."""

from __future__ import annotations

from collections.abc import Callable

from lipsync_edge.clock import MonotonicClock

CLOCK = MonotonicClock()


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    end_s = CLOCK.now() + timeout_s
    while not condition():
        assert CLOCK.now() < end_s, "it did not happen in time"
        CLOCK.sleep_until(CLOCK.now() + 0.02)
