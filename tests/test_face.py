"""Channels: what a model tells beside the face is no shape and drives nothing."""

from __future__ import annotations

import numpy as np

from lipsync_edge.face import AXES, CHANNELS, axis_range
from lipsync_edge.options import PersonalityOptions
from lipsync_edge.personality import Personality


def test_channels_are_no_axes_and_lie_in_0_to_1() -> None:
    assert not set(CHANNELS) & set(AXES)
    assert {axis_range(name) for name in CHANNELS} == {(0.0, 1.0)}


def test_a_personality_leaves_probabilities_alone() -> None:
    louder = Personality(PersonalityOptions(amplitude=1.5), ("jawOpen", *CHANNELS))
    poses = np.array([[0.4, 0.4, 0.6]])
    assert louder.shape(poses, 0.01).tolist() == [[0.6000000000000001, 0.4, 0.6]]
