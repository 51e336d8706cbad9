"""From films to a bundle in one command, on a few clips and few steps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lipsync_edge.errors import LipsyncError, UsageError
from lipsync_edge.model.card import Card
from lipsync_tools import learn_command
from lipsync_tools.cli import main
from lipsync_tools.grid import read_clips

ARGUMENTS = ["--licence", "CC-BY-4.0", "--from", "GRID", "--speaker", "s1", "--steps", "20"]


def test_from_films_to_a_bundle(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    try:
        learn_command.extract_python()
    except UsageError as error:
        pytest.skip(str(error))
    films = tmp_path / "films"
    films.mkdir()
    for path in sorted((data / "grid/video/s1").glob("*.mpg"))[:6]:
        shutil.copy(path, films)
    monkeypatch.setattr(learn_command, "_voices", lambda *_: [])  # saying them takes a minute
    command = ["learn", str(films), "-o", str(tmp_path / "mine"), "--work", str(tmp_path / "work")]
    assert main([*command, *ARGUMENTS, "--json"]) == 0
    out = capsys.readouterr().out
    report = json.loads(out[out.index("{") :])
    assert (report["clips_learned"], report["clips_judged"]) == (5, 1)
    assert report["after"]["whole"][0] > 0.5
    card = Card.load(tmp_path / "mine")
    assert [source["name"] for source in card.training["sources"]] == ["films"]
    assert card.training["started_from"] == "mouth"


def test_too_few_clips_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = read_clips(data, "s3", limit=4)
    monkeypatch.setattr("lipsync_tools.shards.read_set", lambda folder: clips)
    with pytest.raises(LipsyncError, match=r"4 clips are left.*5 are the least"):
        learn_command._split(tmp_path)


def test_without_an_environment_for_films_it_says_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(learn_command, "PROJECT", tmp_path)
    monkeypatch.delenv("LIPSYNC_EXTRACT_PYTHON", raising=False)
    with pytest.raises(UsageError, match="venv-extract"):
        learn_command.extract_python()
