"""The rig's arithmetic, by values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lipsync_edge.head import Head, Servo
from lipsync_edge.options import BoardSpec, ServoOptions
from lipsync_edge.servos import Slot
from lipsync_edge.servos.rig import Rig

AXES = ("jawOpen", "mouthClose", "mouthSmileLeft")


def rig(*servos: Servo) -> Rig:
    return Rig(Head("test", "", (BoardSpec(),), servos), AXES)


def one(mix: dict[str, float], **options: object) -> Rig:
    return rig(Servo("it", ServoOptions(**options), mix))


def width(rig: Rig, *pose: float) -> float:
    return float(rig.widths_us(np.array(pose))[0])


JAW = {"jawOpen": 1.0}
# fmt: off
BY_HAND = [
    # options, mix, pose, width: two-sided, 1500 between 1000 and 2000
    ({}, JAW, (0, 0, 0), 1500),
    ({}, JAW, (1, 0, 0), 2000),
    ({}, JAW, (0.25, 0, 0), 1625),
    ({}, JAW, (-0.5, 0, 0), 1250),
    ({}, {"jawOpen": 1, "mouthClose": -0.5}, (0.5, 0.4, 9), 1650),
    ({}, {"jawOpen": 2}, (0.75, 0, 0), 2000),
    ({}, {"jawOpen": 2}, (-0.75, 0, 0), 1000),
    # unequal sides: 300 up, 100 down
    ({"min_us": 1300, "max_us": 1700, "neutral_us": 1400}, JAW, (0.5, 0, 0), 1550),
    ({"min_us": 1300, "max_us": 1700, "neutral_us": 1400}, JAW, (-0.5, 0, 0), 1350),
    ({"min_us": 1300, "max_us": 1700, "neutral_us": 1400, "invert": True}, JAW, (0.5, 0, 0), 1350),
    ({"min_us": 1300, "max_us": 1700, "neutral_us": 1400, "invert": True}, JAW, (-0.5, 0, 0), 1550),
    # one-sided: closed at 1400, open at 1800; a negative drive stays closed
    ({"min_us": 1400, "max_us": 1800, "neutral_us": 1400}, JAW, (0.75, 0, 0), 1700),
    ({"min_us": 1400, "max_us": 1800, "neutral_us": 1400}, JAW, (-1, 0, 0), 1400),
    # one-sided the other way round: closed at 1800, open at 1400
    ({"min_us": 1400, "max_us": 1800, "neutral_us": 1800, "invert": True}, JAW, (0.75, 0, 0), 1500),
    ({"min_us": 1400, "max_us": 1800, "neutral_us": 1800, "invert": True}, JAW, (-1, 0, 0), 1800),
    # range is a share of the travel, whatever the weights add up to
    ({"range": 0.5}, JAW, (0.5, 0, 0), 1625),
    ({"range": 0.5}, {"jawOpen": 4}, (1, 0, 0), 1750),
    ({"range": 0.0}, JAW, (1, 0, 0), 1500),
    # trim shifts all, the limits stay
    ({"trim_us": 40}, JAW, (0, 0, 0), 1540),
    ({"trim_us": 40}, JAW, (0.5, 0, 0), 1790),
    ({"trim_us": 40}, JAW, (1, 0, 0), 2000),
    ({"trim_us": -40, "invert": True}, JAW, (1, 0, 0), 1000),
    # an axis that the model has not adds nothing
    ({}, {"jawOpen": 1, "headYaw": 1}, (0.5, 0, 0), 1750),
    ({}, {}, (1, 1, 1), 1500),
]
# fmt: on


@pytest.mark.parametrize(("options", "mix", "pose", "expected"), BY_HAND)
def test_widths_by_hand(
    options: dict[str, object], mix: dict[str, float], pose: tuple[float, ...], expected: float
) -> None:
    assert width(one(mix, **options), *pose) == pytest.approx(expected, abs=1e-9)


def test_each_servo_may_look_at_a_pose_of_its_own() -> None:
    both = rig(
        Servo("jaw", ServoOptions(), {"jawOpen": 1.0}),
        Servo("smile", ServoOptions(channel=1), {"mouthSmileLeft": -1.0, "jawOpen": 0.5}),
    )
    assert both.widths_us(np.array([0.5, 0, 0.5])).tolist() == [1750, 1375]
    rows = np.array([[0.2, 0, 0.9], [0.4, 0, 1.0]])
    assert both.widths_us(rows) == pytest.approx([1600, 1100])
    assert both.widths_us(rows.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_value_sends_the_servos_that_use_it_to_neutral(bad: float) -> None:
    three = rig(
        Servo("jaw", ServoOptions(trim_us=20), {"jawOpen": 1.0, "mouthClose": -1.0}),
        Servo("smile", ServoOptions(channel=1), {"mouthSmileLeft": 1.0}),
        Servo("none", ServoOptions(channel=2), {}),
    )
    assert three.widths_us(np.array([bad, -bad, 0.5])).tolist() == [1520, 1750, 1500]
    rows = np.array([[0.5, 0, bad], [bad, bad, bad], [0, 0, 0]])
    assert three.widths_us(rows).tolist() == [1770, 1500, 1500]


def test_the_options_as_arrays() -> None:
    two = rig(
        Servo("jaw", ServoOptions(channel=3, lag_ms=80, trim_us=-10), {"jawOpen": 0.5}),
        Servo(
            "neck",
            ServoOptions(channel=0, board=1, slew_us_per_s=900, min_us=1200, on_idle="hold"),
            {"headYaw": 1.0},
        ),
    )
    assert two.names == ("jaw", "neck")
    assert two.slots == (Slot(0, 3), Slot(1, 0))
    assert two.lag_s.tolist() == [0.08, ServoOptions().lag_ms / 1e3]
    assert two.slew_us_per_s.tolist() == [ServoOptions().slew_us_per_s, 900]
    assert two.min_us.tolist() == [1000, 1200]
    assert two.max_us.tolist() == [2000, 2000]
    assert two.neutral_us.tolist() == [1490, 1500]
    assert two.release_on_idle.tolist() == [True, False]
    assert two.matrix.tolist() == [[0.5, 0, 0], [0, 0, 0]]
    assert two.driven.tolist() == [True, False]


@given(
    arrays(np.float64, (2, 3), elements=st.floats(width=64)),
    st.booleans(),
    st.floats(-400, 400),
    st.floats(-4, 4),
)
def test_no_pose_leaves_the_limits(
    poses: np.ndarray, invert: bool, trim_us: float, weight: float
) -> None:
    two = rig(
        Servo("a", ServoOptions(invert=invert, trim_us=trim_us), {"jawOpen": weight}),
        Servo("b", ServoOptions(channel=1), {"jawOpen": weight, "mouthClose": -weight}),
    )
    widths = two.widths_us(poses)
    assert widths.shape == (2,)
    assert ((widths >= 1000) & (widths <= 2000)).all()
