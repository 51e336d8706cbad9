"""What horns show: the rig backwards, and the columns of `render --simulate`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge import config
from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.head import shipped
from lipsync_edge.horns import Horns, Seen, travel
from lipsync_edge.servos.rig import Rig

AXES = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthStretchLeft",
        "mouthStretchRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
        "mouthUpperUpRight")  # fmt: skip


def rig_of(head: str) -> Rig:
    return Rig(config.load(None, [], head=head).head, AXES)


@pytest.mark.parametrize("head", shipped())
def test_what_is_seen_would_put_the_horns_where_they_are(head: str) -> None:
    rig = rig_of(head)
    poses = np.random.default_rng(1).uniform(0, 1, (50, len(AXES))) ** 2
    widths_us = rig.widths_grid(poses)
    again_us = rig.widths_grid(Seen(rig, AXES).axes(widths_us))
    off = np.abs(travel(rig, again_us) - travel(rig, widths_us))
    assert off.max() < 0.05  # the ridge's and the tolerance's share
    assert off.mean() < 0.01


def test_an_axis_that_its_servos_alone_know_is_seen_as_it_is() -> None:
    rig = rig_of("mouth10")
    poses = np.zeros((4, len(AXES)))
    poses[0, AXES.index("jawOpen")] = 0.8
    poses[1, AXES.index("mouthPucker")] = 0.7
    poses[2, AXES.index("mouthStretchLeft")] = 0.6
    seen = Seen(rig, AXES).axes(rig.widths_grid(poses))
    assert seen[0, AXES.index("jawOpen")] == pytest.approx(0.8, abs=0.02)
    assert seen[1, AXES.index("mouthPucker")] == pytest.approx(0.7, abs=0.1)
    assert seen[2, AXES.index("mouthStretchLeft")] == pytest.approx(0.6, abs=0.02)
    assert np.abs(seen[3]).max() < 1e-9, "at rest nothing is seen"


@pytest.mark.parametrize("invert", [False, True])
def test_a_one_sided_jaw_is_seen_whichever_way_it_turns(invert: bool) -> None:
    rest_us = "1800" if invert else "1400"
    changes = [("servos.jaw.invert", str(invert).lower()), ("servos.jaw.neutral_us", rest_us)]
    rig = Rig(config.load(None, changes, head="jaw").head, ("jawOpen",))
    horns_us = np.array([[1400.0], [1500.0], [1800.0]])
    expected = np.array([1.0, 0.75, 0.0]) if invert else np.array([0.0, 0.25, 1.0])
    seen = Seen(rig, ("jawOpen",)).axes(horns_us)[:, 0]
    assert seen == pytest.approx(expected, abs=0.02)


def test_axes_that_move_nothing_are_not_seen() -> None:
    axes = ("jawOpen", "browInnerUp")
    rig = Rig(config.load(None, [], head="jaw").head, axes)
    assert Seen(rig, axes).axes(np.array([[1800.0]]))[0, 1] == 0.0


def test_horns_arrive_and_stay_where_a_released_servo_was() -> None:
    head = config.load(None, [], head="jaw").head
    rig = Rig(head, AXES)
    horns = Horns(head, rig)
    assert horns.at_us.tolist() == rig.neutral_us.tolist()
    horns.step(np.array([1700.0]), 0.02)
    assert travel(rig, horns.at_us)[0] < 0.3, "it takes its time"
    horns.step(np.array([1700.0]), 0.5)
    assert horns.at_us[0] == pytest.approx(1700, abs=10)  # dead band and backlash
    there = horns.at_us.copy()
    horns.step(np.array([np.nan]), 0.5)
    assert horns.at_us[0] == pytest.approx(there[0], abs=5)


def test_render_simulate_adds_horns_and_what_they_show(tmp_path: Path) -> None:
    plain, simulated = tmp_path / "plain.csv", tmp_path / "simulated.csv"
    say = ["render", str(SAMPLE), "--head", "jaw-lips", "--set", "motion.planner=straight", "-o"]
    assert main([*say, str(plain)]) == 0
    assert main([*say, str(simulated), "--simulate"]) == 0
    table = [list(csv.DictReader(path.open())) for path in (plain, simulated)]
    assert all({k: b[k] for k in a} == a for a, b in zip(*table, strict=True))
    added = list(table[1][0])[len(table[0][0]) :]
    assert added[:4] == ["horn.jaw", "horn.upper_lip", "horn.lower_lip", "seen.jawOpen"]
    pose, seen, horn = (
        np.array([float(row[name]) for row in table[1]])
        for name in ("pose.jawOpen", "seen.jawOpen", "horn.jaw")
    )
    assert horn[0] == 0.0, "before the first command the jaw is at rest"
    assert horn.min() >= 0.0
    assert horn.max() <= 1.0
    # Written straight through, a horn trails by its lag, 43 ms or two ticks of 20.
    r = [np.corrcoef(seen[k:], pose[: len(pose) - k])[0, 1] for k in range(6)]
    assert int(np.argmax(r)) in {2, 3}
    assert max(r) > 0.97
