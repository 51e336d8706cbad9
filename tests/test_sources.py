"""Nothing is taken without a record of where it is from; models that saw a source are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lipsync_edge.errors import LipsyncError
from lipsync_tools import sources
from lipsync_tools.sources import make_source, may_ship

GOOD = {"from": "filmed at home", "licence": "own", "consent": "she agreed"}


@pytest.mark.parametrize(
    "licence",
    [
        "CC0-1.0",
        "CC-BY-4.0",
        "cc by 3.0",
        "CC BY",
        "CC-BY-2.0-UK",
        "public domain",
        "own",
        "PDDL-1.0",
    ],
)
def test_licences_that_let_a_model_out(licence: str) -> None:
    assert may_ship(licence)


@pytest.mark.parametrize(
    "licence",
    ["CC-BY-NC-4.0", "CC BY-NC-ND 4.0", "CC-BY-ND-4.0", "CC-BY-SA-4.0", "all rights reserved",
     "standard YouTube licence", "unknown", "", "fair use", "CC-BY-NC", "CC-BY-4.0-NC", "owned"],
)  # fmt: skip
def test_licences_for_own_use(licence: str) -> None:
    assert not may_ship(licence)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"from": "x"}, "'licence' is missing"),
        ({"licence": "own"}, "'from' is missing"),
        ({"from": "x", "licence": " "}, "'licence' is missing"),
        ({"from": "x", "licence": "own"}, "whether who is seen agreed"),
        ({**GOOD, "license": "own"}, "'license' that means nothing"),
        ({**GOOD, "films": "*.mp4"}, "'films' should be a list"),
    ],
)
def test_a_record_that_does_not_do_says_what_to_write(record: dict[str, str], said: str) -> None:
    with pytest.raises(LipsyncError, match=said) as caught:
        make_source("mine", record)
    assert "licence: own" in str(caught.value)  # the example


def films_at(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"film")
    return [folder / name for name in names]


def write(folder: Path, **records: object) -> Path:
    path = folder / "sources.yaml"
    path.write_text(yaml.safe_dump({"sources": records}))
    return path


def test_films_find_their_record_beside_or_above_them(tmp_path: Path) -> None:
    films = films_at(tmp_path, "home/anna/one.mp4", "web/two.mkv")
    web = {"from": "https://example.org", "licence": "CC-BY-4.0", "films": ["web/*"]}
    write(tmp_path, web=web, mine={**GOOD, "films": ["home/*.mp4"]})
    found = sources.assign(films)
    assert [found[film].name for film in films] == ["mine", "web"]
    assert found[films[0]].speaker_of(films[0]) == "anna"
    write(tmp_path / "web", near={**GOOD, "speaker": "film"})
    near = sources.assign(films)[films[1]]
    assert (near.name, near.speaker_of(films[1])) == ("near", "two")


def test_a_film_without_a_record_is_refused_by_name(tmp_path: Path) -> None:
    films = films_at(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(LipsyncError, match=r"2 of 2 films .*a\.mp4") as caught:
        sources.assign(films)
    assert "sources:" in str(caught.value)
    path = write(tmp_path, mine={**GOOD, "films": ["a*"]})
    with pytest.raises(LipsyncError, match=r"1 of 2 films .*b\.mp4"):
        sources.assign(films, file=path)
    assert len(sources.assign(films, given=make_source("all", GOOD))) == 2


def test_a_set_keeps_its_records_and_no_name_means_two_things(tmp_path: Path) -> None:
    sources.keep(tmp_path, [make_source("b", GOOD), make_source("a", GOOD)])
    sources.keep(tmp_path, [make_source("b", GOOD)])
    assert list(sources.kept_in(tmp_path)) == ["a", "b"]
    assert sources.kept_in(tmp_path)["a"]["may_ship"] is True
    with pytest.raises(LipsyncError, match="another record"):
        sources.keep(tmp_path, [make_source("b", {**GOOD, "licence": "CC-BY-NC-4.0"})])
    assert sources.kept_in(tmp_path)["b"]["licence"] == "own"


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    for text in ("- a\n- b\n", "sources: 3\n", "sources: {a: b}\n", "a: [\n"):
        path.write_text(text)
        with pytest.raises(LipsyncError, match=r"A sources\.yaml looks like this"):
            sources.read_sources(path)


def test_the_example_is_right(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(sources.EXAMPLE)
    (source,) = sources.read_sources(tmp_path / "sources.yaml")
    assert (source.name, source.licence, source.may_ship) == ("my-films", "own", True)


def test_models_that_saw_a_source(tmp_path: Path) -> None:
    cards = {
        "a": {"training": {"sources": [{"name": "grid", "speakers": ["s1", "s2"]}]}},
        "b": {"training": {"sources": ["mine", "grid"]}},
        "c": {"training": {"sources": [{"name": "mine", "speakers": ["anna"]}]}},
        "d": {"training": "nothing"},
    }
    for name, card in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.yaml").write_text(yaml.safe_dump(card))
    assert sources.models_that_saw("grid", tmp_path) == ["a", "b"]
    assert sources.models_that_saw("grid/s2", tmp_path) == ["a", "b"]
    assert sources.models_that_saw("mine/bert", tmp_path) == ["b"]
    assert sources.models_that_saw("other", tmp_path) == []
