"""Ready, stale, and the line that a maker reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lipsync_edge.health import FRESH_S, Vitals, detail_line, flows, stale, status_line

WELL = Vitals(
    beat_ages_s={"analyzer": 0.05, "mover": 0.01, "feeder": 300.0},
    sound_age_s=0.01,
    sound_clock=True,
    hops=5,
    ticks=5,
    lookahead_ms=200,
    openness=0.4,
)


def test_ready_needs_sound_and_motion() -> None:
    assert flows(WELL)
    assert flows(replace(WELL, openness=0.0)), "in silence, too"
    assert flows(replace(WELL, safe_mode="servos off"))
    for missing in ({"sound_clock": False}, {"hops": 0}, {"ticks": 0}, {"lost": "unplugged"}):
        assert not flows(replace(WELL, **missing))


@pytest.mark.parametrize("name", ["analyzer", "mover"])
def test_a_thread_without_a_beat_is_named(name: str) -> None:
    assert stale(WELL) == ""
    dead = replace(WELL, beat_ages_s={**WELL.beat_ages_s, name: FRESH_S + 0.1})
    assert stale(dead) == name
    assert status_line(dead).endswith(f"{name} hangs")


def test_a_card_that_asks_for_nothing_is_named_but_not_one_that_is_waited_for() -> None:
    mute = replace(WELL, sound_age_s=FRESH_S + 0.1)
    assert stale(mute) == "sound"
    assert stale(replace(mute, lost="unplugged")) == ""


def test_the_line_of_a_maker() -> None:
    assert status_line(WELL) == "speaking, look-ahead 200 ms, 0 xruns, board ok"
    assert status_line(replace(WELL, openness=0.0, muted=True)).startswith("silent, muted, ")
    lost = status_line(replace(WELL, lost="USB Audio stopped"))
    assert lost.startswith("waiting for the sound device (USB Audio stopped)")
    sick = status_line(replace(WELL, board_ok=False, board_message="0x40 does not answer"))
    assert sick.endswith("board: 0x40 does not answer")
    safe = status_line(replace(WELL, safe_mode="servos off"))
    assert safe.startswith("SAFE MODE: servos off, speaking")
    assert "board" not in safe
    assert status_line(replace(WELL, notes=("supply low",))).endswith("supply low")
    assert status_line(Vitals()).startswith("starting")
    assert "analyzer 50 feeder 300000 mover 10 sound 10" in detail_line(WELL)
