"""From one film to its shard: shots, faces, gates, measures, sound. Runs in any pool."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_tools import films, gates, lips, shards, tracker
from lipsync_tools.films import Film, FilmError, Picture
from lipsync_tools.gates import Limits, Reason, Sync

RATE_HZ = films.RATE_HZ
FORMAT = 1
"""Counts up when the same film and the same limits would give another shard."""
EAR = "mouth"
"""The shipped bundle that tells which lips belong to a sound."""
WIDENS = {"mouthStretchLeft": 0.5, "mouthStretchRight": 0.5, "mouthPucker": -1, "mouthFunnel": -1}
SEEN_ROUND_S = 0.8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """A film to look at. ``name``: what is written down of its path; ``source``: its record."""

    path: Path
    name: str
    key: str
    sha256: str
    source: str
    record: dict[str, Any]
    speaker: str
    out: Path
    limits: Limits = field(default_factory=Limits)


@dataclass
class Piece:
    """A piece of a shot: what was seen and heard, and why it is not kept. Frames of the film."""

    begin: int
    end: int
    reasons: list[Reason]
    track: tracker.Track | None = None
    measures: Array | None = None
    curve: Array | None = None
    figures: dict[str, Any] = field(default_factory=dict)


def settings(job: Job) -> dict[str, Any]:
    """All that decides what a film's shard holds, beside the film."""
    return {
        "format": FORMAT,
        "limits": asdict(job.limits),
        "tracker_sha256": tracker.MODEL_SHA256,
        "tracker_licence": tracker.MODEL_LICENCE,
        "ear_sha256": ear_digest(),
    }


def digest(job: Job) -> str:
    """Hex SHA-256 of the settings and of the film's record; a shard with another one is redone."""
    decided = [settings(job), job.record, job.source, job.speaker, job.name]
    return hashlib.sha256(shards.json_bytes(decided)).hexdigest()


@lru_cache(maxsize=1)
def ear_digest() -> str:
    """SHA-256 of the model that listens."""
    from lipsync_edge.model.tflite import open_bundle

    return hashlib.sha256(open_bundle(EAR).content).hexdigest()


@lru_cache(maxsize=1)
def _ear() -> Any:
    from lipsync_edge.model.tflite import TfliteModel, open_bundle

    return TfliteModel(open_bundle(EAR))


def expected_lips(samples: NDArray[np.int16]) -> tuple[Array, Array]:
    """Times (m,) in seconds, and the opening and width (m, 2) that the shipped model expects."""
    from lipsync_edge.features import Features

    model = _ear()
    model.reset()
    features, poses = Features(model.spec), []
    for begin in range(0, len(samples), 60 * RATE_HZ):
        block = samples[begin : begin + 60 * RATE_HZ].astype(np.float32) / np.float32(32768)
        poses += [model.step(row).astype(np.float64) for _, row in features.push(block)]
    axes = np.array(poses).reshape(-1, len(model.axes))
    at = (np.arange(len(axes)) - model.delay_frames) * model.spec.hop_length
    expected = axes @ np.array([[WIDENS.get(a, 0.0), a == "jawOpen"][::-1] for a in model.axes])
    return (at + model.spec.frame_length / 2) / RATE_HZ, expected


def process_film(job: Job) -> dict[str, float]:
    """Look at a film and write its shard; how long it is, how long that took, what was kept."""
    begun, cpu = time.perf_counter(), os.times()
    told: dict[str, Any] = {
        "key": job.key, "film": job.name, "sha256": job.sha256, "source": job.source,
        "speaker": job.speaker, "licence": job.record["licence"], "settings": settings(job),
        "digest": digest(job), "duration_s": 0.0, "clips": [], "reasons": [],
    }  # fmt: skip
    members: list[shards.Member] = []
    try:
        film = films.probe(job.path)
        told |= {"duration_s": round(film.duration_s, 2), "fps": round(film.source_fps, 3)}
        for entry, files in _clips(job, film):
            told["clips"].append(entry)
            members += files
    except FilmError as error:
        told["reasons"] = [Reason(error.gate, str(error))._asdict()]
    except (RuntimeError, ValueError, OSError) as error:  # what libraries say of odd films
        told["reasons"] = [Reason("failed", f"{type(error).__name__}: {error}"[:200])._asdict()]
        told["clips"], members = [], []
    head = (f"{job.key}{shards.FILM}", shards.json_bytes(told))
    shards.write_tar(job.out / shards.FOLDER / f"{job.key}.tar", [head, *members])
    spent = os.times()
    return {
        "film_s": told["duration_s"],
        "wall_s": time.perf_counter() - begun,
        "cpu_s": sum(spent[:4]) - sum(cpu[:4]),
        "clips": float(sum(entry["kept"] for entry in told["clips"])),
    }


def _clips(job: Job, film: Film) -> Iterator[tuple[dict[str, Any], list[shards.Member]]]:
    """Every piece of a film: its entry in the record, and its members when it is kept."""
    limits = job.limits
    if film.source_fps < limits.least_fps:
        raise FilmError("low frame rate", f"It has {film.source_fps:.1f} pictures a second, "
                        f"{limits.least_fps:.0f} are needed.")  # fmt: skip
    if not film.has_sound:
        raise FilmError("no sound", "There is no sound track in it.")
    fps = films.constant_rate(film.source_fps)
    samples = films.sound(film)
    if not len(samples):
        raise FilmError("no sound", "Its sound cannot be decoded.")
    heard = expected_lips(samples)
    looked = [_look(fps, *piece, samples, heard, limits) for piece in _pieces(film, fps, limits)]
    judge(looked, fps, limits)
    for piece in looked:
        stem = f"{job.key}_{piece.begin:06d}"
        yield _entry(piece, stem, fps), _members(piece, stem, job, fps, samples)


def _pieces(film: Film, fps: int, limits: Limits
            ) -> Iterator[tuple[Piece, list[Picture]]]:  # fmt: skip
    """Pieces of all shots with their pictures; without those when nobody needs to look."""
    stream = films.frames(film, fps)
    for shot in films.shots(film, fps):
        for begin, end in films.pieces(shot, fps, limits.longest_s):
            pictures = [picture for _, picture in zip(range(end - begin), stream, strict=False)]
            piece = Piece(begin, begin + len(pictures), [])
            moving_fps = fps * (1.0 - shot.still)
            if len(pictures) < limits.least_s * fps:
                told = f"{len(pictures) / fps:.1f} s, {limits.least_s:.1f} s are needed"
                piece.reasons.append(Reason("short", told))
            elif moving_fps < limits.least_fps:
                told = f"only {moving_fps:.0f} pictures a second differ from the one before"
                piece.reasons.append(Reason("low frame rate", told))
            yield piece, pictures


def _look(
    fps: int,
    piece: Piece,
    pictures: list[Picture],
    samples: NDArray[np.int16],
    heard: tuple[Array, Array],
    limits: Limits,
) -> Piece:
    """Follow who speaks in a piece and take the figures of all gates but that of the whole film."""
    if piece.reasons:
        return piece
    cut = sound_of(samples, piece.begin, piece.end, fps, 0.0).astype(np.float32) / 32768
    piece.figures = {"level_db": round(gates.level_db(cut), 1),
                     "music": round(gates.music_share(cut), 3)}  # fmt: skip
    piece.reasons += sound_reasons(piece.figures, limits)
    boxes = tracker.people(pictures, fps)
    if not boxes:
        piece.reasons.insert(0, Reason("no face", "no face in most of the pictures looked at"))
        return piece
    crops = [None] if len(boxes) == 1 else boxes
    seen = [_follow(piece, pictures, fps, box, heard, limits) for box in crops]
    return choose(seen, limits)


def sound_reasons(figures: dict[str, Any], limits: Limits) -> list[Reason]:
    """Gates on a piece's sound."""
    out = []
    if figures["level_db"] < limits.level_db:
        out.append(Reason("silent", f"at most {figures['level_db']:.0f} dB under full scale, "
                          f"{limits.level_db:.0f} dB are needed"))  # fmt: skip
    if figures["music"] > limits.music:
        out.append(Reason("music", f"lasting tones in {figures['music']:.0%} of the pauses"))
    return out


def _follow(piece: Piece, pictures: list[Picture], fps: int, box: tracker.Box | None,
            heard: tuple[Array, Array], limits: Limits) -> Piece:  # fmt: skip
    track = tracker.follow(pictures, fps, box)
    lm, mat = track.lm.astype(np.float64), track.mat.astype(np.float64)
    numbers, found = list(tracker.KEPT), track.found
    eyes_px = lips.eye_distance(lm, numbers)
    out = replace(piece, track=track, reasons=list(piece.reasons), figures=dict(piece.figures))
    out.figures["face_share"] = round(float(found.mean()), 3)
    out.reasons += gates.face_reasons(found, eyes_px, lm, mat, limits)
    if found.mean() >= limits.face_share:
        out.figures["eyes_px"] = round(eyes_px, 1)
        out.figures["yaw_deg"] = round(float(np.median(lips.yaw_deg(mat[found]))), 1)
        out.measures = lips.measure(lm, numbers, mat)
        out.curve = _agreement(out, fps, heard)
    return out


def _agreement(piece: Piece, fps: int, heard: tuple[Array, Array]) -> Array:
    assert piece.measures is not None
    times_s, expected = heard
    begin_s, end_s = piece.begin / fps, piece.end / fps
    near = (times_s > begin_s - SEEN_ROUND_S) & (times_s < end_s + SEEN_ROUND_S)
    if near.sum() < 0.5 * 100 * (end_s - begin_s):
        return np.zeros(len(gates.LAGS_S))
    shown = lips.bridged(piece.measures[:, :3])
    curve: Array = gates.agreement(shown, fps, times_s[near] - begin_s, expected[near])
    return curve


def choose(seen: list[Piece], limits: Limits) -> Piece:
    """Of several people in a piece the one whose lips follow the sound; none when two do."""
    moderate = np.abs(gates.LAGS_S) <= limits.mended_s + 1e-9

    def best(piece: Piece) -> float:
        return float(piece.curve[moderate].max()) if piece.curve is not None else -1.0

    ranked = sorted(seen, key=best, reverse=True)
    chosen = ranked[0]
    chosen.figures["people"] = len(seen)
    if len(ranked) > 1 and best(ranked[1]) > max(best(chosen) - limits.other_speaker, 0.0):
        told = f"{len(seen)} people, and the lips of two follow the sound about as well"
        chosen.reasons.append(Reason("several speakers", told))
    return chosen


def judge(looked: list[Piece], fps: int, limits: Limits) -> None:
    """Judge lips and sound being in step over a whole film; adds reasons and figures."""
    good = [(p, p.curve) for p in looked if not p.reasons and p.curve is not None]
    if not good:
        return
    seconds = [(piece.end - piece.begin) / fps for piece, _ in good]
    film = gates.judge_sync(gates.pooled([curve for _, curve in good], seconds), limits)
    for piece, curve in good:
        own = gates.judge_sync(curve, limits)
        piece.reasons += gates.sync_reasons(own, film, len(good), limits)
        piece.figures["sync"] = _told(own)
        piece.figures["sync_of_film"] = _told(film)
        moved_s = film.late_s if film.verdict == "mended" and not piece.reasons else 0.0
        piece.figures["sound_moved_ms"] = round(-1000 * moved_s)


def _told(sync: Sync) -> dict[str, Any]:
    return {"verdict": sync.verdict, "late_ms": round(1000 * sync.late_s),
            "agreement": round(sync.agreement, 3), "rival": round(sync.rival, 3)}  # fmt: skip


def sound_of(samples: NDArray[np.int16], begin: int, end: int, fps: int, late_s: float
             ) -> NDArray[np.int16]:  # fmt: skip
    """The sound of frames ``begin`` to ``end``, which comes ``late_s`` after the picture."""
    first = round((begin / fps + late_s) * RATE_HZ)
    n = round((end - begin) / fps * RATE_HZ)
    inside = samples[max(first, 0) : max(first + n, 0)]
    out = np.zeros(n, np.int16)
    at = max(-first, 0)
    out[at : at + len(inside)] = inside
    return out


def _entry(piece: Piece, stem: str, fps: int) -> dict[str, Any]:
    return {
        "clip": stem, "start_s": round(piece.begin / fps, 3),
        "duration_s": round((piece.end - piece.begin) / fps, 3), "kept": not piece.reasons,
        "reasons": [reason._asdict() for reason in piece.reasons], "figures": piece.figures,
    }  # fmt: skip


def _members(piece: Piece, stem: str, job: Job, fps: int, samples: NDArray[np.int16]
             ) -> list[shards.Member]:  # fmt: skip
    if piece.reasons or piece.track is None or piece.measures is None:
        return []
    late_s = -piece.figures["sound_moved_ms"] / 1000
    told = _entry(piece, stem, fps) | {
        "source": job.source, "speaker": job.speaker, "film": job.name, "sha256": job.sha256,
        "licence": job.record["licence"], "fps": fps,
        "about_speaker": job.record.get("speakers", {}).get(job.speaker, {}),
        "tracker_sha256": tracker.MODEL_SHA256, "tracker_licence": tracker.MODEL_LICENCE,
    }  # fmt: skip
    arrays = {
        "lm": piece.track.lm, "idx": np.array(tracker.KEPT, np.int64), "bs": piece.track.bs,
        "names": np.array(piece.track.names), "mat": piece.track.mat, "fps": np.int64(fps),
        "measures": piece.measures, "measure_names": np.array(lips.MEASURES),
    }  # fmt: skip
    cut = sound_of(samples, piece.begin, piece.end, fps, late_s)
    return [
        (f"{stem}.json", shards.json_bytes(told)),
        (f"{stem}.npz", shards.npz_bytes(arrays)),
        (f"{stem}.flac", shards.flac_bytes(cut)),
    ]
