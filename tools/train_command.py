"""`lipsync-tools train SET... -o RUN/`: learn a mouth from films, and from voices without film."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from lipsync_edge.errors import LipsyncError

CACHE = Path(".cache/lessons")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("sets", type=Path, nargs="*", metavar="SET",
                        help="what extract wrote, or a folder with grid/")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN",
                        help="folder of the run; the same command goes on from there")  # fmt: skip
    parser.add_argument("--speakers", help="whom to learn from, s1,s2,...; default: everybody")
    parser.add_argument("--hold-out", default="", help="whom not to learn from, s3,s5,...")
    parser.add_argument("--phones", type=Path, help="phone times that `phones` wrote (JSON)")
    parser.add_argument("--voices", type=Path, metavar="DATA",
                        help="folder with speech/: recordings with transcripts")  # fmt: skip
    parser.add_argument("--ear", type=Path, metavar="RUN",
                        help="a run that knows phones, to align recordings in other languages "
                        "than English")  # fmt: skip
    parser.add_argument("--no-synthetic", action="store_true", help="without synthesised speech")
    parser.add_argument("--most-clips", type=int, metavar="N", help="of each filmed speaker")
    parser.add_argument("--most-voices", type=int, metavar="N", help="without film")
    parser.add_argument("--start", type=Path, metavar="RUN|BUNDLE",
                        help="begin with the weights of another run, or of a bundle")  # fmt: skip
    parser.add_argument("--teacher", type=Path, nargs="*", default=[], metavar="RUN",
                        help="runs that tell poses for voices without film")  # fmt: skip
    parser.add_argument("--recipe", type=Path, help="YAML file with the recipe's values")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="changes",
                        help="values of the recipe, e.g. steps=500 delay_frames=2")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, help="for what is synthesised")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(a: argparse.Namespace) -> int:
    """Learn; Ctrl-C keeps what was learned."""
    import torch

    from lipsync_edge.features import FeatureSpec
    from lipsync_tools import train

    torch.set_num_threads(a.threads)
    if train.distributed():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    recipe, spec = _recipe(a), FeatureSpec()
    lessons, told = read_lessons(a, spec)
    a.output.mkdir(parents=True, exist_ok=True)
    made = train.Run(a.output, recipe, spec, told)
    if a.start and made.step == 0:
        made.start_from(a.start)
    train.prepare(lessons, recipe, spec, a.teacher)
    if made.step >= recipe.steps:
        print(f"{a.output}: all {recipe.steps} steps are done already")
    try:
        train.train(made, lessons, cache=a.cache)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from there", file=sys.stderr)
        return 130
    finally:
        if train.distributed():
            torch.distributed.destroy_process_group()
    if a.json and train.is_first():
        print(json.dumps({"run": str(a.output), "step": made.step, **told}, indent=1))
    return 0


def _recipe(a: argparse.Namespace) -> Any:
    """The recipe of the file and of the command line; errors name the key."""
    import yaml

    from lipsync_tools import augment
    from lipsync_tools.train import Recipe

    told: dict[str, Any] = {}
    if a.recipe:
        try:
            told = yaml.safe_load(a.recipe.read_text("utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise LipsyncError(f"{a.recipe}: cannot be read as a recipe: {error}") from None
    voices = dict(told.pop("voices", {}))
    for word in a.changes:
        key, equals, value = word.partition("=")
        if not equals:
            raise LipsyncError(f"--set {word}: write KEY=VALUE, for example steps=500")
        into = voices if key in augment.Voices.__dataclass_fields__ else told
        into[key] = yaml.safe_load(value)
    if a.no_synthetic:
        told["synthetic_share"] = 0.0
    return Recipe.read({**told, "voices": voices})


def read_lessons(a: argparse.Namespace, spec: Any) -> tuple[list[Any], dict[str, Any]]:
    """Lessons of all sets and voices, and what the checkpoint tells about them."""
    from lipsync_tools import lessons as made
    from lipsync_tools.shards import read_set
    from lipsync_tools.sources import provenance
    from lipsync_tools.voice_records import voice_records

    phones = json.loads(a.phones.read_text()) if a.phones else {}
    held_out = set(filter(None, a.hold_out.split(",")))
    wanted = set(filter(None, (a.speakers or "").split(",")))
    by_speaker: dict[str, list[Any]] = {}
    for folder in a.sets:
        for clip in read_set(folder):
            if clip.speaker not in held_out and (not wanted or clip.speaker in wanted):
                by_speaker.setdefault(clip.speaker, []).append(clip)
    missing = sorted(wanted - set(by_speaker))
    if missing or (a.sets and not by_speaker):
        raise LipsyncError(f"no clips of {', '.join(missing) or 'anybody'} in the sets")
    out: list[Any] = []
    for clips in by_speaker.values():
        out += made.film_lessons(clips[: a.most_clips], spec, phones)
    out += _first_voices(_voices(a, spec, phones), a.most_voices)
    groups = {lesson.speaker for lesson in out if lesson.group != "film"}
    told = {
        "speakers": sorted(by_speaker),
        "voices": sorted(groups),
        "sources": provenance(a.sets) + voice_records(sorted(groups)),
    }
    counts = {g: sum(x.group == g for x in out) for g in ("film", "recorded", "synthetic")}
    print(f"{len(by_speaker)} filmed speakers, {len(groups)} voices without film; pieces: {counts}",
          file=sys.stderr)  # fmt: skip
    return out, told


def _first_voices(lessons: list[Any], most: int | None) -> list[Any]:
    """Those of the first so many voices: recorded ones first, then synthesised ones by name."""
    if most is None:
        return lessons
    voices = list(dict.fromkeys(lesson.speaker for lesson in lessons))[:most]
    return [lesson for lesson in lessons if lesson.speaker in voices]


def _voices(a: argparse.Namespace, spec: Any, phones: dict[str, Any]) -> list[Any]:
    from lipsync_tools import recordings, spoken
    from lipsync_tools.lessons import spoken_lessons

    out: list[Any] = []
    jobs = max(1, (os.cpu_count() or 2) // 2)
    if a.voices:
        known = recordings.english(a.voices, phones, spec)
        out += spoken_lessons("recorded", known)
        if a.ear:
            kept = a.cache / "aligned.npz"
            if not kept.exists():
                spoken.write(kept, recordings.aligned(a.voices, ear_of(a.ear), spec, set(phones)))
            out += spoken_lessons("recorded", list(spoken.read(kept)))
    if not a.no_synthetic:
        out += spoken_lessons("synthetic", spoken.synthesised(a.cache, spec, jobs=jobs))
    return out


def ear_of(folder: Path) -> Any:
    """From features (n, n_mels) to log-probabilities of classes (n, n_classes), of a run."""
    import numpy as np
    import torch

    from lipsync_tools.grid import MEASURES
    from lipsync_tools.train import load_run

    recipe, _, mouth, _ = load_run(folder)

    def ear(rows: np.ndarray) -> np.ndarray:
        delayed = np.concatenate([rows, np.repeat(rows[-1:], recipe.delay_frames, axis=0)])
        with torch.no_grad():
            _, extra = mouth.both(torch.tensor(delayed)[None])
        logits = extra[0, recipe.delay_frames :, len(MEASURES) :]
        return np.asarray(torch.log_softmax(logits.double(), dim=-1).numpy())

    return ear
