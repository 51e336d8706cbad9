"""How a mouth is judged: correlation with the film, whole clips and inside speech.

Truth: lip measures with the clip's median removed, at the film's frame centres, interpolated to
100 Hz. A system's outputs are mapped to the measures by one linear map, fitted on the speakers that
it learned from; truth and prediction are low-passed at 10 Hz.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.features import FeatureSpec
from lipsync_tools.grid import Clip
from lipsync_tools.targets import at_times, frame_times

JUDGED = ("inner", "outer", "width", "jaw")


def low_pass(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Forward and backward through a second-order Butterworth at 10 Hz; (n, ...) at 100 Hz."""
    from scipy.signal import butter, sosfiltfilt  # here: printing a card's table needs no scipy

    sections = butter(2, 10.0, fs=100.0, output="sos")
    return np.asarray(sosfiltfilt(sections, signal, axis=0))


System = Callable[[Clip], NDArray[np.float64]]
"""From a clip to outputs (n_frames, k) that belong to the times of the feature frames."""


@dataclass
class Judged:
    """One clip's outputs, truth (both (n, k) at 100 Hz) and which frames are inside speech."""

    outputs: NDArray[np.float64]
    truth: NDArray[np.float64]
    speaking: NDArray[np.bool_]


def moved(clip: Clip) -> NDArray[np.float64]:
    """The clip's lip measures less its own neutral, (n_frames, 4): openings and the jaw count from
    closed lips (the 3rd percentile, as in ``targets.deviations``), the width from its median."""
    measures = clip.measures[:, : len(JUDGED)]
    neutral = np.percentile(measures, 3, axis=0)
    neutral[JUDGED.index("width")] = np.median(measures[:, JUDGED.index("width")])
    return np.asarray(measures - neutral)


def prepare(system: System, clips: list[Clip], spec: FeatureSpec) -> list[Judged]:
    """Run a system over clips."""
    out = []
    for clip in clips:
        outputs = system(clip)
        times_s = frame_times(len(outputs), spec)
        truth = at_times(clip, moved(clip), times_s)
        begin_s, end_s = clip.speech_s
        out.append(Judged(outputs, truth, (times_s >= begin_s) & (times_s <= end_s)))
    return out


def fit_map(train: list[Judged]) -> NDArray[np.float64]:
    """The linear map (k + 1, 4) with the least squared error; the last row is the offset."""
    x = np.concatenate([_with_one(j.outputs) for j in train])
    y = np.concatenate([j.truth for j in train])
    ridge = 1e-4 * len(x) * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(x.T @ x + ridge, x.T @ y))


def _with_one(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([outputs, np.ones((len(outputs), 1))], axis=1)


def correlations(judged: list[Judged], linear: NDArray[np.float64]) -> dict[str, list[float]]:
    """Pearson r per measure over all frames of these clips: ``whole`` and ``speech``."""
    pairs = [
        (
            low_pass(_with_one(j.outputs) @ linear),
            low_pass(j.truth),
            j.speaking,
        )
        for j in judged
    ]
    found: dict[str, list[float]] = {}
    for name, masked in (("whole", False), ("speech", True)):
        p = np.concatenate([a[m] if masked else a for a, _, m in pairs])
        q = np.concatenate([b[m] if masked else b for _, b, m in pairs])
        found[name] = [float(np.corrcoef(p[:, k], q[:, k])[0, 1]) for k in range(len(JUDGED))]
    return found


def lateness_ms(judged: list[Judged], linear: NDArray[np.float64]) -> float:
    """How late the inner opening comes: the peak of its correlation, on a parabola."""
    lags = np.arange(-20, 21)
    pairs = [
        (
            low_pass(_with_one(j.outputs) @ linear[:, :1])[:, 0],
            low_pass(j.truth[:, 0]),
        )
        for j in judged
    ]
    truth = np.concatenate([q[20:-20] for _, q in pairs])
    r = []
    for lag in lags:
        moved = np.concatenate([p[20 + lag : len(p) - 20 + lag] for p, _ in pairs])
        r.append(np.corrcoef(moved, truth)[0, 1])
    k = int(np.clip(np.argmax(r), 1, len(lags) - 2))
    left, top, right = r[k - 1 : k + 2]
    return float(10.0 * (lags[k] + 0.5 * (left - right) / (left - 2.0 * top + right)))


def open_at_rest(judged: list[Judged], axis: int) -> float:
    """Share of the time outside speech in which an axis is over a tenth of its range."""
    quiet = np.concatenate([j.outputs[~j.speaking, axis] for j in judged])
    return float((quiet > 0.1).mean())


def shifted(values: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Values delayed by ``frames`` (negative: early), the ends repeated."""
    return values[np.clip(np.arange(len(values)) - frames, 0, len(values) - 1)]
