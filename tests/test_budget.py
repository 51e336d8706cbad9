"""The latency budget is arithmetic; these are sums done by hand."""

from __future__ import annotations

import pytest

from lipsync_edge import config
from lipsync_edge.budget import Budget, make_budget
from lipsync_edge.build import budget_of, motion_spec
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.dummy import DummyModel


def make(lookahead_ms: float) -> Budget:
    spec = FeatureSpec(sample_rate_hz=16000, frame_length=400, hop_length=160)
    return make_budget(
        spec=spec,
        rate_hz=48_000,
        block=480,
        resampler_s=0.0015,
        delay_frames=6,
        inference_ms=5,
        lag_ms=50,
        margin_ms=10,
        lookahead_ms=lookahead_ms,
    )


def test_items_add_up() -> None:
    # block 480/48k = 10, resampler 1.5, half a frame 12.5 + hop 10, model 60, 5, lag 50, margin 10
    assert make(200).needed_ms == pytest.approx(10 + 1.5 + 22.5 + 60 + 5 + 50 + 10)


def test_in_sync_with_time_to_spare() -> None:
    budget = make(200)
    assert budget.trail_ms == 0
    assert budget.verdict() == "in sync, 41 ms to spare"


def test_too_short_says_what_to_change() -> None:
    budget = make(80)
    assert budget.trail_ms == pytest.approx(79)
    assert "audio.lookahead_ms to 159" in budget.verdict()
    assert "model delay, 60 ms" in budget.verdict()


def test_live_mode_says_by_how_much_the_mouth_trails() -> None:
    assert make(0).verdict() == "live mode: the mouth trails the sound by 159 ms"


def test_the_table_names_every_item() -> None:
    table = make(200).table()
    for name in ("block", "resampler", "frame", "model delay", "inference", "servo lag", "margin"):
        assert name in table


def test_guessed_poses_count_for_a_third_of_their_reach() -> None:
    one = config.load(None, [("audio.lookahead_ms", "0"), ("motion.predict_ms", "30")])
    none = config.load(None, [("audio.lookahead_ms", "0"), ("motion.predict_ms", "0")])
    model = DummyModel()
    with_guess, without = (budget_of(c, model, 16_000) for c in (one, none))
    assert without.trail_ms - with_guess.trail_ms == pytest.approx(10)
    trails_s = [motion_spec(c, b).trail_s for c, b in ((one, with_guess), (none, without))]
    assert trails_s[1] - trails_s[0] == pytest.approx(0.03)


def test_sound_that_comes_late_gives_time() -> None:
    common = {"spec": FeatureSpec(), "rate_hz": 48_000, "block": 480, "resampler_s": 0.0}
    more = {"delay_frames": 6, "inference_ms": 5, "lag_ms": 50, "margin_ms": 10}
    on_time = make_budget(**common, **more, lookahead_ms=0)
    late = make_budget(**common, **more, lookahead_ms=0, output_latency_ms=300)
    early = make_budget(**common, **more, lookahead_ms=160, output_latency_ms=-150)
    assert on_time.trail_ms - on_time.needed_ms == pytest.approx(0)
    assert late.trail_ms == 0
    assert early.trail_ms == pytest.approx(on_time.needed_ms + 150 - 160)
