"""The main thread's chores: pose, supply, LED, button; and a whole robot with its pins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge import build, config
from lipsync_edge.app import Robot
from lipsync_edge.attendant import Attendant, led_state
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE
from lipsync_edge.clock import VirtualClock
from lipsync_edge.config import Config
from lipsync_edge.gpio import Pins
from lipsync_edge.gpio_dummy import DummyGpio
from lipsync_edge.health import Vitals
from lipsync_edge.memory import last_pose, last_warmth
from lipsync_edge.panel import PATTERNS
from lipsync_edge.runs import boot_id
from lipsync_edge.servos.rig import Rig
from lipsync_edge.store import Store
from lipsync_edge.supply import Sensors, Supply
from lipsync_edge.telemetry import Scene

LED, BUTTON, ENABLE, POWER = 17, 27, 22, 23
WELL = Vitals(sound_age_s=0.0, sound_clock=True, hops=1, ticks=1)


def settings(**options: str) -> Config:
    overrides = [("audio.driver", "dummy"), ("board.driver", "simulator")]
    overrides += [("gpio.driver", "dummy"), ("gpio.status_led", str(LED))]
    overrides += [("gpio.button", str(BUTTON)), ("gpio.output_enable", str(ENABLE))]
    overrides += [("gpio.servo_power", str(POWER))]
    overrides += [(key.replace("__", "."), value) for key, value in options.items()]
    return config.load(None, overrides, head="jaw")


class Chores:
    """An attendant with a dummy's pins, whose clock stands still."""

    def __init__(self, folder: Path, faults: str = "") -> None:
        options, self.clock = settings(), VirtualClock()
        self.gpio = DummyGpio(faults, self.clock)
        rig = Rig(options.head, ("jawOpen",))
        self.store = Store(folder)
        self.care = build.make_care(options, rig, last_pose(self.store))
        supply = Supply(Sensors(folder))  # no files there: nothing is known of the supply
        pins = Pins(options.gpio, self.gpio)
        self.attendant = Attendant(pins, supply, self.care, rig.names, self.store)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "ready"),
        ({"openness": 0.5}, "speaking"),
        ({"muted": True, "openness": 0.5}, "muted"),
        ({"resting": True, "muted": True}, "resting"),
        ({"hot": ("jaw",)}, "strained"),
        ({"notes": ("supply too weak",)}, "strained"),
        ({"hops": 0}, "booting"),
        ({"lost": "unplugged", "hot": ("jaw",)}, "lost"),
        ({"board_ok": False}, "lost"),
        ({"sound_age_s": 60.0}, "error"),
        ({"safe_mode": "crashed", "lost": "unplugged"}, "safe"),
    ],
)
def test_the_worst_thing_blinks(change: dict[str, object], state: str) -> None:
    assert led_state(replace(WELL, **change)) == state  # type: ignore[arg-type]
    assert state in PATTERNS


@pytest.mark.parametrize("saved", [{"jaw": "wide"}, {"jaw": None}, {"jaw": True, "x": []}, {}])
def test_a_strange_pose_is_none(tmp_path: Path, saved: dict[str, object]) -> None:
    Store(tmp_path).save("pose", saved)
    assert last_pose(Store(tmp_path)) == {}


def test_pins_that_fail_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chores = Chores(tmp_path, "fail@1")
    chores.attendant.open()
    chores.clock.sleep_until(2.0)
    for k in range(100):
        assert chores.attendant.step(2.0 + k / 20) == ""
        chores.attendant.show("speaking", 2.0 + k / 20)
        chores.attendant.power(True)
    chores.attendant.close()
    assert len([r for r in caplog.records if "without its pins" in r.message]) == 1


def test_a_servo_that_was_hot_is_so_after_a_restart_and_cools_meanwhile(tmp_path: Path) -> None:
    chores = Chores(tmp_path)
    chores.care._heat.warm(np.array([[30.0], [25.0]]), 0.0)
    chores.care.last_us = np.array([1500.0])
    chores.attendant.step(1000.0)
    chores.attendant.close()
    store, boot = Store(tmp_path), boot_id()
    same, ago_s = last_warmth(store, ("jaw", "new"), 1060.0, boot)
    assert (same.tolist(), ago_s) == ([[30.0, 0.0], [25.0, 0.0]], 60.0)
    assert last_warmth(store, ("jaw",), 5.0, "another boot")[1] == 0.0
    rig = Rig(settings().head, ("jawOpen",))
    at_once = build.make_care(settings(), rig, None, (same[:, :1], 0.0)).heat
    later = build.make_care(settings(), rig, None, (same[:, :1], 300.0)).heat
    assert at_once == pytest.approx(chores.care.heat)
    assert 0.05 < later[0] < 0.8 * at_once[0]


@pytest.mark.parametrize(
    "saved",
    [{"kelvin": [1]}, {"kelvin": {"jaw": [1]}}, {"kelvin": {"jaw": [1, "x"]}}, {"at_s": "now"}, {}],
)
def test_a_strange_warmth_is_none(tmp_path: Path, saved: dict[str, object]) -> None:
    Store(tmp_path).save("warmth", {"boot": "b", **saved})
    warm_k, ago_s = last_warmth(Store(tmp_path), ("jaw",), 7.0, "b")
    assert (warm_k.tolist(), ago_s) == ([[0.0], [0.0]], 0.0)


@pytest.mark.slow
def test_a_button_mutes_a_running_head(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[DummyGpio] = []

    def pins(options: Config) -> Pins:
        made.append(DummyGpio(options.gpio.faults))
        return Pins(options.gpio, made[0])

    monkeypatch.setattr("lipsync_edge.app.make_pins", pins)
    options = settings(gpio__faults="press@0.6:0.3", service__state_dir=str(tmp_path))
    robot = Robot(options, open_source(str(SAMPLE)), 2.0)
    muted: list[bool] = []

    def draw(_: Scene) -> None:
        muted.append(robot._courier.muted)

    robot.run(draw)
    assert muted[0] is False
    assert muted[-1] is True
    levels = [change[1:] for change in made[0].log]
    assert (LED, 1) in levels
    assert levels.index((ENABLE, 0)) > levels.index((POWER, 1)), "supplied, then enabled"
    off = [k for k, level in enumerate(levels) if level == (ENABLE, 1)]
    assert off[-1] > levels.index((ENABLE, 0)), "disabled at the end"
    assert (POWER, 0) in levels[off[-1] :]
    assert set(last_pose(Store(tmp_path))) == {"jaw"}
