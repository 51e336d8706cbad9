"""The shipped way of moving in the whole chain: a mouth may be a tick early, never more."""

from __future__ import annotations

import pytest
from test_chain import CLICKS_S, TICK_S, click_track, rises
from virtual_robot import VirtualRobot


@pytest.mark.parametrize("lookahead_ms", [0, 40, 80, 120, 160, 200])
@pytest.mark.parametrize(("block", "rate_hz"), [(256, 44_100), (480, 48_000)])
def test_a_planned_pulse_is_no_more_than_a_tick_early(
    lookahead_ms: int, block: int, rate_hz: int
) -> None:
    """Early, against the pulse that would show each click just when it is heard. A plan sets out
    early to be in time; late it may be by what the budget says, and a tick."""
    robot = VirtualRobot(
        click_track(rate_hz),
        rate_hz,
        model__runtime="dummy",
        motion__planner="plan",
        audio__lookahead_ms=str(lookahead_ms),
        audio__frames_per_buffer=str(block),
    )
    robot.run(4.0)
    budget = robot.chain.budget
    (lag_s,) = {servo.options.lag_ms / 1e3 for servo in robot.config.head.servos}
    delay_s = lookahead_ms / 1e3 + robot.stream.output_latency_s - lag_s
    found = rises(robot.pulses)
    assert len(found) == len(CLICKS_S)
    for at_s, pulse_s in zip(CLICKS_S, found, strict=True):
        late_s = pulse_s - at_s - delay_s
        assert -TICK_S <= late_s <= budget.trail_ms / 1e3 + TICK_S
