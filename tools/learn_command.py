"""`lipsync-tools learn VIDEOS`: from films of somebody to a bundle that moves as they do.

Extracts, learns on from the shipped bundle, converts and judges, with defaults that suit ten
minutes of film. Every step is kept in a work folder: the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from lipsync_edge.errors import LipsyncError, UsageError

PROJECT = Path(__file__).parent.parent
SHIPPED = PROJECT / "models" / "mouth"
EVERY = 5
"""One clip in so many is not learned from: the report is about these."""
LEAST_CLIPS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("videos", type=Path, nargs="+", help="films, or folders of them")
    add("-o", "--output", type=Path, default=Path("models/mine"), metavar="BUNDLE")
    add("--work", type=Path, metavar="DIR", help="for what is made on the way; default: "
        ".cache/learn/NAME")  # fmt: skip
    add("--sources", type=Path, help="provenance of the films (YAML), as extract wants it")
    add("--licence", help="of all these films, as extract wants it")
    add("--from", dest="origin", help="where these films are from, as extract wants it")
    add("--consent", help="whether who is seen agreed, as extract wants it")
    add("--speaker", help="who speaks: a name, or `folder` or `film` for theirs")
    add("--start", type=Path, default=SHIPPED, metavar="BUNDLE|RUN", help="what to learn on from")
    add("--steps", type=int, default=600)
    add("--threads", type=int, default=2)
    add("--jobs", type=int, default=2, help="processes that watch films")
    add("--json", action="store_true", help="print JSON for a program")


def run(a: argparse.Namespace) -> int:
    """All steps; prints the report."""
    work = a.work or Path(".cache/learn") / a.output.name
    work.mkdir(parents=True, exist_ok=True)
    _extract(a, work / "set")
    learned, kept = _split(work / "set")
    _learn(a, work, learned)
    _convert(work, a.output)
    report = _judge(a, learned, kept)
    (work / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1) if a.json else _told(report))
    return 0


def extract_python() -> str:
    """The interpreter of the environment that watches films: this one if MediaPipe is here."""
    import importlib.util

    if importlib.util.find_spec("mediapipe"):
        return sys.executable
    told = os.environ.get("LIPSYNC_EXTRACT_PYTHON")
    for found in ([told] if told else []) + [str(PROJECT / ".venv-extract/bin/python")]:
        if shutil.which(found):
            return found
    raise UsageError(
        "Films are watched in an environment of their own (MediaPipe needs NumPy 1), and there is "
        "none.",
        "Make it with `make .venv-extract/.installed`, or name its Python in "
        "LIPSYNC_EXTRACT_PYTHON.",
    )


def _extract(a: argparse.Namespace, out: Path) -> None:
    words = [extract_python(), "-m", "lipsync_tools.cli", "extract", *map(str, a.videos)]
    words += ["-o", str(out), "--jobs", str(a.jobs)]
    told = {"--sources": a.sources, "--licence": a.licence, "--from": a.origin,
            "--consent": a.consent, "--speaker": a.speaker}  # fmt: skip
    for option, value in told.items():
        words += [option, str(value)] if value else []
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout, file=sys.stderr)  # our own output may be JSON
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode:
        raise LipsyncError("The films could not be extracted; what is wrong stands above.")


def _split(folder: Path) -> tuple[list[Any], list[Any]]:
    """Clips to learn from, and clips to judge by."""
    from lipsync_tools.shards import read_set

    clips = sorted(read_set(folder), key=lambda clip: (clip.speaker, clip.name))
    if len(clips) < LEAST_CLIPS:
        raise LipsyncError(
            f"{folder}: {len(clips)} clips are left, which is too little to learn from and judge "
            f"by; {LEAST_CLIPS} are the least, ten minutes are good. {folder}/report.json tells "
            "why the others were dropped."
        )
    kept = [clip for k, clip in enumerate(clips) if k % EVERY == EVERY - 1]
    return [clip for k, clip in enumerate(clips) if k % EVERY != EVERY - 1], kept


def recipe_of(start: Path, steps: int) -> Any:
    """What to learn on with: the start's own sizes and delay, small steps."""
    from lipsync_edge.model.card import CARD_FILE, Card
    from lipsync_tools.train import Recipe, load_run

    if (start / CARD_FILE).exists():
        told = Card.load(start).training.get("recipe", {})
    else:
        told = vars(load_run(start)[0])
    sizes = {key: told[key] for key in ("delay_frames", "channels", "dilations") if key in told}
    return Recipe.read({**sizes, "steps": steps, "rate": 5e-4, "film_share": 0.7,
                        "recorded_share": 0.0, "synthetic_share": 0.3})  # fmt: skip


def _learn(a: argparse.Namespace, work: Path, clips: list[Any]) -> None:
    import torch

    from lipsync_edge.features import FeatureSpec
    from lipsync_tools import train
    from lipsync_tools.lessons import film_lessons
    from lipsync_tools.sources import provenance

    torch.set_num_threads(a.threads)
    spec, recipe = FeatureSpec(), recipe_of(a.start, a.steps)
    speakers = sorted({clip.speaker for clip in clips})
    told = {"speakers": speakers, "started_from": a.start.name,
            "sources": provenance([work / "set"])}  # fmt: skip
    out = work / "run"
    out.mkdir(exist_ok=True)
    made = train.Run(out, recipe, spec, told)
    if made.step >= recipe.steps:
        return
    lessons = [x for s in speakers
               for x in film_lessons([c for c in clips if c.speaker == s], spec, {})]  # fmt: skip
    lessons += _voices(work.parent / "voices", spec, a.jobs)
    if made.step == 0:
        made.start_from(a.start)
    train.prepare(lessons, recipe, spec, [a.start] if (a.start / "model.pt").exists() else [])
    train.train(made, lessons, cache=work.parent / "voices")


def _voices(cache: Path, spec: Any, jobs: int) -> list[Any]:
    """Synthesised speech, so that the model keeps its ear for other voices and languages."""
    from lipsync_tools import spoken
    from lipsync_tools.lessons import spoken_lessons

    if not shutil.which("espeak-ng"):
        print("espeak-ng is not here: learning from the films alone", file=sys.stderr)
        return []
    return spoken_lessons("synthetic", spoken.synthesised(cache, spec, 20, 0, jobs))


def _convert(work: Path, out: Path) -> None:
    from lipsync_tools.cli import main

    code = main(["convert", str(work / "run"), "-o", str(out), "--calibrate", str(work / "set")])
    if code:
        raise LipsyncError("What was learned could not be converted; what is wrong stands above.")


def _judge(a: argparse.Namespace, learned: list[Any], kept: list[Any]) -> dict[str, Any]:
    """r with the film, on clips that were not learned from, of the new and the shipped bundle."""
    from lipsync_edge.model.card import CARD_FILE
    from lipsync_tools.judge import correlations, fit_map, prepare
    from lipsync_tools.systems import Bundle, System

    found: dict[str, Any] = {"clips_learned": len(learned), "clips_judged": len(kept)}
    bundles = {"before": a.start if (a.start / CARD_FILE).exists() else SHIPPED, "after": a.output}
    for name, folder in bundles.items():
        bundle = Bundle(folder)
        system = System(name, bundle)
        linear = fit_map(prepare(system, learned, bundle.spec))
        found[name] = {"bundle": str(folder)} | correlations(
            prepare(system, kept, bundle.spec), linear
        )
    return found


def _told(report: dict[str, Any]) -> str:
    lines = [
        f"learned from {report['clips_learned']} clips, judged by {report['clips_judged']} others "
        "of the same people",
        "r with the film        inner  outer  width    jaw   (in speech)",
    ]
    for name in ("before", "after"):
        whole, speech = report[name]["whole"], report[name]["speech"]
        lines.append(f"{name:<21}" + "".join(f"{r:7.2f}" for r in whole)
                     + "   " + "".join(f"{r:6.2f}" for r in speech))  # fmt: skip
    lines.append(f"{report['after']['bundle']}: ready; lipsync-edge run --set model.bundle=...")
    return "\n".join(lines)
