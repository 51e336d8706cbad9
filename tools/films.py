"""Reads films through ffmpeg: shots, frames at a constant rate, sound in step with the picture.

ffmpeg and ffprobe are called as programs, so every container and codec that they know is read. Time
0 is the first picture of the film; the sound is padded or cut so that it begins there too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError

RATE_HZ = 16000
LARGEST_SIDE = 720
"""Pictures are made smaller than this: the tracker looks at a face with 192 x 192 pixels anyway."""
THUMB = (96, 54)
GAPS = "aresample=async=1:min_hard_comp=0.01"
"""Silence where the sound track has a gap, so that what comes after it stays in step."""
CUT_LEAST = 10.0
"""Mean change of brightness (0..255) of a cut, which also stands out from what surrounds it."""
CUT_TIMES = 4.0
CUT_NEAR = 12
REPEAT_NEAR, REPEAT_SHARE = 2, 0.25

Picture = NDArray[np.uint8]


class FilmError(LipsyncError):
    """A file that is no film, or not one to learn from; ``gate`` is the short reason."""

    def __init__(self, gate: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.gate = gate


@dataclass(frozen=True)
class Film:
    """What ffprobe tells. ``width`` x ``height``: pixels as shown, made smaller; ``source_fps``:
    pictures per second that are really in the file; ``sound_late_s``: start of the sound after the
    first picture (nan: no sound)."""

    path: Path
    width: int
    height: int
    source_fps: float
    duration_s: float
    sound_late_s: float

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track."""
        return not np.isnan(self.sound_late_s)


def probe(path: Path) -> Film:
    """Look at a file. Raises FilmError with the reason when there is no film in it."""
    told = _call("ffprobe", "-v", "error", "-count_packets", "-show_streams", "-show_format",
                 "-of", "json", _name(path))  # fmt: skip
    try:
        streams = json.loads(told.stdout).get("streams", [])
    except ValueError:
        streams = []
    pictures = [s for s in streams if s.get("codec_type") == "video" and not _is_cover(s)]
    if told.returncode and not pictures:
        said = told.stderr.decode(errors="replace").strip().splitlines()
        raise FilmError("not a film", f"ffmpeg cannot read it ({_last(said)}).")
    if not pictures or not pictures[0].get("width"):
        raise FilmError("no picture", "There is no moving picture in it.")
    video = pictures[0]
    sounds = [s for s in streams if s.get("codec_type") == "audio" and _number(s, "channels") > 0]
    start_s = _number(video, "start_time")
    late_s = _number(sounds[0], "start_time", start_s) - start_s if sounds else float("nan")
    whole_s = _number(json.loads(told.stdout).get("format", {}), "duration")
    duration_s = _number(video, "duration") or _tagged_s(video)
    n_pictures = _number(video, "nb_read_packets")
    fps = n_pictures / duration_s if duration_s else _ratio(video.get("avg_frame_rate", "0/1"))
    return Film(path, *_shown_size(video), fps, duration_s or whole_s, late_s)


def _tagged_s(stream: dict[str, Any]) -> float:
    """The duration that Matroska writes as a tag, 00:00:03.000000000; 0 without one."""
    parts = stream.get("tags", {}).get("DURATION", "").split(":")
    try:
        return float(sum(float(part) * 60**k for k, part in enumerate(reversed(parts))))
    except ValueError:
        return 0.0


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _number(told: dict[str, Any], key: str, default: float = 0.0) -> float:
    try:
        return float(told[key])
    except (KeyError, ValueError):
        return default


def _ratio(text: str) -> float:
    above, _, below = text.replace(":", "/").partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return 0.0


def _shown_size(video: dict[str, Any]) -> tuple[int, int]:
    """Width and height after rotation and with square pixels, even, at most LARGEST_SIDE."""
    width, height = float(video["width"]), float(video["height"])
    width *= _ratio(video.get("sample_aspect_ratio", "1:1")) or 1.0
    turns = [_number(side, "rotation") for side in video.get("side_data_list", [])]
    if any(round(abs(turn)) % 180 == 90 for turn in turns):
        width, height = height, width
    scale = min(1.0, LARGEST_SIDE / max(width, height))
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def constant_rate(source_fps: float) -> int:
    """The rate to take a film at: its own, half of it where that still is 24 or more."""
    rate = round(source_fps)
    while rate >= 48:
        rate = round(rate / 2)
    return int(np.clip(rate, 1, 47))


def frames(film: Film, fps: int, size: tuple[int, int] | None = None, grey: bool = False
           ) -> Iterator[Picture]:  # fmt: skip
    """Pictures (height, width, 3) RGB, or (height, width) grey, at a constant rate, one by one."""
    width, height = size or (film.width, film.height)
    n_bytes = width * height * (1 if grey else 3)
    words = ["ffmpeg", "-nostdin", "-v", "error", "-i", _name(film.path), "-map", "0:V:0", "-an",
             "-vf", f"fps={fps},scale={width}:{height},setsar=1", "-pix_fmt",
             "gray" if grey else "rgb24", "-f", "rawvideo", "-"]  # fmt: skip
    shape = (height, width) if grey else (height, width, 3)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ffmpeg:
        assert ffmpeg.stdout is not None
        try:
            while len(block := ffmpeg.stdout.read(n_bytes)) == n_bytes:
                yield np.frombuffer(block, np.uint8).reshape(shape)
        finally:
            ffmpeg.kill()


def sound(film: Film) -> NDArray[np.int16]:
    """The first sound track, mono at 16 kHz, from the first picture on; (0,) without one."""
    if not film.has_sound:
        return np.zeros(0, np.int16)
    raw = _call("ffmpeg", "-nostdin", "-v", "error", "-i", _name(film.path), "-map", "0:a:0",
                "-af", GAPS, "-ac", "1", "-ar", str(RATE_HZ), "-f", "s16le",
                "-").stdout  # fmt: skip
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.int16)
    late = round(film.sound_late_s * RATE_HZ)
    return np.concatenate([np.zeros(max(late, 0), np.int16), samples[max(-late, 0) :]])


@dataclass(frozen=True)
class Shot:
    """Frames ``begin`` to ``end`` (not included) between two cuts; ``still``: the share of frames
    that only repeat the one before."""

    begin: int
    end: int
    still: float


def shots(film: Film, fps: int) -> list[Shot]:
    """The shots of a film at a constant rate. Raises FilmError when nothing can be decoded."""
    thumbs = [thumb.astype(np.int16) for thumb in frames(film, fps, THUMB, grey=True)]
    if not thumbs:
        raise FilmError("not a film", "ffmpeg finds a film in it but cannot decode a picture.")
    apart = [np.abs(b - a) for a, b in pairwise(thumbs)]
    change = np.array([0.0, *(float(d.mean()) for d in apart)])
    repeats = find_repeats(change)
    edges = [0, *find_cuts(change), len(thumbs)]
    return [Shot(a, b, float(repeats[a:b].mean())) for a, b in pairwise(edges)]


def find_cuts(change: NDArray[np.float64]) -> list[int]:
    """Frames that begin a shot, from the mean change of brightness (n,) against the one before."""
    found = []
    for k in np.flatnonzero(change > CUT_LEAST):
        around = np.r_[change[max(k - CUT_NEAR, 1) : k], change[k + 1 : k + 1 + CUT_NEAR]]
        if not len(around) or change[k] > CUT_TIMES * np.median(around):
            found.append(int(k))
    return found


def find_repeats(change: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) whether a frame only repeats the one before, by the change of brightness (n,).

    It changes far less than a neighbour does; where nothing moves for long, that is a pause.
    """
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(change, REPEAT_NEAR), 2 * REPEAT_NEAR + 1
    )
    return np.asarray(change < REPEAT_SHARE * np.minimum(around.max(axis=1), CUT_LEAST))


def pieces(shot: Shot, fps: int, longest_s: float) -> list[tuple[int, int]]:
    """A shot in equal parts that are no longer than ``longest_s``: (begin, end) in frames."""
    n = max(1, int(np.ceil((shot.end - shot.begin) / (longest_s * fps))))
    edges = np.linspace(shot.begin, shot.end, n + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def _name(path: Path) -> str:
    """So that ffmpeg takes no name for a protocol or an option."""
    return f"file:{path}"


def _last(lines: list[str]) -> str:
    return lines[-1].split(": ", 1)[-1][:120] if lines else "no reason given"


def _call(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise LipsyncError(
            f"{words[0]} is missing.", "Install it: apt-get install --no-install-recommends ffmpeg"
        ) from error
