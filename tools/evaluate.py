"""How well mouths follow film, on speakers that they have not learned from.

The figures are those of ``motion_report`` (defined in ``metrics``) for poses without servos, and
Pearson's r of all lip measures. Folds: each bundle is judged on the speakers that its card does not
name, with the map and the thresholds from those that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError
from lipsync_tools import metrics as m
from lipsync_tools.grid import Clip
from lipsync_tools.judge import JUDGED, correlations, fit_map, prepare
from lipsync_tools.labels import key, phone_times
from lipsync_tools.motion_report import Clip as SeenClip
from lipsync_tools.motion_report import Figures, figures
from lipsync_tools.systems import Bundle, System, baselines
from lipsync_tools.targets import frame_times, learn_ranges
from lipsync_tools.truth import Truth, film_truth

Array = NDArray[np.float64]
FIT = " (to fit)"
ROUND_AXES = ("mouthFunnel", "mouthPucker")
SEX = {"s1": "m", "s2": "m", "s3": "m", "s4": "f", "s5": "m", "s31": "f"}


@dataclass
class Films:
    """Clips by speaker, and what they show."""

    clips: dict[str, list[Clip]]
    truths: dict[str, list[Truth]]

    @classmethod
    def read(cls, folder: Path, phones: Path | None, most: int) -> Films:
        """A set or a folder with grid/; ``most`` clips of each speaker, spread out."""
        from lipsync_tools.shards import read_set

        clips: dict[str, list[Clip]] = {}
        for clip in read_set(folder):
            clips.setdefault(clip.speaker, []).append(clip)
        if not clips:
            raise LipsyncError(f"{folder}: there are no films in it.")
        for speaker, own in clips.items():
            if len(own) > most:
                clips[speaker] = [own[i] for i in np.linspace(0, len(own) - 1, most).astype(int)]
        times = phone_times([clip for own in clips.values() for clip in own], phones)
        truths = {}
        for speaker, own in clips.items():
            ranges = learn_ranges(own)
            truths[speaker] = [film_truth(clip, ranges, times[key(clip)]) for clip in own]
        return cls(clips, truths)

    def fitted(self, learned: set[str], others: Films | None) -> Films:
        """The same films with speakers to fit maps and thresholds on: those of ``learned`` that
        are here or in ``others``; where there are none, every other clip of the judged ones."""
        if others:
            add = {s: clips for s, clips in others.clips.items() if s in learned}
            truths = {s: others.truths[s] for s in add}
            return Films({**add, **self.clips}, {**truths, **self.truths})
        if learned & set(self.clips):
            return self
        made = Films({}, {})
        for speaker, clips in self.clips.items():
            for name, part in ((speaker + FIT, slice(0, None, 2)), (speaker, slice(1, None, 2))):
                made.clips[name] = clips[part]
                made.truths[name] = self.truths[speaker][part]
        return made


@dataclass
class Fold:
    """Speakers to fit maps and thresholds on, and speakers to judge by; ``told``: a warning."""

    learned: list[str]
    held_out: list[str]
    told: str = ""


def fold_of(bundle: Bundle, films: Films) -> Fold:
    """Who is judged. Where nobody is known or nobody is new, it says so."""
    fit = [s for s in films.clips if s.endswith(FIT)]
    known = [s for s in films.clips if s in bundle.learned]
    new = [s for s in films.clips if s not in bundle.learned and s not in fit]
    if not new:
        return Fold(known, known, "SEEN: these speakers were learned from")
    if not known:
        told = "map and thresholds fitted on every other clip of the same speakers"
        return Fold(fit or new, new, told)
    return Fold(known, new)


@dataclass
class Judgement:
    """One system on one fold: its map and its clips."""

    system: System
    fold: Fold
    linear: Array
    seen: dict[str, list[SeenClip]] = field(default_factory=dict)


def judge_fold(system: System, fold: Fold, films: Films, spec: Any) -> Judgement:
    """Choose the delay (where the opening's r over whole clips and inside speech is best) and fit
    the map on the speakers to learn from; run on all."""
    system = replace(system)  # another fold may choose another delay; what it said is shared
    learned = [clip for s in fold.learned for clip in films.clips[s]]
    best, chosen = -np.inf, system.lags[0]
    for lag in system.lags:
        system.lag = lag
        prepared = prepare(system, learned, spec)
        linear = fit_map(prepared)
        found = correlations(prepared, linear)
        r = float(np.nan_to_num(found["whole"][0] + found["speech"][0], nan=-9.0))
        if r > best:
            best, chosen, best_map = r, lag, linear
    system.lag = chosen
    made = Judgement(system, fold, best_map)
    for speaker in dict.fromkeys([*fold.learned, *fold.held_out]):
        made.seen[speaker] = [
            SeenClip(truth, at_100hz(system(clip), len(truth.opening), spec), np.zeros((2, 1)))
            for clip, truth in zip(films.clips[speaker], films.truths[speaker], strict=True)
        ]
    return made


def at_100hz(outputs: Array, n: int, spec: Any) -> Array:
    """Outputs at the feature frames, at 0, 10, 20, ... ms: (n, k)."""
    times_s = frame_times(len(outputs), spec)
    at = np.arange(n) / m.RATE_HZ
    return np.stack([np.interp(at, times_s, column) for column in outputs.T], axis=1)


def film_stage(bundles: Sequence[Bundle], films: Films, names: Sequence[str], cache: Path
               ) -> dict[str, Any]:  # fmt: skip
    """All figures of the bundles (as one system, fold by fold) and of the baselines."""
    folds = [fold_of(bundle, films) for bundle in bundles]
    spec = bundles[0].spec
    others, missing = baselines(names, spec, cache)
    rows: dict[str, Any] = {}
    ours = [judge_fold(System("model", b), f, films, spec)
            for b, f in zip(bundles, folds, strict=True)]  # fmt: skip
    rows["model"] = _row(ours, films, spec)
    if all(bundle.closure is not None for bundle in bundles):
        rows["model"]["with_channel"] = _with_channel(bundles, ours)
    if all(bundle.column(axis) is not None for bundle in bundles for axis in ROUND_AXES):
        rows["model"]["by_axes"] = _rounded_by_axes(bundles, ours)
    rows["model"]["rest"] = _rest(bundles, folds, films)
    for other in others:
        rows[other.name] = _row([judge_fold(other, f, films, spec) for f in folds], films, spec)
    return {
        "folds": [vars(fold) | {"bundle": b.name} for fold, b in zip(folds, bundles, strict=True)],
        "clips": {speaker: len(clips) for speaker, clips in films.clips.items()},
        "measures": list(JUDGED),
        "systems": rows,
        "missing": missing,
    }


def _row(judgements: Sequence[Judgement], films: Films, spec: Any) -> dict[str, Any]:
    """One system's figures over all folds."""
    all_of: Figures = figures(
        [([c for s in j.fold.learned for c in j.seen[s]],
          [c for s in j.fold.held_out for c in j.seen[s]]) for j in judgements]
    )  # fmt: skip
    speakers: dict[str, Any] = {}
    for j in judgements:
        for s in j.fold.held_out:
            found = correlations(prepare(j.system, films.clips[s], spec), j.linear)
            offset = all_of.offset_by_speaker.get(s, float("nan"))
            speakers[s] = {**found, "offset_ms": offset, "pitch_hz": _pitch_of(films.clips[s])}
    row = {
        "whole": _means(speakers, "whole"), "speech": _means(speakers, "speech"),
        "by_speaker": speakers, "groups": _groups(speakers),
        "delay_ms": [10 * j.system.lag for j in judgements],
    }  # fmt: skip
    kept = ("offset_ms", "mtm_ms", "closure_recall", "closure_recall_short", "closure_false",
            "n_closures", "n_short", "n_opens", "rounding_recall", "rounding_false", "n_rounds",
            "jerk")  # fmt: skip
    row |= {name: getattr(all_of, name) for name in kept}
    for edge in ("onset", "release"):
        row[f"{edge}_ms"] = getattr(all_of, edge).median
        row[f"{edge}_p95_ms"] = getattr(all_of, edge).p95_abs
    return row


def _means(speakers: dict[str, Any], part: str) -> list[float]:
    return np.mean([found[part] for found in speakers.values()], axis=0).tolist()


def _groups(speakers: dict[str, Any]) -> dict[str, float]:
    """r of the inner opening by sex (where it is known) and by pitch."""
    named: dict[str, list[float]] = {}
    for speaker, found in speakers.items():
        pitch = found["pitch_hz"]
        band = "below 150 Hz" if pitch < 150 else "150 to 200 Hz" if pitch < 200 else "200 Hz on"
        for group in (SEX.get(speaker, "sex unknown"), band):
            named.setdefault(group, []).append(found["whole"][0])
    return {group: float(np.mean(r)) for group, r in sorted(named.items())}


def _pitch_of(clips: Sequence[Clip]) -> float:
    return float(np.median([p for clip in clips[:10] for p in pitches_hz(clip.samples)] or [0.0]))


def pitches_hz(samples: NDArray[np.float32], rate_hz: int = 16000) -> list[float]:
    """Pitch of the voiced frames (40 ms, every 20): the highest autocorrelation between 70 and
    350 Hz, where it is over 0.5 of the power and the frame is not quiet."""
    out, size = [], int(0.04 * rate_hz)
    loud = float(np.abs(samples).max()) * 0.1
    for start in range(0, len(samples) - size, size // 2):
        x = samples[start : start + size].astype(np.float64)
        x = x - x.mean()
        if np.abs(x).max() < loud:
            continue
        spectrum = np.fft.rfft(x, 2 * size)
        r = np.fft.irfft(np.abs(spectrum) ** 2)[:size]
        lags = slice(rate_hz // 350, rate_hz // 70)
        k = int(np.argmax(r[lags])) + lags.start
        if r[k] > 0.5 * r[0]:
            out.append(rate_hz / k)
    return out


# Closures by opening and channel together --------------------------------------------------------


@dataclass
class Decision:
    """A closure: ``weights`` . (opening mapped, closure probability, 1) > 0; without the channel
    the opening decides alone."""

    weights: Array
    linear: Array
    channel: int | None

    def score(self, outputs: Array) -> Array:
        """Score (n,) of outputs (n, k): positive where the lips are taken to be shut."""
        opening = np.append(outputs, np.ones((len(outputs), 1)), axis=1) @ self.linear[:, 0]
        stacked = [10 * opening, likely(outputs, self.channel), np.ones(len(outputs))]
        return np.asarray(np.stack(stacked, axis=1) @ self.weights)


def likely(outputs: Array, channel: int | None) -> Array:
    """The channel's probability of a closure (n,); zeros where there is no channel."""
    return np.zeros(len(outputs)) if channel is None else outputs[:, channel]


def decide(judgement: Judgement, channel: int | None) -> Decision:
    """The logistic regression that tells closures from open vowels on the speakers to learn from,
    and where the two are best told apart (Youden's J)."""
    empty = Decision(np.array([-1.0, 1.0, 0.0]), judgement.linear, channel)
    clips = [c for s in judgement.fold.learned for c in judgement.seen[s]]
    shut, opened = _events(clips, judgement.linear, channel)
    if not len(shut) or not len(opened):
        return empty
    x = np.concatenate([shut, opened])
    x = np.append(x, np.ones((len(x), 1)), axis=1)
    y = np.concatenate([np.ones(len(shut)), np.zeros(len(opened))])
    decision = Decision(_logistic(x, y), judgement.linear, channel)
    hits, misses = (_scores(decision, clips, kind) for kind in ("closures", "opens"))
    decision.weights[2] += m.best_threshold(-np.array(hits), -np.array(misses), 0.0)
    return decision


def _events(clips: Sequence[SeenClip], linear: Array, channel: int | None) -> tuple[Array, Array]:
    """(opening, probability) at the lowest opening of closures, and in open vowels."""
    out: tuple[list[list[float]], list[list[float]]] = ([], [])
    for c in clips:
        opening = np.append(c.seen, np.ones((len(c.seen), 1)), axis=1) @ linear[:, 0]
        closed = likely(c.seen, channel)
        middles = [m.inside(span) for span in c.truth.opens]
        kinds = ((out[0], c.truth.closures, m.NEAR_S), (out[1], middles, 0.0))
        for found, spans, near in kinds:
            for span in spans:
                at = m.window(len(opening), span, near)
                found.append([10 * float(opening[at].min()), float(closed[at].max())])
    return np.array(out[0]).reshape(-1, 2), np.array(out[1]).reshape(-1, 2)


def _logistic(x: Array, y: Array, ridge: float = 1e-2) -> Array:
    """Weights (k,) by Newton's method, slightly ridged."""
    w = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(w))
        w += np.linalg.solve(hessian, x.T @ (y - p) - ridge * w)
    return w


def _scores(decision: Decision, clips: Sequence[SeenClip], kind: str) -> list[float]:
    """Highest scores around closures, or in the middles of open vowels."""
    out = []
    for c in clips:
        score = decision.score(c.seen)
        for span in getattr(c.truth, kind):
            near = (span, m.NEAR_S) if kind == "closures" else (m.inside(span), 0.0)
            out.append(float(score[m.window(len(score), *near)].max()))
    return out


def _with_channel(bundles: Sequence[Bundle], judgements: Sequence[Judgement]) -> dict[str, float]:
    hits: list[float] = []
    false: list[float] = []
    short: list[bool] = []
    for bundle, j in zip(bundles, judgements, strict=True):
        decision = decide(j, bundle.closure)
        clips = [c for s in j.fold.held_out for c in j.seen[s]]
        hits += _scores(decision, clips, "closures")
        false += _scores(decision, clips, "opens")
        short += [b - a <= m.SHORT_S + 1e-9 for c in clips for a, b in c.truth.closures]
    return {
        "closure_recall": _share(hits),
        "closure_recall_short": _share(np.array(hits)[np.array(short, bool)].tolist()),
        "closure_false": _share(false),
    }


def _rounded_by_axes(bundles: Sequence[Bundle], judgements: Sequence[Judgement]
                     ) -> dict[str, float]:  # fmt: skip
    """Rounding as a head shows it, by funnel and pucker together in the place of the width that
    the linear map makes of all axes."""
    hits: list[bool] = []
    false: list[bool] = []
    for bundle, j in zip(bundles, judgements, strict=True):
        columns = [bundle.column(axis) or 0 for axis in ROUND_AXES]

        def depths(speakers: Sequence[str], kind: str, j: Judgement = j,
                   columns: list[int] = columns) -> list[float]:  # fmt: skip
            out = []
            for clip in (clip for s in speakers for clip in j.seen[s]):
                narrow = -clip.seen[:, columns].sum(axis=1)
                for span in getattr(clip.truth, kind):
                    near = (span, m.NEAR_S) if kind == "rounds" else (m.inside(span), 0.0)
                    out.append(m.lowest(narrow, *near))
            return out

        learned = [depths(j.fold.learned, kind) for kind in ("rounds", "spreads")]
        threshold = m.best_threshold(*learned, -0.4)
        hits += [depth < threshold for depth in depths(j.fold.held_out, "rounds")]
        false += [depth < threshold for depth in depths(j.fold.held_out, "spreads")]
    return {
        "rounding_recall": float(np.mean(hits)) if hits else float("nan"),
        "rounding_false": float(np.mean(false)) if false else float("nan"),
    }


def _share(scores: Sequence[float]) -> float:
    return float(np.mean(np.array(scores) > 0)) if scores else float("nan")


def _rest(bundles: Sequence[Bundle], folds: Sequence[Fold], films: Films) -> dict[str, float]:
    """Share of the time without words in which the jaw is open by over a tenth: ours after the
    robot's own rest, and the film's, in which people breathe and wait with open lips."""
    ours: list[Array] = []
    filmed: list[Array] = []
    for bundle, fold in zip(bundles, folds, strict=True):
        jaw = bundle.column("jawOpen") or 0
        for s in fold.held_out:
            for clip, truth in zip(films.clips[s], films.truths[s], strict=True):
                rested = bundle.both(clip.samples)[1]
                shown = at_100hz(rested, len(truth.opening), bundle.spec)
                ours.append(shown[~truth.speaking, jaw])
                filmed.append(truth.opening[~truth.speaking])
    return {
        "model": float((np.concatenate(ours) > 0.1).mean()),
        "film": float((np.concatenate(filmed) > 0.1).mean()),
    }
