"""Troubles that last an hour, in virtual time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.clock import VirtualClock
from lipsync_edge.logs import Limited, LogQueue
from lipsync_edge.ratelimit import RateLimit

HOUR_S = 3600


def told_at(times_s: list[float]) -> list[tuple[float, int]]:
    limit = RateLimit()
    asked = [(t_s, limit.ask("dead bus", t_s)) for t_s in times_s]
    return [(t_s, held_back) for t_s, held_back in asked if held_back is not None]


@pytest.mark.parametrize("every_s", [0.02, 1.0, 7.0])
def test_an_hour_of_trouble_is_a_screen_at_most(every_s: float) -> None:
    times_s = [k * every_s for k in range(round(HOUR_S / every_s))]
    told = told_at(times_s)
    assert told[0] == (0, 0), "the first at once"
    assert 5 <= len(told) <= 20
    gaps_s = [b[0] - a[0] for a, b in pairwise(told)]
    assert gaps_s == sorted(gaps_s), "then with growing pauses"
    assert sum(held for _, held in told) + len(told) <= len(times_s)
    last_s = told[-1][0]
    n_until_then = sum(t_s <= last_s for t_s in times_s)
    assert sum(held for _, held in told) + len(told) == n_until_then, "each is counted once"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 900)), min_size=1, max_size=20))
def test_no_pattern_of_bursts_gets_more(bursts: list[tuple[int, int]]) -> None:
    times_s, at_s = [], 0
    for length_s, silent_s in bursts:
        times_s += range(at_s, at_s + length_s + 1)
        at_s += length_s + 1 + silent_s
    assert len(told_at([float(t_s) for t_s in times_s if t_s < HOUR_S])) <= 20


def test_what_did_not_happen_for_long_is_news_again() -> None:
    assert told_at([0, 1, 2, 700]) == [(0, 0), (700, 2)]


def test_kinds_do_not_wait_for_each_other() -> None:
    limit = RateLimit()
    assert limit.ask("a", 0) == 0
    assert limit.ask("b", 0) == 0
    assert limit.ask("a", 1) is None


def test_kinds_do_not_pile_up() -> None:
    limit = RateLimit()
    for k in range(10_000):
        limit.ask(str(k), 0)
    assert len(limit._told) <= RateLimit.MOST_KINDS


# The journal --------------------------------------------------------------------------------------


class Paper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


@pytest.fixture
def paper() -> Iterator[Paper]:
    """The only place where the root logger writes to."""
    root, paper = logging.getLogger(), Paper()
    handlers, level = root.handlers, root.level
    root.handlers, root.level = [paper], logging.DEBUG
    yield paper
    root.handlers, root.level = handlers, level


def test_an_hour_of_a_dead_bus_in_the_journal(paper: Paper) -> None:
    clock = VirtualClock()
    logs, log = LogQueue(clock), logging.getLogger("lipsync_edge.test")
    logs.install()
    for second in range(HOUR_S):
        log.warning("board: %s", f"no answer at {second} s")
        log.debug("status %d", second)
        while logs.step(0):
            pass
        clock.sleep_until(second + 1.0)
    log.warning("board is back")
    logs.remove()
    while logs.step(0):
        pass
    warnings = [line for line in paper.lines if "board:" in line]
    assert warnings[:2] == [
        "WARNING board: no answer at 0 s",
        "WARNING board: no answer at 10 s (9 more since)",
    ]
    assert len(warnings) <= 20
    assert paper.lines[-1] == "WARNING board is back"
    assert sum("DEBUG status" in line for line in paper.lines) == HOUR_S, "debug is not thinned"


def test_nothing_is_written_by_the_thread_that_says_it(paper: Paper) -> None:
    logs = LogQueue(VirtualClock())
    logs.install()
    log = logging.getLogger("lipsync_edge.test")
    log.info("a")
    assert paper.lines == []
    for k in range(LogQueue.ROOM + 9):
        log.info("line %d", k)
    logs.remove()
    while logs.step(0):
        pass
    assert paper.lines[0] == "INFO a [10 lines lost]"
    assert len(paper.lines) == LogQueue.ROOM
    log.info("b")
    assert paper.lines[-1] == "INFO b", "the handlers are back"


def test_the_filter_leaves_other_records_alone() -> None:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "%d%% of %s", (5, "it"), None)
    assert Limited(VirtualClock()).filter(record)
    assert record.getMessage() == "5% of it"
