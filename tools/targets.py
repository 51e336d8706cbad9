"""What a model learns: face axes at the feature frames, from the lip measures of a film.

Distances between lips follow the sound better than a tracker's blendshapes do, hence every axis is
drawn from them. Each speaker's own range becomes 0..1: the rest is 0, what 3 % of the frames exceed
is 1. Sound cannot tell left from right, so both sides of an axis are one target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_edge import face
from lipsync_edge.features import FeatureSpec
from lipsync_tools.grid import MEASURES, Clip

TARGETS: dict[str, tuple[str, ...]] = {
    "open": ("jawOpen",),
    "close": ("mouthClose",),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "lower": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "upper": ("mouthUpperUpLeft", "mouthUpperUpRight"),
}
"""Learned quantity -> the ARKit axes that show it."""

CHANNELS: tuple[str, ...] = face.CHANNELS
"""What a model tells beside the axes, 0..1: the lips close for a p, b or m; somebody speaks."""

MEASURES_TOLD = (
    "distances between lip landmarks (MediaPipe Face Landmarker) over the distance of the outer "
    "eye corners, each speaker's 97th percentile is 1; both sides of an axis are one target"
)

AXES: tuple[str, ...] = tuple(axis for axes in TARGETS.values() for axis in axes)
ROW_OF_AXIS: list[int] = [row for row, axes in enumerate(TARGETS.values()) for _ in axes]
OUTPUTS: tuple[str, ...] = (*AXES, *CHANNELS)
ROW_OF_OUTPUT: list[int] = [*ROW_OF_AXIS, len(TARGETS), len(TARGETS) + 1]
"""The model's outputs, and the network's row that each shows."""
Ranges = dict[str, tuple[float, float]]
FADE_S = 0.12
HEARD_DB = 14.0


def deviations(clip: Clip) -> dict[str, NDArray[np.float64]]:
    """Each measure's distance from the clip's own rest, positive when it grows, shape (n_frames,).

    Openings count from the lips closed (the clip's 3rd percentile), lengths from their median.
    """
    columns = dict(zip(MEASURES, clip.measures.T, strict=True))
    shut = {
        name: columns[name] - np.percentile(columns[name], 3) for name in ("inner", "jaw", "lower")
    }
    rest = {name: columns[name] - np.median(columns[name]) for name in ("width", "upper")}
    return shut | rest


def learn_ranges(clips: list[Clip]) -> Ranges:
    """Per measure, what 3 % of a speaker's frames fall below and what 3 % exceed."""
    all_of = [deviations(clip) for clip in clips]
    joined = {name: np.concatenate([d[name] for d in all_of]) for name in all_of[0]}
    return {n: (float(np.percentile(v, 3)), float(np.percentile(v, 97))) for n, v in joined.items()}


def film_targets(clip: Clip, ranges: Ranges) -> NDArray[np.float64]:
    """Targets (n_frames, n_targets) in 0..1 at the film's own frames."""
    d = deviations(clip)

    def grown(name: str) -> NDArray[np.float64]:
        return np.clip(d[name] / max(ranges[name][1], 1e-6), 0.0, 1.0)

    def shrunk(name: str) -> NDArray[np.float64]:
        return np.clip(d[name] / min(ranges[name][0], -1e-6), 0.0, 1.0)

    opening, narrow = grown("inner"), shrunk("width")
    ajar, shut = np.minimum(1.0, opening / 0.5), np.clip(1.0 - opening / 0.2, 0.0, 1.0)
    named = {
        "open": opening,
        "close": np.minimum(1.0, shut * grown("jaw") / 0.5),  # the jaw hangs, the lips are shut
        "funnel": narrow * ajar,
        "pucker": narrow * (1.0 - ajar),
        "stretch": grown("width"),
        "lower": grown("lower"),
        "upper": shrunk("upper"),
    }
    return np.stack([named[name] for name in TARGETS], axis=1)


def frame_times(n_frames: int, spec: FeatureSpec) -> NDArray[np.float64]:
    """Centres of the feature frames of a recording, in seconds."""
    centres = np.arange(n_frames) * spec.hop_length + spec.frame_length / 2
    return np.asarray(centres / spec.sample_rate_hz)


def at_times(
    clip: Clip, values: NDArray[np.float64], times_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values (n_frames, n) of the film, interpolated linearly at ``times_s``: (len(times_s), n)."""
    return np.stack([np.interp(times_s, clip.frame_s, column) for column in values.T], axis=1)


def sound_gate(clip: Clip, mel_db: NDArray[np.float64], spec: FeatureSpec) -> NDArray[np.float64]:
    """1 in speech and near any other sound, such as a breath; 0 in silence; shape (n_frames,).

    People open the mouth in silence before they speak, which no sound foretells. A mouth that
    learned from it would hang open while nobody speaks.
    """
    times_s = frame_times(len(mel_db), spec)
    loudness = mel_db.max(axis=1)
    heard = loudness > np.percentile(loudness, 10) + HEARD_DB
    begin_s, end_s = clip.speech_s
    heard |= (times_s >= begin_s) & (times_s <= end_s)
    if not heard.any():
        return np.zeros(len(times_s))
    away_s = np.abs(times_s[:, None] - times_s[heard]).min(axis=1)
    return np.asarray(np.clip(1.5 - away_s / FADE_S, 0.0, 1.0))
