"""Which systems are judged on which clips: the work behind `evaluate --stage motion`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lipsync_edge.model.card import Card
from lipsync_tools.grid import FOLDS, SPEAKERS, Clip, read_clips
from lipsync_tools.labels import key, phone_times
from lipsync_tools.motion_report import Figures, Fold, clips_of, figures
from lipsync_tools.motion_runs import ORACLE, Job, Run, Servos, Setup, Ways, run_all
from lipsync_tools.targets import Ranges, learn_ranges
from lipsync_tools.truth import Truth, film_truth

PLANNERS = ("straight", "lag", "plan")
SERVOS = (
    Servos("mouth10", "mg90s"),
    Servos("mouth10", "sg90"),
    Servos("mouth10", "digital"),
    Servos("jaw", "mg90s"),
    Servos("jaw", "jaw"),
)
SPEEDS = (700.0, 1000.0, 1400.0, 2000.0, 2800.0, 4000.0, 5600.0, 8000.0)
"""us/s under load; 10.5 us are a degree."""


@dataclass
class Evaluation:
    """The clips, their truth, and who learned from whom. ``notes``: what a reader must know."""

    clips: list[Clip]
    ranges: dict[str, Ranges]
    truths: list[Truth]
    ways: Ways
    bundles: tuple[str, ...]
    n_processes: int
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(
        cls, data: Path, n_clips: int, phones: Path, bundles: tuple[str, ...],
        lookahead_ms: float, oracle_delay: int, sets: tuple[Any, ...], n_processes: int,
    ) -> Evaluation:  # fmt: skip
        """Everything that is needed from the data folder; phone times are made if missing."""
        by_speaker = {speaker: read_clips(data, speaker, n_clips) for speaker in SPEAKERS}
        clips = [clip for own in by_speaker.values() for clip in own]
        spoken = phone_times(clips, phones)
        ranges = {speaker: learn_ranges(own) for speaker, own in by_speaker.items()}
        truths = [film_truth(c, ranges[c.speaker], spoken[key(c)]) for c in clips]
        ways = Ways(lookahead_ms, oracle_delay, sets)
        made = cls(clips, ranges, truths, ways, bundles, n_processes)
        made.notes = [f"{len(clips)} clips, {n_clips} of each speaker at most; "
                      f"lookahead {lookahead_ms:g} ms; oracle known {oracle_delay} frames late",
                      *made._bundle_notes()]  # fmt: skip
        return made

    def bundle_of(self, fold: int) -> str:
        """The bundle that has not learned from the speakers that this fold judges."""
        held_out = set(FOLDS[fold][1])
        fair = [b for b in self.bundles if not held_out & self._learned(b)]
        return (fair or list(self.bundles))[0]

    def _learned(self, bundle: str) -> set[str]:
        return set(Card.load(Path(bundle)).training.get("speakers", ()))

    def _bundle_notes(self) -> list[str]:
        notes = []
        for fold, (_, held_out) in enumerate(FOLDS):
            bundle = self.bundle_of(fold)
            seen = sorted(set(held_out) & self._learned(bundle))
            told = f"has LEARNED from {' '.join(seen)}" if seen else "has learned from none of them"
            name = "/".join(Path(bundle).parts[-2:])
            notes.append(f"{' '.join(held_out)}: judged with {name}, which {told}")
        return notes

    def run(self, setups: Sequence[Setup], told: str) -> list[dict[Setup, Run]]:
        """All setups on all clips, with a progress bar on a terminal."""
        jobs: list[Job] = [
            (clip, self.ranges[clip.speaker], truth, setups, self.ways, number)
            for number, (clip, truth) in enumerate(zip(self.clips, self.truths, strict=True))
        ]
        runs = run_all(jobs, self.n_processes)
        return list(tqdm(runs, told, len(jobs), disable=not sys.stderr.isatty(), leave=False))

    def folds(
        self, runs: Sequence[dict[Setup, Run]], setups: Sequence[Setup], bare_pose: bool = False
    ) -> list[Fold]:
        """A system's clips, fold by fold; ``setups``: its setup in each fold."""
        folds = []
        for (learned, held_out), setup in zip(FOLDS, setups, strict=True):
            clips = clips_of(self.truths, [run[setup] for run in runs], bare_pose)
            folds.append(([c for c in clips if c.truth.speaker in learned],
                          [c for c in clips if c.truth.speaker in held_out]))  # fmt: skip
        return folds


def all_systems(e: Evaluation) -> dict[str, dict[str, Figures]]:
    """The table: poses and servos -> way of commanding -> figures."""
    by_fold = [e.bundle_of(fold) for fold in range(len(FOLDS))]
    sources = [ORACLE, *dict.fromkeys(by_fold)]
    setups = [Setup(p, s, w) for p in sources for s in SERVOS for w in PLANNERS]
    runs = e.run(setups, "clips")
    systems: dict[str, dict[str, Figures]] = {}
    for told, poses in ((ORACLE, [ORACLE] * len(FOLDS)), ("model", by_fold)):
        bare = [Setup(p, SERVOS[0], PLANNERS[0]) for p in poses]
        systems[f"{told}, no servos"] = {"none": figures(e.folds(runs, bare, bare_pose=True))}
        for servos in tqdm(SERVOS, told, disable=not sys.stderr.isatty(), leave=False):
            systems[f"{told}, {servos.name}"] = {
                way: figures(
                    e.folds(runs, [Setup(p, servos, way) for p in poses]), servos.head != "jaw"
                )
                for way in PLANNERS
            }
    return systems


def speed_sweep(e: Evaluation) -> dict[float, dict[str, Figures]]:
    """Oracle, jaw of a servo with other speeds than its own -> way of commanding -> figures."""
    setups = [
        Setup(ORACLE, Servos("jaw", "mg90s", speed), way) for speed in SPEEDS for way in PLANNERS
    ]
    runs = e.run(setups, "speeds")
    return {
        speed: {
            s.planner: figures(e.folds(runs, [s] * len(FOLDS)), has_lips=False)
            for s in setups
            if s.servos.speed_us_per_s == speed
        }
        for speed in SPEEDS
    }
