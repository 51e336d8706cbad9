"""What the film shows: lip measures at 100 Hz, the phones that can be judged, and the oracle.

A film at 25 fps shows the moment (n + 0.5) / 25 s in frame n; between frames it is interpolated
linearly, as the evaluation's rules say. Openings count from the clip's closed lips, 1 is what the
speaker exceeds in 3 % of the frames; the width counts from its median, -1 is what the speaker goes
below in 3 % (``targets.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_tools.grid import Clip
from lipsync_tools.labels import CLOSED, OPEN, ROUND, SPREAD, Phone
from lipsync_tools.metrics import RATE_HZ, Span, inside, lowest, window
from lipsync_tools.targets import ROW_OF_AXIS, TARGETS, Ranges, deviations, film_targets

Array = NDArray[np.float64]

SHUT = 0.2
"""The film's closed threshold: below this opening the lips count as shut (``targets.py``)."""
OPEN_FROM = 0.35
"""An open vowel is one that the film shows open at least this far, in all of its middle half."""
ROUNDED = -0.4
UNROUNDED = -0.2


@dataclass(frozen=True)
class Truth:
    """One clip: ``opening`` and ``width`` (n,) at 100 Hz, ``speaking`` (n,), and the phones that
    the film shows as they should be: closures, open vowels, rounded ones, others."""

    speaker: str
    opening: Array
    width: Array
    speaking: NDArray[np.bool_]
    closures: tuple[Span, ...]
    opens: tuple[Span, ...]
    rounds: tuple[Span, ...]
    spreads: tuple[Span, ...]

    @property
    def measures(self) -> Array:
        """Opening and width as columns (n, 2)."""
        return np.stack([self.opening, self.width], axis=1)


def film_truth(clip: Clip, ranges: Ranges, phones: Sequence[Phone]) -> Truth:
    """The truth of a clip; ``ranges``: its speaker's (``targets.learn_ranges``)."""
    times_s = np.arange(round(len(clip.measures) / clip.fps * RATE_HZ)) / RATE_HZ
    moved = deviations(clip)
    opening = np.interp(times_s, clip.frame_s, moved["inner"] / max(ranges["inner"][1], 1e-6))
    width = np.interp(times_s, clip.frame_s, moved["width"] / max(-ranges["width"][0], 1e-6))
    begin_s, end_s = clip.speech_s

    def spans(names: tuple[str, ...]) -> list[Span]:
        return [(begin, end) for name, begin, end in phones if name in names]

    def open_all_through(span: Span) -> bool:
        return bool(lowest(opening, inside(span), 0.0) > OPEN_FROM)

    return Truth(
        clip.speaker,
        opening,
        width,
        (times_s >= begin_s) & (times_s <= end_s),
        tuple(s for s in spans(CLOSED) if lowest(opening, s) < SHUT),
        tuple(s for s in spans(OPEN) if open_all_through(s)),
        tuple(s for s in spans(ROUND) if lowest(width, s) < ROUNDED),
        tuple(s for s in spans(SPREAD) if lowest(width, inside(s), 0.0) > UNROUNDED),
    )


def oracle(clip: Clip, ranges: Ranges, truth: Truth, times_s: Array) -> Array:
    """The film as a model's output, (m, n_axes) over ``targets.AXES`` at ``times_s`` (m,).

    Between the frames a monotone cubic keeps the shape (F. Fritsch, R. Carlson, 1980): it never
    overshoots, so a closure stays one. Where a p, b or m is spoken and the film shows it shut, the
    lips are fully together: the camera, which looks every 40 ms, seldom sees the very moment.
    """
    from scipy.interpolate import PchipInterpolator

    knots = film_targets(clip, ranges)
    opened = np.array([list(TARGETS).index(name) for name in ("open", "funnel", "lower", "upper")])
    shut = deviations(clip)["inner"] < SHUT * ranges["inner"][1]
    for span in truth.closures:
        # Between two frames that see the lips nearly shut there is at least one of these.
        spoken = window(len(truth.opening), span)
        near = np.abs(clip.frame_s - (spoken.start + spoken.stop) / 2 / RATE_HZ)
        near = near <= (spoken.stop - spoken.start) / 2 / RATE_HZ + 0.5 / clip.fps
        knots[np.ix_(np.flatnonzero(near & shut), opened)] = 0.0
    times_s = np.clip(times_s, clip.frame_s[0], clip.frame_s[-1])
    shown = PchipInterpolator(clip.frame_s, knots, axis=0)(times_s)
    return np.asarray(np.clip(shown, 0.0, 1.0)[:, ROW_OF_AXIS])
