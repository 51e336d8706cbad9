"""Parts of the live view in a real browser: what they draw, how they answer hands and keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from stage import Stage

from lipsync_edge.portrait import draw
from lipsync_tools.webstage import until

FACE = """async () => {
  const {Face} = await import('/static/face.js');
  window.made = new Face();
  document.querySelector('main').replaceChildren(window.made.element);
}"""
TURNED = """(pose) => {
  window.made.draw(pose, '1.5');
  const root = window.made.element.getScreenCTM().inverse();
  return [...window.made.element.querySelectorAll('path')].map((path) => {
    const at = path.getPointAtLength(0).matrixTransform(root.multiply(path.getScreenCTM()));
    return [path.dataset.part, at.x / 1000, at.y / 1000];
  });
}"""
WRITTEN = """(pose) => {
  const seen = new MutationObserver(() => {});
  seen.observe(window.made.element, {subtree: true, attributes: true, attributeFilter: ['d']});
  window.made.draw(pose);
  return seen.takeRecords().map((record) => record.target.dataset.part);
}"""
HORNS = """async ([servos, widths]) => {
  const {Horns} = await import('/static/horns.js');
  const horns = new Horns(servos);
  document.querySelector('main').replaceChildren(horns.element);
  widths.forEach((told, k) => {
    const sane = Object.entries(told).map(([name, us]) => [name, us === 'NaN' ? NaN : us]);
    horns.draw(Object.fromEntries(sane), 1000 * (k + 1));
  });
  return [...document.querySelectorAll('[data-servo]')].map((dial) => [
    dial.dataset.servo, dial.dataset.us, dial.className, dial.querySelector('.now').textContent,
    dial.querySelector('.horn').getAttribute('transform'),
  ]);
}"""


@pytest.fixture
def page(stage: Stage, chromium: Any) -> Iterator[Any]:
    """A window of the page, and what its console complains of."""
    opened = chromium.new_page(viewport={"width": 1000, "height": 800})
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(f"{stage.page.address}/#live")
    until(lambda: opened.get_attribute("[data-opening]", "data-at"), word="a picture")
    yield opened
    assert complaints == []
    opened.close()


def servo(name: str, low: float = 1000, high: float = 2000) -> dict[str, Any]:
    return {"name": name, "min_us": low, "neutral_us": (low + high) / 2, "max_us": high}


def test_a_head_that_turns_is_drawn_as_python_draws_it(page: Any) -> None:
    page.goto(page.url.replace("#live", "#about"))
    page.evaluate(FACE)
    pose = {"headYaw": 0.8, "headPitch": -0.6, "headRoll": 0.9, "jawOpen": 0.5, "eyeBlinkLeft": 0.3}
    told = page.evaluate(TURNED, pose)
    for path, (name, x, y) in zip(draw(pose), told, strict=True):
        assert path.name == name
        assert np.allclose(path.points[0], (x, y), atol=0.002), name
    assert page.get_attribute("[data-opening]", "data-opening") == "0.5000"
    assert page.get_attribute("[data-opening]", "data-at") == "1.5"


def test_only_what_changed_is_written(page: Any) -> None:
    page.goto(page.url.replace("#live", "#about"))
    page.evaluate(FACE)
    assert page.evaluate(WRITTEN, {}) == []
    wink = page.evaluate(WRITTEN, {"eyeBlinkLeft": 0.9})
    assert 5 <= len(wink) <= 10
    assert all(part.endswith("_Left") for part in wink)
    assert page.evaluate(WRITTEN, {"eyeBlinkLeft": 0.9, "headYaw": 0.5}) == []
    spoken = page.evaluate(WRITTEN, {"eyeBlinkLeft": 0.9, "jawOpen": 0.7})
    assert {"inside", "upper_teeth", "lower_lip", "face"} <= set(spoken)
    assert not {"fringe", "shirt", "iris_Left", "brow_Left"} & set(spoken)


def test_horns_stand_where_their_pulses_put_them(page: Any) -> None:
    servos = [servo("jaw"), servo("lip", 1400, 1800), servo("far")]
    told = page.evaluate(HORNS, [servos, [{"jaw": 1000, "lip": 1700, "far": 2100}]])
    assert [(name, us) for name, us, *_ in told] == [
        ("jaw", "1000"), ("lip", "1700"), ("far", "2100")
    ]  # fmt: skip
    turns = [float(transform[7:].split()[0]) for *_, transform in told]
    assert turns[0] == -75.0
    assert turns[1] == 37.5
    assert turns[2] > 75.0
    assert ["beyond" in kind for _, _, kind, *_ in told] == [False, False, True]


def test_a_servo_without_a_pulse_is_off_and_stays(page: Any) -> None:
    widths = [{"a": 1250, "b": 1250, "c": 1250}, {"a": None, "b": "NaN"}]
    told = page.evaluate(HORNS, [[servo("a"), servo("b"), servo("c")], widths])
    for _, us, kind, words, transform in told:
        assert (us, words) == ("", "off")
        assert "off" in kind.split()
        assert transform.startswith("rotate(-37.5 ")


def test_heads_of_no_servo_and_of_26(page: Any) -> None:
    assert page.evaluate(HORNS, [[], [{}]]) == []
    assert "no servos" in page.inner_text("main")
    many = [servo(f"a_servo_with_a_name_{k}") for k in range(26)]
    told = page.evaluate(HORNS, [many, [{one["name"]: 1500 for one in many}]])
    assert len(told) == 26
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_time_line_freezes_and_is_read_by_keys(stage: Stage, page: Any) -> None:
    plot, readout = page.get_by_role("slider", name="Moment in the time line"), ".readout"
    until(lambda: "µs" in page.inner_text(readout) or "off" in page.inner_text(readout))
    page.get_by_role("button", name="Freeze").click()
    frozen = page.inner_text(readout)
    assert frozen.startswith("newest: sound")
    page.wait_for_timeout(600)
    assert page.inner_text(readout) == frozen
    plot.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    ago = -float(plot.get_attribute("aria-valuenow"))
    assert 0.1 < ago < 0.5
    assert plot.get_attribute("aria-valuetext").startswith(f"{ago:.2f} s before: sound")
    page.keyboard.press("Home")
    assert plot.get_attribute("aria-valuenow") == plot.get_attribute("aria-valuemin")
    page.keyboard.press("Escape")
    until(lambda: page.inner_text(readout).startswith("now"), word="a time line that goes on")


def test_the_time_line_draws_what_is_chosen(stage: Stage, page: Any) -> None:
    page.get_by_role("button", name="Freeze").click()
    picture = "document.querySelector('canvas.plot').toDataURL()"
    before = page.evaluate(picture)
    page.get_by_text("Choose curves").click()
    page.get_by_label("opening", exact=True).uncheck()
    without = page.evaluate(picture)
    assert without != before
    page.get_by_label("opening", exact=True).check()
    assert page.evaluate(picture) == before
    page.get_by_role("button", name="Shorter time").click()
    nearer = page.evaluate(picture)
    assert nearer != before
    page.get_by_role("button", name="Longer time").click()
    assert page.evaluate(picture) == before
    page.locator("canvas.plot").hover()
    page.mouse.wheel(0, -100)
    until(lambda: page.evaluate(picture) != before, word="a nearer picture")


def test_the_table_has_the_newest_values(stage: Stage, page: Any) -> None:
    stage.head.ask("pose", axes={"jawOpen": 0.5}, hold_s=20)
    page.get_by_text("Newest values as a table").click()
    rows = page.locator(".values tr")
    until(
        lambda: "opening\t0.50" in "\n".join(rows.all_inner_texts()), word="the pose in the table"
    )
    assert rows.count() > 10
    stage.head.ask("follow")


def test_colours_are_chosen_and_kept(page: Any) -> None:
    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    light = ground()
    button = page.get_by_role("button", name="Colours")
    button.click()
    button.click()
    assert button.inner_text() == "Colours: dark"
    dark = ground()
    assert dark != light
    page.reload()
    assert ground() == dark
    button.click()
    assert ground() == light
