"""The face on screen: what it shows can be told apart."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lipsync_edge.face import AXES, BLENDSHAPES, axis_range, mouth_shape
from lipsync_edge.telemetry import Scene, Snapshot
from lipsync_edge.view import FaceView, bar, braille, mouth_dots


def test_the_vocabulary_is_arkits() -> None:
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52
    assert len(AXES) == 55
    assert axis_range("jawOpen") == (0, 1)
    assert axis_range("headYaw") == (-1, 1)


def test_a_closed_mouth_has_no_gap_and_an_open_one_has() -> None:
    closed, opened = mouth_shape({}), mouth_shape({"jawOpen": 1.0})
    assert np.allclose(closed.inner_top, closed.inner_bottom)
    assert (opened.inner_top - opened.inner_bottom).max() > 0.4
    assert np.allclose(*_gap({"jawOpen": 1.0, "mouthClose": 1.0}))


def _gap(pose: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    shape = mouth_shape(pose)
    return shape.inner_top, shape.inner_bottom


def test_a_pucker_is_narrow_and_a_stretch_is_wide() -> None:
    rest, pucker = mouth_shape({}), mouth_shape({"mouthPucker": 1.0})
    wide = mouth_shape({"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0})
    assert np.ptp(pucker.x) < 0.7 * np.ptp(rest.x)
    assert np.ptp(wide.x) > 1.2 * np.ptp(rest.x)


def test_braille_dots_stand_where_unicode_has_them() -> None:
    dots = np.zeros((4, 4), bool)
    dots[0, 0] = dots[3, 3] = True
    assert braille(dots) == ["⠁⢀"]  # dot 1 of the first cell, dot 8 of the second


def test_visemes_look_different() -> None:
    poses: list[dict[str, float]] = [
        {},
        {"jawOpen": 0.7},
        {"mouthPucker": 0.9, "mouthFunnel": 0.5},
        {"mouthStretchLeft": 0.9, "mouthStretchRight": 0.9, "jawOpen": 0.2},
    ]
    rasters = [mouth_dots(pose, 48, 92) for pose in poses]
    for k, one in enumerate(rasters):
        assert one.any()
        for other in rasters[k + 1 :]:
            assert (one != other).mean() > 0.03


@pytest.mark.parametrize(
    ("share", "text"), [(0, "    "), (0.5, "██  "), (1, "████"), (7, "████"), (0.28125, "█▏  ")]
)
def test_bars_fill_in_eighths(share: float, text: str) -> None:
    assert bar(share, 4) == text


def test_the_view_redraws_in_place_and_restores_the_cursor() -> None:
    out = io.StringIO()
    view = FaceView({"jaw": (1000.0, 2000.0), "lip": (1000.0, 2000.0)}, out)
    scene = Scene(
        Snapshot(1.0, {"jawOpen": 0.3}, {"jaw": 1250.0, "lip": float("nan")}, False), "ok"
    )
    view.draw(scene)
    first = out.getvalue()
    view.draw(scene)
    view.close()
    n_lines = first.count("\n")
    assert "1250 us" in first
    assert "off" in first
    assert out.getvalue()[len(first) :].startswith(f"\x1b[{n_lines}A")
    assert out.getvalue().endswith("\x1b[?25h")
