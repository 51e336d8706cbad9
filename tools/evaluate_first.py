"""Judges mouths on speakers that they have not learned from, beside the loudness envelope.

``python -m lipsync_tools.evaluate_first BUNDLE... --data DATA`` runs each int8 bundle as the robot
does, frame by frame. The speakers that a bundle's card does not name are the held-out ones; a
bundle that has learned from all is judged on those, and the table says so. ``judge.py`` defines the
figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.features import FeatureSpec, batch
from lipsync_edge.model.card import Card
from lipsync_edge.model.tflite import TfliteModel
from lipsync_tools.grid import SPEAKERS, Clip, read_clips
from lipsync_tools.judge import (
    JUDGED,
    System,
    correlations,
    fit_map,
    lateness_ms,
    open_at_rest,
    prepare,
    shifted,
)
from lipsync_tools.targets import (
    TARGETS,
    Ranges,
    at_times,
    film_targets,
    frame_times,
    learn_ranges,
)

LAGS = range(0, 11)


def bundle_system(model: TfliteModel) -> System:
    """The bundle's poses, moved back by its delay."""

    def run(clip: Clip) -> NDArray[np.float64]:
        model.reset()
        silence = np.zeros(model.delay_frames * model.spec.hop_length, np.float32)
        rows = batch(np.concatenate([clip.samples, silence]), model.spec)
        poses = np.array([model.step(row).copy() for row in rows], np.float64)
        return np.asarray(poses[model.delay_frames :])

    return run


def envelope_system(lag: int, spec: FeatureSpec) -> System:
    """Loudness of each feature frame, linear and in dB, delayed by ``lag`` frames."""

    def run(clip: Clip) -> NDArray[np.float64]:
        starts = range(0, len(clip.samples) - spec.frame_length + 1, spec.hop_length)
        rms = np.array([clip.samples[s : s + spec.frame_length].std() for s in starts])
        both = np.stack([rms, 20 * np.log10(rms + 1e-4)], axis=1)
        return np.asarray(shifted(both, lag))

    return run


def judge(
    system: System, spec: FeatureSpec, learned: list[list[Clip]], held_out: dict[str, list[Clip]]
) -> dict[str, Any]:
    """r per speaker and the means, ``whole`` clips and inside ``speech``; how late the mouth is."""
    linear = fit_map(prepare(system, [clip for clips in learned for clip in clips], spec))
    by_speaker = {}
    for speaker, clips in held_out.items():
        judged = prepare(system, clips, spec)
        by_speaker[speaker] = correlations(judged, linear) | {
            "late_ms": lateness_ms(judged, linear)
        }
    means = {
        part: np.mean([found[part] for found in by_speaker.values()], axis=0).tolist()
        for part in ("whole", "speech", "late_ms")
    }
    return {"mean": means, "speakers": by_speaker}


def judge_bundle(folder: Path, clips: dict[str, list[Clip]]) -> dict[str, Any]:
    """Figures of a bundle and of the envelope at the delay that suits it best."""
    card = Card.load(folder)
    model = TfliteModel(card)
    learned = [speaker for speaker in card.training["speakers"] if speaker in clips]
    held_out = [speaker for speaker in clips if speaker not in learned] or learned
    parts = [clips[s] for s in learned], {s: clips[s] for s in held_out}
    baselines = {lag: judge(envelope_system(lag, card.spec), card.spec, *parts) for lag in LAGS}
    best = max(LAGS, key=lambda lag: baselines[lag]["mean"]["whole"][0])
    return {
        "learned": learned,
        "held_out": held_out if held_out != learned else [],
        "model": judge(bundle_system(model), card.spec, *parts),
        "open_at_rest": rest(model, [clip for s in held_out for clip in clips[s]]),
        "film_open_at_rest": film_rest([clips[s] for s in held_out], card.spec),
        "envelope": {"delay_ms": best * 1e3 * card.spec.hop_s, **baselines[best]},
    }


def rest(model: TfliteModel, clips: list[Clip]) -> float:
    """Share of the time without words in which the model's jaw is open by over a tenth."""
    judged = prepare(bundle_system(model), clips, model.spec)
    return float(open_at_rest(judged, model.axes.index("jawOpen")))


def film_rest(speakers: list[list[Clip]], spec: FeatureSpec) -> float:
    """The same of the film: people breathe in through the mouth before they speak."""
    judged = []
    for clips in speakers:
        ranges = learn_ranges(clips)
        column = list(TARGETS).index("open")

        def film(clip: Clip, ranges: Ranges = ranges, column: int = column) -> NDArray[np.float64]:
            n_frames = 1 + (len(clip.samples) - spec.frame_length) // spec.hop_length
            shown = film_targets(clip, ranges)[:, [column]]
            return np.asarray(at_times(clip, shown, frame_times(n_frames, spec)))

        judged += prepare(film, clips, spec)
    return float(open_at_rest(judged, 0))


def rounded(value: Any) -> Any:
    """All numbers with three decimals."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def table(folds: list[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = ["Pearson r with the film, " + " / ".join(JUDGED)]
    for fold in folds:
        told = f"held out: {' '.join(fold['held_out'])}" if fold["held_out"] else "SEEN in training"
        lines.append(f"\nlearned from {' '.join(fold['learned'])}; {told}")
        for name in ("model", "envelope"):
            rows = fold[name]["speakers"] | {"mean": fold[name]["mean"]}
            for speaker, found in rows.items():
                columns = "   ".join(
                    f"{part} " + " / ".join(f"{r:5.2f}" for r in found[part])
                    for part in ("whole", "speech")
                )
                late = f"{found['late_ms']:+4.0f} ms"
                lines.append(f"  {name:<9}{speaker:<6}{columns}   late {late}")
        lines.append(
            f"  the envelope is delayed by {fold['envelope']['delay_ms']:.0f} ms, its best; the "
            f"model's jaw is open in {100 * fold['open_at_rest']:.0f} % of the time without words "
            f"(film: {100 * fold['film_open_at_rest']:.0f} %)"
        )
    lines.append("\nmean of all these speakers")
    for name in ("model", "envelope"):
        found = [one for fold in folds for one in fold[name]["speakers"].values()]
        columns = "   ".join(
            f"{part} " + " / ".join(f"{r:5.2f}" for r in np.mean([f[part] for f in found], axis=0))
            for part in ("whole", "speech")
        )
        lines.append(f"  {name:<15}{columns}")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, help="folder with grid/; without it: what cards say")
    parser.add_argument("--clips", type=int, default=60, help="clips per speaker at most")
    parser.add_argument("--json", action="store_true", help="for a program, and for convert_first")
    a = parser.parse_args()
    if a.data is None:
        folds = [fold for path in a.bundles for fold in Card.load(path).metrics.get("folds", [])]
    else:
        clips = {speaker: read_clips(a.data, speaker, a.clips) for speaker in SPEAKERS}
        folds = [rounded(judge_bundle(bundle, clips)) for bundle in a.bundles]
    print(json.dumps({"folds": folds}, indent=1) if a.json else table(folds))


if __name__ == "__main__":
    main()
