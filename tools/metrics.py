"""How well a mouth follows a film, and at what cost: each figure with its definition and source.

Pure. Signals are arrays (n,) at ``RATE_HZ``, of one clip; functions that take several clips take
lists of them, since a figure is found over all frames of a speaker. Openings are 0 where the lips
are shut and grow as they part. Signs: positive = the mouth is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Span = tuple[float, float]

RATE_HZ = 100
NEAR_S = 0.04
"""A closure counts within its phone's times and this much around them, as everywhere in the
evaluation; it is one frame of a film at 25 fps."""
SHORT_S = 0.06
"""Stops of 40 to 60 ms are the hard case and are counted apart as well."""
REACH_S = 0.3
"""Onsets and releases further away than this from the phone belong to something else."""
CUTOFF_HZ = 10.0
"""Mouths move below this (2 to 7 Hz mostly: C. Chandrasekaran et al., PLoS Comput Biol 5(7),
2009)."""


def low_pass(signal: Array) -> Array:
    """``signal`` (n,) without what is faster than ``CUTOFF_HZ``, without delay.

    A second-order Butterworth's gain, applied forwards and backwards: 1 / (1 + (f / fc)^4), as a
    product in the spectrum of the signal and its mirror image, which keeps the ends quiet.
    """
    mirrored = np.concatenate([signal, signal[::-1]])
    frequency = np.fft.rfftfreq(len(mirrored), 1 / RATE_HZ)
    spectrum = np.fft.rfft(mirrored) / (1.0 + (frequency / CUTOFF_HZ) ** 4)
    return np.asarray(np.fft.irfft(spectrum, len(mirrored))[: len(signal)])


def pearson(truth: Sequence[Array], seen: Sequence[Array]) -> float:
    """Pearson's r over all frames of these clips; NaN where one of the two never moves."""
    a, b = np.concatenate(truth), np.concatenate(seen)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 else float("nan")


def sync_offset_ms(truth: Sequence[Array], seen: Sequence[Array], most_ms: int = 300) -> float:
    """How late the mouth is: the lag of the highest cross-correlation, in steps of 1 ms.

    Pearson's r between the film at t and the mouth at t + lag over all clips, the mouth
    interpolated between its samples by a cubic (Catmull-Rom), both low-passed at 10 Hz. As
    J. S. Chung and A. Zisserman (Out of time, 2016) find the offset of film and sound, with a
    correlation in the place of a learned distance. Positive: the mouth is late.
    """
    pairs = [(low_pass(a), low_pass(b)) for a, b in zip(truth, seen, strict=True)]
    coarse = [(_shifted_r(pairs, lag, most_ms), lag) for lag in range(-most_ms, most_ms + 1, 10)]
    centre = max(coarse)[1]
    near = range(max(centre - 10, -most_ms), min(centre + 10, most_ms) + 1)
    return float(max((_shifted_r(pairs, lag, most_ms), lag) for lag in near)[1])


def _shifted_r(pairs: list[tuple[Array, Array]], lag_ms: int, edge_ms: int) -> float:
    edge = edge_ms * RATE_HZ // 1000 + 2
    parts = []
    for truth, seen in pairs:
        at = np.arange(edge, len(truth) - edge)
        parts.append((truth[at], _between(seen, np.asarray(at + lag_ms * RATE_HZ / 1000.0))))
    r = pearson([a for a, _ in parts], [b for _, b in parts])
    return r if np.isfinite(r) else -1.0


def _between(signal: Array, at: NDArray[np.floating]) -> Array:
    """Catmull-Rom's cubic through the samples around ``at`` (m,), in samples."""
    k = np.floor(at).astype(np.int64)
    t = at - k
    a, b, c, d = (signal[np.clip(k + i, 0, len(signal) - 1)] for i in (-1, 0, 1, 2))
    out = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.asarray(out)


# Mean temporal misalignment ----------------------------------------------------------------------


def misalignments_ms(truth: Array, seen: Array, band_ms: int = 250) -> Array:
    """Time gaps (m,) in ms between matched extrema of film and mouth; their mean is MTM.

    Mean temporal misalignment (L. Chae-Yeon et al., Perceptually Accurate 3D Talking Head
    Generation, arXiv 2503.20308, section 5): both openings are aligned by derivative dynamic time
    warping (E. Keogh, M. Pazzani, 2001), and where the path joins an extremum of the one to an
    extremum of the same kind of the other, their distance in time counts. Extrema less than a
    twentieth of the signal's range above their surroundings are none; both signals are low-passed
    at 10 Hz, and a gap may be ``band_ms`` at most.
    """
    a, b = low_pass(truth), low_pass(seen)
    path = warping_path(slopes(a), slopes(b), band_ms * RATE_HZ // 1000)
    gaps: list[float] = []
    for sign in (1.0, -1.0):
        tops_a, tops_b = peaks(sign * a), peaks(sign * b)
        if not len(tops_b):
            continue
        for top in tops_a:
            joined = path[path[:, 0] == top, 1]
            # The path joins samples, the filter may move a top by one or two.
            near = tops_b[(tops_b >= joined.min() - 2) & (tops_b <= joined.max() + 2)]
            if len(near):
                gaps.append(1000 / RATE_HZ * float(np.abs(near - top).min()))
    return np.array(gaps)


def slopes(signal: Array) -> Array:
    """Keogh and Pazzani's estimate of the derivative, over the signal's own spread."""
    inner = (signal[1:-1] - signal[:-2] + (signal[2:] - signal[:-2]) / 2) / 2
    out = np.concatenate([inner[:1], inner, inner[-1:]])
    return np.asarray(out / max(float(out.std()), 1e-9))


def warping_path(a: Array, b: Array, band: int) -> NDArray[np.int64]:
    """The cheapest monotonous path (m, 2) of sample pairs from the beginnings to the ends.

    Dynamic time warping with squared differences and a Sakoe-Chiba band of ``band`` samples
    (H. Sakoe, S. Chiba, 1978).
    """
    n, m = len(a), len(b)
    band = max(band, abs(n - m))
    cost = np.full((n + 1, m + 1), np.inf)
    cost[0, 0] = 0.0
    i_all = np.arange(1, n + 1)
    for both in range(2, n + m + 1):  # an anti-diagonal at once: i + j = both
        rows = i_all[max(0, both - m - 1) : both - 1]
        rows = rows[np.abs(2 * rows - both) <= band]
        columns = both - rows
        best = np.minimum(cost[rows - 1, columns - 1], cost[rows - 1, columns])
        best = np.minimum(best, cost[rows, columns - 1])
        cost[rows, columns] = (a[rows - 1] - b[columns - 1]) ** 2 + best
    path, i, j = [(n - 1, m - 1)], n, m
    while (i, j) != (1, 1):
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda ij: cost[ij])
        path.append((i - 1, j - 1))
    return np.array(path[::-1])


def peaks(signal: Array, prominence: float = 0.05) -> NDArray[np.int64]:
    """Samples of the local maxima that stand out on both sides by ``prominence`` of the range."""
    need = prominence * float(np.ptp(signal))
    found, low, top = [], float(signal[0]), -1
    for k, value in enumerate(signal):
        if (top < 0 and value - low > need) or (top >= 0 and value > signal[top]):
            top = k
        elif top >= 0 and signal[top] - value > need:
            found.append(top)
            top, low = -1, float(value)
        low = min(low, float(value)) if top < 0 else low
    return np.array([k for k in found if 0 < k < len(signal) - 1], dtype=np.int64)


# Closures and rounding ---------------------------------------------------------------------------


def window(n: int, span_s: Span, near_s: float = NEAR_S) -> slice:
    """Samples of a phone and ``near_s`` on both sides, in a signal of ``n``."""
    first = round((span_s[0] - near_s) * RATE_HZ)
    last = round((span_s[1] + near_s) * RATE_HZ)
    first = min(max(first, 0), n - 1)
    return slice(first, min(max(last + 1, first + 1), n))


def lowest(signal: Array, span_s: Span, near_s: float = NEAR_S) -> float:
    """The least value around a phone: a closure is one if it falls under a threshold."""
    return float(signal[window(len(signal), span_s, near_s)].min())


def inside(span_s: Span, share: float = 0.5) -> Span:
    """The middle ``share`` of a phone."""
    cut = (span_s[1] - span_s[0]) * (1.0 - share) / 2
    return span_s[0] + cut, span_s[1] - cut


def below(depths: Sequence[float], threshold: float) -> float:
    """Share of depths under a threshold. Of the closures: recall; of open vowels: false ones.

    Recall: the share of p, b, m in whose interval +- 40 ms the mouth falls under the closed
    threshold, given that the film's does. False: the share of open vowels in whose middle half it
    does, given that the film's does not. Rounding is the same on the mouth's width with w, uw, ow,
    uh against spread vowels. NaN where there are none.
    """
    return float(np.mean(np.array(depths) < threshold)) if len(depths) else float("nan")


def best_threshold(hits: Sequence[float], misses: Sequence[float], film: float) -> float:
    """The threshold with the largest recall minus false share (W. J. Youden's J, 1950).

    ``hits``: depths of closures, ``misses``: of open vowels, both from speakers to learn from. Of
    equally good ones the one nearest to ``film``, the threshold that the film itself is read with:
    so a mouth that does what the film does is held to the same. NaN where either is empty.
    """
    if not len(hits) or not len(misses):
        return float("nan")
    edges = np.unique(np.concatenate([hits, misses]))
    middles = np.append((edges[1:] + edges[:-1]) / 2, [edges[0] - 1e-6, edges[-1] + 1e-6, film])
    j = np.array([below(hits, t) - below(misses, t) for t in middles])
    best = middles[j >= j.max() - 1e-9]
    return float(best[np.abs(best - film).argmin()])


def closed_run(signal: Array, threshold: float, span_s: Span) -> tuple[float, float] | None:
    """Onset and release in s of the closure around a phone; None where there is none.

    The run under ``threshold`` that holds the lowest sample of the phone's interval +- 40 ms; the
    crossings lie between samples (linear). NaN for an end that the clip cuts off or that is more
    than ``REACH_S`` away from the phone: rest, not a closure's edge.
    """
    part = window(len(signal), span_s)
    bottom = part.start + int(np.argmin(signal[part]))
    if signal[bottom] >= threshold:
        return None
    over = np.flatnonzero(signal >= threshold)
    before, after = over[over < bottom], over[over > bottom]
    onset = _crossing(signal, int(before[-1]), 1, threshold) if len(before) else np.nan
    release = _crossing(signal, int(after[0]), -1, threshold) if len(after) else np.nan
    onset = onset if span_s[0] - onset <= REACH_S else np.nan
    release = release if release - span_s[1] <= REACH_S else np.nan
    return onset, release


def _crossing(signal: Array, open_at: int, step: int, threshold: float) -> float:
    """Time in s at which the signal crosses, between an open sample and its closed neighbour."""
    high, low = signal[open_at], signal[open_at + step]
    return float(open_at + step * (high - threshold) / (high - low)) / RATE_HZ


@dataclass(frozen=True)
class TimingError:
    """Signed errors in ms: mean, median, 95th percentile and mean of their amounts."""

    mean: float
    median: float
    p95_abs: float
    mean_abs: float
    n: int

    @classmethod
    def of(cls, errors_ms: Sequence[float]) -> TimingError:
        """Over all errors that are numbers; NaN where there are none."""
        e = np.array([x for x in errors_ms if np.isfinite(x)])
        if not len(e):
            nan = float("nan")
            return cls(nan, nan, nan, nan, 0)
        size = np.abs(e)
        p95 = float(np.percentile(size, 95))
        return cls(float(e.mean()), float(np.median(e)), p95, float(size.mean()), len(e))


# What it costs -----------------------------------------------------------------------------------


def mean_jerk(signal: Array) -> float:
    """Mean amount of the third derivative, in ranges of the axis per s^3.

    A measure of smoothness (T. Flash, N. Hogan, 1985). A mouth that never moves scores best, hence
    it says something only beside closure recall.
    """
    return float(np.abs(np.diff(signal, 3)).mean() * RATE_HZ**3)


def travel_per_s(horns: Array) -> float:
    """Way of the horns (n, n_servos) in travels per second, the mean over the servos: wear, heat.

    Servos that never move (no axis of the model drives them) do not count.
    """
    ways = np.abs(np.diff(horns, axis=0)).sum(axis=0)
    moving = ways[np.ptp(horns, axis=0) > 0.01]
    return float(moving.mean() * RATE_HZ / len(horns)) if len(moving) else 0.0


def reversals_per_s(horns: Array, least: float = 0.01) -> float:
    """Changes of direction per second and servo, of swings over ``least`` of the travel: noise."""
    counts = [
        len(peaks(h, least / np.ptp(h))) + len(peaks(-h, least / np.ptp(h)))
        for h in horns.T
        if np.ptp(h) > least
    ]
    return float(np.mean(counts) * RATE_HZ / len(horns)) if counts else 0.0
