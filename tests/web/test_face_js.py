"""The browser's face against Python's: the same paths, the same points."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync_edge.alive import SEED, alive
from lipsync_edge.face import AXES, CHANNELS, axis_range
from lipsync_edge.mouth import opening
from lipsync_edge.portrait import draw
from lipsync_edge.visemes import VISEMES

NEAR = 1e-6
NAMES = (*AXES, *CHANNELS)


def random_poses(n: int) -> list[dict[str, float]]:
    """Poses of all axes, then such as differ from the last by one axis: what the browser does not
    work out again must not have changed. Some are beyond their range."""
    dice = random.Random(6)
    poses: list[dict[str, float]] = []
    for k in range(n):
        pose = dict(poses[-1]) if k % 4 else {}
        for name in dice.sample(NAMES, 1 if k % 4 else dice.randint(0, len(NAMES))):
            low, high = axis_range(name)
            pose[name] = dice.uniform(low - 0.3, high + 0.3)
        poses.append(pose)
    for name in NAMES:  # each axis by itself
        poses += [{name: 1.0}, {}]
    return poses + [dict(pose) for pose in VISEMES.values()]


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    dice = random.Random(7)
    times = [dice.uniform(0, 600) for _ in range(300)]
    return {"poses": random_poses(200), "times": times}


@pytest.fixture(scope="module")
def answers(asked: dict[str, Any]) -> dict[str, Any]:
    """What the page's own modules make of them."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    words = [node, str(Path(__file__).with_name("face_answers.mjs"))]
    done = subprocess.run(
        words, input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_paths_are_pythons(asked: dict[str, Any], answers: dict[str, Any]) -> None:
    worst = 0.0
    for pose, picture in zip(asked["poses"], answers["pictures"], strict=True):
        for mine, told in zip(draw(pose), picture, strict=True):
            style = {name: told[name] for name in ("name", "fill", "stroke", "width", "alpha")}
            assert style == {name: getattr(mine, name) for name in style}
            points = np.array(told["points"]).reshape(-1, 2)
            assert points.shape == mine.points.shape, mine.name
            far = float(np.abs(points - mine.points).max())
            assert far < NEAR, (mine.name, pose)
            worst = max(worst, far)
    print(f"\n{len(asked['poses'])} poses, worst difference {worst:.1e} picture units")


def test_the_opening_is_read_off_the_drawing(
    asked: dict[str, Any], answers: dict[str, Any]
) -> None:
    wanted = [opening(pose) for pose in asked["poses"]]
    assert np.allclose(answers["openings"], wanted, atol=1e-9)
    assert max(wanted) > 1.0


def test_idle_life_is_pythons(asked: dict[str, Any], answers: dict[str, Any]) -> None:
    for time_s, told in zip(asked["times"], answers["alive"], strict=True):
        mine = alive(time_s, SEED)
        assert told.keys() == mine.keys()
        assert max(abs(told[name] - mine[name]) for name in mine) < NEAR
