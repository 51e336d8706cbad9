"""Makes a set of films: which films, what is done already, who works on them, the report."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync_edge.errors import LipsyncError, UsageError
from lipsync_tools import report, shards, sources
from lipsync_tools.gates import Limits, Reason
from lipsync_tools.pools import Pool, WorkerDied
from lipsync_tools.sources import Source
from lipsync_tools.watch import Job, digest, process_film

NO_FILMS = {
    *(".txt", ".md", ".yaml", ".yml", ".json", ".csv", ".pdf", ".srt", ".vtt", ".align", ".part"),
    *(".jpg", ".jpeg", ".png", ".gif", ".npz", ".npy", ".py", ".zip", ".tar", ".gz", ".html"),
}
"""Endings that are passed over in a folder; a file that is named itself is always looked at."""


@dataclass(frozen=True)
class Outcome:
    """What a run did: films that were new, films done before, speed, and the set's whole report."""

    new: int
    before: int
    speed: dict[str, float]
    report: dict[str, Any]


def find_films(given: Sequence[Path]) -> list[tuple[Path, str]]:
    """Films and the name that is written down for each: its path below what was given."""
    out: dict[Path, str] = {}
    for path in given:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            out |= {p: p.relative_to(path).as_posix() for p in below
                    if p.suffix.lower() not in NO_FILMS}  # fmt: skip
        elif path.is_file():
            out[path] = path.name
        else:
            raise UsageError(f"{path}: there is no such film or folder.")
    if not out:
        raise UsageError(f"There are no films in {', '.join(map(str, given))}.")
    return list(out.items())


def make_jobs(
    films: Sequence[tuple[Path, str]], of: dict[Path, Source], out: Path, limits: Limits,
    progress: Callable[[Sequence[Any], str], Any],
) -> tuple[list[Job], list[str]]:  # fmt: skip
    """A job for every film, each content once, and the names of those that are there twice."""
    jobs: dict[str, Job] = {}
    twice = []
    for path, name in progress(films, "reading"):
        sha256 = _sha256(path)
        if sha256 in jobs:
            twice.append(name)
            continue
        source = of[path]
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:60] or "film"
        jobs[sha256] = Job(path, Path(name).name, f"{stem}-{sha256[:12]}", sha256, source.name,
                           source.record(), source.speaker_of(path), out, limits)  # fmt: skip
    return list(jobs.values()), twice


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LipsyncError(f"{path}: cannot be read ({error}).") from error


def done_before(job: Job) -> bool:
    """Whether a film's shard is there, made of the same film by the same settings."""
    path = job.out / shards.FOLDER / f"{job.key}.tar"
    try:
        return path.exists() and bool(shards.read_film(path).get("digest") == digest(job))
    except LipsyncError:
        return False


def extract(jobs: Sequence[Job], pool: Pool, progress: Callable[..., Any]) -> Outcome:
    """Make the shards that are missing, then the report and the contact sheet of all there are."""
    out = jobs[0].out
    todo = [job for job in jobs if not done_before(job)]
    for part in (out / shards.FOLDER).glob("*.part"):
        part.unlink()  # of a run that was killed
    begun, film_s, cpu_s, kept = time.perf_counter(), 0.0, 0.0, 0
    bar = progress(total=len(jobs), initial=len(jobs) - len(todo), unit="film", desc="watching")
    try:
        for k, result in pool.run(process_film, todo):
            if isinstance(result, WorkerDied):
                _write_failure(todo[k], result)
            else:
                film_s += result["film_s"]
                cpu_s += result["cpu_s"]
                kept += int(result["clips"])
            bar.set_postfix(kept=kept, refresh=False)
            bar.update()
    finally:
        bar.close()
    wall_s = time.perf_counter() - begun
    speed = {
        "workers": pool.n_workers, "film_s": round(film_s, 1), "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2), "film_s_per_s": round(film_s / wall_s, 3),
        "film_s_per_s_and_worker": round(film_s / wall_s / pool.n_workers, 3),
        "film_s_per_core_s": round(film_s / cpu_s, 3) if cpu_s else 0.0,
    }  # fmt: skip
    return Outcome(len(todo), len(jobs) - len(todo), speed, report.write(out))


def _write_failure(job: Job, died: WorkerDied) -> None:
    told = {
        "key": job.key, "film": job.name, "sha256": job.sha256, "source": job.source,
        "speaker": job.speaker, "licence": job.record["licence"], "digest": digest(job),
        "duration_s": 0.0, "clips": [], "reasons": [Reason("failed", str(died))._asdict()],
    }  # fmt: skip
    head = (f"{job.key}{shards.FILM}", shards.json_bytes(told))
    shards.write_tar(job.out / shards.FOLDER / f"{job.key}.tar", [head])


def bars(*args: Any, **options: Any) -> Any:
    """A tqdm bar on a terminal."""
    from tqdm import tqdm

    return tqdm(*args, disable=not sys.stderr.isatty(), **options)


def reading_bar(things: Sequence[Any], told: str) -> Any:
    """A bar over things that are read."""
    return bars(things, desc=told, unit="film", leave=False)


def table(outcome: Outcome, twice: Sequence[str], longest: int = 30) -> str:
    """What was kept and dropped, and why."""
    told = outcome.report
    by_gate = Counter(told["dropped"])
    lines = [f"films   {told['films']} in the set: {outcome.new} new, {outcome.before} done before",
             f"kept    {told['clips']} clips, {told['minutes']:.1f} min, of "
             f"{len(told['speakers'])} speakers"]  # fmt: skip
    lines += [f"mended  {told['mended']} clips, whose sound was moved"] if told["mended"] else []
    lines += [f"twice   {name}: the same film as another" for name in twice]
    lines += [f"dropped {n:5d}  {gate}" for gate, n in by_gate.most_common()]
    for row in told["reasons"][:longest]:
        at = "" if row["start_s"] is None else f" at {row['start_s']:.1f} s"
        lines.append(f"  {row['film']}{at}: {row['gate']}: {row['told']}")
    if len(told["reasons"]) > longest:
        lines.append(f"  and {len(told['reasons']) - longest} more in report.json")
    if outcome.new:
        speed = outcome.speed
        lines.append(
            f"speed   {speed['film_s_per_s']:.2f} s of film a second with {speed['workers']:.0f} "
            f"workers: {speed['film_s_per_s_and_worker']:.2f} a worker, "
            f"{speed['film_s_per_core_s']:.2f} a second of a core's time"
        )
    return "\n".join(lines)


def ship_note(out: Path) -> str:
    """A sentence when a model of this set is for own use only, otherwise ""."""
    told = [{"name": name, **record} for name, record in sources.kept_in(out).items()]
    names = sources.own_use_only(told)
    if not names:
        return ""
    return (f"Models that learn from this set are for your own use: {', '.join(names)} may not be "
            "passed on.")  # fmt: skip
