"""LED, button and pins of the front panel."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from pathlib import Path

import pytest

from lipsync_edge.clock import VirtualClock
from lipsync_edge.errors import GpioError
from lipsync_edge.gpio import Pins
from lipsync_edge.gpio_dummy import DummyGpio
from lipsync_edge.options import GpioOptions
from lipsync_edge.panel import PATTERNS, Button, pattern

STEP_S = 0.05  # as often as the main thread looks
FEEL_S = 0.027  # as often as it feels the button


def flashes(state: str, seconds: float) -> list[float]:
    """When the LED goes on, looked at twenty times a second."""
    seen = [pattern(state, k * STEP_S + 1e-6) for k in range(round(seconds / STEP_S))]
    return [k * STEP_S for k, (a, b) in enumerate(pairwise([False, *seen])) if b and not a]


def test_every_state_can_be_told_from_every_other() -> None:
    codes = {s: tuple(pattern(s, k * STEP_S + 1e-6) for k in range(240)) for s in PATTERNS}
    assert len(set(codes.values())) == len(PATTERNS)


@pytest.mark.parametrize(("state", "number"), [("strained", 2), ("lost", 3), ("safe", 4)])
def test_troubles_are_counted_in_flashes(state: str, number: int) -> None:
    times = flashes(state, sum(PATTERNS[state]))
    assert len(times) == number
    assert times[0] == 0.0


def test_speaking_is_on_and_the_rhythms_are_as_documented() -> None:
    assert all(pattern("speaking", t / 7) for t in range(100))
    assert flashes("booting", 3.0) == [0.0, 1.0, 2.0]
    assert flashes("ready", 7.0) == pytest.approx([0.0, 3.0, 6.0])
    assert flashes("error", 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])


def pressed(*spans: tuple[float, float], until_s: float = 20.0) -> list[tuple[float, str]]:
    button, said = Button(), []
    for k in range(round(until_s / STEP_S)):
        now_s = k * STEP_S
        event = button.step(any(a <= now_s < b for a, b in spans), now_s)
        if event:
            said.append((round(now_s, 2), event))
    return said


def test_presses_by_their_length() -> None:
    assert pressed((1.0, 1.2)) == [(1.25, "short")]
    assert pressed((1.0, 2.9)) == [(2.95, "short")]
    assert pressed((1.0, 4.0)) == [(3.0, "long")]
    assert pressed((1.0, 9.0)) == [(3.0, "long"), (7.0, "very long")]
    assert [event for _, event in pressed((1, 1.2), (2, 2.2), (3, 6), (7, 7.3))] == [
        "short",
        "short",
        "long",
        "short",
    ]


def test_one_reading_alone_is_no_press_and_one_held_from_the_start_says_nothing() -> None:
    assert pressed((1.0, 1.04)) == []
    assert pressed((0.0, 9.0)) == []
    assert pressed((0.0, 9.0), (10.0, 10.2)) == [(10.25, "short")]


@pytest.mark.parametrize("tap_s", [0.06, 0.08, 0.1, 0.2])
def test_a_quick_tap_is_felt_whenever_it_comes(tap_s: float) -> None:
    for shift in range(27):
        button, said = Button(), []
        for k in range(40):
            now_s = k * FEEL_S
            said.append(button.step(0.3 <= now_s + shift / 1000 < 0.3 + tap_s, now_s))
        assert [event for event in said if event] == ["short"]


def test_a_bouncing_contact_is_one_press() -> None:
    button, said = Button(), []
    for k in range(1000):  # every millisecond; 8 ms of chatter at both ends
        now_s = k / 1000
        chatter = k % 2 == 0 and (200 <= k < 208 or 400 <= k < 408)
        said.append(button.step(chatter or 208 <= k < 400, now_s))
    assert [event for event in said if event] == ["short"]


WIRED = GpioOptions(status_led=17, button=27, output_enable=4, servo_power=22)


def opened(faults: str = "") -> tuple[Pins, DummyGpio, VirtualClock]:
    clock = VirtualClock()
    gpio = DummyGpio(faults, clock)
    pins = Pins(WIRED, gpio)
    pins.open()
    return pins, gpio, clock


def test_open_leaves_all_off_and_the_outputs_disabled_from_the_first_instant() -> None:
    _, gpio, _ = opened()
    assert gpio.levels == {4: 1, 22: 0, 17: 0}
    assert gpio.log[0] == (0.0, 4, 1), "/OE first, and never low before"
    assert gpio.inputs == {27}


def test_outputs_are_enabled_with_a_low_level_and_written_only_when_they_change() -> None:
    pins, gpio, _ = opened()
    for _ in range(3):
        pins.enable_outputs(True)
        pins.servo_power(True)
        pins.led(True)
    assert gpio.levels == {4: 0, 22: 1, 17: 1}
    assert len(gpio.log) == 3 + 3


def test_close_disables_first_and_lets_the_pull_up_decide() -> None:
    pins, gpio, _ = opened()
    pins.enable_outputs(True)
    pins.servo_power(True)
    begin = len(gpio.log)
    pins.close()
    assert [entry[1:] for entry in gpio.log[begin:]] == [(4, 1), (22, 0)]
    assert gpio.levels == {}
    pins.close()  # twice is no error


def test_the_button_is_low_while_pressed() -> None:
    pins, _, clock = opened("press@1:0.5")
    seen = []
    for at_s in (0.5, 1.2, 1.6):
        clock.sleep_until(at_s)
        seen.append(pins.pressed())
    assert seen == [False, True, False]


def test_pins_that_fail_are_told_and_close_anyway() -> None:
    pins, _, clock = opened("fail@1")
    clock.sleep_until(2.0)
    with pytest.raises(GpioError, match="GPIO 4 cannot be set"):
        pins.enable_outputs(True)
    with pytest.raises(GpioError, match="GPIO 27 cannot be read"):
        pins.pressed()
    pins.close()


def test_no_pins_no_library() -> None:
    pins = Pins(GpioOptions())
    pins.open()
    pins.enable_outputs(True)
    pins.servo_power(True)
    pins.led(True)
    assert not pins.pressed()
    pins.close()


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "RPi.GPIO", None)
    with pytest.raises(GpioError, match=r"sudo make install.*PYPI=1 .*pip install rpi-lgpio"):
        Pins(WIRED).open()


def test_close_is_well_without_the_library_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "RPi.GPIO", None)
    pins = Pins(WIRED)
    with pytest.raises(GpioError):
        pins.open()
    pins.close()


def test_the_dummy_has_the_calls_that_the_edge_makes() -> None:
    """Every ``gpio.NAME`` of the module is an attribute of the dummy."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(Pins)))
        if isinstance(node, ast.Attribute) and (ast.unparse(node.value) in ("gpio", "self._gpio"))
    }
    assert {"setmode", "setup", "output", "input", "cleanup"} <= used
    assert not [name for name in used if not hasattr(DummyGpio, name)]


def test_strange_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'press'"):
        DummyGpio("pres@1")


def test_the_table_for_makers_has_every_state() -> None:
    text = (Path(__file__).parent.parent / "docs" / "care.md").read_text()
    table = text.split("## The LED")[1].split("##")[0]
    told = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert told == ["state", *PATTERNS]
