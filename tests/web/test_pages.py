"""Speak, Config, Doctor and the PIN in a real browser, with a real head behind them."""

from __future__ import annotations

import io
import json
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import Hands
from stage import Stage

from lipsync_edge.cli import SAMPLE
from lipsync_tools.webstage import until


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A head of its own: its config is changed, it is ended and started again."""
    with Stage(tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture
def phone(stage: Stage, chromium: Any) -> Iterator[Hands]:
    """A phone that knows the PIN."""
    with Hands(stage, chromium) as hands:
        yield hands
        assert hands.faults() == []


def speaks(stage: Stage) -> bool:
    return "speaking" in stage.head.status()["line"]


def hushed(stage: Stage) -> None:
    stage.head.ask("hush")
    until(lambda: not speaks(stage), word="silence")


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


# ---- speak


def test_a_text_is_spoken(stage: Stage, phone: Hands) -> None:
    hushed(stage)  # the PIN was spoken, too
    phone.open("speak")
    phone.click("Who would move two blue shoes through a pool?")
    assert phone.page.input_value("#text").startswith("Who would")
    phone.page.get_by_text("Voice, pace, pitch").click()
    phone.page.select_option("#voice", index=1)
    phone.page.fill("#pitch", "80")
    phone.click("Say it")
    phone.read("The head speaks the text.")
    until(lambda: speaks(stage), word="speech")
    phone.click("Hush")
    until(lambda: not speaks(stage), word="silence")


def test_a_sound_of_any_kind_is_spoken(stage: Stage, phone: Hands, tmp_path: Path) -> None:
    phone.open("speak")
    phone.page.set_input_files("#file", str(SAMPLE))
    phone.read(f"The head speaks {SAMPLE.name}.")
    until(lambda: speaks(stage), word="speech")
    hushed(stage)
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"ID3" + bytes(range(256)) * 40)
    phone.page.set_input_files("#file", str(broken))
    phone.read("This browser cannot play broken.mp3.")
    empty = tmp_path / "empty.wav"
    empty.touch()
    phone.page.set_input_files("#file", str(empty))
    phone.read("empty.wav is empty.")
    assert not speaks(stage)


def test_a_sound_is_dropped_onto_the_page(stage: Stage, phone: Hands) -> None:
    phone.open("speak")
    phone.page.evaluate(
        """(bytes) => {
          const all = new DataTransfer();
          all.items.add(new File([new Uint8Array(bytes)], 'dropped.wav', {type: 'audio/wav'}));
          document.querySelector('.drop').dispatchEvent(
            new DragEvent('drop', {dataTransfer: all, bubbles: true, cancelable: true}));
        }""",
        list(SAMPLE.read_bytes()[:96044]),
    )
    phone.read("The head speaks dropped.wav.")
    hushed(stage)


def test_wav_of_the_browser_is_wav(phone: Hands) -> None:
    phone.open("speak")
    told = phone.page.evaluate("""async () => {
      const {wav} = await import('/static/sound.js');
      const blob = wav(new Float32Array([0, 0.5, -0.5, 1, -1, 2, -2]), 48000);
      return [...new Uint8Array(await blob.arrayBuffer())];
    }""")
    with wave.open(io.BytesIO(bytes(told))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48000)
        samples = np.frombuffer(file.readframes(99), "<i2")
    assert samples.tolist() == [0, 16383, -16383, 32767, -32767, 32767, -32767]


def test_the_microphone_of_a_phone_speaks(stage: Stage, chromium: Any) -> None:
    # A page of this very computer is a secure one, as an https page is.
    with Hands(stage, chromium, permissions=["microphone"]) as phone:
        phone.page.add_init_script("""
          navigator.mediaDevices.getUserMedia = async () => {
            const context = new AudioContext();
            const to = context.createMediaStreamDestination();
            const tone = new OscillatorNode(context, {frequency: 200});
            tone.connect(to); tone.start();
            return to.stream;
          };""")
        phone.open("speak")
        phone.click("Record")
        phone.page.get_by_role("button", name="Stop and speak").wait_for()
        phone.page.wait_for_timeout(1200)
        phone.click("Stop and speak")
        phone.read("The head speaks what you said.")
        assert phone.faults() == []
    hushed(stage)


def test_without_https_it_says_why_there_is_no_microphone(stage: Stage, chromium: Any) -> None:
    with Hands(stage, chromium) as phone:
        phone.page.add_init_script(
            "Object.defineProperty(window, 'isSecureContext', {value: false})"
        )
        phone.open("speak")
        phone.read("Browsers give a microphone to https pages only.")
        assert phone.page.get_by_role("button", name="Record").is_disabled()


def test_mute_and_rest(stage: Stage, phone: Hands) -> None:
    phone.open("speak")
    for word, key in (("Mute", "muted"), ("Rest", "resting")):
        button = phone.page.get_by_role("button", name=word, exact=True)
        button.click()
        until(lambda k=key: stage.head.status()[k], word=key)  # type: ignore[misc]
        until(lambda b=button: b.get_attribute("aria-pressed") == "true", word="a sign")  # type: ignore[misc]
        button.click()
        until(lambda k=key: not stage.head.status()[k], word=f"not {key}")  # type: ignore[misc]


def test_detach_is_on_every_page(stage: Stage, phone: Hands) -> None:
    for route in ("live", "speak", "setup", "setup/jaw/rest", "config", "doctor", "about"):
        phone.open(route)
        assert phone.page.locator("#detach").is_visible()
    phone.page.click("#detach")
    until(lambda: all(us != us for us in stage.pulses_us), word="outputs off")  # noqa: PLR0124
    phone.click("Wake")
    until(lambda: not stage.head.status()["resting"], word="a head that is awake")


# ---- config


def typed(phone: Hands, old: str, new: str) -> None:
    text = phone.page.input_value("#config-text")
    assert old in text
    phone.page.fill("#config-text", text.replace(old, new))


def test_the_text_is_checked_saved_and_undone(stage: Stage, phone: Hands) -> None:
    before = stage.config.read_text()
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == before, word="the text")
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
    phone.page.locator("pre.changes .added").first.wait_for()
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
    before = stage.config.read_text()
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == before, word="the text")
    typed(phone, "head: jaw-lips", "head: [jaw-lips")
    phone.page.locator("#problems .bad").wait_for()
    assert "Line" in phone.page.inner_text("#problems .bad")
    assert stage.config.read_text() == before


def test_what_was_typed_is_not_lost(stage: Stage, phone: Hands) -> None:
    before = stage.config.read_text()
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == before, word="the text")
    typed(phone, "printed in blue", "printed in red")
    phone.open("about")
    phone.open("config")
    phone.read("It is not saved.")
    assert "printed in red" in phone.page.input_value("#config-text")
    phone.click("Load again")
    until(lambda: phone.page.input_value("#config-text") == before, word="the file's text")


def test_a_file_that_changed_meanwhile_is_not_overwritten(stage: Stage, phone: Hands) -> None:
    before = stage.config.read_text()
    phone.open("config")
    until(lambda: phone.page.input_value("#config-text") == before, word="the text")
    typed(phone, "printed in blue", "printed in red")
    phone.page.locator("pre.changes .added").first.wait_for()
    stage.config.write_text(before + "# by an editor\n")
    phone.click("Save")
    phone.page.wait_for_selector("#alerts .toast")
    assert stage.config.read_text() == before + "# by an editor\n"
    assert "printed in red" in phone.page.input_value("#config-text")
    stage.config.write_text(before)


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
    phone.page.locator("pre.changes .added").first.wait_for()
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
    phone.page.wait_for_selector("main > .page > .note.bad, #alerts .toast")
    phone.page.goto(f"{stage.page.address}/#setup")
    phone.page.wait_for_selector("main .note.bad")
    stage.head.start()
    until(lambda: ready(stage), word="a head that is back")


def ready(stage: Stage) -> bool:
    from lipsync_edge.errors import ControlError

    try:
        return bool(stage.head.status().get("ready"))
    except ControlError:
        return False
