"""What a model is calibrated and checked on: real sounds, and what microphones make of them.

Every sequence starts anew, as a stream on the robot does, so that the start-up transient is in it;
loud, faint, clipped, noisy and echoing ones, other voices, and sounds in which nobody speaks. The
features are the robot's own code, run over samples. All of it is deterministic.
"""

from __future__ import annotations

import importlib.resources
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import AudioError
from lipsync_edge.features import FeatureSpec, batch

Samples = NDArray[np.float32]
SUFFIXES = {".wav", ".flac", ".opus", ".ogg", ".mp3"}
PIECE_S = 4.0
SHARE_CHECKED = 4
"""One sound of so many is kept for the checks."""


@dataclass(frozen=True)
class Sounds:
    """Feature sequences, each (n_frames, n_mels), to calibrate and to check on."""

    calibration: list[NDArray[np.float32]]
    check: list[NDArray[np.float32]]
    n_files: int
    seconds: float


def sample_sentence() -> Path:
    """The recording that comes with the robot's program."""
    return Path(str(importlib.resources.files("lipsync_edge") / "samples/hello.wav"))


def gather(paths: Sequence[Path], spec: FeatureSpec, n_files: int = 64) -> Sounds:
    """Sequences from files, folders or sets; the program's own sentence where none are given.

    Raises AudioError.
    """
    places = _spread(sorted(_places(paths or [sample_sentence()])), n_files)
    if not places:
        raise AudioError(
            f"{', '.join(map(str, paths))}: there is no sound in it.",
            f"Give recordings ({', '.join(sorted(SUFFIXES))}), folders of them, or a set.",
        )
    pieces = [_read(place, spec.sample_rate_hz) for place in places]
    rng = np.random.default_rng(7)
    kept = [k for k in range(len(pieces)) if k % SHARE_CHECKED == 1] or [0]
    learned = [k for k in range(len(pieces)) if k not in kept] or [0]
    rate_hz = spec.sample_rate_hz
    calibration = [batch(x, spec) for k in learned for x in _copies(pieces[k], rate_hz, rng, 3)]
    calibration += [batch(x, spec) for x in _without_voice(rate_hz, rng)]
    check = [batch(x, spec) for k in kept for x in _copies(pieces[k], rate_hz, rng, 2)]
    check += [batch(x, spec) for x in _without_voice(rate_hz, rng)[:2]]
    seconds = sum(map(len, pieces)) / rate_hz
    return Sounds(calibration, check, len(pieces), round(seconds, 1))


def golden_features(path: Path, spec: FeatureSpec, n_frames: int = 200) -> NDArray[np.float32]:
    """Features (n_frames, n_mels) of a recording's beginning, after 0.2 s of silence."""
    silence = np.zeros(spec.sample_rate_hz // 5, np.float32)
    return batch(np.concatenate([silence, _read((str(path), ""), spec.sample_rate_hz)]), spec)[
        :n_frames
    ]


def _places(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """(file, member or nothing) of every sound; a set keeps them in tar files."""
    for path in paths:
        if not path.exists():
            raise AudioError(f"{path}: there is no such file or folder.")
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.suffix.lower() in SUFFIXES:
                yield str(file), ""
            elif file.suffix == ".tar":
                with tarfile.open(file) as tar:
                    names = [n for n in tar.getnames() if Path(n).suffix in SUFFIXES]
                yield from ((str(file), name) for name in names)


def _spread(places: list[tuple[str, str]], n: int) -> list[tuple[str, str]]:
    """At most ``n`` places, from all folders or sets in turn."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for file, member in places:
        groups.setdefault(file if member else str(Path(file).parent), []).append((file, member))
    most = max(map(len, groups.values()), default=0)
    turns = [group[k] for k in range(most) for group in groups.values() if k < len(group)]
    return turns[:n]


def _read(place: tuple[str, str], rate_hz: int) -> Samples:
    """The first seconds of a sound, mono, (n,)."""
    import samplerate
    import soundfile

    file, member = place
    try:
        if member:
            with tarfile.open(file) as tar:
                content = io.BytesIO(tar.extractfile(member).read())  # type: ignore[union-attr]
        samples, from_hz = soundfile.read(
            content if member else file, dtype="float32", always_2d=True
        )
    except (RuntimeError, OSError) as error:
        raise AudioError(f"{file} {member}: this sound cannot be read ({error}).") from error
    mono = samples[: int(PIECE_S * from_hz)].mean(axis=1)
    if from_hz != rate_hz:
        mono = samplerate.resample(mono, rate_hz / from_hz, "sinc_medium")
    return np.asarray(mono, np.float32)


def _copies(x: Samples, rate_hz: int, rng: np.random.Generator, n: int) -> Iterator[Samples]:
    """The sound as it is, and ``n`` times as it might reach another microphone."""
    import samplerate

    yield x
    peak = max(float(np.abs(x).max()), 1e-4)
    for _ in range(n):
        voice = samplerate.resample(x, float(np.exp(rng.uniform(-0.22, 0.22))), "sinc_fastest")
        voice = _coloured(voice, rng.uniform(-0.5, 0.5))
        if rng.random() < 0.3:
            voice = _echo(voice, rate_hz, rng)
        voice = voice * (0.25 * peak / max(float(np.abs(voice).max()), 1e-4))
        level = 10 ** (rng.uniform(-30, 12) / 20) / peak
        under = 10 ** (-rng.uniform(0, 50) / 20)
        noisy = level * (voice + 0.05 * under * peak * _noise(len(voice), rng))
        yield np.clip(noisy, -1, 1).astype(np.float32)


def _coloured(x: NDArray[Any], slope: float) -> NDArray[np.float64]:
    """The sound through another microphone: brighter or darker by 6 dB per octave times slope."""
    spectrum = np.fft.rfft(x)
    gain = np.maximum(np.arange(len(spectrum)), 1.0) ** slope
    return np.asarray(np.fft.irfft(spectrum * gain, len(x)))


def _echo(x: NDArray[Any], rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    n = int(rng.uniform(0.1, 0.4) * rate_hz)
    tail = 0.03 * rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail[0] = 1.0
    size = len(x) + n - 1
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]


def _noise(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise (n,) of a random colour, 1 rms."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** -rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, n)
    return np.asarray(noise / max(noise.std(), 1e-12))


def _without_voice(rate_hz: int, rng: np.random.Generator) -> list[Samples]:
    """Noise of several levels, chords, a hum, clicks, and silence: seconds of each."""
    n = int(PIECE_S * rate_hz)
    at_s = np.arange(n) / rate_hz
    out = [10 ** (db / 20) * _noise(n, rng) for db in (-18, -40, -70)]
    for _ in range(3):
        base = rng.uniform(100, 400)
        tones = [np.sin(2 * np.pi * base * r * at_s) for r in (1, 1.26, 1.5, 2, 3, 4)]
        out.append(0.08 * np.sum(tones, axis=0) * (0.3 + 0.7 * np.abs(np.sin(2 * np.pi * at_s))))
    hum = [np.sin(2 * np.pi * 50 * k * at_s) / k for k in range(1, 20)]
    out.append(0.1 * np.sum(hum, axis=0))
    clicks = np.zeros(n)
    clicks[rng.integers(0, n, 20)] = 0.9
    return [np.clip(x, -1, 1).astype(np.float32) for x in (*out, clicks, np.zeros(n))]
