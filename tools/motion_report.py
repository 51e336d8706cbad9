"""Judges how commands become motion: `lipsync-tools evaluate --stage motion`.

Every figure is of what the simulated horns show (``horn.*``, ``seen.*`` of `render --simulate`) at
the time it is heard, against the film. A system's seen axes are mapped to opening and width by one
linear map, fitted on the speakers to learn from; its thresholds for closed and rounded are the best
ones on those speakers. Two folds by speaker: every held-out clip is judged once. Shares and timing
are over all held-out phones; r, offset and cost are found per speaker, and then the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_tools import metrics as m
from lipsync_tools.judge import Judged, fit_map
from lipsync_tools.motion_runs import Run
from lipsync_tools.truth import ROUNDED, SHUT, Truth

Array = NDArray[np.float64]
OPENING, WIDTH = 0, 1


@dataclass(frozen=True)
class Figures:
    """One system. Times in ms (positive: late), shares 0..1, NaN where nothing can be said.

    ``closure_recall_short``: of stops up to 60 ms; ``closure_recall_tight``: of all, but under the
    threshold that counts as shut in the film, however much air the system's own threshold leaves.
    """

    r: float
    r_speech: float
    offset_ms: float
    mtm_ms: float
    closure_recall: float
    closure_recall_short: float
    closure_recall_tight: float
    closure_false: float
    closure_missed: int
    n_closures: int
    n_short: int
    n_opens: int
    onset: m.TimingError
    release: m.TimingError
    timing: m.TimingError
    rounding_recall: float
    rounding_false: float
    n_rounds: int
    jerk: float
    travel_per_s: float
    reversals_per_s: float
    offset_by_speaker: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Clip:
    """One clip of one system: what the film shows, what is seen, and the horns (or nothing)."""

    truth: Truth
    seen: Array
    horns: Array


def clips_of(truths: Sequence[Truth], runs: Sequence[Run], bare_pose: bool = False) -> list[Clip]:
    """Join film and runs; ``bare_pose``: judge the pose itself, as if there were no servos."""
    return [
        Clip(t, np.asarray(r.pose if bare_pose else r.seen, float), np.asarray(r.horns, float))
        for t, r in zip(truths, runs, strict=True)
    ]


@dataclass
class _Judge:
    """The map and the thresholds that a system has from the speakers to learn from."""

    linear: Array
    shut: float
    rounded: float

    @classmethod
    def learn(cls, clips: Sequence[Clip]) -> _Judge:
        linear = fit_map([Judged(c.seen, c.truth.measures, c.truth.speaking) for c in clips])
        judge = cls(linear, np.nan, np.nan)
        thresholds = []
        for column, film, hits, misses in (
            (OPENING, SHUT, "closures", "opens"),
            (WIDTH, ROUNDED, "rounds", "spreads"),
        ):
            reached = [d for c in clips for d in judge.depths(c, column, getattr(c.truth, hits))]
            inside = [
                d for c in clips for d in judge.depths(c, column, getattr(c.truth, misses), True)
            ]
            thresholds.append(m.best_threshold(reached, inside, film))
        return cls(linear, *thresholds)

    def shown(self, clip: Clip) -> Array:
        """Opening and width (n, 2) that a viewer sees."""
        return np.asarray(np.append(clip.seen, np.ones((len(clip.seen), 1)), 1) @ self.linear)

    def depths(
        self, clip: Clip, column: int, spans: Sequence[m.Span], middle: bool = False
    ) -> list[float]:
        """The least values around phones, or in their middles."""
        signal = self.shown(clip)[:, column]
        if middle:
            return [m.lowest(signal, m.inside(span), 0.0) for span in spans]
        return [m.lowest(signal, span) for span in spans]


Fold = tuple[Sequence[Clip], Sequence[Clip]]
"""Clips to learn from, clips to judge."""


def figures(folds: Sequence[Fold], has_lips: bool = True) -> Figures:
    """All figures of a system over the held-out clips of its folds; no rounding without lips."""
    judged = [(judge, clip) for train, test in folds for judge in [_Judge.learn(train)]
              for clip in test]  # fmt: skip
    closures = [
        (span, depth < judge.shut, depth < SHUT)
        for judge, clip in judged
        for span, depth in zip(
            clip.truth.closures,
            judge.depths(clip, OPENING, clip.truth.closures),
            strict=True,
        )
    ]
    short = [hit for (begin, end), hit, _ in closures if end - begin <= m.SHORT_S + 1e-9]
    hits = [hit for _, hit, _ in closures]
    false = [d < j.shut for j, c in judged for d in j.depths(c, OPENING, c.truth.opens, True)]
    rounds = [d < j.rounded for j, c in judged for d in j.depths(c, WIDTH, c.truth.rounds)]
    spread = [d < j.rounded for j, c in judged for d in j.depths(c, WIDTH, c.truth.spreads, True)]
    onset, release = _timing(judged)
    by_speaker = _by_speaker(judged)
    return Figures(
        **{key: _mean([found[key] for found in by_speaker.values()]) for key in _SPEAKER_KEYS},
        closure_recall=_mean(hits),
        closure_recall_short=_mean(short),
        closure_recall_tight=_mean([tight for _, _, tight in closures]),
        closure_false=_mean(false),
        closure_missed=len(hits) - sum(hits),
        n_closures=len(hits),
        n_short=len(short),
        n_opens=len(false),
        onset=m.TimingError.of(onset),
        release=m.TimingError.of(release),
        timing=m.TimingError.of(onset + release),
        rounding_recall=_mean(rounds) if has_lips else float("nan"),
        rounding_false=_mean(spread) if has_lips else float("nan"),
        n_rounds=len(rounds),
        offset_by_speaker={name: found["offset_ms"] for name, found in by_speaker.items()},
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _timing(judged: Sequence[tuple[_Judge, Clip]]) -> tuple[list[float], list[float]]:
    """Errors in ms of onsets and of releases, of all closures that are made."""
    errors: tuple[list[float], list[float]] = ([], [])
    for judge, clip in judged:
        shown = judge.shown(clip)[:, OPENING]
        for span in clip.truth.closures:
            filmed = m.closed_run(clip.truth.opening, SHUT, span)
            made = m.closed_run(shown, judge.shut, span)
            if filmed and made:
                for found, a, b in zip(errors, filmed, made, strict=True):
                    found.append(1e3 * (b - a))
    return errors


_SPEAKER_KEYS = ("r", "r_speech", "offset_ms", "mtm_ms", "jerk", "travel_per_s", "reversals_per_s")


def _by_speaker(judged: Sequence[tuple[_Judge, Clip]]) -> dict[str, dict[str, float]]:
    out = {}
    for speaker in dict.fromkeys(clip.truth.speaker for _, clip in judged):
        own = [(j, c) for j, c in judged if c.truth.speaker == speaker]
        truth = [c.truth.opening for _, c in own]
        shown = [j.shown(c)[:, OPENING] for j, c in own]
        slow = [(m.low_pass(a), m.low_pass(b)) for a, b in zip(truth, shown, strict=True)]
        speech = [(a[c.truth.speaking], b[c.truth.speaking])
                  for (a, b), (_, c) in zip(slow, own, strict=True)]  # fmt: skip
        gaps = [m.misalignments_ms(a, b) for a, b in zip(truth, shown, strict=True)]
        horns = [c.horns for _, c in own]
        out[speaker] = {
            "r": m.pearson(*zip(*slow, strict=True)),
            "r_speech": m.pearson(*zip(*speech, strict=True)),
            "offset_ms": m.sync_offset_ms(truth, shown),
            "mtm_ms": _mean(list(np.concatenate(gaps))),
            "jerk": _mean([m.mean_jerk(s) for s in shown]),
            "travel_per_s": _mean([m.travel_per_s(h) for h in horns]),
            "reversals_per_s": _mean([m.reversals_per_s(h) for h in horns]),
        }
    return out


# The table ---------------------------------------------------------------------------------------

WAYS_TOLD = {
    "none": "pose itself, no servos",
    "straight": "a straight through",
    "lag": "b constant lag",
    "plan": "c planned (ours)",
}
HEAD = (
    f"{'':<24}{'r':>5}{'speech':>7}{'offset':>8}{'MTM':>5}  {'closed':>7}{'short':>6}{'tight':>6}"
    f"{'false':>6}  {'onset':>6}{'release':>8}{'|err|':>6}{'p95':>5}  {'round':>6}{'false':>6}  "
    f"{'jerk':>6}{'travel':>7}{'turns':>6}"
)


def line(name: str, f: Figures) -> str:
    """One row of the table."""
    return (
        f"{name:<24}{f.r:5.2f}{f.r_speech:7.2f}{f.offset_ms:+8.0f}{f.mtm_ms:5.0f}  "
        f"{_percent(f.closure_recall):>7}{_percent(f.closure_recall_short):>6}"
        f"{_percent(f.closure_recall_tight):>6}{_percent(f.closure_false):>6}  "
        f"{f.onset.median:+6.0f}{f.release.median:+8.0f}{f.timing.mean_abs:6.0f}"
        f"{f.timing.p95_abs:5.0f}  {_percent(f.rounding_recall):>6}"
        f"{_percent(f.rounding_false):>6}  "
        f"{f.jerk:6.0f}{f.travel_per_s:7.2f}{f.reversals_per_s:6.2f}"
    )


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"


def table(systems: dict[str, dict[str, Figures]]) -> str:
    """Groups of rows: title -> way of commanding -> figures."""
    lines = [HEAD]
    for title, rows in systems.items():
        any_row = next(iter(rows.values()))
        lines.append(
            f"{title}: {any_row.n_closures} closures ({any_row.n_short} short), "
            f"{any_row.n_opens} open vowels, {any_row.n_rounds} rounded"
        )
        lines += [line(f"  {WAYS_TOLD.get(way, way)}", f) for way, f in rows.items()]
    lines.append(LEGEND)
    return "\n".join(lines)


# Targets -----------------------------------------------------------------------------------------

TARGETS: tuple[tuple[str, Callable[[Figures], bool]], ...] = (
    ("closures >= 95 %", lambda f: f.closure_recall >= 0.95),
    ("false closures <= 3 %", lambda f: f.closure_false <= 0.03),
    ("mean |closure timing error| <= 20 ms", lambda f: f.timing.mean_abs <= 20),
    ("0 to 30 ms early", lambda f: -30 <= f.offset_ms <= 0),
    ("rounding >= 90 %", lambda f: np.isnan(f.rounding_recall) or f.rounding_recall >= 0.90),
)
# Figure, whether more is better, and how much less is still the same.
COMPARED: tuple[tuple[str, Callable[[Figures], float], int, float], ...] = (
    ("r", lambda f: f.r, 1, 0.005),
    ("r in speech", lambda f: f.r_speech, 1, 0.005),
    ("MTM", lambda f: f.mtm_ms, -1, 1.0),
    ("closures", lambda f: f.closure_recall, 1, 0.0),
    ("short closures", lambda f: f.closure_recall_short, 1, 0.0),
    ("tight closures", lambda f: f.closure_recall_tight, 1, 0.0),
    ("false closures", lambda f: f.closure_false, -1, 0.0),
    ("|closure timing error|", lambda f: f.timing.mean_abs, -1, 1.0),
    ("rounding", lambda f: f.rounding_recall, 1, 0.0),
    ("false rounding", lambda f: f.rounding_false, -1, 0.0),
    ("travel", lambda f: f.travel_per_s, -1, 0.005),
    ("reversals", lambda f: f.reversals_per_s, -1, 0.05),
)


def verdicts(systems: dict[str, dict[str, Figures]]) -> list[str]:
    """A line per system: which targets the plan misses, and where it is worse than plain commands.

    Jerk is left out: the slower horn has less of it because it does not get anywhere. A difference
    of 1 ms, or of 0.005 in r, is none.
    """
    lines = []
    for title, rows in systems.items():
        if "plan" not in rows:
            continue
        ours = rows["plan"]
        missed = [told for told, reached in TARGETS if not reached(ours)]
        worse = [
            f"{told} ({value(ours):.3g} against {value(rows[way]):.3g} of {way})"
            for told, value, sign, same in COMPARED
            for way in rows
            if way != "plan" and sign * (value(rows[way]) - value(ours)) > same + 1e-9
        ]
        lines.append(f"{title}: misses {', '.join(missed) or 'no target'}")
        lines.append(f"    worse in {', '.join(worse) or 'nothing'}")
    return lines


LEGEND = """\
r, speech: Pearson's r of the opening, whole clips and inside speech. offset: ms, + = mouth late.
MTM: mean temporal misalignment, ms. closed: % of the film's p, b, m that are closed; short: of
those up to 60 ms long; tight: as shut as the film counts shut; false: % of open vowels that are
closed. onset, release: median errors of closures in ms, |err|: mean amount of both, p95. round: %
of the film's rounded w, uw, ow, uh; false: of spread vowels. jerk: opening ranges / s^3. travel:
travels per s and servo; turns: reversals per s and servo."""
