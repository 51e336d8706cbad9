"""Small filmed speakers, made up: landmarks, sound, word and phone times as in the data folder."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lipsync_tools.grid import Clip, lip_measures

FPS, N_FRAMES = 25, 75
NUMBERS = [0, 1, 13, 14, 17, 33, 61, 81, 152, 178, 263, 291, 311, 402]
CLOSED_S = (0.86, 1.4, 2.02)
"""Moments at which the lips are shut; at the second one no frame is taken."""
PHONES = [
    *(["B", at - 0.04, at + 0.04] for at in CLOSED_S),
    *(["AA", at + 0.16, at + 0.36] for at in CLOSED_S),
    ["W", 2.4, 2.5],
    ["IY", 1.6, 1.8],
]


def opening_at(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """0..1: shut at rest and at each of the closures, half a wave of opening between them."""
    edges = [*CLOSED_S, 2.6]
    out = np.zeros_like(times_s)
    for begin, end in pairwise(edges):
        inside = (times_s > begin) & (times_s < end)
        out[inside] = np.sin(np.pi * (times_s[inside] - begin) / (end - begin))
    return out


def width_at(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mouth widths over the eyes' distance: narrow around the w, a little wide at times."""
    narrow = np.exp(-(((times_s - 2.45) / 0.1) ** 2))
    return 0.5 - 0.1 * narrow + 0.005 * np.sin(7 * times_s)


def landmarks(times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """A face of 100 pixels between the eyes whose lower lip and jaw move: (n, m, 3)."""
    gap, half = 30 * opening_at(times_s), 50 * width_at(times_s)
    points = np.zeros((len(times_s), len(NUMBERS), 3), np.float32)
    heights = {0: 95, 1: 60, 13: 100, 14: 100 + gap, 17: 108 + gap, 33: 0, 61: 100}
    heights |= {81: 98, 152: 150 + gap, 178: 102 + gap, 263: 0, 291: 100, 311: 98, 402: 102 + gap}
    across = {33: -50, 263: 50, 61: -half, 291: half, 81: -5, 311: 5, 178: -5, 402: 5}
    for k, number in enumerate(NUMBERS):
        points[:, k, 0] = across.get(number, 0)
        points[:, k, 1] = heights[number]
    return points


def make_clip(speaker: str = "s1", name: str = "clip") -> Clip:
    """A clip in memory; its sound is noise, louder where the mouth is open."""
    times_s = (np.arange(N_FRAMES) + 0.5) / FPS
    measures = lip_measures(landmarks(times_s).astype(np.float64), NUMBERS)
    rng = np.random.default_rng(1)
    loud = opening_at(np.arange(3 * 16_000) / 16_000)
    samples = (0.1 * loud * rng.normal(size=len(loud))).astype(np.float32)
    words = [(0.0, 0.6, "sil"), (0.6, 2.7, "bababaw"), (2.7, 3.0, "sil")]
    return Clip(speaker, name, samples, measures, FPS, words)


def write_data(folder: Path, speakers: tuple[str, ...]) -> Path:
    """A data folder with one clip of each speaker; returns the file of phone times in it."""
    times_s = (np.arange(N_FRAMES) + 0.5) / FPS
    for speaker in speakers:
        clip = make_clip(speaker)
        for kind in ("tracks", "audio", "align"):
            (folder / "grid" / kind / speaker).mkdir(parents=True)
        np.savez(folder / "grid/tracks" / speaker / "clip.npz", lm=landmarks(times_s),
                 idx=np.array(NUMBERS), fps=FPS)  # fmt: skip
        soundfile.write(folder / "grid/audio" / speaker / "clip.flac", clip.samples, 16_000)
        lines = [f"{begin * 25000:.0f} {end * 25000:.0f} {word}" for begin, end, word in clip.words]
        (folder / "grid/align" / speaker / "clip.align").write_text("\n".join(lines))
    phones = folder / "phones.json"
    phones.write_text(json.dumps({f"{speaker}/clip": PHONES for speaker in speakers}))
    return phones
