"""The whole evaluation on a few clips: the shipped bundle beats loudness, and rests in noise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipsync_tools import robustness
from lipsync_tools.cli import main

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
