"""The whole evaluation on a few clips: the shipped bundle beats loudness, and rests in noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge.features import FeatureSpec
from lipsync_tools import robustness
from lipsync_tools.cli import main
from lipsync_tools.evaluate import Films, Fold, judge_fold
from lipsync_tools.grid import Clip
from lipsync_tools.systems import System, envelope
from lipsync_tools.targets import learn_ranges
from lipsync_tools.truth import film_truth

SPEC = FeatureSpec()
BUNDLE = Path(__file__).parents[2] / "models" / "mouth"


def test_film(data: Path, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code = main(["evaluate", str(BUNDLE), "--data", str(data), "--clips", "2", "--json",
                 "--phones", str(tmp_path / "phones.json"), "--page", str(page)])  # fmt: skip
    film = json.loads(capsys.readouterr().out)["film"]
    assert code == 0
    assert "SEEN" in film["folds"][0]["told"]  # the shipped bundle learned from all of them
    model, loud = film["systems"]["model"], film["systems"]["envelope"]
    assert model["whole"][0] > 0.6 > loud["whole"][0]
    assert model["closure_recall"] > 0.8
    assert abs(model["offset_ms"]) < 40
    assert set(model["by_speaker"]) == {"s1", "s2", "s3", "s4", "s5", "s31"}
    assert page.read_text().count("data:image/png") == 6


def test_rest(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "MINUTES", 0.5)
    assert main(["evaluate", str(BUNDLE), "--stage", "rest", "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["rest"]["total"]
    assert total["robot"] < 0.1
    assert 0.4 < total["minutes"] < 0.6


def test_languages(data: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch,
                   tmp_path: Path) -> None:  # fmt: skip
    from lipsync_tools import languages

    monkeypatch.setattr(languages, "KEPT_ASIDE", {"it": "it_IT"})
    monkeypatch.setattr(languages, "ALSO", ())
    code = main(["evaluate", str(BUNDLE), "--stage", "languages", "--data", str(data), "--json",
                 "--clips", "2", "--phones", str(tmp_path / "phones.json")])  # fmt: skip
    found = json.loads(capsys.readouterr().out)["languages"]
    assert code == 0
    assert set(found["languages"]) == {"en-us", "it"}
    assert found["languages"]["it"]["closure_recall"] > 0.5


def test_what_the_card_keeps_needs_no_data(capsys: pytest.CaptureFixture) -> None:
    assert main(["evaluate", str(BUNDLE)]) == 0
    assert "envelope" in capsys.readouterr().out


def test_an_unknown_baseline_is_named(data: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["evaluate", "--data", str(data), "--baselines", "magic", "--clips", "1"]) == 2
    assert "magic" in capsys.readouterr().err


def film_of(frames: int) -> dict[str, list[Clip]]:
    """Two speakers; the louder the sound, the wider the lips, so many frames of 10 ms later."""
    out: dict[str, list[Clip]] = {}
    for n, speaker in enumerate(("one", "two")):
        rng = np.random.default_rng(n)
        loud = np.interp(np.arange(300), np.arange(0, 301, 12), rng.uniform(0, 1, 26))
        sound = (0.1 * np.repeat(loud, 160) * np.sin(np.arange(48000) / 20)).astype(np.float32)
        filmed = np.interp(np.arange(75) * 4 + 2 - frames, np.arange(300), loud)
        measures = np.stack([filmed * k for k in (0.1, 0.2, -0.1, 0.3, 0.1, 0.1)], axis=1)
        out[speaker] = [Clip(speaker, "x", sound, measures, 25.0, [(0.2, 2.8, "word")])]
    return out


def test_each_fold_keeps_the_delay_that_it_chose() -> None:
    """One speaker's lips move 100 ms after the sound, the other's 60 ms before."""
    clips = {"one": film_of(10)["one"], "two": film_of(-6)["two"]}
    truths = {s: [film_truth(c, learn_ranges(own), []) for c in own] for s, own in clips.items()}
    films, system = Films(clips, truths), System("loud", envelope(SPEC), lags=(-6, 0, 10))
    found = [judge_fold(system, Fold([s], [s]), films, SPEC) for s in clips]
    assert [j.system.lag for j in found] == [10, -6]
    assert found[0].system.said is found[1].system.said
