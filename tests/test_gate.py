"""The last gate: no stream of commands, however mad, gets past the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_edge.servos.gate import Gate

MIN_US, MAX_US, SLEW = [1000.0, 1200.0, 900.0], [2000.0, 1900.0, 2100.0], [5000.0, 100.0, 1e5]
commands = st.lists(
    st.tuples(
        st.lists(st.floats(width=64), min_size=3, max_size=3),  # NaN and infinities included
        st.floats(-1.0, 5.0) | st.just(math.nan) | st.just(math.inf),
        st.booleans(),
    ),
    max_size=30,
)


def gate() -> Gate:
    return Gate(MIN_US, MAX_US, SLEW)


@given(commands)
def test_limits_and_slew_hold_for_any_commands(stream: list) -> None:  # type: ignore[type-arg]
    subject, last_us = gate(), np.full(3, np.nan)
    for widths_us, dt_s, switch_off in stream:
        sent_us = subject.off() if switch_off else subject.pass_(widths_us, dt_s)
        on = ~np.isnan(sent_us)
        assert (sent_us[on] >= np.array(MIN_US)[on]).all()
        assert (sent_us[on] <= np.array(MAX_US)[on]).all()
        counted_s = 0.0 if math.isnan(dt_s) else min(max(dt_s, 0.0), 0.1)
        both = on & ~np.isnan(last_us)
        step_us = np.abs(sent_us - last_us)[both]
        assert (step_us <= np.array(SLEW)[both] * counted_s + 1e-9).all()
        last_us = sent_us


@given(commands)
def test_the_same_commands_give_the_same_pulses(stream: list) -> None:  # type: ignore[type-arg]
    first, second = gate(), gate()
    for widths_us, dt_s, _ in stream:
        np.testing.assert_array_equal(first.pass_(widths_us, dt_s), second.pass_(widths_us, dt_s))


@given(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
def test_it_arrives_given_time_and_then_stands_still(target: list[float]) -> None:
    subject = gate()
    subject.pass_([1500.0] * 3, 0.02)
    for _ in range(80):  # 8 s at 100 us/s reach 800 us, more than any way here
        sent_us = subject.pass_(target, 0.1)
    np.testing.assert_array_equal(sent_us, np.clip(target, MIN_US, MAX_US))


def test_the_very_first_command_may_be_anywhere_within_the_limits() -> None:
    subject = gate()
    assert subject.pass_([1900.0, 1900.0, 5000.0], 0.0).tolist() == [1900.0, 1900.0, 2100.0]
    assert subject.pass_([1000.0, 1200.0, 900.0], 0.01).tolist() == [1850.0, 1899.0, 1100.0]


def test_after_off_it_goes_on_from_the_last_pulse() -> None:
    subject = gate()
    subject.pass_([1900.0, 1900.0, 2100.0], 0.0)
    assert np.isnan(subject.off()).all()
    assert subject.pass_([1000.0, 1200.0, 900.0], 0.01).tolist() == [1850.0, 1899.0, 1100.0]


def test_a_servo_that_is_released_tick_by_tick_does_not_move_on_in_secret() -> None:
    subject, idle = gate(), np.array([True, True, False])
    subject.pass_([1500.0] * 3, 0.0)
    for _ in range(5):
        subject.pass_([1900.0, 1900.0, 1500.0], 0.1)
        assert np.isnan(subject.off(idle)).tolist() == [True, True, False]
    assert subject.pass_([1900.0, 1900.0, 1500.0], 0.01).tolist() == [1550.0, 1501.0, 1500.0]


def test_no_number_keeps_the_last_pulse_and_is_counted() -> None:
    subject = gate()
    assert np.isnan(subject.pass_([math.nan] * 3, 0.02)).all()  # off stays off
    subject.pass_([1500.0] * 3, 0.02)
    sent_us = subject.pass_([math.nan, math.inf, -math.inf], 0.02)
    assert sent_us.tolist() == [1500.0] * 3
    assert subject.refused == 6


def test_off_releases_only_those_that_are_meant() -> None:
    subject = gate()
    subject.pass_([1500.0] * 3, 0.02)
    released = subject.off(np.array([False, True, False]))
    assert np.isnan(released).tolist() == [False, True, False]


def test_a_stall_is_not_made_up_for() -> None:
    subject = gate()
    subject.pass_([1000.0, 1500.0, 1500.0], 0.0)
    assert subject.pass_([2000.0, 1900.0, 1500.0], 60.0).tolist() == [1500.0, 1510.0, 1500.0]


def test_the_answer_is_a_copy() -> None:
    subject = gate()
    subject.pass_([1500.0] * 3, 0.02)[:] = 9999.0
    assert subject.pass_([1500.0] * 3, 0.0).tolist() == [1500.0] * 3


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (([1000.0], [900.0], [100.0]), "min_us must not be above"),
        (([1000.0], [2000.0], [0.0]), "slew_us_per_s must be above 0"),
        (([1000.0], [math.nan], [100.0]), "finite"),
        (([1000.0, 1000.0], [2000.0], [100.0]), "one value per servo"),
    ],
)
def test_limits_must_make_sense(limits: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        Gate(*limits)


def test_wrong_number_of_widths() -> None:
    with pytest.raises(ValueError, match="2 widths for 3 servos"):
        gate().pass_([1500.0, 1500.0], 0.02)
