"""Judges how commands become motion: `lipsync-tools evaluate --stage motion`.

Every figure is of what the simulated horns show (``horn.*``, ``seen.*`` of `render --simulate`) at
the time it is heard, against the film. A system's seen axes are mapped to opening and width by one
linear map, fitted on the speakers to learn from; its thresholds for closed and rounded are the best
ones on those speakers. Two folds by speaker: every held-out clip is judged once. Shares and timing
are over all held-out phones; r, offset and cost are found per speaker, and then the mean. Whether
one way of commanding is better than another is told with an interval of confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lipsync_tools import metrics as m
from lipsync_tools.judge import Judged, fit_map
from lipsync_tools.motion_runs import Run
from lipsync_tools.motion_sums import Sums, difference, moments, ratio
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
    sums: Sums
    """What the figures come from, clip by clip."""

    def as_dict(self) -> dict[str, object]:
        """For JSON, without ``sums``."""
        found = asdict(replace(self, sums=Sums((), {})))
        del found["sums"]
        return found


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
    rows = [_sums(judge, clip, has_lips) for judge, clip in judged]
    sums = Sums.join([clip.truth.speaker for _, clip in judged], rows)
    edges = [_timing(judge, clip) for judge, clip in judged]
    onset = [error for errors, _ in edges for error in errors]
    release = [error for _, errors in edges for error in errors]
    offsets = _offsets(judged)

    def of(name: str) -> float:
        return float(sums.figure(name)[0])

    def count(name: str) -> int:
        return int(sums.of[name][:, 1].sum())

    return Figures(
        r=of("r"),
        r_speech=of("r_speech"),
        offset_ms=_mean(list(offsets.values())),
        mtm_ms=of("mtm"),
        closure_recall=of("closures"),
        closure_recall_short=of("short"),
        closure_recall_tight=of("tight"),
        closure_false=of("false"),
        closure_missed=count("closures") - int(sums.of["closures"][:, 0].sum()),
        n_closures=count("closures"),
        n_short=count("short"),
        n_opens=count("false"),
        onset=m.TimingError.of(onset),
        release=m.TimingError.of(release),
        timing=m.TimingError.of(onset + release),
        rounding_recall=of("rounds"),
        rounding_false=of("spreads"),
        n_rounds=sum(len(clip.truth.rounds) for _, clip in judged),
        jerk=of("jerk"),
        travel_per_s=of("travel"),
        reversals_per_s=of("reversals"),
        offset_by_speaker=offsets,
        sums=sums,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _timing(judge: _Judge, clip: Clip) -> tuple[list[float], list[float]]:
    """Errors in ms of onsets and of releases, of all closures that are made."""
    errors: tuple[list[float], list[float]] = ([], [])
    shown = judge.shown(clip)[:, OPENING]
    for span in clip.truth.closures:
        filmed = m.closed_run(clip.truth.opening, SHUT, span)
        made = m.closed_run(shown, judge.shut, span)
        if filmed and made:
            for found, a, b in zip(errors, filmed, made, strict=True):
                found.append(1e3 * (b - a))
    return errors


def _sums(judge: _Judge, clip: Clip, has_lips: bool) -> dict[str, Array]:
    """What a clip adds to each figure (``motion_sums``)."""
    truth, shown = clip.truth, judge.shown(clip)[:, OPENING]
    depths = judge.depths(clip, OPENING, truth.closures)
    hits = [depth < judge.shut for depth in depths]
    short = [hit for (begin, end), hit in zip(truth.closures, hits, strict=True)
             if end - begin <= m.SHORT_S + 1e-9]  # fmt: skip
    onset, release = _timing(judge, clip)
    slow = m.low_pass(truth.opening), m.low_pass(shown)
    speech = slow[0][truth.speaking], slow[1][truth.speaking]
    rounds = truth.rounds if has_lips else ()
    spreads = truth.spreads if has_lips else ()
    return {
        "r": moments(*slow),
        "r_speech": moments(*speech),
        "mtm": ratio(m.misalignments_ms(truth.opening, shown)),
        "closures": ratio(hits),
        "short": ratio(short),
        "tight": ratio([depth < SHUT for depth in depths]),
        "false": ratio([d < judge.shut for d in judge.depths(clip, OPENING, truth.opens, True)]),
        "onset": ratio(np.abs(onset)),
        "release": ratio(np.abs(release)),
        "timing": ratio(np.abs(onset + release)),
        "rounds": ratio([d < judge.rounded for d in judge.depths(clip, WIDTH, rounds)]),
        "spreads": ratio([d < judge.rounded for d in judge.depths(clip, WIDTH, spreads, True)]),
        "jerk": ratio([m.mean_jerk(shown)]),
        "travel": ratio([m.travel_per_s(clip.horns)]),
        "reversals": ratio([m.reversals_per_s(clip.horns)]),
    }


def _offsets(judged: Sequence[tuple[_Judge, Clip]]) -> dict[str, float]:
    """Each speaker's offset in ms."""
    out = {}
    for speaker in dict.fromkeys(clip.truth.speaker for _, clip in judged):
        own = [(judge, clip) for judge, clip in judged if clip.truth.speaker == speaker]
        truth = [clip.truth.opening for _, clip in own]
        out[speaker] = m.sync_offset_ms(truth, [j.shown(c)[:, OPENING] for j, c in own])
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
# What it is called, its sums, whether more is better, and how much less nobody sees.
COMPARED: tuple[tuple[str, str, int, float], ...] = (
    ("r", "r", 1, 0.005),
    ("r in speech", "r_speech", 1, 0.005),
    ("MTM", "mtm", -1, 1.0),
    ("closures", "closures", 1, 0.0),
    ("short closures", "short", 1, 0.0),
    ("tight closures", "tight", 1, 0.0),
    ("false closures", "false", -1, 0.0),
    ("|closure timing error|", "timing", -1, 1.0),
    ("rounding", "rounds", 1, 0.0),
    ("false rounding", "spreads", -1, 0.0),
    ("travel", "travel", -1, 0.005),
    ("reversals", "reversals", -1, 0.05),
)


def verdicts(systems: dict[str, dict[str, Figures]]) -> list[str]:
    """Per system: which targets the plan misses, and where it is worse or better than others.

    A difference counts where its 95 % interval over resampled clips (``motion_sums``) leaves out 0
    and where it can be seen: 1 ms, or 0.005 in r, cannot. Jerk is left out: the slower horn has
    less of it because it does not get anywhere.
    """
    lines = []
    for title, rows in systems.items():
        if "plan" not in rows:
            continue
        missed = [told for told, reached in TARGETS if not reached(rows["plan"])]
        lines.append(f"{title}: misses {', '.join(missed) or 'no target'}")
        for way in rows:
            if way != "plan":
                lines += _against(way, rows["plan"].sums, rows[way].sums)
    return lines


def _against(way: str, ours: Sums, other: Sums) -> list[str]:
    found: dict[str, list[str]] = {"worse": [], "better": [], "unseen": [], "chance": []}
    for told, name, sign, same in COMPARED:
        point, low, high = difference(ours, other, name)
        if not np.isfinite(point):
            continue
        sure, seen = low > 0 or high < 0, abs(point) > same + 1e-9
        kind = "worse" if sign * point < 0 else "better"
        if sure and seen:
            found[kind].append(f"{told} {point:+.3g} ({low:+.3g} to {high:+.3g})")
        elif kind == "worse" and point:
            found["unseen" if sure else "chance"].append(
                f"{told} {point:+.2g} ({low:+.2g} to {high:+.2g})"
            )
    lines = [f"    against {way}: worse in {', '.join(found['worse']) or 'nothing'}"]
    for name, title in (
        ("better", "better in"),
        ("unseen", "worse by less than anybody sees in"),
        ("chance", "worse by what may be chance in"),
    ):
        lines += [f"      {title} {', '.join(found[name])}"] if found[name] else []
    return lines


LEGEND = """\
r, speech: Pearson's r of the opening, whole clips and inside speech. offset: ms, + = mouth late.
MTM: mean temporal misalignment, ms. closed: % of the film's p, b, m that are closed; short: of
those up to 60 ms long; tight: as shut as the film counts shut; false: % of open vowels that are
closed. onset, release: median errors of closures in ms, |err|: mean amount of both, p95. round: %
of the film's rounded w, uw, ow, uh; false: of spread vowels. jerk: opening ranges / s^3. travel:
travels per s and servo; turns: reversals per s and servo."""
