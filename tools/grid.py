"""Reads the GRID corpus as filmed and tracked clips: sound, lip measures, word times.

Expected below the data folder: ``grid/audio/SPEAKER/CLIP.flac`` (16 kHz mono),
``grid/tracks/SPEAKER/CLIP.npz`` (face landmarks ``lm`` (n, m, 3), their numbers ``idx``, ``fps``)
and ``grid/align/SPEAKER/CLIP.align`` (word times, 25000 units = 1 s; may be missing).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPEAKERS = ("s1", "s2", "s3", "s4", "s5", "s31")
FOLDS = ((("s1", "s2", "s4"), ("s3", "s5", "s31")), (("s1", "s3", "s5", "s31"), ("s2", "s4")))
"""Pairs of (speakers to learn from, speakers to judge by)."""

RATE_HZ = 16000
ALIGN_UNITS_PER_S = 25000
MEASURES = ("inner", "outer", "width", "jaw", "lower", "upper")
"""Lip measures over the distance of the outer eye corners: opening between the lips, height over
both lips, mouth width, nose to chin, nose to lower lip, nose to upper lip."""


@dataclass
class Clip:
    """One sentence: samples (n,), measures (n_frames, 6) at the centres of the film's frames."""

    speaker: str
    name: str
    samples: NDArray[np.float32]
    measures: NDArray[np.float64]
    fps: float
    words: list[tuple[float, float, str]]

    @property
    def frame_s(self) -> NDArray[np.float64]:
        """Times of the film's frames: their centres."""
        return np.asarray((np.arange(len(self.measures)) + 0.5) / self.fps)

    @property
    def speech_s(self) -> tuple[float, float]:
        """First to last word, in seconds; without word times, where the sound is loud."""
        spoken = [word for word in self.words if word[2] not in ("sil", "sp")]
        if spoken:
            return spoken[0][0], spoken[-1][1]
        block = RATE_HZ // 50
        n_blocks = len(self.samples) // block
        power = (self.samples[: n_blocks * block].reshape(-1, block) ** 2).mean(axis=1)
        loud = np.flatnonzero(power > power.max() * 1e-3)
        return float(loud[0]) / 50, float(loud[-1] + 1) / 50


def read_clips(data: Path, speaker: str, limit: int = 0) -> list[Clip]:
    """The clips of a speaker in order of names; ``limit`` > 0 takes that many, spread out."""
    tracks = sorted((data / "grid/tracks" / speaker).glob("*.npz"))
    if not tracks:
        raise SystemExit(f"{data}/grid/tracks/{speaker}: no clips there; is --data right?")
    if 0 < limit < len(tracks):
        tracks = [tracks[i] for i in np.linspace(0, len(tracks) - 1, limit).astype(int)]
    clips = [_read_clip(data, speaker, path) for path in tracks]
    return [clip for clip in clips if clip is not None]


def _read_clip(data: Path, speaker: str, path: Path) -> Clip | None:
    with np.load(path, allow_pickle=False) as track:
        measures = lip_measures(track["lm"].astype(np.float64), track["idx"].tolist())
        fps = float(track["fps"])
    if np.isnan(measures).mean() > 0.2:
        return None
    import soundfile  # here, so that a card's table can be printed without it

    samples, rate_hz = soundfile.read(
        data / "grid/audio" / speaker / f"{path.stem}.flac", dtype="float32"
    )
    if rate_hz != RATE_HZ:
        raise SystemExit(f"{path.stem}: {rate_hz} Hz instead of {RATE_HZ}")
    align = data / "grid/align" / speaker / f"{path.stem}.align"
    words = _read_align(align) if align.exists() else []
    return Clip(speaker, path.stem, samples, _fill(measures), fps, words)


def _read_align(path: Path) -> list[tuple[float, float, str]]:
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return [(int(a) / ALIGN_UNITS_PER_S, int(b) / ALIGN_UNITS_PER_S, word) for a, b, word in rows]


def lip_measures(landmarks: NDArray[np.float64], numbers: list[int]) -> NDArray[np.float64]:
    """Measures (n, 6) of landmarks (n, m, 3), which are numbered as MediaPipe's face mesh is."""

    def point(number: int) -> NDArray[np.float64]:
        return np.asarray(landmarks[:, numbers.index(number), :2])

    def apart(a: int, b: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(point(a) - point(b), axis=1))

    eyes = np.nanmedian(apart(33, 263))
    rows = [apart(13, 14), apart(0, 17), apart(61, 291), apart(1, 152)]
    rows += [(apart(1, 178) + apart(1, 402)) / 2, (apart(1, 81) + apart(1, 311)) / 2]
    return np.stack(rows, axis=1) / eyes


def _fill(measures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bridge frames in which no face was found."""
    at = np.arange(len(measures))
    out = measures.copy()
    for column in out.T:
        bad = np.isnan(column)
        column[bad] = np.interp(at[bad], at[~bad], column[~bad])
    return out
