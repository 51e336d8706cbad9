"""Sets on disk: the same bytes for the same content, whole or not there, forgotten film by film."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lipsync_edge.errors import LipsyncError
from lipsync_tools import cli, report, shards, sources
from lipsync_tools.extract import find_films
from lipsync_tools.watch import sound_of


def film(
    folder: Path, key: str, source: str = "mine", speaker: str = "anna", n_clips: int = 2
) -> Path:
    """A shard as extract writes it, without sound."""
    clips: list[dict[str, Any]] = [
        {"clip": f"{key}_{k:06d}", "start_s": 3.0 * k, "duration_s": 3.0, "kept": True,
         "reasons": [], "figures": {"sound_moved_ms": 0}}
        for k in range(n_clips)
    ]  # fmt: skip
    clips.append({**clips[0], "start_s": 99.0, "kept": False,
                  "reasons": [{"gate": "profile", "told": "turned"}]})  # fmt: skip
    told = {"key": key, "film": f"{key}.mp4", "source": source, "speaker": speaker,
            "duration_s": 9.0, "clips": clips, "reasons": []}  # fmt: skip
    members = [(f"{key}.film.json", shards.json_bytes(told))]
    names = ("inner", "outer", "width", "jaw", "lower", "upper", "protrusion")
    for clip in clips[:-1]:
        measures = np.linspace(0, 1, 75 * 7).reshape(75, 7)
        arrays = {"measures": measures, "measure_names": np.array(names), "fps": np.int64(25)}
        stem = {"source": source, "speaker": speaker}
        members += [(f"{clip['clip']}.json", shards.json_bytes(stem)),
                    (f"{clip['clip']}.npz", shards.npz_bytes(arrays))]  # fmt: skip
    path = folder / "shards" / f"{key}.tar"
    shards.write_tar(path, members)
    return path


@pytest.fixture
def a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "set"
    for key, source, speaker in (
        ("one", "mine", "anna"),
        ("two", "mine", "bert"),
        ("web", "net", "x"),
    ):
        film(folder, key, source, speaker)
    record = {"from": "home", "licence": "own", "consent": "yes"}
    nc = {"from": "the web", "licence": "CC-BY-NC-4.0"}
    sources.keep(folder, [sources.make_source("mine", record), sources.make_source("net", nc)])
    monkeypatch.setattr("lipsync_tools.contact_sheet.draw", lambda folder: b"png")
    return folder


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = film(tmp_path / "a", "k"), film(tmp_path / "b", "k")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        assert {info.mtime for info in tar} == {0}
        assert tar.getnames()[:3] == ["k.film.json", "k_000000.json", "k_000000.npz"]


def test_members_come_by_clip(tmp_path: Path) -> None:
    found = list(shards.read_members(film(tmp_path, "k", n_clips=3)))
    assert [stem for stem, _ in found] == ["k_000000", "k_000001", "k_000002"]
    assert all(set(members) == {"json", "npz"} for _, members in found)


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    path = film(tmp_path, "k")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(LipsyncError, match=r"k\.tar"):
        shards.read_film(path)


def test_provenance_of_sets(a_set: Path) -> None:
    mine, net = sources.provenance([a_set])
    assert mine["name"] == "mine"
    assert mine["speakers"] == ["anna", "bert"]
    assert (mine["clips"], mine["minutes"], mine["may_ship"]) == (4, 0.2, True)
    assert (net["clips"], net["may_ship"], net["consent"]) == (2, False, "not stated")
    assert sources.own_use_only([mine, net]) == ["net"]
    both = sources.provenance([a_set, a_set])
    assert both[0]["clips"] == 8  # a source in two sets is one source


def test_the_report_counts(a_set: Path) -> None:
    told = report.of_set(a_set)
    assert (told["films"], told["clips"], told["dropped"]) == (3, 6, {"profile": 3})
    low, neutral, high = told["speakers"]["mine/anna"]["low_neutral_high"]["inner"]
    assert (low, neutral, high) == pytest.approx((0.0282, 0.4943, 0.9603), abs=2e-3)


def test_forget_says_what_it_would_do_and_does_it_when_told(
    a_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    (models / "m").mkdir(parents=True)
    card = {"training": {"sources": [{"name": "mine"}]}}
    (models / "m/card.yaml").write_text(yaml.safe_dump(card))
    words = ["forget", "mine", "--set", str(a_set), "--models", str(models)]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "would remove 2 films" in said
    assert "m: this model learned from it" in said
    assert len(shards.shard_paths(a_set)) == 3
    assert cli.main([*words, "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["models"]) == (True, ["m"])
    assert [path.name for path in shards.shard_paths(a_set)] == ["web.tar"]
    assert list(sources.kept_in(a_set)) == ["net"]
    assert json.loads((a_set / "report.json").read_text())["films"] == 1


def test_forget_one_person(a_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["forget", "mine/anna", "--set", str(a_set), "--yes"]) == 0
    assert [path.name for path in shards.shard_paths(a_set)] == ["two.tar", "web.tar"]
    assert list(sources.kept_in(a_set)) == ["mine", "net"]  # bert is still there


def test_forget_knows_what_there_is(a_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["forget", "mien", "--set", str(a_set)]) == 1
    assert "There are: mine, net" in capsys.readouterr().err
    assert cli.main(["forget", "mine", "--set", str(a_set / "shards")]) == 1
    assert cli.main(["forget", "mine"]) == 2


def test_sound_stays_in_step_with_the_frames() -> None:
    samples = np.arange(3 * 16000).astype(np.int16)
    cut = sound_of(samples, 25, 50, 25, 0.0)
    assert (len(cut), cut[0]) == (16000, 16000)
    late = sound_of(samples, 25, 50, 25, 0.12)  # the sound is late: take it from later on
    assert late[0] == 16000 + 1920
    early = sound_of(samples, 0, 25, 25, -0.1)
    assert (early[:1600] == 0).all()
    assert early[1601] == 1
    assert (sound_of(samples, 70, 95, 25, 0.0)[16000 - 12800 + 1 :] == 0)[-1]


def test_films_are_found_in_folders_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    for name in ("b/x.MP4", "a.mkv", "notes.txt", "b/sources.yaml", ".hidden.mp4", "odd.xyz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [name for _, name in find_films([tmp_path])] == ["a.mkv", "b/x.MP4", "odd.xyz"]
    with pytest.raises(LipsyncError, match="no such film"):
        find_films([tmp_path / "none.mp4"])
