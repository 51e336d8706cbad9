"""Slack: taken at once, given back slowly, and not to those who need it."""

from __future__ import annotations

import math

import pytest

from lipsync_edge.audio.slack import Slack

STEP_S = 0.1


def lived(slack: Slack, from_s: float, to_s: float, needs_s: float = 0.0) -> list[float]:
    """Steps until ``to_s``; the moments at which it had less than ``needs_s``."""
    wants: list[float] = []
    for k in range(round((to_s - from_s) / STEP_S)):
        now_s = from_s + k * STEP_S
        if slack.now_s < needs_s:
            slack.want(now_s, 0.002)
            wants.append(now_s)
        slack.step(now_s)
    return wants


def test_it_takes_what_was_missing_and_no_less_than_a_step() -> None:
    slack = Slack()
    slack.want(1.0, 0.001)
    assert slack.now_s == pytest.approx(Slack.LEAST_S + Slack.STEP_S)
    slack.want(1.1, 0.02)
    assert slack.now_s == pytest.approx(Slack.LEAST_S + Slack.STEP_S + 0.02)
    for k in range(20):
        slack.want(2.0 + k, 0.02)
    assert slack.now_s == Slack.MOST_S


def test_it_is_given_back_after_a_quiet_while() -> None:
    slack = Slack()
    lived(slack, 0, 10)
    slack.want(10.0, 0.02)
    lived(slack, 10, 10 + Slack.HOLD_S - 1)
    assert slack.now_s == pytest.approx(Slack.LEAST_S + 0.02)
    lived(slack, 10 + Slack.HOLD_S - 1, 10 + Slack.HOLD_S + 0.02 / Slack.BACK_S_PER_S + 2)
    assert slack.now_s == Slack.LEAST_S


def test_who_is_always_late_keeps_what_he_needs() -> None:
    slack = Slack()
    wants = lived(slack, 0, 8 * 3600, needs_s=0.018)
    assert len(wants) <= 2 + 2 * math.log2(Slack.LONGEST_HOLD_S / Slack.HOLD_S) + 8
    assert wants[-1] - wants[-2] >= Slack.LONGEST_HOLD_S
    assert slack.hold_s == Slack.LONGEST_HOLD_S


def test_who_is_late_once_an_hour_has_it_back_soon() -> None:
    slack = Slack()
    for hour in range(6):
        lived(slack, 3600 * hour, 3600 * hour + 1800)
        assert slack.now_s == Slack.LEAST_S
        slack.want(3600 * hour + 1800, 0.005)
        lived(slack, 3600 * hour + 1800, 3600 * (hour + 1))
    assert slack.hold_s == Slack.HOLD_S


def test_a_card_that_stopped_was_not_late() -> None:
    slack = Slack()
    slack.want(1.0, 0.01)
    slack.want(1.2, 0.01)
    slack.forgive(1.4)
    assert slack.now_s == Slack.LEAST_S
    slack.want(5.0, 0.01)
    slack.forgive(9.0)
    assert slack.now_s > Slack.LEAST_S
