"""Threads: one reason, errors heard, stopped in reverse."""

from __future__ import annotations

import threading

from lipsync_edge.clock import MonotonicClock, VirtualClock
from lipsync_edge.errors import BoardError
from lipsync_edge.realtime import thread_ids
from lipsync_edge.supervisor import Supervisor


def test_the_first_reason_is_told() -> None:
    supervisor = Supervisor(MonotonicClock())
    supervisor.stop("the end of the sound")
    supervisor.stop("something else", failed=True)
    assert supervisor.reason == "the end of the sound"
    assert not supervisor.failed
    assert supervisor.wait(0)


def test_an_error_in_a_thread_stops_the_program_with_its_sentence() -> None:
    supervisor = Supervisor(MonotonicClock())

    def fail() -> None:
        raise BoardError("No board answers.", "Check the wiring.")

    supervisor.spawn("mover", fail)
    assert supervisor.wait(5)
    assert supervisor.failed
    assert supervisor.reason == "No board answers. Check the wiring."


def test_even_an_unforeseen_error_has_a_name() -> None:
    supervisor = Supervisor(MonotonicClock())
    supervisor.loop("analyzer", lambda: "abc".index("d"))
    assert supervisor.wait(5)
    assert supervisor.reason.startswith("analyzer failed: ValueError")


def test_threads_beat_and_end_in_reverse_order() -> None:
    supervisor = Supervisor(MonotonicClock())
    ended: list[str] = []
    started = threading.Barrier(3)

    def worker(name: str, before: threading.Event, after: threading.Event) -> None:
        started.wait(5)
        supervisor.wait(5)
        before.wait(5)
        ended.append(name)
        after.set()

    first, second, third = (threading.Event() for _ in range(3))
    third.set()
    supervisor.spawn("a", lambda: worker("a", second, first))
    supervisor.spawn("b", lambda: worker("b", third, second))
    rounds: list[int] = []
    supervisor.loop("c", lambda: rounds.append(supervisor.wait(0.01)))
    started.wait(5)
    while not rounds:
        supervisor.wait(0.01)
    supervisor.stop("enough")
    supervisor.join()
    assert ended == ["b", "a"]
    assert set(supervisor.beat_ages_s()) == {"c"}


def test_a_thread_that_hangs_in_its_first_round_grows_old_unless_forgiven() -> None:
    clock, goes_on = VirtualClock(), threading.Event()
    supervisor = Supervisor(clock)
    supervisor.loop("mover", lambda: supervisor.stop("done") if goes_on.wait(5) else None)
    clock.sleep_until(7.0)
    assert supervisor.beat_ages_s() == {"mover": 7.0}
    supervisor.forgive(6.0)
    assert supervisor.beat_ages_s() == {"mover": 1.0}
    supervisor.forgive(60.0)
    clock.sleep_until(8.0)
    assert supervisor.beat_ages_s() == {"mover": 1.0}
    (native_id,) = supervisor.native_ids("mover")
    assert native_id in thread_ids()
    assert supervisor.native_ids("nobody") == []
    goes_on.set()
    assert supervisor.join()


def test_an_error_in_a_step_of_the_end_keeps_no_other_from_coming() -> None:
    supervisor, done = Supervisor(MonotonicClock()), []
    supervisor.stop("SIGTERM")

    def fails() -> None:
        raise ZeroDivisionError

    supervisor.finish("good", lambda: done.append(1))
    assert not supervisor.failed
    supervisor.finish("bad", fails)
    supervisor.finish("good", lambda: done.append(2))
    assert (done, supervisor.reason, supervisor.failed) == ([1, 2], "SIGTERM", True)
