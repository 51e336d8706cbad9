"""The judge's own tools: known pitches, known ratios, a separable closure, tables that say so."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_edge.features import FeatureSpec
from lipsync_tools.evaluate import Decision, _logistic, at_100hz, pitches_hz
from lipsync_tools.evaluate_command import plain
from lipsync_tools.evaluate_text import language_table, noise_table
from lipsync_tools.grid import Clip
from lipsync_tools.judge import moved
from lipsync_tools.peers import held
from lipsync_tools.prompts import spans, texts_of
from lipsync_tools.robustness import at_snr, changes
from lipsync_tools.systems import System, envelope, mel_window

SPEC = FeatureSpec()
T = np.arange(16000) / 16000


def buzz(hz: float) -> np.ndarray:
    """A voice-like tone: harmonics that fall by 6 dB an octave."""
    return sum(np.sin(2 * np.pi * hz * k * T) / k for k in range(1, 12)).astype(np.float32) / 3


@pytest.mark.parametrize("hz", [95.0, 140.0, 210.0, 300.0])
def test_pitch(hz: float) -> None:
    found = pitches_hz(buzz(hz))
    assert len(found) > 30
    assert np.median(found) == pytest.approx(hz, rel=0.02)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert len(pitches_hz(noise)) < 5


def test_openings_count_from_closed_lips() -> None:
    """However long a clip is silent, an open mouth is as open as in another clip."""
    tops = []
    for n_open in (5, 35):
        measures = np.full((50, 6), 0.1)
        measures[:n_open] = 0.4
        clip = Clip("s", "c", np.zeros(32000, np.float32), measures, 25.0, [])
        tops.append(moved(clip)[0])
    assert tops[0][[0, 1, 3]] == pytest.approx([0.3, 0.3, 0.3])
    assert tops[1][[0, 1, 3]] == pytest.approx([0.3, 0.3, 0.3])


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_noise_is_added_at_the_ratio_that_is_asked_for(snr_db: float) -> None:
    speech = 0.1 * buzz(120)
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    added = at_snr(speech, noise, snr_db) - speech
    active = speech[np.abs(speech) > 0.05 * np.abs(speech).max()]
    ratio_db = 10 * np.log10((active**2).mean() / (added**2).mean())
    assert ratio_db == pytest.approx(snr_db, abs=0.2)


def test_every_change_gives_as_much_finite_sound() -> None:
    for name, change in changes([buzz(120), buzz(200)]):
        out = change(0.1 * buzz(150), np.random.default_rng(1))
        assert out.shape == (16000,), name
        assert np.isfinite(out).all(), name


def test_logistic_regression_finds_the_boundary() -> None:
    rng = np.random.default_rng(0)
    x = np.append(rng.normal(size=(400, 2)), np.ones((400, 1)), axis=1)
    y = (x @ [2.0, -1.0, 0.5] > 0).astype(float)
    assert ((x @ _logistic(x, y) > 0) == y).mean() > 0.97


def test_a_closure_is_told_by_low_opening_and_high_probability() -> None:
    linear = np.array([[1.0], [0.0], [0.0]])
    decision = Decision(np.array([-1.0, 2.0, 0.0]), linear, channel=1)
    outputs = np.array([[0.0, 0.9], [0.5, 0.1]])
    assert decision.score(outputs) == pytest.approx([1.8, -4.8])


def test_outputs_are_put_on_the_films_time_axis() -> None:
    """The first feature frame's centre is at 12.5 ms."""
    ramp = 0.0125 + np.arange(100) / 100
    assert at_100hz(ramp[:, None], 90, SPEC)[2:, 0] == pytest.approx(np.arange(2, 90) / 100)


@pytest.mark.parametrize("make", [envelope, mel_window])
def test_baselines_give_a_row_per_feature_frame(make: object) -> None:
    outputs = make(SPEC)(buzz(120))  # type: ignore[operator]
    assert len(outputs) == 1 + (16000 - SPEC.frame_length) // SPEC.hop_length
    assert np.isfinite(outputs).all()


def test_a_system_runs_once_per_sound_and_delays() -> None:
    calls = []
    system = System("x", lambda samples: calls.append(1) or np.arange(5.0)[:, None], lag=2)
    sound = np.zeros(10, np.float32)
    assert system.raw(sound)[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert system.raw(sound.copy()) is system.raw(sound)
    assert len(calls) == 1


def test_tables_and_json() -> None:
    assert plain({"a": float("nan"), "b": [1.23456]}) == {"a": None, "b": [1.235]}
    table = noise_table({"telephone": {"r": 0.5, "closure_recall": 0.9, "closure_false": None}})
    assert "0.50" in table
    assert " 90.0" in table
    row = {"closure_recall": 0.9, "closure_false": 0.0, "rounding_recall": 0.8,
           "rounding_false": 0.1, "n_closures": 7, "learned": False}  # fmt: skip
    told = language_table({"languages": {"it": row}, "worst": "it", "worst_over_english": 0.95})
    assert "never learned" in told
    assert "worst: it, 0.95" in told


def test_peers_hold_what_they_said_last() -> None:
    said = np.array([[0.1, 1.0, 0.0], [0.5, 0.0, 1.0]])
    shown = held(said, np.array([0.0, 0.1, 0.49, 0.5, 9.0]))
    assert shown.tolist() == [[0, 0], [1, 0], [1, 0], [0, 1], [0, 1]]


def test_a_closure_can_be_told_without_the_channel() -> None:
    decision = Decision(np.array([-1.0, 2.0, 1.0]), np.array([[1.0], [0.0], [0.0]]), None)
    outputs = np.array([[0.0, 0.9], [0.5, 0.9]])
    assert decision.score(outputs) == pytest.approx([1.0, -4.0])


def test_lists_of_prompts_keep_only_what_tells_the_words() -> None:
    table = (
        "\ufeff; Core Sounds\n\nadded: Aggiunto.\nbeep: [un suono beep di questa durata]\n"
        "agent-user: Login operatore. Prego digitare il proprio numero.\n"
        "no: La chiamata non pu? essere completata.\nten: Premere 10 per uscire dal menu.\n"
    )
    assert list(texts_of(table)) == [
        ("agent-user", "Login operatore. Prego digitare il proprio numero.")
    ]


def test_runs_of_a_class_become_times() -> None:
    """Frame k's centre is at 12.5 ms + k * 10 ms; it stands for 5 ms on both sides."""
    numbers = np.array([0, 0, 1, 1, 1, -1, 2, 0])
    (first, begin_s, end_s), (second, _, _) = spans(numbers, SPEC)
    assert (first, second) == ("bilabial", "bilabial nasal")
    assert (begin_s, end_s) == pytest.approx((0.0275, 0.0575))
