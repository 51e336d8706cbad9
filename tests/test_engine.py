"""Feeder, analyzer and mover, each with the trouble that it must survive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from virtual_robot import ArraySource

from lipsync_edge import config
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import Chain, make_chain
from lipsync_edge.clock import Ticker, VirtualClock
from lipsync_edge.engine import Feeder
from lipsync_edge.model.dummy import DummyModel
from lipsync_edge.servos.dummy import DummyBoard
from lipsync_edge.servos.rig import Rig
from lipsync_edge.telemetry import Telemetry

RATE_HZ = 16_000


class Bench:
    """A chain around the dummy model and the dummy board."""

    def __init__(self, faults: str = "", board_faults: str = "") -> None:
        settings = config.load(None, [], head="jaw")
        self.clock, self.telemetry, self.ring = VirtualClock(), Telemetry(), Ring(RATE_HZ)
        model = DummyModel(faults=faults, sleep=lambda s: None)
        rig = Rig(settings.head, model.axes)
        self.neutral_us = rig.neutral_us
        self.board = DummyBoard(len(rig.slots), faults=board_faults, clock=self.clock)
        self.board.open()
        self.chain: Chain = make_chain(
            settings, model, rig, self.board, self.ring, RATE_HZ, self.clock, self.telemetry
        )

    def hear(self, samples: np.ndarray) -> None:
        self.ring.write(samples)
        self.chain.analyzer.step()


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(3).integers(-9000, 9000, round(seconds * RATE_HZ)).astype(np.int16)


def test_the_feeder_fills_the_ring_and_marks_the_end() -> None:
    ring, samples = Ring(RATE_HZ), noise(1.5)
    feeder = Feeder(ArraySource(samples, RATE_HZ), ring)
    got = np.zeros(0, np.int16)
    out = np.zeros(4000, np.int16)
    while not (ring.ended and ring.available == 0):
        while feeder.step():
            pass
        n_samples = ring.read_into(out)[1]
        got = np.concatenate([got, out[:n_samples]])
    np.testing.assert_array_equal(got, samples)
    assert not feeder.step()


def test_poses_do_not_depend_on_the_blocks() -> None:
    one, many = Bench(), Bench()
    samples = noise(0.9)
    one.hear(samples)
    for part in np.array_split(samples, 57):
        many.hear(part)
    at = np.arange(0.0, 0.9 * RATE_HZ, 97.0)
    np.testing.assert_array_equal(one.chain.timeline.at(at)[0], many.chain.timeline.at(at)[0])
    assert one.telemetry.hops == many.telemetry.hops == 88  # (14400 - 400) // 160 + 1


def test_an_overtaken_analyzer_begins_anew_at_the_right_index() -> None:
    bench = Bench()
    bench.hear(noise(0.5))
    bench.ring.write(noise(3.0))  # three seconds into a ring of one
    bench.chain.analyzer.step()
    assert bench.telemetry.gaps == 1
    end = 3.5 * RATE_HZ
    assert end - 700 < bench.chain.timeline.newest < end  # the last frame's centre


def test_nan_from_the_model_is_refused_and_bridged() -> None:
    bench = Bench(faults="nan@0.3:0.02")
    bench.hear(noise(1.0))
    assert bench.telemetry.refused_poses > 0
    poses, starved = bench.chain.timeline.at(np.arange(3000.0, 12000.0, 50.0))
    assert np.isfinite(poses).all()
    assert not starved


def test_starved_motion_ends_at_neutral() -> None:
    bench = Bench()
    bench.hear(noise(1.0))
    moved = bench.chain.mover.tick(0.5 * RATE_HZ, 1.0)
    assert moved[0] != bench.neutral_us[0]
    for k in range(60):
        sent = bench.chain.mover.tick((1.0 + 0.02 * k) * RATE_HZ, 1.02 + 0.02 * k)
    assert bench.telemetry.starved > 40
    assert sent[0] == bench.neutral_us[0]


def test_before_the_first_sound_the_mouth_rests() -> None:
    bench = Bench()
    sent = bench.chain.mover.tick(-math.inf, 0.0)
    np.testing.assert_array_equal(sent, bench.neutral_us)
    assert bench.telemetry.starved == 0


def test_a_dead_board_is_counted_and_stops_nothing() -> None:
    bench = Bench(board_faults="dead@0:9")
    bench.hear(noise(1.0))
    for k in range(10):
        bench.chain.mover.tick(0.02 * k * RATE_HZ, 0.02 * k)
    assert bench.telemetry.bus_failures == 10
    assert bench.telemetry.ticks == 10


def test_released_when_nobody_speaks_and_back_with_the_voice() -> None:
    bench = Bench()
    bench.hear(noise(1.0))
    for second in range(8):
        bench.hear(np.zeros(RATE_HZ, np.int16))
        for k in range(50):
            at_s = 0.7 + second + 0.02 * k
            sent = bench.chain.mover.tick(at_s * RATE_HZ, at_s)
    assert np.isnan(sent).all()
    bench.hear(noise(1.0))
    widths = [bench.chain.mover.tick((9.0 + k / 50) * RATE_HZ, 9.0 + k / 50)[0] for k in range(45)]
    assert max(widths) > bench.neutral_us[0] + 100


def test_park_goes_to_neutral_then_off() -> None:
    bench = Bench()
    bench.hear(noise(1.0))
    bench.chain.mover.tick(0.5 * RATE_HZ, 0.0)
    bench.chain.mover.park(bench.clock, 0.02)
    assert np.isnan(bench.board.sent_us()).all()
    assert 0.02 < bench.clock.now() < 0.6, "the gate let it go there slowly"


def test_late_ticks_resync_and_never_catch_up() -> None:
    ticker = Ticker(0.02)
    deadlines = [ticker.advance(now) for now in (0.0, 0.001, 0.025, 0.2, 0.201, 0.222)]
    assert deadlines == pytest.approx([0.0, 0.02, 0.04, 0.2, 0.22, 0.24])
    assert ticker.resyncs == 1
