"""Config, Doctor and the PIN in a real browser, with a real head behind them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hands import Hands
from stage import Stage
from test_looks import STICKS_OUT, assert_axe_is_content

from lipsync_edge.errors import ControlError
from lipsync_edge.web.pairing import make_pin
from lipsync_tools.webstage import Page, until


@pytest.fixture
def guarded(stage: Stage, tmp_path: Path) -> Iterator[Page]:
    """A second page of the same head, which may lock somebody out."""
    words = ("--state-dir", str(tmp_path), "--tls-port", "0")
    with Page(tmp_path, stage.head.socket, *words) as page:
        yield page


# ---- the PIN


def test_the_head_tells_its_pin_and_opens(stage: Stage, chromium: Any) -> None:
    with Hands(stage, chromium, knows_pin=False) as phone:
        phone.open("doctor")
        phone.click("Show the PIN")
        phone.read("The head tells it")
        assert "on the terminal" in phone.page.inner_text("main")
        assert "PIN" in stage.page.said
        phone.page.get_by_label("PIN").fill("1")
        phone.click("Log in")
        phone.read("That is not the PIN")
        pin = stage.pin()
        phone.page.get_by_label("PIN").fill(f"{pin[:3]} {pin[3:]}")
        phone.page.keyboard.press("Enter")
        phone.page.wait_for_selector("[data-check]")
        assert phone.faults() == []


def test_a_session_that_ended_asks_for_the_pin_again(stage: Stage, phone: Hands) -> None:
    phone.open("speak")
    phone.context.clear_cookies()
    phone.click("Smile")
    dialog = phone.page.get_by_role("dialog")
    dialog.get_by_label("PIN").fill(stage.pin())
    dialog.get_by_role("button", name="Log in").click()
    dialog.wait_for(state="detached")
    until(lambda: stage.head.status()["posing"], word="a pose")
    phone.click("Follow the sound")
    until(lambda: not stage.head.status()["posing"], word="its end")


def test_too_many_wrong_pins_lock_the_button(guarded: Page, chromium: Any) -> None:
    window = chromium.new_page()
    window.goto(f"{guarded.address}/#doctor")
    window.get_by_role("button", name="Log in").click()
    window.get_by_text("Type the PIN that the head tells.").wait_for()
    pin = make_pin(guarded.folder)
    for _ in range(5):
        with window.expect_response("**/login"):
            window.get_by_label("PIN").fill(f"{(int(pin) + 1) % 1_000_000:06d}")
            window.get_by_label("PIN").press("Enter")
    window.get_by_text("Too many wrong PINs. Try again in").wait_for()
    assert window.get_by_role("button", name="Log in (in").is_disabled()
    window.close()


# ---- all of them


def test_detach_is_on_every_page(stage: Stage, phone: Hands) -> None:
    for route in ("live", "speak", "setup", "setup/jaw/rest", "config", "doctor", "about"):
        phone.open(route)
        assert phone.page.locator("#detach").is_visible()
    phone.page.click("#detach")
    until(lambda: all(us != us for us in stage.pulses_us), word="outputs off")  # noqa: PLR0124
    phone.click("Wake")
    until(lambda: not stage.head.status()["resting"], word="a head that is awake")


# ---- config


def opened(phone: Hands) -> str:
    """The config page with the file's text in it, which is returned."""
    text = phone.stage.config.read_text()
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == text, word="the text")
    return text


def typed(phone: Hands, old: str, new: str) -> None:
    text = phone.page.input_value("#config-text")
    assert old in text
    phone.page.fill("#config-text", text.replace(old, new))


def difference(phone: Hands, line: str) -> None:
    """Wait until this line, with its + or -, is among what changes."""
    phone.page.locator("pre.changes span").filter(has_text=line).first.wait_for()


def test_the_text_is_checked_saved_and_undone(stage: Stage, phone: Hands) -> None:
    before = opened(phone)
    typed(phone, "max_us:   1780", "max_us:   99")
    problem = phone.page.locator("#problems .bad")
    problem.wait_for()
    line = before[: before.index("max_us:")].count("\n") + 1
    assert f"Line {line}" in problem.inner_text()
    assert "servos.jaw" in problem.inner_text()
    assert phone.page.get_attribute(f"[data-line='{line}']", "data-severity") == "error"
    assert phone.page.get_by_role("button", name="Save", exact=True).is_disabled()
    phone.click(f"Line {line}")
    selected = phone.page.evaluate(
        "(() => { const t = document.activeElement;"
        " return t.value.slice(t.selectionStart, t.selectionEnd); })()"
    )
    assert selected.strip() == "max_us:   99"

    typed(phone, "max_us:   99", "max_us:   1750")
    difference(phone, "+    max_us:   1750")
    phone.page.fill("#note", "shorter")
    phone.click("Save")
    phone.read("Saved, and in force.")
    assert stage.config.read_text() == before.replace("1780", "1750")
    servos = stage.head.ask("describe")["describe"]["servos"]
    assert servos[0]["max_us"] == 1750
    phone.read("shorter")
    phone.click("Undo the last save")
    phone.read("Undone, and in force.")
    assert stage.config.read_text() == before


def test_a_text_that_is_no_yaml_is_told_at_its_line(stage: Stage, phone: Hands) -> None:
    before = opened(phone)
    typed(phone, "head: jaw-lips", "head: [jaw-lips")
    phone.page.locator("#problems .bad").wait_for()
    assert "Line" in phone.page.inner_text("#problems .bad")
    assert stage.config.read_text() == before


def test_what_was_typed_is_not_lost(stage: Stage, phone: Hands) -> None:
    before = opened(phone)
    typed(phone, "printed in blue", "printed in red")
    phone.page.evaluate("location.hash = 'about'")
    phone.click("Back to it")
    phone.read("It is not saved.")
    assert "printed in red" in phone.page.input_value("#config-text")
    phone.click("Load again")
    phone.click("Keep it")
    assert "printed in red" in phone.page.input_value("#config-text")
    phone.click("Load again")
    phone.click("Drop it")
    until(lambda: phone.page.input_value("#config-text") == before, word="the file's text")
    phone.page.reload()
    until(lambda: phone.page.input_value("#config-text") == before, word="the file's text")


def test_leaving_the_page_with_a_changed_text_is_asked(stage: Stage, phone: Hands) -> None:
    asked: list[str] = []
    phone.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    opened(phone)
    phone.page.reload()
    assert asked == []
    until(lambda: phone.page.input_value("#config-text"), word="the text")
    phone.page.locator("#config-text").press_sequentially("# mine\n")
    phone.page.reload()
    assert asked == ["beforeunload"]
    phone.read("What you typed before is here again.")


def test_a_file_that_changed_meanwhile_is_not_overwritten(stage: Stage, phone: Hands) -> None:
    before = opened(phone)
    typed(phone, "printed in blue", "printed in red")
    difference(phone, "+# My first head, printed in red.")
    theirs = before + "# by an editor\n"
    stage.config.write_text(theirs)
    phone.click("Save")
    phone.read("Nothing was saved; your text is still here.")
    assert stage.config.read_text() == theirs
    phone.click("Compare with the file")
    phone.read("The file was changed meanwhile. What you typed is here")
    difference(phone, "-# by an editor")
    assert "printed in red" in phone.page.input_value("#config-text")
    until(lambda: not phone.page.is_disabled("text=Save"), word="a text that may be saved")
    phone.click("Save")
    phone.read("Saved, and in force.")
    assert stage.config.read_text() == before.replace("in blue", "in red")
    phone.click("Undo the last save")
    phone.read("Undone, and in force.")
    assert stage.config.read_text() == theirs
    stage.config.write_text(before)


def test_what_a_running_head_cannot_take_is_in_force_after_a_restart(
    stage: Stage, phone: Hands
) -> None:
    before = opened(phone)
    typed(phone, "servos:\n", "motion: {hold_ms: 90}\nservos:\n")
    phone.read("In force after a restart of the head: motion.hold_ms.")
    phone.click("Save")
    phone.read("A running head cannot take over: motion.hold_ms.")
    assert fixed(stage) == ["motion.hold_ms"]
    phone.click("Restart the head")
    phone.read("The head starts again with the new config.")
    until(lambda: ready(stage) and fixed(stage) == [], word="a head with the new config")
    stage.config.write_text(before)
    stage.head.ask("restart")
    until(lambda: ready(stage) and fixed(stage) == [], word="a head with the old config")


def fixed(stage: Stage) -> list[str]:
    """Keys of the file that the head will take over at a restart."""
    return list(stage.head.ask("check", text=stage.config.read_text())["needs_restart"])


def test_a_text_is_tried_and_the_trial_ended(stage: Stage, phone: Hands) -> None:
    before = opened(phone)
    typed(phone, "max_us:   1780", "max_us:   1700")
    difference(phone, "+    max_us:   1700")
    phone.click("Try for a minute")
    phone.read("The head tries a text that is not saved")
    assert stage.head.ask("describe")["describe"]["servos"][0]["max_us"] == 1700
    assert stage.config.read_text() == before
    phone.click("End the trial")
    phone.read("The head moves by its file again.")
    assert stage.head.ask("describe")["describe"]["servos"][0]["max_us"] == 1780
    until(lambda: not phone.page.is_visible("text=The head tries a text"), word="its end")


def test_line_ends_of_windows_stay(stage: Stage, phone: Hands) -> None:
    before = stage.config.read_text()
    stage.config.write_bytes(before.replace("\n", "\r\n").encode())
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == before, word="the text")
    phone.read("No mistakes.")
    assert not phone.page.is_visible("pre.changes")
    typed(phone, "printed in blue", "printed in red")
    difference(phone, "+# My first head, printed in red.")
    assert phone.page.locator("pre.changes .added").count() == 1
    phone.click("Save")
    phone.read("Saved, and in force.")
    assert stage.config.read_bytes().count(b"\r\n") == before.count("\n")
    assert phone.page.evaluate("sessionStorage.getItem('config-text')") is None
    stage.config.write_text(before)


def test_the_editor_keeps_indentation_and_shows_a_line_far_below(
    stage: Stage, phone: Hands
) -> None:
    opened(phone)
    field = phone.page.locator("#config-text")
    field.fill("# " + "\n# ".join(str(k) for k in range(200)) + "\nservos:\n  jaw:")
    field.press("End")
    field.press("Enter")
    field.press_sequentially("  color: 5")
    assert field.input_value().endswith("\n  jaw:\n    color: 5")
    assert phone.page.locator("[data-line]").count() == 203
    field.evaluate("e => { e.scrollTop = 0; e.setSelectionRange(0, 0); }")
    phone.click("Line 203")
    row = phone.page.locator("[data-line='203']").bounding_box()
    box = field.bounding_box()
    assert box["y"] <= row["y"] < row["y"] + row["height"] <= box["y"] + box["height"]
    mark = phone.page.locator(".line-marks [data-severity]").last.bounding_box()
    assert abs(mark["y"] - row["y"]) < 2
    phone.click("Load again")
    phone.click("Drop it")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_page_full_of_findings_is_for_all(stage: Stage, chromium: Any, scheme: str) -> None:
    """Mistakes, what changes, earlier texts, and a question."""
    with Hands(stage, chromium, color_scheme=scheme, reduced_motion="reduce") as phone:
        opened(phone)
        typed(phone, "max_us:   1780", "max_us:   99")
        phone.page.locator("#problems .bad").wait_for()
        difference(phone, "+    max_us:   99")
        assert phone.page.locator(".backups li").count() > 1
        assert phone.page.evaluate(STICKS_OUT) == [0, []]
        assert_axe_is_content(phone.page)
        phone.click("Load again")
        phone.page.get_by_role("dialog").wait_for()
        assert_axe_is_content(phone.page)
        phone.click("Drop it")
        assert phone.faults() == []


# ---- doctor


def test_the_doctor_says_what_is_well_and_what_is_not(stage: Stage, phone: Hands) -> None:
    phone.open("doctor")
    phone.page.wait_for_selector("[data-check='config']")
    phone.read("things are well.")
    names = phone.page.eval_on_selector_all("[data-check]", "all => all.map(e => e.dataset.check)")
    assert {"config", "model", "servo board", "sound"} <= set(names)


def test_the_support_bundle_has_all_but_sound(phone: Hands) -> None:
    phone.open("doctor")
    with phone.page.expect_download() as download:
        phone.click("Download the support bundle")
    with zipfile.ZipFile(download.value.path()) as bundle:
        names = bundle.namelist()
        assert {"config.yaml", "versions.json", "doctor.json", "statuses.jsonl"} <= set(names)
        assert not any(name.endswith((".wav", ".key", ".pem")) for name in names)
        assert all(bundle.read(name) for name in names if name.endswith(".json"))
        assert [json.loads(bundle.read(n)) for n in names if n.endswith(".json")]


def test_pages_of_a_head_that_is_down_say_so(stage: Stage, phone: Hands) -> None:
    before = stage.config.read_text()
    stage.head.end()
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == before, word="the text")
    typed(phone, "printed in blue", "printed in red")
    difference(phone, "+# My first head, printed in red.")
    phone.click("Save")
    phone.read("Saved. The head takes it")
    assert "printed in red" in stage.config.read_text()
    phone.click("Undo the last save")
    phone.read("Undone. The head takes it")
    assert stage.config.read_text() == before
    phone.open("doctor")
    phone.page.wait_for_selector("[data-check='head'].bad")
    phone.open("speak")
    phone.click("Say it")
    phone.page.locator(".card .note.bad").wait_for()
    assert "It says nothing until it does." in phone.page.inner_text(".page > .note.bad")
    phone.page.goto(f"{stage.page.address}/#setup")
    phone.page.wait_for_selector("main .note.bad")
    phone.open("speak")
    stage.head.start()
    until(lambda: ready(stage), word="a head that is back")
    until(lambda: not phone.page.is_visible(".page > .note.bad"), word="a page that knows")


def ready(stage: Stage) -> bool:
    try:
        return bool(stage.head.status().get("ready"))
    except ControlError:
        return False
