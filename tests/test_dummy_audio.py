"""The null sink, driven by a virtual clock, and what it does wrong on command."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lipsync_edge.audio import Samples
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.dummy import NullStream
from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import Bell, MonotonicClock, VirtualClock
from lipsync_edge.errors import AudioError
from lipsync_edge.options import AudioOptions
from lipsync_edge.sampleclock import SampleClock


class Notes:
    """A courier that writes down what it is called with."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.xruns: list[float] = []
        self.heard_s: list[float] = []
        self.captured: list[Samples] = []

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        self.at_s.append(now_s)
        self.heard_s.append(now_s + dac_s)
        if xrun:
            self.xruns.append(now_s)
        if captured is not None:
            self.captured.append(captured.copy())
        out.fill(1)


def pumped(faults: str, until_s: float = 4.0, duplex: bool = False) -> tuple[NullStream, Notes]:
    """A stream of 100 blocks a second that ran to ``until_s``, and what happened."""
    options = AudioOptions(frames_per_buffer=160, faults=faults)
    stream, notes = NullStream(options, VirtualClock(), rate_hz=16_000, duplex=duplex), Notes()
    stream.start(notes)
    stream.pump(until_s - 1e-6)
    return stream, notes


def test_blocks_come_at_the_stream_rate() -> None:
    stream, notes = pumped("")
    assert notes.at_s == pytest.approx([k / 100 for k in range(400)])
    assert np.subtract(notes.heard_s, notes.at_s) == pytest.approx(stream.output_latency_s)
    assert stream.is_active()
    assert notes.xruns == []
    stream.stop()
    stream.stop()
    assert not stream.is_active()


def test_a_stall_leaves_a_gap_and_an_xrun() -> None:
    _, notes = pumped("stall@2:0.5")
    assert len(notes.at_s) == 350
    assert not [at_s for at_s in notes.at_s if 2.0 <= at_s < 2.49]
    assert notes.xruns == pytest.approx([2.5])


def test_an_xrun_drops_one_block_and_flags_the_next() -> None:
    _, notes = pumped("xrun@1 xrun@3")
    assert len(notes.at_s) == 398
    assert notes.xruns == pytest.approx([1.01, 3.01])


def test_drift_makes_the_card_fast_and_the_sample_clock_finds_it() -> None:
    options = AudioOptions(frames_per_buffer=480, faults="drift@0:150")
    stream = NullStream(options, VirtualClock(), rate_hz=48_000)
    courier, clock = BlockCourier(Ring(1000), Bell(), 0), SampleClock(48_000)
    stream.start(courier)
    for second in range(1, 101):
        stream.pump(second)
        courier.drain_stamps(clock.observe)
    assert courier.at_sample == pytest.approx(48_000 * 100 * (1 + 150e-6), abs=480)
    assert clock.drift_ppm == pytest.approx(150, abs=10)


def test_the_end_is_a_lost_device_with_a_reason() -> None:
    stream, notes = pumped("end@3")
    assert len(notes.at_s) == 300
    assert not stream.is_active()
    assert "went away" in stream.failure


def test_the_microphone_hears_syllables_and_silence_on_command() -> None:
    _, notes = pumped("silence@2:1", duplex=True)
    loud = [bool(block.any()) for block in notes.captured]
    assert len(loud) == 400
    assert not any(loud[200:300])
    assert sum(loud[:200]) > 80
    assert sum(loud[300:]) > 40


def test_play_only_captures_nothing_and_the_sink_gets_what_is_played() -> None:
    played: list[Samples] = []
    options = AudioOptions(frames_per_buffer=32)
    stream, notes = NullStream(options, VirtualClock(), sink=played.append), Notes()
    stream.start(notes)
    stream.pump(0.01)
    assert notes.captured == []
    assert len(played) == len(notes.at_s) > 0
    assert all((block == 1).all() for block in played)


def test_unknown_faults_are_refused_with_the_known_ones() -> None:
    with pytest.raises(AudioError, match=r"audio\.faults: 'stal@2'.*did you mean 'stall'"):
        NullStream(AudioOptions(faults="stal@2"), VirtualClock())


def test_with_a_real_clock_it_runs_on_the_thread_that_it_is_given() -> None:
    threads: list[threading.Thread] = []

    def spawn(name: str, target) -> threading.Thread:
        threads.append(threading.Thread(target=target, name=name))
        threads[-1].start()
        return threads[-1]

    bell = Bell()
    courier = BlockCourier(Ring(10_000), bell, 0)
    stream = NullStream(AudioOptions(), MonotonicClock(), rate_hz=48_000, spawn=spawn)
    stream.start(courier)
    while courier.blocks < 10:
        assert bell.wait(5)
    stream.stop()
    threads[0].join(5)
    assert not threads[0].is_alive()
    assert courier.at_sample == AudioOptions().frames_per_buffer * courier.blocks


def test_jitter_delays_callbacks_and_loses_none() -> None:
    _, notes = pumped("jitter@1:0.004")
    late_s = np.array(notes.at_s) - np.arange(len(notes.at_s)) / 100
    assert len(late_s) == 400
    assert late_s[:100] == pytest.approx(np.zeros(100), abs=1e-9)
    assert late_s[101:].max() == pytest.approx(0.004, abs=0.0005)
    assert late_s[101:].min() == pytest.approx(0.0, abs=0.0005)
    assert np.array(notes.heard_s)[101:] == pytest.approx(np.arange(101, 400) / 100 + 0.02)


def test_the_faults_of_another_card_are_not_the_sinks() -> None:
    _, notes = pumped("input-end@1 input-drift@0:900 input-xrun@2")
    assert notes.at_s == pytest.approx([k / 100 for k in range(400)])
    assert notes.xruns == []
