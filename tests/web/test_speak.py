"""Speak in a real browser, with a real head behind it."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import Hands
from stage import Stage

from lipsync_edge.cli import SAMPLE
from lipsync_edge.web import certificate
from lipsync_edge.web.pairing import make_pin
from lipsync_tools.webstage import Page, free_port, until


def speaks(stage: Stage) -> bool:
    return bool(stage.head.status()["spoken_files"])


def hushed(stage: Stage) -> None:
    stage.head.ask("hush")
    until(lambda: not speaks(stage), word="silence")


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
    phone.read("It is quiet.")
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


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac", "m4a"])
def test_what_a_phone_has_is_spoken(stage: Stage, phone: Hands, tmp_path: Path, kind: str) -> None:
    program = shutil.which("ffmpeg")
    if not program:
        pytest.skip("ffmpeg is not installed")
    sound = tmp_path / f"hello.{kind}"
    subprocess.run([program, "-loglevel", "error", "-i", SAMPLE, sound], check=True)
    phone.open("speak")
    phone.page.set_input_files("#file", str(sound))
    phone.read(f"The head speaks hello.{kind}.")
    until(lambda: speaks(stage), word="speech")
    phone.click("Stop")
    phone.read("It is quiet.")
    until(lambda: not speaks(stage), word="silence")


def test_sounds_wait_for_each_other(stage: Stage, phone: Hands) -> None:
    phone.open("speak")
    for words in (f"The head speaks {SAMPLE.name}.", f"{SAMPLE.name} waits: 1 before it."):
        phone.page.set_input_files("#file", str(SAMPLE))
        phone.read(words)
    phone.read("It speaks, and 1 more sound waits.")
    hushed(stage)
    phone.read("It follows what it hears.")


def test_sending_can_be_cancelled(stage: Stage, phone: Hands, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    with wave.open(str(long), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 48_000 * 120))
    phone.open("speak")
    slow = phone.context.new_cdp_session(phone.page)  # such as a Wi-Fi in the cellar
    slow.send("Network.enable")
    far = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    slow.send("Network.emulateNetworkConditions", far)
    phone.page.set_input_files("#file", str(long))
    phone.read("Sending 120.0 s of sound")
    phone.click("Cancel")
    phone.read("Not sent.")
    assert stage.head.status()["spoken_files"] == 0


def test_what_was_typed_is_there_after_a_look_at_the_face(phone: Hands) -> None:
    phone.open("speak")
    phone.page.fill("#text", "Mama, wow!")
    phone.page.get_by_text("Voice, pace, pitch").click()
    phone.page.fill("#rate", "120")
    assert "120 words a minute" in phone.page.inner_text("form")
    phone.page.evaluate("location.hash = 'live'")
    phone.page.wait_for_selector("[data-opening]")
    phone.page.evaluate("location.hash = 'speak'")
    until(lambda: phone.page.input_value("#text") == "Mama, wow!", word="the text")
    assert phone.page.input_value("#rate") == "120"


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


@pytest.fixture
def secure(stage: Stage, tmp_path: Path) -> Iterator[Page]:
    """A page of the same head that has https, too."""
    certificate.make(tmp_path, ["localhost"])
    words = ("--state-dir", str(tmp_path), "--tls-port", str(free_port()))
    with Page(tmp_path, stage.head.socket, *words) as page:
        yield page


@pytest.fixture
def with_microphone(chromium: Any) -> Iterator[Any]:
    """A phone whose microphone beeps. It finds the head by a name, for a browser takes the loopback
    for as secure as https."""
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags.append("--host-resolver-rules=MAP *.local 127.0.0.1")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    browser = chromium.browser_type.launch(executable_path=program, args=flags)
    yield browser.new_page(ignore_https_errors=True)
    browser.close()


def test_the_microphone_speaks_over_https(stage: Stage, secure: Page, with_microphone: Any) -> None:
    hushed(stage)
    window, name = with_microphone, f"{socket.gethostname().partition('.')[0].lower()}.local"
    window.goto(f"http://{name}:{secure.port}/#speak")
    window.get_by_label("PIN").fill(make_pin(secure.folder))
    window.get_by_label("PIN").press("Enter")
    window.get_by_text("Browsers give a microphone to https pages only.").wait_for()
    assert window.get_by_role("button", name="Record").is_disabled()
    window.get_by_role("link", name="Open this page by https").click()
    until(lambda: window.url.startswith("https:"), word="https")
    window.get_by_label("PIN").fill(make_pin(secure.folder))
    window.get_by_label("PIN").press("Enter")
    window.get_by_role("button", name="Record").click()
    window.get_by_text("0:02").wait_for()
    window.get_by_role("button", name="Stop and speak").click()
    window.get_by_text("The head speaks what you said.").wait_for()
    until(lambda: speaks(stage), word="speech")
    window.get_by_role("button", name="Stop", exact=True).click()
    until(lambda: not speaks(stage), word="silence")


def test_a_microphone_is_let_go_with_the_page(stage: Stage, with_microphone: Any) -> None:
    window = with_microphone
    window.add_init_script("""
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      window.streams = [];
      navigator.mediaDevices.getUserMedia = async (what) => {
        const stream = await ask(what);
        window.streams.push(stream);
        return stream;
      };""")
    window.goto(f"{stage.page.address}/#speak")
    window.get_by_label("PIN").fill(stage.pin())
    window.get_by_label("PIN").press("Enter")
    window.get_by_role("button", name="Record").click()
    window.get_by_role("button", name="Stop and speak").wait_for()
    states = "window.streams.flatMap((s) => s.getTracks()).map((t) => t.readyState)"
    assert window.evaluate(states) == ["live"]
    window.get_by_role("link", name="About").click()
    window.get_by_role("heading", name="About").wait_for()
    assert window.evaluate(states) == ["ended"]


def test_without_a_certificate_it_says_how_to_make_one(stage: Stage, with_microphone: Any) -> None:
    window, name = with_microphone, f"{socket.gethostname().partition('.')[0].lower()}.local"
    window.goto(f"http://{name}:{stage.page.port}/#speak")
    window.get_by_label("PIN").fill(stage.pin())
    window.get_by_label("PIN").press("Enter")
    window.get_by_text("On the robot: sudo lipsync-edge-web certificate").wait_for()


def test_mute_and_rest(stage: Stage, phone: Hands) -> None:
    phone.open("speak")
    for word, key in (("Mute", "muted"), ("Rest", "resting")):
        button = phone.page.get_by_role("button", name=word, exact=True)
        button.click()
        until(lambda k=key: stage.head.status()[k], word=key)  # type: ignore[misc]
        until(lambda b=button: b.get_attribute("aria-pressed") == "true", word="a sign")  # type: ignore[misc]
        button.click()
        until(lambda k=key: not stage.head.status()[k], word=f"not {key}")  # type: ignore[misc]
