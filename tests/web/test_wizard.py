"""A head of three servos is set up by clicks alone, against the registers of its board."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hands import Hands
from stage import Stage

from lipsync_edge import config
from lipsync_edge.about import describe
from lipsync_tools.webstage import until

JAW, UPPER, LOWER = 0, 1, 2  # outputs of the board
COUNT_US = 20000 / 4096
NEAR_US = 1.5 * COUNT_US


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A head of its own: its config is changed."""
    with Stage(tmp_path_factory.mktemp("wizard")) as made:
        yield made


@pytest.fixture
def phone(stage: Stage, chromium: Any) -> Iterator[Wizard]:
    """A phone that knows the PIN; after it, the head follows the sound again."""
    with Wizard(stage, chromium) as hands:
        yield hands
        assert hands.faults() == []
    stage.head.ask("release")
    stage.head.ask("follow")


class Wizard(Hands):
    """What somebody does to set up a servo."""

    def hold(self, move: str, enough: Callable[[], bool]) -> None:
        """Press a button until ``enough``."""
        self.page.hover(f"[data-move='{move}']")
        self.page.mouse.down()
        try:
            until(enough, word=f"holding {move}")
        finally:
            self.page.mouse.up()

    def walk(self, move: str, beyond_us: float) -> float:
        """Hold until the servo passed a pulse, and wait until it stands; what the page says, us."""
        sign = 1.0 if move == "longer" else -1.0
        self.hold(move, lambda: sign * (self.shown_us() - beyond_us) >= 0)
        return self.standing_us()

    def standing_us(self) -> float:
        """Where it stands, when six looks in a row see the same."""
        seen: list[float] = []

        def stands() -> bool:
            seen.append(self.shown_us())
            return len(seen) > 6 and len(set(seen[-6:])) == 1

        until(stands, word="a standing servo")
        return seen[-1]

    def shown_us(self) -> float:
        """POS; NaN: not known."""
        words = self.page.inner_text("[data-value='POS']").split()
        return float(words[0]) if words[0].isdigit() else math.nan

    def pulse_us(self, channel: int) -> float:
        return self.stage.pulses_us[channel]

    def here(self) -> None:
        """Take the place where it stands."""
        self.page.click("[data-set]")


def moving(stage: Stage, since: int) -> set[int]:
    """The outputs that had a pulse after the board's moment ``since``."""
    return {
        channel for moment in stage.board.moments[since:]
        for channel, us in enumerate(moment.pulses_us) if not math.isnan(us)
    }  # fmt: skip


def is_off(stage: Stage) -> bool:
    return all(math.isnan(us) for us in stage.pulses_us)


def test_three_servos_are_set_up_saved_and_undone(stage: Stage, phone: Wizard) -> None:
    before = stage.config.read_text()
    phone.open("setup")
    found: dict[str, dict[str, float]] = {}

    phone.click("Set up jaw")
    buzz_is_of(phone, "jaw", JAW)
    phone.click("This one moved")
    since = len(stage.board.moments)
    rest_us = phone.walk("longer", 1440)
    assert abs(phone.pulse_us(JAW) - rest_us) <= NEAR_US
    phone.here()
    open_us = phone.walk("longer", 1700)
    assert open_us > rest_us + 200
    phone.here()
    sweep(phone, JAW, rest_us, open_us)
    phone.here()
    assert phone.page.input_value("[data-point='rest']") == f"{rest_us:.0f}"
    assert moving(stage, since) == {JAW}
    found["jaw"] = {"min_us": rest_us, "neutral_us": rest_us, "max_us": open_us}

    phone.click("On to upper_lip")
    found["upper_lip"] = lip(phone, "upper_lip", UPPER, ("shorter", 1380), ("longer", 1640))
    phone.click("On to lower_lip")
    found["lower_lip"] = lip(phone, "lower_lip", LOWER, ("longer", 1640), ("shorter", 1380))
    assert stage.config.read_text() == before  # nothing is saved before Save

    phone.click("Look over and save")
    phone.page.get_by_text("The head takes these values").wait_for()
    shown = phone.page.inner_text("pre.changes")
    assert f"+    min_us: {found['jaw']['min_us']:.0f}" in shown
    phone.click("Save")
    phone.page.get_by_text("Saved, and in force.").wait_for()
    is_saved(stage, before, found)

    phone.click("Undo")
    phone.page.get_by_text("Undone").wait_for()
    assert stage.config.read_text() == before
    assert described(stage)["jaw"]["min_us"] == 1420
    assert not within_hard_limits(stage)


def buzz_is_of(phone: Wizard, name: str, channel: int) -> None:
    since = len(phone.stage.board.moments)
    phone.click("Buzz")
    until(lambda: len(pulses(phone.stage, since, channel)) >= 4, word="a buzz")
    until(lambda: is_off(phone.stage), word=f"{name} off again")
    assert moving(phone.stage, since) <= {channel, *still_following(phone.stage, since)}
    width = pulses(phone.stage, since, channel)
    assert 60 <= max(width) - min(width) <= 100


def still_following(stage: Stage, since: int) -> set[int]:
    """Outputs that had a pulse at that moment already: the head was at work."""
    return {
        c for c, us in enumerate(stage.board.moments[since - 1].pulses_us) if not math.isnan(us)
    }


def pulses(stage: Stage, since: int, channel: int) -> list[float]:
    """The different pulses of an output in set-up, in their order."""
    out: list[float] = []
    for moment in stage.board.moments[since:]:
        us = moment.pulses_us[channel]
        others = [w for c, w in enumerate(moment.pulses_us) if c != channel]
        if not math.isnan(us) and all(map(math.isnan, others)) and (not out or out[-1] != us):
            out.append(us)
    return out


def sweep(phone: Wizard, channel: int, low_us: float, high_us: float) -> None:
    """Hold until it was at both ends; it must not go beyond."""
    since = len(phone.stage.board.moments)

    def both() -> bool:
        seen = pulses(phone.stage, since, channel)
        turned = [us for us in seen[1:] if us <= low_us + 2 * NEAR_US]
        return bool(turned) and max(seen) >= high_us - 2 * NEAR_US

    phone.hold("sweep", both)
    seen = pulses(phone.stage, since, channel)
    assert min(seen) >= low_us - NEAR_US
    assert max(seen) <= high_us + NEAR_US


def lip(
    phone: Wizard, name: str, channel: int, near: tuple[str, float], far: tuple[str, float]
) -> dict[str, float]:
    """Set up a servo that goes both ways; what the config should have."""
    buzz_is_of(phone, name, channel)
    phone.click("This one moved")
    rest_us = phone.walk("longer", 1510)
    phone.here()
    near_us = phone.walk(*near)
    phone.here()
    far_us = phone.walk(*far)
    phone.here()
    phone.click("Leave as it is")  # its speed
    assert phone.page.is_checked("#invert") is (far_us < near_us)
    low, high = sorted((near_us, far_us))
    return {
        "min_us": low, "neutral_us": rest_us, "max_us": high, "invert": far_us < near_us
    }  # fmt: skip


def is_saved(stage: Stage, before: str, found: dict[str, dict[str, float]]) -> None:
    text = stage.config.read_text()
    for comment in (line.partition("#")[2] for line in before.splitlines() if "#" in line):
        assert f"#{comment}" in text
    servos = described(stage)
    for name, values in found.items():
        assert {key: servos[name][key] for key in values} == values
        written = yaml.safe_load(text)["servos"][name]
        assert {key: written[key] for key in values if key in written}.items() <= values.items()
    assert not config.load(stage.config).warnings


def described(stage: Stage) -> dict[str, dict[str, Any]]:
    head = stage.head.ask("describe")["describe"]
    return {servo["name"]: servo for servo in head["servos"]}


def within_hard_limits(stage: Stage) -> list[float]:
    """The pulses that no servo may ever get."""
    return [
        us for moment in stage.board.moments for us in moment.pulses_us if us < 299 or us > 3001
    ]


@pytest.mark.parametrize("how", ["up", "hidden", "left", "killed"])
def test_a_servo_stops_when_the_hand_goes(stage: Stage, phone: Wizard, how: str) -> None:
    phone.open("setup/jaw/rest")
    page = phone.page
    page.hover("[data-move='longer']")
    page.mouse.down()
    until(lambda: phone.shown_us() >= 1460, word="motion")
    if how == "up":
        page.mouse.up()
    elif how == "hidden":
        page.evaluate("window.dispatchEvent(new Event('blur'))")
    elif how == "left":
        page.goto(f"{stage.page.address}/#about")
    else:
        page.context.set_offline(True)
        page.close()
    until(lambda: is_off(stage), word="an output that is off")
    last = [m.pulses_us[JAW] for m in stage.board.moments if not math.isnan(m.pulses_us[JAW])][-1]
    assert 1455 <= last <= 1460 + 120 * 1.5  # no further than a second and a half at its pace


def test_what_was_found_outlives_a_reload_of_the_page(stage: Stage, phone: Wizard) -> None:
    before = stage.config.read_text()
    phone.open("setup/jaw/look")
    phone.page.fill("[data-point='far']", "1699")
    phone.page.keyboard.press("Tab")
    phone.page.reload()
    phone.page.wait_for_selector("[data-point='far']")
    assert phone.page.input_value("[data-point='far']") == "1699"
    phone.open("setup")
    assert "not saved yet" in phone.page.inner_text("[data-servo='jaw']")
    phone.click("Discard what I found")
    assert "not saved yet" not in phone.page.inner_text("[data-servo='jaw']")
    assert stage.config.read_text() == before


def test_values_that_the_head_does_not_take_cannot_be_saved(stage: Stage, phone: Wizard) -> None:
    before = stage.config.read_text()
    phone.open("setup/upper_lip/look")
    phone.page.fill("[data-point='rest']", "2900")
    phone.page.keyboard.press("Tab")
    assert "rests outside" in phone.page.inner_text("main")
    phone.open("setup/review")
    phone.page.get_by_text("does not take these values").wait_for()
    assert phone.page.is_disabled("text=Save >> nth=-1")
    assert stage.config.read_text() == before


def test_a_config_that_somebody_else_changed_is_looked_at_again(
    stage: Stage, phone: Wizard
) -> None:
    before = stage.config.read_text()
    phone.open("setup/jaw/look")
    phone.page.fill("[data-point='far']", "1710")
    phone.page.keyboard.press("Tab")
    phone.open("setup/review")
    phone.page.get_by_text("The head takes these values").wait_for()
    stage.config.write_text(before + "# mine\n")
    phone.click("Save")
    phone.page.wait_for_selector("#alerts .toast")
    assert stage.config.read_text() == before + "# mine\n"
    phone.page.get_by_text("The head takes these values").wait_for()
    phone.click("Save")
    phone.page.get_by_text("Saved, and in force.").wait_for()
    text = stage.config.read_text()
    assert "# mine" in text
    assert "1710" in text
    stage.config.write_text(before)
    stage.head.ask("reload")


def test_a_second_person_is_told_to_wait(stage: Stage, phone: Wizard, chromium: Any) -> None:
    phone.open("setup")
    phone.click("Buzz jaw")
    with Wizard(stage, chromium) as second:
        second.open("setup")
        second.click("Buzz jaw")
        second.read("Somebody else is setting up this head.")


def test_the_mouth_is_tried_with_the_sentence(stage: Stage, phone: Wizard, tmp_path: Path) -> None:
    phone.open("setup/jaw/look")
    phone.page.fill("[data-point='far']", "1600")
    phone.page.keyboard.press("Tab")
    phone.open("setup/review")
    phone.page.get_by_text("The head takes these values").wait_for()
    since = len(stage.board.moments)
    phone.click("Try it, and speak")
    until(lambda: stage.head.status()["trial"], word="a trial")
    until(lambda: max(opened(stage, since), default=0) > 1500, word="an open jaw")
    assert max(opened(stage, since)) <= 1600 + NEAR_US
    phone.click("End the test")
    until(lambda: not stage.head.status()["trial"], word="the end of the trial")
    assert described(stage)["jaw"]["max_us"] == 1780


def opened(stage: Stage, since: int) -> list[float]:
    """All pulses of the jaw after that moment."""
    return [m.pulses_us[JAW] for m in stage.board.moments[since:] if m.pulses_us[JAW] > 0]


DRAFTS = """async (servos) => {
  const d = await import('/static/setup/draft.js');
  return servos.map((servo) => {
    const turned = d.turned(servo, {});
    return {
      name: servo.name, points: d.points(servo).map((point) => point.name),
      untouched: d.changes([servo], {[servo.name]: {}}),
      turned: d.settings(servo, turned), back: d.settings(servo, d.turned(servo, turned)),
      words: d.points(servo).map((point) => point.title), wrong: d.complaint(servo, {}),
    };
  });
}"""


@pytest.mark.parametrize("name", ["jaw", "jaw-lips", "mouth10", "face26"])
def test_every_shipped_head_can_be_set_up(phone: Wizard, name: str) -> None:
    servos = {
        s["name"]: s for s in describe(config.load(None, [("head", name)]), "", [], [])["servos"]
    }  # fmt: skip
    phone.open("about")
    told = phone.page.evaluate(DRAFTS, list(servos.values()))
    assert [one["name"] for one in told] == list(servos)
    for one in told:
        servo = servos[one["name"]]
        ends = (servo["min_us"], servo["max_us"])
        assert one["untouched"] == []
        assert one["wrong"] == ""
        assert one["points"] == (
            ["rest", "far"] if servo["neutral_us"] in ends else ["rest", "near", "far"]
        )
        assert len(set(one["words"])) == len(one["words"])
        assert one["turned"]["invert"] is not servo["invert"]
        assert (one["turned"]["min_us"], one["turned"]["max_us"]) == ends
        for field, value in one["back"].items():
            assert value == servo[field]


TRIMMED = """async (servo) => {
  const d = await import('/static/setup/draft.js');
  const all = (draft) => d.changes([servo], {[servo.name]: draft})
    .map(({path, value}) => [path.at(-1), value]);
  return [all({}), all({slew: 900}), all({rest: 1510})];
}"""


def test_only_what_was_found_is_changed(phone: Wizard) -> None:
    servo = described(phone.stage)["upper_lip"] | {
        "min_us": 1300.5, "max_us": 1699.5, "trim_us": 12.0, "slew_us_per_s": 3000.25,
    }  # fmt: skip
    phone.open("about")
    untouched, speed, rest = phone.page.evaluate(TRIMMED, servo)
    assert untouched == []
    assert speed == [["slew_us_per_s", 900]]
    assert sorted(rest) == [["neutral_us", 1510], ["trim_us", 0]]
