"""Ring, delay line and bell: what lies between the sound card's thread and the others."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_edge.audio.delay import DelayLine
from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import Bell

SIZES = st.lists(st.integers(0, 40), max_size=30)


def counting(begin: int, n_samples: int) -> np.ndarray:
    return np.arange(begin, begin + n_samples).astype(np.int16)


@given(writes=SIZES, reads=SIZES)
def test_every_sample_read_is_the_one_of_its_index(writes: list[int], reads: list[int]) -> None:
    ring, written, expected = Ring(16), 0, 0
    for n_write, n_read in zip(writes, reads, strict=False):
        ring.write(counting(written, n_write))
        written += n_write
        out = np.zeros(n_read, np.int16)
        at_sample, n_samples = ring.read_into(out)
        assert (out[:n_samples] == counting(at_sample, n_samples)).all()
        assert at_sample >= expected
        expected = at_sample + n_samples
        assert ring.available + ring.free == ring.capacity


def test_a_reader_that_keeps_up_loses_nothing() -> None:
    ring, out = Ring(10), np.zeros(7, np.int16)
    for begin in range(0, 700, 7):
        ring.write(counting(begin, 7))
        assert ring.read_into(out) == (begin, 7)
        assert (out == counting(begin, 7)).all()
    assert ring.lost == 0
    assert ring.read_into(out)[1] == 0


def test_an_overtaken_reader_jumps_to_the_middle_and_counts() -> None:
    ring = Ring(100)
    ring.write(counting(0, 250))
    assert ring.available == 100
    assert ring.free == 0
    out = np.zeros(500, np.int16)
    assert ring.read_into(out) == (200, 50)
    assert (out[:50] == counting(200, 50)).all()
    assert ring.lost == 200


def test_two_threads_see_no_torn_block() -> None:
    """The writer laps a reader that is too slow; whatever the reader gets must be in order."""
    ring, done = Ring(1024), threading.Event()

    def write() -> None:
        for begin in range(0, 3_000_000, 500):
            ring.write(counting(begin, 500))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    out, expected, skipped, torn = np.zeros(700, np.int16), 0, 0, 0
    while not done.is_set() or ring.available:
        at_sample, n_samples = ring.read_into(out)
        skipped += at_sample - expected
        expected = at_sample + n_samples
        torn += not np.array_equal(out[:n_samples], counting(at_sample, n_samples))
    thread.join()
    assert torn == 0
    assert expected == 3_000_000
    assert ring.lost == skipped


@given(n_delay=st.integers(0, 60), sizes=SIZES)
def test_the_delay_is_exact_for_any_blocks(n_delay: int, sizes: list[int]) -> None:
    line = DelayLine(n_delay)
    sound = 1 + counting(0, sum(sizes))
    out = np.zeros(len(sound), np.int16)
    begin = 0
    for size in sizes:
        line.process(sound[begin : begin + size], out[begin : begin + size])
        begin += size
    assert (out == np.concatenate([np.zeros(n_delay, np.int16), sound])[: len(sound)]).all()


def test_the_bell_counts_rings_as_one_and_is_quiet_otherwise() -> None:
    bell = Bell()
    assert not bell.wait(0)
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_the_bell_wakes_a_waiting_thread() -> None:
    bell, woken = Bell(), []
    thread = threading.Thread(target=lambda: woken.append(bell.wait(10)))
    thread.start()
    bell.ring()
    thread.join(10)
    assert woken == [True]


@pytest.mark.parametrize("n_samples", [0, 1, 100, 101, 1000])
def test_one_block_of_any_size_leaves_its_newest_samples(n_samples: int) -> None:
    ring = Ring(100)
    ring.write(counting(0, n_samples))
    assert ring.available == min(n_samples, 100)
    ring.end()
    assert ring.ended
