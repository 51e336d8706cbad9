"""What the film shows, when its phones are spoken, and the oracle made of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile")
from filmed_speaker import CLOSED_S, PHONES, make_clip, opening_at

from lipsync_tools.labels import Phone, phone_times, within_words
from lipsync_tools.targets import AXES, film_targets, learn_ranges
from lipsync_tools.truth import Truth, film_truth, oracle

CLIP = make_clip()
RANGES = learn_ranges([CLIP])
SPOKEN: list[Phone] = [(str(n), float(a), float(b)) for n, a, b in PHONES]
TRUTH: Truth = film_truth(CLIP, RANGES, SPOKEN)


def test_truth_stands_at_the_centres_of_the_frames() -> None:
    assert len(TRUTH.opening) == 300
    # Frame 24 shows 0.98 s: there the truth is what the face did, elsewhere a straight line.
    peak = RANGES["inner"][1] / 0.3  # the speaker's 97th percentile, in the face's own units
    for frame in (24, 30, 45):
        at_s = (frame + 0.5) / 25
        expected = opening_at(np.array([at_s]))[0] / peak
        assert TRUTH.opening[round(100 * at_s)] == pytest.approx(expected, abs=1e-6)
    middle = (TRUTH.opening[98] + TRUTH.opening[102]) / 2
    assert TRUTH.opening[100] == pytest.approx(middle)


def test_only_phones_that_the_film_shows_count() -> None:
    assert len(TRUTH.closures) == 3
    assert len(TRUTH.opens) == 3
    assert len(TRUTH.rounds) == 1
    assert len(TRUTH.spreads) == 1
    wrong: list[Phone] = [("B", 1.08, 1.16), ("AA", 0.1, 0.3), ("W", 1.0, 1.1), ("P", 0.2, 0.3)]
    other = film_truth(CLIP, RANGES, wrong)
    assert other.closures == ((0.2, 0.3),), "open at 1.1 s, shut at rest"
    assert other.opens == ()
    assert other.rounds == ()


def test_speech_is_from_the_first_to_the_last_word() -> None:
    speaking = np.flatnonzero(TRUTH.speaking) / 100
    assert speaking[0] == pytest.approx(0.6)
    assert speaking[-1] == pytest.approx(2.7)


def test_the_oracle_is_the_film_with_its_closures_made() -> None:
    jaw = AXES.index("jawOpen")
    times_s = np.arange(300) / 100
    shown = oracle(CLIP, RANGES, TRUTH, times_s)
    assert shown.shape == (300, len(AXES))
    assert shown.min() >= 0
    assert shown.max() <= 1
    for at_s in CLOSED_S:
        near = np.abs(times_s - at_s) <= 0.08
        assert shown[near, jaw].min() == 0.0
    frames = film_targets(CLIP, RANGES)
    at_frames = oracle(CLIP, RANGES, TRUTH, CLIP.frame_s)[:, jaw]
    away = np.min(np.abs(CLIP.frame_s[:, None] - np.array(CLOSED_S)), axis=1) > 0.12
    assert at_frames[away] == pytest.approx(frames[away, 0], abs=1e-9)
    without = film_truth(CLIP, RANGES, [])
    plain = oracle(CLIP, RANGES, without, times_s)[:, jaw]
    assert plain[np.abs(times_s - 1.4) < 0.06].min() > 0.05, "between two frames nobody saw it"


def test_phones_are_held_to_the_words() -> None:
    found = within_words(
        CLIP, [("SIL", 0.0, 0.5), ("B", 0.5, 0.7), ("AA", 0.7, 0.9), ("IY", 2.6, 2.9)]
    )
    assert [name for name, _, _ in found] == ["B", "AA", "IY"]
    times_s = [time_s for _, *span in found for time_s in span]
    assert times_s == pytest.approx([0.55, 0.7, 0.7, 0.9, 2.6, 2.75])


def test_a_complete_file_of_phones_needs_no_aligner(tmp_path: Path) -> None:
    cache = tmp_path / "phones.json"
    cache.write_text(json.dumps({"s1/clip": PHONES}))
    assert len(phone_times([CLIP], cache)["s1/clip"]) == len(PHONES)


def test_the_aligner_finds_the_words_of_the_shipped_sentence(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    import soundfile

    from lipsync_edge.cli import SAMPLE
    from lipsync_tools.grid import Clip

    samples, _ = soundfile.read(SAMPLE, dtype="float32")
    text = "hello i am a robot head and this is my mouth"
    words = [(0.0, 0.25, "sil"), *((0.25, 3.42, word) for word in text.split())]
    clip = Clip("s1", "hello", samples[: round(3.45 * 16_000)], np.zeros((3, 6)), 25, words)
    cache = tmp_path / "phones.json"
    found = phone_times([clip], cache)["s1/hello"]
    assert [name for name, _, _ in found if name in ("B", "M")] == ["M", "B", "M", "M"]
    robot_s = next(begin for name, begin, _ in found if name == "B")
    assert robot_s == pytest.approx(1.66, abs=0.06)  # read off the wave
    assert json.loads(cache.read_text())["s1/hello"], "it is kept"
