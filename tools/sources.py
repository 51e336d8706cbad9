"""Where films come from: a record for each source, checked, kept with the set and with models.

A record says where the films are from, under which licence, whether who is seen agreed, and who
speaks. Nothing is taken in without one. ``sources.yaml`` beside the films, or in a folder above::

    sources:
      my-films:
        from: filmed at home, May 2026
        licence: own
        consent: both speakers agreed in writing to a model for our robot
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge.errors import LipsyncError, UsageError

FILE = "sources.yaml"
NOT_STATED = "not stated"
OWN = "own"
EXAMPLE = """sources:
  my-films:                       # a name of your choice
    from: filmed at home          # or the address of the page
    licence: own                  # or what that page says, such as CC-BY-4.0
    consent: the speaker agreed   # whether who is seen agreed, and to what
    films: ["*.mp4"]              # which films; without this line all below this file
    speaker: folder               # named as its folder, or: film, or a name"""
_FREE = re.compile(
    r"CC0(-1\.0)?|CC-?BY(-[1-4]\.[05](-(?!NC|ND|SA)[A-Z]{2})?)?|PDDL(-1\.0)?|ODC-BY(-1\.0)?|PUBLIC-DOMAIN|"
    r"PDM(-1\.0)?|MIT|APACHE-2\.0|BSD-[23]-CLAUSE|OWN"
)
_KEYS = {
    "from": str, "licence": str, "consent": str, "attribution": str, "speaker": str,
    "films": list, "speakers": dict,
}  # fmt: skip
_NAME = re.compile(r"[\w.-]+")
GRID: dict[str, Any] = {
    "from": "Zenodo record 3625687 (that page itself was not seen)",
    "licence": "CC-BY-4.0",
    "consent": "volunteers of a published corpus",
    "attribution": "Grid Audio-Visual Speech Corpus, M. Cooke, J. Barker, S. Cunningham, X. Shao, "
    "JASA 120, 2006",
}
"""The record of a folder that is laid out as ``grid`` reads it."""


@dataclass(frozen=True)
class Source:
    """A record. ``speaker``: "folder", "film" or a name; ``speakers``: what is stated about them
    (sex, language, ...) by name; ``films``: patterns of paths
    below the file's folder, whose ``*`` also crosses folders."""

    name: str
    origin: str
    licence: str
    consent: str = NOT_STATED
    attribution: str = ""
    speaker: str = "folder"
    speakers: dict[str, Any] = field(default_factory=dict)
    films: tuple[str, ...] = ("*",)

    @property
    def may_ship(self) -> bool:
        """Whether a model that learned from it may be given to others."""
        return may_ship(self.licence)

    def speaker_of(self, film: Path) -> str:
        """The name of who speaks in a film."""
        named = {"folder": film.resolve().parent.name, "film": film.stem}
        return named.get(self.speaker, self.speaker) or "unknown"

    def record(self) -> dict[str, Any]:
        """What a set and a card keep: everything but the patterns."""
        told = {"from": self.origin, "licence": self.licence, "may_ship": self.may_ship,
                "consent": self.consent, "attribution": self.attribution,
                "speakers": self.speakers}  # fmt: skip
        return {key: value for key, value in told.items() if value not in ("", {})}


def may_ship(licence: str) -> bool:
    """Whether a licence is on the list of those that let a model out to others.

    CC0, CC BY, public domain, the open data licences PDDL and ODC-BY, MIT, Apache, BSD, and `own`.
    Everything else, also what is non-commercial (NC), without derivatives (ND), share-alike (SA)
    or unknown, is for own use.
    """
    told = re.sub(r"[\s_]+", "-", licence.strip().upper())
    return bool(_FREE.fullmatch(told))


def make_source(name: str, told: dict[str, Any], where: str = "--licence") -> Source:
    """A checked record. Raises LipsyncError that says what to write."""
    problems = [f"it has a line {key!r} that means nothing" for key in told
                if key not in (*_KEYS, "may_ship")]  # fmt: skip
    problems += [f"{key!r} should be a {_KEYS[key].__name__}" for key, value in told.items()
                 if key in _KEYS and not isinstance(value, _KEYS[key])]  # fmt: skip
    problems += [f"{key!r} is missing" for key in ("from", "licence")
                 if not str(told.get(key) or "").strip()]  # fmt: skip
    if not _NAME.fullmatch(name):
        problems.append("its name has other signs than letters, digits, '-', '_' and '.'")
    if str(told.get("licence")).strip().lower() == OWN and not told.get("consent"):
        problems.append("own films need a line 'consent': whether who is seen agreed")
    if problems:
        raise LipsyncError(f"{where}: source {name!r}: {'; '.join(problems)}.", _write())
    return Source(
        name, told["from"].strip(), told["licence"].strip(),
        told.get("consent", NOT_STATED), told.get("attribution", ""),
        told.get("speaker", "folder"), told.get("speakers", {}),
        tuple(told.get("films", ("*",))),
    )  # fmt: skip


def _write() -> str:
    return f"A {FILE} looks like this:\n{EXAMPLE}"


def read_sources(path: Path) -> list[Source]:
    """The records of a file. Raises LipsyncError."""
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LipsyncError(f"{path}: cannot be read ({error}).", _write()) from error
    records = told.get("sources") if isinstance(told, dict) else None
    if not isinstance(records, dict) or not all(isinstance(r, dict) for r in records.values()):
        raise LipsyncError(f"{path}: there are no 'sources' in it.", _write())
    return [make_source(str(name), record, str(path)) for name, record in records.items()]


def assign(films: Sequence[Path], given: Source | None = None, file: Path | None = None
           ) -> dict[Path, Source]:  # fmt: skip
    """The source of each film: the one given, or of ``file``, or of the nearest ``sources.yaml``.

    Raises LipsyncError with the films that have none, and what to write.
    """
    if given:
        return dict.fromkeys(films, given)
    read: dict[Path, list[Source]] = {}
    found, missing = {}, []
    for film in films:
        path = file or _nearest(film)
        if path and path not in read:
            read[path] = read_sources(path)
        match = [s for s in read[path] if _covers(s, film, path)] if path else []
        if match:
            found[film] = match[0]
        else:
            missing.append(film)
    if missing:
        raise LipsyncError(
            f"{len(missing)} of {len(films)} films have no record of where they are from, such as "
            f"{missing[0]}. Films without one are not taken.",
            f"Give --from and --licence, or write a {FILE} beside them:\n{EXAMPLE}",
        )
    return found


def _nearest(film: Path) -> Path | None:
    folders = film.resolve().parents
    return next((f / FILE for f in list(folders)[:4] if (f / FILE).is_file()), None)


def _covers(source: Source, film: Path, file: Path) -> bool:
    try:
        inside = film.resolve().relative_to(file.resolve().parent).as_posix()
    except ValueError:
        return False
    return any(fnmatch.fnmatchcase(inside, pattern) for pattern in source.films)


def kept_in(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of a set, by name; none where the set has none yet."""
    if not (folder / FILE).exists():
        return {}
    return {source.name: source.record() for source in read_sources(folder / FILE)}


def keep(folder: Path, sources: Iterable[Source]) -> None:
    """Add records to a set. Raises LipsyncError when a name means something else there."""
    kept = kept_in(folder)
    for source in sources:
        if kept.get(source.name, source.record()) != source.record():
            raise LipsyncError(
                f"{folder} already has a source {source.name!r} with another record.",
                f"Name this one differently, or first: lipsync-tools forget {source.name} --set "
                f"{folder}",
            )
        kept[source.name] = source.record()
    write(folder, kept)


def write(folder: Path, records: dict[str, dict[str, Any]]) -> None:
    """Write a set's records, in order of names; a crash leaves the old file or the new one."""
    text = yaml.safe_dump({"sources": records}, allow_unicode=True, sort_keys=True, width=100)
    part = folder / f"{FILE}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / FILE)


def provenance(sets: Sequence[Path]) -> list[dict[str, Any]]:
    """What a model's card lists as ``training.sources``: each source of the sets, once.

    Name, from, licence, may_ship, consent, attribution, speakers, clips, minutes.
    """
    from lipsync_tools.shards import contents

    out: dict[str, dict[str, Any]] = {}
    for folder in sets:
        counts = contents(folder)
        records = kept_in(folder) or ({"grid": GRID} if (folder / "grid/tracks").is_dir() else {})
        if unknown := sorted(set(counts) - set(records)):
            raise UsageError(f"{folder}/{FILE} has no record of {', '.join(unknown)}.")
        for name, record in records.items():
            count = counts.get(name, {"speakers": [], "clips": 0, "minutes": 0.0})
            told = {"name": name, **record, "may_ship": may_ship(record["licence"])}
            if name in out:
                count = {key: count[key] + out[name][key] for key in count}
            out[name] = told | count | {"speakers": sorted(set(count["speakers"]))}
    return list(out.values())


def own_use_only(told: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the sources whose models must not be given to others."""
    return [source["name"] for source in told if not source["may_ship"]]


def models_that_saw(name: str, models: Path) -> list[str]:
    """Names of the models below a folder whose card lists a source, or ``SOURCE/SPEAKER``."""
    source, _, speaker = name.partition("/")
    out = []
    for card in sorted(models.rglob("card.yaml")):
        try:
            told = yaml.safe_load(card.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        training = told.get("training") if isinstance(told, dict) else None
        listed = training.get("sources", []) if isinstance(training, dict) else []
        for entry in listed if isinstance(listed, list) else []:
            known = entry if isinstance(entry, dict) else {"name": entry}
            saw = not speaker or speaker in known.get("speakers", [speaker])
            if known.get("name") == source and saw:
                out.append(str(card.parent.relative_to(models)))
                break
    return out
