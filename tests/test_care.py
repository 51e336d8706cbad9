"""Soft start, heat, a sagging supply and rest on demand, through mover, gate and real driver."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lipsync_edge import config
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import make_care, make_chain
from lipsync_edge.clock import VirtualClock
from lipsync_edge.model.dummy import DummyModel
from lipsync_edge.servos.pca9685 import Pca9685Board
from lipsync_edge.servos.registers import simulated_bus
from lipsync_edge.servos.rig import Rig
from lipsync_edge.telemetry import Telemetry

RATE_HZ, TICK_S, COUNT_US = 16_000, 0.02, 4.89


class Bench:
    """The ten-servo head on a simulated board, with or without care; time goes by ticks."""

    def __init__(
        self,
        pose: dict[str, float] | None = None,
        care: bool = True,
        faults: str = "",
        syllables_hz: float = 0.0,
    ):
        settings = config.load(None, [])
        self.clock, self.telemetry, ring = VirtualClock(), Telemetry(), Ring(4 * RATE_HZ)
        model = DummyModel(sleep=lambda s: None)
        self.rig = Rig(settings.head, model.axes)
        self.bus = simulated_bus(settings.head.boards, clock=self.clock, faults=faults)
        self.board = Pca9685Board(
            settings.head.boards, self.rig.slots, i2c=self.bus, clock=self.clock
        )
        self.board.open()
        self.care = make_care(settings, self.rig, pose) if care else None
        self.chain = make_chain(
            settings,
            model,
            self.rig,
            self.board,
            ring,
            RATE_HZ,
            self.clock,
            self.telemetry,
            self.care,
        )
        noise = np.random.default_rng(3).integers(-9000, 9000, 3 * RATE_HZ)
        if syllables_hz:
            t_s = np.arange(noise.size) / RATE_HZ
            noise = noise * (np.sin(2 * np.pi * syllables_hz * t_s) > 0)
        ring.write(noise.astype(np.int16))
        self.chain.analyzer.step()

    def ticks(self, seconds: float, heard_s: float = -math.inf) -> np.ndarray:
        """What comes out of the board after every tick, (n_ticks, n_servos) us, NaN: no pulse."""
        rows = []
        for k in range(round(seconds / TICK_S)):
            self.clock.sleep_until(self.clock.now() + TICK_S)
            self.chain.mover.tick((heard_s + k * TICK_S) * RATE_HZ, self.clock.now())
            chips = list(self.bus.chips.values())
            rows.append([chips[s.board].pulse_us(s.channel) for s in self.rig.slots])
        out = np.array(rows)
        on = ~np.isnan(out)
        low, high = (np.broadcast_to(v, out.shape) for v in (self.rig.min_us, self.rig.max_us))
        assert (out[on] >= low[on] - COUNT_US).all()
        assert (out[on] <= high[on] + COUNT_US).all()
        return out


def test_servos_wake_one_after_another_from_neutral_where_nobody_knows() -> None:
    bench = Bench()
    out = bench.ticks(1.2)
    first = np.argmax(~np.isnan(out), axis=0)
    assert first.tolist() == [2 * k for k in range(10)], "40 ms apart"
    np.testing.assert_allclose(out[first, range(10)], bench.rig.neutral_us, atol=COUNT_US)
    assert bench.care is not None
    assert bench.care.awake


def test_known_horns_start_where_they_were_and_go_slowly() -> None:
    stood = {
        name: float(us) for name, us in zip(Bench().rig.names, Bench().rig.max_us, strict=True)
    }
    bench = Bench(stood)
    out = bench.ticks(3.0)
    first = np.argmax(~np.isnan(out), axis=0)
    np.testing.assert_allclose(out[first, range(10)], bench.rig.max_us, atol=COUNT_US)
    np.testing.assert_allclose(out[-1], bench.rig.neutral_us, atol=COUNT_US)
    for servo, begin in enumerate(first):
        slow = out[begin : begin + 5, servo]  # its first 100 ms
        allowed = bench.rig.slew_us_per_s[servo] * TICK_S * 0.3
        assert np.abs(np.diff(slow)).max(initial=0.0) <= allowed + COUNT_US


def test_after_waking_every_pulse_is_as_without_care() -> None:
    cared, bare = Bench(), Bench(care=False)
    cared.ticks(1.0)
    bare.ticks(1.0)
    np.testing.assert_array_equal(cared.ticks(1.5, 0.5), bare.ticks(1.5, 0.5))


def test_a_reset_board_is_set_up_anew_and_wakes_its_servos_one_by_one() -> None:
    bench = Bench(faults="reset@2")
    out = bench.ticks(4.5)
    silent = np.isnan(out).all(axis=1)
    lost = np.flatnonzero(silent)
    assert 1.9 < lost[0] * TICK_S < 2.1
    assert len(lost) * TICK_S <= 1.1, "noticed within a second"
    again = lost[-1] + 1
    awake = (~np.isnan(out[again : again + 20])).sum(axis=1)
    assert awake.tolist() == [min(10, k // 2 + 1) for k in range(20)]
    assert not np.isnan(out[-1]).any()
    assert bench.telemetry.bus_failures == 1


def test_an_outage_of_the_bus_ends_in_a_soft_start_too() -> None:
    bench = Bench(faults="dead@1:0.7")
    out = bench.ticks(4.0)
    awake = (~np.isnan(out)).sum(axis=1)
    dead = np.flatnonzero(awake[60:] == 0) + 60
    again = dead[-1] + 1
    assert np.diff(awake[again : again + 20]).max() <= 1
    assert awake[-1] == 10


def test_rest_on_demand_is_neutral_then_off_and_back_with_a_soft_start() -> None:
    bench = Bench()
    bench.ticks(1.0)
    spoken = bench.ticks(0.5, 0.5)
    assert (np.abs(spoken[-1] - bench.rig.neutral_us) > 50).any()
    assert bench.care is not None
    bench.care.resting = True
    out = bench.ticks(1.5, 1.0)
    assert np.isnan(out[-1]).all()
    before = out[np.flatnonzero(~np.isnan(out).all(axis=1))[-1]]
    np.testing.assert_allclose(before, bench.rig.neutral_us, atol=10 + COUNT_US)
    bench.care.resting = False
    out = bench.ticks(1.0)
    assert (~np.isnan(out)).sum(axis=1)[:5].tolist() == [1, 1, 2, 2, 3]


def test_resting_from_the_start_wakes_nobody() -> None:
    bench = Bench()
    assert bench.care is not None
    bench.care.resting = True
    assert np.isnan(bench.ticks(2.0, 0.2)).all()


def test_ease_halves_the_moves_of_quick_syllables_too() -> None:
    """The planner must not take what was shrunk for a servo that lags, and shrink it again."""
    wide, eased = Bench(syllables_hz=3.0), Bench(syllables_hz=3.0)
    assert eased.care is not None
    eased.care.ease = 0.5
    for bench in (wide, eased):
        bench.ticks(2.2)
    one, other = wide.ticks(1.5, 0.5), eased.ticks(1.5, 0.5)
    travel = np.ptp(other, axis=0).max() / np.ptp(one, axis=0).max()
    assert 0.4 <= travel <= 0.55


def test_ease_makes_moves_smaller_without_a_jump() -> None:
    wide, eased = Bench(), Bench()
    wide.ticks(1.0)
    eased.ticks(1.0)
    assert eased.care is not None
    eased.care.ease = 0.5
    eased.ticks(1.2)  # the range follows slowly
    wide.ticks(1.2)
    neutral = wide.rig.neutral_us
    one, other = wide.ticks(1.5, 0.5) - neutral, eased.ticks(1.5, 0.5) - neutral
    np.testing.assert_allclose(np.abs(other).max(axis=0), np.abs(one).max(axis=0) / 2, atol=15)
    eased.care.ease = 1.0
    back = eased.ticks(0.5, 1.0)
    assert np.abs(np.diff(back, axis=0)).max() <= wide.rig.slew_us_per_s.max() * TICK_S


def test_a_pose_is_shown_until_it_is_taken_back() -> None:
    bench = Bench()
    bench.ticks(1.0)
    axis = DummyModel(sleep=lambda s: None).axes[0]
    bench.chain.mover.show({axis: 1.0})
    shown = bench.ticks(1.0)[-1]
    full = bench.rig.widths_us(np.eye(1, len(DummyModel(sleep=lambda s: None).axes))[0])
    np.testing.assert_allclose(shown, full, atol=COUNT_US)
    assert (np.abs(shown - bench.rig.neutral_us) > 50).any()
    bench.chain.mover.show(None)
    np.testing.assert_allclose(bench.ticks(1.0)[-1], bench.rig.neutral_us, atol=COUNT_US)


def test_the_last_places_are_known_after_the_outputs_went_off() -> None:
    bench = Bench()
    bench.ticks(1.0)
    last = bench.ticks(0.5, 0.5)[-1]
    assert bench.care is not None
    bench.chain.mover.park(bench.clock, TICK_S)
    assert np.isfinite(bench.care.last_us).all()
    assert (np.abs(last - bench.rig.neutral_us) > 50).any()
    np.testing.assert_allclose(bench.care.last_us, bench.rig.neutral_us, atol=10)


@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_parking_while_waking_wakes_no_more(seconds: float) -> None:
    bench = Bench()
    bench.ticks(seconds)
    bench.chain.mover.park(bench.clock, TICK_S)
    chips = bench.bus.chips.values()
    assert np.isnan([chip.pulses_us() for chip in chips]).all()
