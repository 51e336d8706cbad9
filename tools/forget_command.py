"""`lipsync-tools forget`: take a source, or one speaker of it, out of sets; name who saw it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lipsync_edge.errors import LipsyncError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("source", help="the source's name, or SOURCE/SPEAKER for one person")
    add("--set", dest="sets", type=Path, nargs="+", default=[], metavar="SET", help="the sets")
    add("--models", type=Path, metavar="DIR", help="where models are; default: the shipped ones")
    add("--yes", action="store_true", help="do it; without it the command only says what it would")
    add("--json", action="store_true", help="print JSON for a program")


def run(a: argparse.Namespace) -> int:
    """Say, or do, what forgetting means, and name the models that learned from the source."""
    from lipsync_tools.sources import models_that_saw

    if not a.sets and not a.models:
        raise UsageError("Say where: --set SET, --models DIR, or both.")
    if a.models and not a.models.is_dir():
        raise UsageError(f"--models {a.models}: there is no such folder.")
    found = {str(folder): shards_of(folder, a.source) for folder in a.sets}
    folder = a.models or Path(__file__).parent.parent / "models"
    models = models_that_saw(a.source, folder)
    if a.sets and not any(found.values()) and not models and not _recorded(a.sets, a.source):
        raise LipsyncError(f"No source {a.source!r} in {', '.join(map(str, a.sets))}.", _known(a))
    sure = a.yes or (not a.json and sys.stdin.isatty() and _asked(a.source, found))
    if sure:
        for name in found:
            forget(Path(name), a.source)
    files = {name: [path.name for path in paths] for name, paths in found.items()}
    told = {"source": a.source, "done": sure, "shards": files, "models": models}
    print(json.dumps(told, indent=1) if a.json else _table(told))
    return 0


def shards_of(folder: Path, name: str) -> list[Path]:
    """The shards of a set that a source, or SOURCE/SPEAKER, is in. Raises LipsyncError."""
    from lipsync_tools import shards

    if not (folder / shards.FOLDER).is_dir():
        raise LipsyncError(f"{folder}: this is no set: there is no folder {shards.FOLDER} in it.")
    source, _, speaker = name.partition("/")
    out = []
    for path in shards.shard_paths(folder):
        film = shards.read_film(path)
        if film["source"] == source and speaker in ("", film["speaker"]):
            out.append(path)
    return out


def forget(folder: Path, name: str) -> None:
    """Remove the shards, the record when nothing else of the source is there, renew the report."""
    from lipsync_tools import report, sources

    for path in shards_of(folder, name):
        path.unlink()
    source, _, speaker = name.partition("/")
    kept = sources.kept_in(folder)
    if source in kept:
        kept[source].get("speakers", {}).pop(speaker, None)
        if not speaker or not shards_of(folder, source):
            del kept[source]
        sources.write(folder, kept)
    report.write(folder)


def _recorded(sets: list[Path], name: str) -> bool:
    from lipsync_tools.sources import kept_in

    return any(name in kept_in(folder) for folder in sets)


def _known(a: argparse.Namespace) -> str:
    from lipsync_tools.sources import kept_in

    known = sorted({name for folder in a.sets for name in kept_in(folder)})
    return f"There are: {', '.join(known)}." if known else "There are no records at all."


def _asked(source: str, found: dict[str, list[Path]]) -> bool:
    n = sum(map(len, found.values()))
    return n > 0 and input(f"Remove {n} films of {source} from the sets? [y/N] ").lower() == "y"


def _table(told: dict[str, Any]) -> str:
    verb = "removed" if told["done"] else "would remove"
    lines = [f"{folder}: {verb} {len(names)} films of {told['source']}"
             for folder, names in told["shards"].items()]  # fmt: skip
    lines += [f"{name}: this model learned from it; make it anew without it, or delete it"
              for name in told["models"]]  # fmt: skip
    if not told["models"]:
        lines.append("No model's card lists it.")
    if not told["done"] and told["shards"]:
        lines.append("Nothing was removed yet: --yes does it.")
    return "\n".join(lines)
