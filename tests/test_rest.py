"""A mouth at rest while nobody speaks."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import VirtualClock
from lipsync_edge.engine import Analyzer
from lipsync_edge.features import FeatureSpec
from lipsync_edge.rest import Rest
from lipsync_edge.telemetry import Telemetry
from lipsync_edge.timeline import Timeline, TimelineSpec

AXES = ("jawOpen", "mouthPucker", "headYaw", "mouthClosure", "speech")
POSE = np.array([0.6, 0.4, 0.5, 0.3, 0.0], np.float32)


def run(rest: Rest, speech: list[float]) -> np.ndarray:
    poses = []
    for value in speech:
        pose = POSE.copy()
        pose[4] = value
        poses.append(rest.step(pose).copy())
    return np.array(poses)


def test_a_mouth_closes_some_time_after_the_last_word() -> None:
    poses = run(Rest(AXES, 0.01), [0.9] * 20 + [0.05] * 60)
    assert (poses[:50, 0] == np.float32(0.6)).all(), "a pause of 300 ms belongs to speech"
    assert (np.diff(poses[50:70, 0]) < 0).all(), "then it closes bit by bit"
    assert (poses[72:, :2] == 0).all()


def test_only_the_mouth_closes() -> None:
    poses = run(Rest(AXES, 0.01), [0.0] * 100)
    assert poses[-1].tolist() == [0.0, 0.0, 0.5, pytest.approx(0.3), 0.0]


def test_speech_opens_it_within_50_ms() -> None:
    poses = run(Rest(AXES, 0.01), [0.0] * 100 + [0.8] * 6)
    assert poses[99, 0] == 0
    assert poses[101, 0] > 0.2
    assert poses[105, 0] == np.float32(0.6)


def test_a_doubt_does_not_close_it() -> None:
    assert (run(Rest(AXES, 0.01), [0.45] * 200)[:, 0] == np.float32(0.6)).all()


def test_a_model_without_the_channel_is_left_alone() -> None:
    rest = Rest(AXES[:4], 0.01)
    for _ in range(100):
        assert rest.step(POSE[:4].copy()).tolist() == POSE[:4].tolist()


def test_no_number_counts_for_nothing() -> None:
    assert run(Rest(AXES, 0.01), [float("nan")] * 100)[-1, 0] == np.float32(0.6)


class Mute:
    """A model that always opens the mouth, and says that nobody speaks."""

    name, axes, delay_frames, spec = "mute", AXES, 0, FeatureSpec()

    def step(self, features: np.ndarray) -> np.ndarray:
        return POSE.copy()

    def reset(self) -> None:
        pass


def test_the_robot_closes_its_mouth() -> None:
    timeline = Timeline(TimelineSpec(len(AXES), 160, 16000, 16000))
    analyzer = Analyzer(Ring(32000), 16000, Mute(), timeline, VirtualClock(), Telemetry())
    analyzer.push(np.zeros(16000, np.int16))
    poses, _ = timeline.at(np.array([3200.0, 14000.0]))
    assert poses[:, 0] == pytest.approx([0.6, 0.0])
