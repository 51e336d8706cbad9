"""Power, /OE, rest, the last places: a whole mover, and the main thread's chores beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_care import COUNT_US, TICK_S, Bench

from lipsync_edge import config
from lipsync_edge.app import Robot
from lipsync_edge.attendant import LOOK_S, Attendant, led_state
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.engine import Mover
from lipsync_edge.errors import BoardError
from lipsync_edge.gpio import Pins
from lipsync_edge.gpio_dummy import DummyGpio
from lipsync_edge.health import Vitals
from lipsync_edge.memory import last_pose
from lipsync_edge.options import GpioOptions
from lipsync_edge.store import Store
from lipsync_edge.summary import Summary
from lipsync_edge.supply import Sensors, Supply, SupplyState

LED, BUTTON, OE, POWER = 17, 27, 4, 22
WELL = Vitals({"mover": 0.01, "analyzer": 0.01}, 0.01, True, hops=9, ticks=9)


class Head:
    """A bench with a warden on it; both go on together."""

    def __init__(self, folder: Path, faults: str = "", wired: bool = True) -> None:
        self.store = Store(folder)
        self.bench = Bench(last_pose(self.store))
        self.gpio = DummyGpio(faults, self.bench.clock)
        pins = GpioOptions("dummy", "", LED, BUTTON, OE, POWER) if wired else GpioOptions()
        assert self.bench.care is not None
        self.care = self.bench.care
        self.attendant = Attendant(
            Pins(pins, self.gpio),
            Supply(Sensors(folder / "no sys")),
            self.care,
            self.bench.rig.names,
            self.store,
        )
        self.attendant.open()
        self.attendant.power(True)
        self.presses: list[str] = []

    @property
    def now_s(self) -> float:
        return self.bench.clock.now()

    def look(self, vitals: Vitals) -> None:
        """What the main thread does twenty times a second."""
        press = self.attendant.step(self.now_s)
        self.presses += [press] if press else []
        self.attendant.guard(vitals, self.now_s)
        self.attendant.show(led_state(vitals), self.now_s)
        self.store.step(0)

    def run(self, seconds: float, vitals: Vitals = WELL, heard_s: float = 0.5) -> np.ndarray:
        rows = []
        for _ in range(round(seconds / (2 * TICK_S))):
            self.look(vitals)
            rows.append(self.bench.ticks(2 * TICK_S, heard_s))
        return np.concatenate(rows)


def test_power_then_outputs_then_pulses(tmp_path: Path) -> None:
    head = Head(tmp_path)
    out = head.run(2.0)
    changes = [(pin, level) for _, pin, level in head.gpio.log if pin != LED]
    assert changes == [(OE, 1), (POWER, 0), (POWER, 1), (OE, 0)]
    first = np.flatnonzero(~np.isnan(out).all(axis=1))[0]
    assert 0.3 <= first * TICK_S <= 0.4, "the supply came up first"
    assert not np.isnan(out[-1]).any()


def test_a_stuck_mover_disables_the_outputs_within_a_look(tmp_path: Path) -> None:
    head = Head(tmp_path)
    head.run(2.0)
    head.look(replace(WELL, beat_ages_s={"mover": 0.21}))
    assert head.gpio.levels[OE] == 1
    assert head.gpio.levels[POWER] == 0
    out = head.run(2.0)
    assert head.gpio.levels[OE] == 0
    assert np.isnan(out[0]).all(), "nobody knows where the horns fell: a soft start"
    assert not np.isnan(out[-1]).any()


def test_a_board_that_does_not_answer_is_cut_off_until_it_does(tmp_path: Path) -> None:
    head = Head(tmp_path)
    head.run(2.0)
    head.look(replace(WELL, board_ok=False))
    assert head.gpio.levels[OE] == 1
    out = head.run(2.0)
    assert head.gpio.levels[OE] == 0
    assert np.isnan(out[0]).all(), "its horns were limp: a soft start"
    assert not np.isnan(out[-1]).any()


def test_safe_mode_keeps_supply_and_outputs_off(tmp_path: Path) -> None:
    head = Head(tmp_path)
    out = head.run(2.0, replace(WELL, safe_mode="three crashes"))
    assert np.isnan(out).all()
    assert (head.gpio.levels[OE], head.gpio.levels[POWER]) == (1, 0)


def test_the_head_rests_without_a_supply_and_wakes_softly(tmp_path: Path) -> None:
    head = Head(tmp_path)
    head.run(2.0)
    head.care.resting = True
    assert np.isnan(head.run(2.0)[-1]).all()
    assert (head.gpio.levels[OE], head.gpio.levels[POWER]) == (1, 0)
    head.care.resting = False
    out = head.run(3.0)
    awake = (~np.isnan(out)).sum(axis=1)
    assert np.diff(awake).max() == 1
    assert awake[-1] == 10
    assert np.flatnonzero(awake)[0] * TICK_S >= 0.3


def test_the_button_through_pins_and_time(tmp_path: Path) -> None:
    head = Head(tmp_path, "press@2:0.2 press@4:2.5 press@13:7")
    head.run(21.0)
    assert head.presses == ["short", "long", "long", "very long"]


def test_without_pins_it_moves_all_the_same(tmp_path: Path) -> None:
    head = Head(tmp_path, wired=False)
    assert not np.isnan(head.run(2.0)[-1]).any()
    late = replace(WELL, beat_ages_s={"mover": 0.5})
    assert not np.isnan(head.run(0.1, late)).any(), "nothing could cut the pulses: go on at once"
    head.care.resting = True
    assert np.isnan(head.run(2.0)[-1]).all()


@pytest.mark.parametrize("at_s", [0, 2])
def test_pins_that_fail_cost_one_warning_and_no_move(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at_s: int
) -> None:
    head = Head(tmp_path, f"fail@{at_s}")
    assert not np.isnan(head.run(5.0)[-1]).any()
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_the_led_is_on_while_it_speaks(tmp_path: Path) -> None:
    head = Head(tmp_path)
    head.run(1.0, replace(WELL, openness=0.5))
    assert head.gpio.levels[LED] == 1


def test_horns_wake_where_a_pulled_plug_left_them(tmp_path: Path) -> None:
    head = Head(tmp_path)
    head.run(4.0, heard_s=0.2)
    head.bench.chain.mover.show({"jawOpen": 0.7})
    held = head.run(LOOK_S + 4.0)[-1]
    assert (np.abs(held - head.bench.rig.neutral_us) > 50).any()
    after = Head(tmp_path)  # nobody closed the first one
    out = after.run(2.0)
    first = np.argmax(~np.isnan(out), axis=0)
    np.testing.assert_allclose(out[first, range(10)], held, atol=COUNT_US)


def test_a_hot_servo_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = Head(tmp_path)
    head.run(1.0)
    head.care._heat._warm_k += 70.0  # 60 K are allowed
    head.run(1.0)
    assert head.attendant.hot() == head.bench.rig.names
    assert len(caplog.records) == len(head.bench.rig.names)
    assert "jaw has worked so hard" in caplog.text
    assert head.attendant.warmth()["jaw"] > 1.0
    assert head.attendant.computer == SupplyState(None, None, None)
    head.care._heat._warm_k *= 0.0
    head.run(1.0)
    assert head.attendant.hot() == ()


def talked(seconds: float, **options: str) -> tuple[list[tuple[bool, bool]], Summary]:
    """A whole robot in real time: at each picture, whether its sound waits and its servos wake."""
    overrides = [("audio.driver", "dummy"), ("board.driver", "simulator")]
    overrides += [(key.replace("__", "."), value) for key, value in options.items()]
    robot = Robot(config.load(None, overrides), open_source(str(SAMPLE)), seconds)
    seen: list[tuple[bool, bool]] = []
    summary = robot.run(lambda scene: seen.append((robot._courier.held, robot._care.awake)))
    return seen, summary


@pytest.mark.slow
def test_no_word_is_spoken_before_all_servos_are_awake() -> None:
    seen, summary = talked(2.5)
    assert (True, False) in seen, "it waited"
    assert (False, True) in seen, "and spoke"
    assert (False, False) not in seen
    assert summary.board["failures"] == 0


@pytest.mark.slow
def test_a_board_that_fails_keeps_no_word() -> None:
    seen, summary = talked(4.0, board__faults="dead@0.3")
    assert (True, False) in seen
    assert seen[-1] == (False, False)
    assert summary.analyzer["hops"] > 100


def test_detach_disables_the_outputs_even_without_a_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last resort after a crash: ``/OE`` needs no I2C."""
    gpio = DummyGpio()

    def no_bus() -> None:
        raise BoardError("This computer shows no I2C bus.")

    monkeypatch.setattr("lipsync_edge.gpio.library", lambda: gpio)
    monkeypatch.setattr("lipsync_edge.servos.i2c.open_bus", no_bus)
    path = tmp_path / "config.yaml"
    path.write_text(f"gpio:\n  output_enable: {OE}\n  servo_power: {POWER}\n")
    code = main(["detach", str(path)])
    assert [change[1:] for change in gpio.log] == [(OE, 1), (POWER, 0)]
    assert code == 1, "it says so"
    assert "I2C" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bus_that_stalls_is_cut_off_by_its_pin_until_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[DummyGpio] = []

    def pins(options: config.Config) -> Pins:
        made.append(DummyGpio())
        return Pins(options.gpio, made[0])

    monkeypatch.setattr("lipsync_edge.app.make_pins", pins)
    _, summary = talked(4.5, board__faults="slow@2:1", gpio__output_enable=str(OE))
    enabled = [level == 0 for _, pin, level in made[0].log if pin == OE]
    assert enabled == [False, True, False, True, False], "off, on, cut, on again, end"
    cut_s, again_s = (made[0].log[k][0] for k in (2, 3))
    assert again_s - cut_s > 0.5
    assert not summary.failed


@pytest.mark.slow
def test_an_error_in_the_motion_ends_with_all_off_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The way to rest fails by the same error; nothing that comes after it may be left out."""
    made: list[DummyGpio] = []

    def pins(options: config.Config) -> Pins:
        made.append(DummyGpio())
        return Pins(options.gpio, made[0])

    tick, n_ticks = Mover.tick, []

    def fails(mover: Mover, heard_sample: float, now_s: float) -> object:
        n_ticks.append(now_s)
        if len(n_ticks) > 60:
            raise ZeroDivisionError("made by the test")
        return tick(mover, heard_sample, now_s)

    monkeypatch.setattr("lipsync_edge.app.make_pins", pins)
    monkeypatch.setattr(Mover, "tick", fails)
    _, summary = talked(
        5.0, gpio__output_enable=str(OE), gpio__servo_power=str(POWER),
        service__state_dir=str(tmp_path),
    )  # fmt: skip
    assert summary.failed
    assert summary.reason == "mover failed: ZeroDivisionError: made by the test"
    assert summary.board["silenced"]
    assert [level for _, pin, level in made[0].log if pin == OE][-1] == 1
    assert [level for _, pin, level in made[0].log if pin == POWER][-1] == 0
    runs = Store(tmp_path).load("runs")
    assert runs is not None
    assert (runs["running"], runs["crashes"]) == (False, 1)


def test_detach_leaves_the_pins_to_a_head_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpio = DummyGpio()
    monkeypatch.setattr("lipsync_edge.gpio.library", lambda: gpio)
    monkeypatch.setattr("lipsync_edge.cli._tell_to_detach", lambda _: True)
    path = tmp_path / "config.yaml"
    path.write_text(f"gpio:\n  output_enable: {OE}\nboard:\n  driver: dummy\n")
    main(["detach", str(path)])
    assert gpio.log == []
    assert "until `lipsync-edge wake`" in capsys.readouterr().out
