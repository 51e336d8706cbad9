"""`lipsync-tools extract`: films of people talking become a set of lip movements and sound."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lipsync_edge.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("videos", type=Path, nargs="+", help="films, or folders of films")
    add("-o", "--out", type=Path, required=True, metavar="SET", help="folder of the set; the same "
        "command again goes on where it was stopped")  # fmt: skip
    add("--json", action="store_true", help="print JSON for a program")
    source = parser.add_argument_group(
        "where the films are from", "otherwise a sources.yaml beside them says it (docs/data.md)"
    )
    source.add_argument("--sources", type=Path, metavar="FILE.yaml", help="the records")
    source.add_argument("--licence", help="of all films: own, CC-BY-4.0, ...")
    source.add_argument("--from", dest="origin", metavar="TEXT", help="whence: an address, who")
    source.add_argument("--consent", metavar="TEXT", help="whether who is seen agreed, and to what")
    source.add_argument("--name", metavar="SOURCE", help="default: the name of the first folder")
    source.add_argument("--speaker", help="folder (default), film, or the name of who speaks")
    work = parser.add_argument_group("workers")
    work.add_argument("--pool", choices=("processes", "ray"), default="processes")
    work.add_argument("--jobs", type=int, default=0, metavar="N", help="default: one per core")
    work.add_argument("--ray-address", default="", metavar="HOST:PORT", help="of a running cluster")


def run(a: argparse.Namespace) -> int:
    """Extract, and print the table or JSON."""
    from lipsync_tools import extract, sources
    from lipsync_tools.gates import Limits
    from lipsync_tools.tracker import model_file

    _check(a)
    films = extract.find_films(a.videos)
    of = sources.assign([path for path, _ in films], _given(a), a.sources)
    model_file()  # say at once when it is missing
    a.out.mkdir(parents=True, exist_ok=True)
    jobs, twice = extract.make_jobs(films, of, a.out.resolve(), Limits(), extract.reading_bar)
    sources.keep(a.out, {source.name: source for source in of.values()}.values())
    outcome = extract.extract(jobs, _pool(a), extract.bars)
    if a.json:
        told = outcome.report | {"new": outcome.new, "done_before": outcome.before,
                                 "speed": outcome.speed, "twice": twice}  # fmt: skip
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        print(extract.table(outcome, twice))
        print(extract.ship_note(a.out) or f"{a.out}: written")
    return 0


def _check(a: argparse.Namespace) -> None:
    if a.jobs < 0:
        raise UsageError("--jobs counts workers: 1 or more.")
    if a.sources and (a.licence or a.origin):
        raise UsageError("Give --sources, or --licence and --from, not both.")
    if bool(a.licence) != bool(a.origin):
        raise UsageError("--licence and --from belong together: whence the films are, and what "
                         "may be done with them.")  # fmt: skip
    if a.sources and not a.sources.is_file():
        raise UsageError(f"--sources {a.sources}: there is no such file.")


def _given(a: argparse.Namespace) -> object:
    from lipsync_tools.sources import make_source

    if not a.licence:
        return None
    first = a.videos[0].resolve()
    told = {"from": a.origin, "licence": a.licence, "consent": a.consent, "speaker": a.speaker}
    name = a.name or (first if first.is_dir() else first.parent).name.replace(" ", "-")
    return make_source(name, {key: value for key, value in told.items() if value})


def _pool(a: argparse.Namespace) -> object:
    import os

    from lipsync_tools.pools import make_pool

    return make_pool(a.pool, a.jobs or len(os.sched_getaffinity(0)), a.ray_address)
