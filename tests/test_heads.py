"""The shipped heads: they load, fit their boards, and move the way that their names say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge import config, head
from lipsync_edge.face import AXES
from lipsync_edge.servos.rig import Rig

SERVOS = {"jaw": 1, "jaw-lips": 3, "mouth10": 10, "face26": 26}
FIRST_MODEL = (
    *("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthStretchLeft"),
    *("mouthStretchRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft"),
    *("mouthUpperUpRight", "mouthPressLeft", "mouthPressRight"),
)
# For each axis, the servos of mouth10 that it must move, and towards which drive.
MOVES = {
    "jawOpen": {"jaw": 1},
    "mouthClose": {"upper_lip": -1, "lower_lip": -1},
    "mouthUpperUpLeft": {"upper_lip": 1},
    "mouthUpperUpRight": {"upper_lip": 1},
    "mouthLowerDownLeft": {"lower_lip": 1},
    "mouthLowerDownRight": {"lower_lip": 1},
    "mouthStretchLeft": {"corner_out_left": 1},
    "mouthStretchRight": {"corner_out_right": 1},
    "mouthPucker": {
        "corner_out_left": -1,
        "corner_out_right": -1,
        "pucker_left": 1,
        "pucker_right": 1,
    },
    "mouthFunnel": {"upper_lip": 1, "lower_lip": 1, "pucker_left": 1, "pucker_right": 1},
    "mouthSmileLeft": {"corner_up_left": 1},
    "mouthFrownRight": {"corner_up_right": -1},
    "mouthPressLeft": {"lip_tuck": 1, "upper_lip": -1, "lower_lip": -1},
    "mouthRollLower": {"lip_tuck": 1},
}


def profile(name: str) -> head.Head:
    return config.load(None, head=name).head


def drives(shape: head.Head, **pose: float) -> dict[str, float]:
    """How far each servo leaves neutral, -1 to 1, plus being the way that it drives to."""
    rig = Rig(shape, tuple(pose))
    moved_us = rig.widths_us(np.array(list(pose.values()))) - rig.neutral_us
    turn = np.array([-1 if servo.options.invert else 1 for servo in shape.servos])
    travel_us = np.where(moved_us > 0, rig.max_us - rig.neutral_us, rig.neutral_us - rig.min_us)
    share = turn * moved_us / np.where(travel_us == 0, 1, travel_us)
    return dict(zip(rig.names, share.tolist(), strict=True))


def test_these_heads_are_shipped() -> None:
    assert set(head.shipped()) == set(SERVOS)
    assert config.load(None).head.name == "mouth10"


@pytest.mark.parametrize("name", SERVOS)
def test_a_shipped_head_is_sound(name: str) -> None:
    loaded = config.load(None, head=name)
    shape = loaded.head
    assert loaded.warnings == ()
    assert shape.name == name
    assert shape.description
    assert len(shape.servos) == SERVOS[name]
    assert len({(s.options.board, s.options.channel) for s in shape.servos}) == SERVOS[name]
    for servo in shape.servos:
        assert 1000 <= servo.options.min_us < servo.options.max_us <= 2000
        assert servo.mix


@pytest.mark.parametrize("name", SERVOS)
def test_an_opening_jaw_opens_and_rest_is_neutral(name: str) -> None:
    shape = profile(name)
    steps = [drives(shape, jawOpen=x)["jaw"] for x in (0, 0.25, 0.5, 1)]
    assert steps == pytest.approx([0, 0.25, 0.5, 1])
    assert set(drives(shape, **dict.fromkeys(AXES, 0.0)).values()) == {0.0}


@pytest.mark.parametrize("axis", MOVES)
def test_mouth10_moves_the_way_its_names_say(axis: str) -> None:
    shape = profile("mouth10")
    moved = drives(shape, **{axis: 0.5})
    assert {name: np.sign(moved[name]) for name in MOVES[axis]} == MOVES[axis]


def test_mouth10_has_a_use_for_every_axis_of_the_first_model_and_moves_all_servos() -> None:
    rig = Rig(profile("mouth10"), FIRST_MODEL)
    assert rig.driven.all()
    assert (rig.matrix != 0).any(axis=0).all()


def test_a_jaw_alone_closes_for_lips_that_meet_over_an_open_jaw() -> None:
    opened, closed = (drives(profile("jaw"), jawOpen=0.3, mouthClose=x)["jaw"] for x in (0, 0.3))
    assert opened == pytest.approx(0.3)
    assert closed < 0.1


def test_left_and_right_of_a_symmetric_pose_are_mirrored() -> None:
    for name in ("mouth10", "face26"):
        pose = dict.fromkeys(FIRST_MODEL, 0.3)
        moved = drives(profile(name), **pose)
        for servo in moved:
            if servo.endswith("_left") and not servo.startswith("eye"):
                assert moved[servo] == pytest.approx(moved[servo.replace("_left", "_right")])


def test_face26_is_the_mouth_of_mouth10_and_sixteen_that_stay_at_neutral() -> None:
    face, mouth = profile("face26"), profile("mouth10")
    assert face.servos[:10] == mouth.servos
    assert [board.address for board in face.boards] == [0x40, 0x41]
    assert {servo.options.board for servo in face.servos[10:]} == {1}
    rig = Rig(face, FIRST_MODEL)
    assert not rig.driven[10:].any()
    widths = rig.widths_us(np.ones(len(FIRST_MODEL)))
    assert widths[10:].tolist() == rig.neutral_us[10:].tolist()


def test_eyes_look_to_the_same_side_and_lids_close() -> None:
    face = profile("face26")
    left = drives(face, eyeLookOutLeft=0.5, eyeLookInRight=0.5)
    assert left["eye_yaw_left"] == left["eye_yaw_right"] == pytest.approx(0.5)
    blink = drives(face, eyeBlinkLeft=1, eyeBlinkRight=1)
    assert {blink[n] for n in blink if n.startswith("lid")} == {-1.0}
    assert drives(face, headYaw=-1)["neck_yaw"] == -1


DOCS = Path(head.__file__).parent.parent / "docs"


def test_the_table_in_the_docs_is_that_of_mouth10() -> None:
    text = (DOCS / "heads.md").read_text(encoding="utf-8")
    for servo in profile("mouth10").servos:
        kind = (
            "two"
            if servo.options.min_us < servo.options.neutral_us < servo.options.max_us
            else "one"
        )
        row = rf"\| {servo.options.channel} \| `{servo.name}` \| [^|]+ \| {kind}-sided \|"
        assert re.search(row, text), row
    for servo in profile("face26").servos:
        assert f"`{servo.name}`" in text


@pytest.mark.parametrize("page", ["config.md", "heads.md"])
def test_the_examples_in_the_docs_load(page: str, tmp_path: Path) -> None:
    for example in re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.S):
        (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
        (tmp_path / "config.yaml").write_text("head: example.yaml", encoding="utf-8")
        kind = "config.yaml" if example.startswith("name:") else "example.yaml"
        assert config.load(tmp_path / kind).warnings == ()
