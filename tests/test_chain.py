"""A sample's way through the whole chain, exact to the sample and to the tick."""

from __future__ import annotations

import numpy as np
import pytest
from virtual_robot import VirtualRobot

TICK_S = 0.02
CLICKS_S = (0.6, 1.37, 2.113, 2.9)


def click_track(rate_hz: int) -> np.ndarray:
    """Four bursts of noise, 150 ms each, in silence."""
    rng = np.random.default_rng(7)
    samples = np.zeros(4 * rate_hz, np.int16)
    n_samples = 15 * rate_hz // 100
    for at_s in CLICKS_S:
        start = round(at_s * rate_hz)
        samples[start : start + n_samples] = rng.integers(-9000, 9000, n_samples)
    return samples


def rises(pulses: list[tuple[float, float]]) -> list[float]:
    """Times at which the jaw's pulse first passes the middle of its way."""
    times, widths = np.array(pulses).T
    middle = (np.nanmin(widths) + np.nanmax(widths)) / 2
    above = widths > middle
    return times[1:][above[1:] & ~above[:-1]].tolist()


@pytest.mark.parametrize("lookahead_ms", [0, 80, 200])
@pytest.mark.parametrize(
    ("block", "rate_hz"), [(64, 16_000), (480, 16_000), (256, 44_100), (480, 48_000)]
)
def test_the_pulse_of_each_click_lies_where_the_budget_says(
    lookahead_ms: int, block: int, rate_hz: int
) -> None:
    robot = VirtualRobot(
        click_track(rate_hz),
        rate_hz,
        model__runtime="dummy",
        audio__lookahead_ms=str(lookahead_ms),
        audio__frames_per_buffer=str(block),
    )
    robot.run(4.0)
    budget = robot.chain.budget
    (lag_s,) = {servo.options.lag_ms / 1e3 for servo in robot.config.head.servos}
    first_out_s = robot.stream.output_latency_s
    found = rises(robot.pulses)
    assert len(found) == len(CLICKS_S)
    for at_s, pulse_s in zip(CLICKS_S, found, strict=True):
        heard_s = at_s + lookahead_ms / 1e3 + first_out_s
        expected_s = heard_s - lag_s + budget.trail_ms / 1e3
        assert pulse_s == pytest.approx(expected_s, abs=TICK_S)


@pytest.mark.parametrize("lookahead_ms", [0, 80, 200])
@pytest.mark.parametrize(("block", "rate_hz"), [(64, 16_000), (480, 48_000)])
def test_the_played_sound_is_delayed_by_exactly_the_lookahead(
    lookahead_ms: int, block: int, rate_hz: int
) -> None:
    samples = click_track(rate_hz)
    robot = VirtualRobot(
        samples,
        rate_hz,
        model__runtime="dummy",
        audio__lookahead_ms=str(lookahead_ms),
        audio__frames_per_buffer=str(block),
    )
    robot.run(3.5)
    delay = lookahead_ms * rate_hz // 1000
    played = robot.played()
    np.testing.assert_array_equal(played[:delay], 0)
    np.testing.assert_array_equal(played[delay:], samples[: len(played) - delay])


def test_a_long_enough_lookahead_starves_no_tick() -> None:
    robot = VirtualRobot(click_track(16_000), 16_000, model__runtime="dummy")
    robot.run(4.0)
    assert robot.chain.budget.trail_ms == 0
    assert robot.telemetry.starved == 0
    assert robot.telemetry.ticks > 150


def test_live_mode_trails_by_the_budget_and_starves_no_tick() -> None:
    robot = VirtualRobot(
        click_track(16_000), 16_000, model__runtime="dummy", audio__lookahead_ms="0"
    )
    robot.run(4.0)
    assert robot.chain.budget.trail_ms == pytest.approx(robot.chain.budget.needed_ms)
    assert robot.telemetry.starved == 0


def test_outputs_end_off() -> None:
    robot = VirtualRobot(click_track(16_000), 16_000, model__runtime="dummy")
    robot.run(1.0)
    (chip,) = robot.bus.chips.values()
    assert chip.pulse_us(0) > 0
    robot.chain.mover.park(robot.clock, TICK_S)
    assert np.isnan(chip.pulse_us(0))
