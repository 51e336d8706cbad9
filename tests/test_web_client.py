"""WebClient against the page and a head as they run: what it does, and what it says when not."""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import sys
import threading
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_stage import CONFIG, Stage

from lipsync_edge.client import WebClient
from lipsync_edge.errors import ControlError
from lipsync_edge.web import certificate
from lipsync_edge.web.pairing import make_pin
from lipsync_edge.web.sessions import Sessions
from lipsync_edge.web.upload import MOST
from lipsync_edge.webclient import WebRefused
from lipsync_tools.webstage import Page, free_port, until


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="module")
def head(stage: Stage) -> Iterator[WebClient]:
    with WebClient(stage.page.address, pin=stage.pin()) as client:
        yield client


def tone(seconds: float) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\0\x10\0\xf0" * int(seconds * 8000))
    return made.getvalue()


def code(error: pytest.ExceptionInfo[WebRefused]) -> tuple[int, str]:
    return error.value.status, error.value.code


# ---- the head


def test_it_takes_the_orders_of_the_head_on_the_robot(head: WebClient) -> None:
    assert head.hello()["logged_in"]
    assert head.describe()["head"] == "jaw-lips"
    for order, key, value in (
        (head.mute, "muted", True),
        (lambda: head.mute(False), "muted", False),
        (head.detach, "resting", True),
        (head.wake, "resting", False),
        (head.rest, "resting", True),
        (lambda: head.rest(False), "resting", False),
        (head.neutral, "posing", True),
        (head.follow, "posing", False),
    ):
        order()
        assert head.status()[key] is value
    assert head.pose({"jawOpen": 0.5, "headYaw": 0.1}, hold_s=5) == ["headYaw"]
    assert head.pose("open") == []
    assert "mouthSmileLeft" in head.pose("smile")  # no corners
    head.follow()
    assert head.do("reload") == {"changed": [], "restarts": False}


def test_sounds_by_path_and_as_bytes(head: WebClient, tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(tone(30))
    assert head.say(path) == 1
    assert head.say(str(path)) == 2
    assert head.say(tone(0.2)) == 3
    head.hush()
    until(lambda: head.status()["spoken_files"] <= 1, word="the end of what waits")
    with pytest.raises(WebRefused, match="cut off"):
        head.say(path.read_bytes()[:1000])
    with pytest.raises(ControlError, match=r"none\.wav cannot be read: No such file"):
        head.say(tmp_path / "none.wav")
    with path.open("r+b") as file:
        file.truncate(MOST + 1)
    with pytest.raises(WebRefused, match="At most 64 MB") as error:
        head.say(path)
    assert code(error) == (413, "too-long")


def test_texts(head: WebClient) -> None:
    assert [engine["name"] for engine in head.voices()] == ["espeak-ng", "piper"]
    with pytest.raises(WebRefused) as error:
        head.say_text("hello", rate=1000)
    if shutil.which("espeak-ng"):
        assert code(error) == (400, "value")
        assert head.say_text("hello", voice="de", rate=200, pitch=40) >= 1
        head.hush()
    else:
        assert code(error) == (409, "failed")
        assert "apt install espeak-ng" in error.value.remedy


def test_a_config_from_reading_to_undo(head: WebClient, stage: Stage) -> None:
    read = head.config()
    assert read["text"] == CONFIG
    changes = [{"path": ["servos", "jaw", "max_us"], "value": 1750}]
    shown = head.preview(changes)
    assert head.check(shown["text"]) == shown["problems"] == []
    assert head.check("nose: 1\n")[0]["line"] == 1
    assert head.try_config(changes, hold_s=30)["changed"] == ["head.servos.jaw.max_us"]
    assert head.status()["trial"]
    head.do("reload")
    saved = head.save(changes, read["revision"], note="by a program")
    assert stage.config.read_text() == shown["text"]
    with pytest.raises(WebRefused, match="changed meanwhile") as error:
        head.save(CONFIG, read["revision"])
    assert code(error) == (409, "changed")
    with pytest.raises(WebRefused, match="nobody"):
        head.save("head: nobody\n", saved["revision"])
    (backup,) = head.config()["backups"]
    assert backup["note"] == "by a program"
    assert head.undo(backup["id"])["revision"] == read["revision"]
    assert stage.config.read_text() == CONFIG
    head.save(CONFIG + "# more\n", read["revision"])
    head.undo()
    assert stage.config.read_text() == CONFIG


def test_what_helps(head: WebClient, stage: Stage, tmp_path: Path) -> None:
    assert "servo board" in {finding["name"] for finding in head.doctor()}
    path = head.support(tmp_path / "help.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("config.yaml").decode() == CONFIG
    with pytest.raises(ControlError, match=r"help\.zip cannot be written: File exists"):
        head.support(path)
    with pytest.raises(WebRefused, match="Log in first"):
        WebClient(stage.page.address).support(tmp_path / "no.zip")
    assert not (tmp_path / "no.zip").exists()


# ---- coming and going


def test_a_session_ends_with_the_block_unless_it_is_kept(stage: Stage) -> None:
    with WebClient(stage.page.address) as stranger:
        assert stranger.hello()["needs_pin"]
        with pytest.raises(WebRefused, match="Log in first") as error:
            stranger.status()
        assert code(error) == (401, "login")
        stranger.login(stage.pin())
        token = stranger.keep()
    with WebClient(stage.page.address, session=token) as again:
        again.mute()  # with the token of the session, which it asks for
        again.mute(False)
        assert again.hello()["logged_in"]
    with WebClient(stage.page.address, session=token) as again:
        again.logout()
        with pytest.raises(WebRefused, match="Log in first"):
            again.status()
    with WebClient(stage.page.address, session=token) as again, pytest.raises(WebRefused):
        again.mute()
    with WebClient(stage.page.address, pin=stage.pin()) as once:
        assert once.status()["ready"]
    with WebClient(stage.page.address, session=once._session or "none"), pytest.raises(WebRefused):
        once.status()


def test_a_pin_from_asking_to_login(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Sessions(state).make("a phone")  # else the page tells a PIN at its start
    with Page(tmp_path, tmp_path / "none", "--state-dir", str(state)) as page:
        guest = WebClient(page.address)
        assert guest.show_pin()[0] == "terminal"
        with pytest.raises(WebRefused, match=r"in \d+ s") as error:
            guest.show_pin()
        assert code(error) == (429, "too-fast")
        assert error.value.wait_s >= 1
        with pytest.raises(WebRefused, match="not the PIN") as error:
            guest.login("12")
        assert code(error) == (403, "wrong-pin")
        guest.login(re.search(r"PIN is (\d{3} \d{3})", page.said)[1])
        assert guest.hello()["logged_in"]
        with pytest.raises(WebRefused, match="not running") as error:
            guest.mute()
        assert code(error) == (503, "engine-down")


@pytest.mark.parametrize(
    "address", ["robot.local", "ftp://robot.local", "http://", "http://robot:x", "http://robot/page",
                "http://me:secret@robot.local", "", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ControlError, match=r"no address of a page\. Like this: http://robot.local"):
        WebClient(address)


def test_nobody_there() -> None:
    gone = WebClient(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ControlError, match=r"Connection refused.*lipsync-edge-web"):
        gone.hello()


@pytest.mark.parametrize(
    ("said", "told"),
    [(b"SSH-2.0-x\r\n", "No page answers"), (b"", "No page answers"),
     (b"HTTP/1.1 200 OK\r\n\r\n<html>", "no head's page"),
     (b"HTTP/1.1 200 OK\r\n\r\n[1]", "no head's page"),
     (b"HTTP/1.1 502 Bad\r\n\r\n{}", "no head's page"),
     (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "no head's page"),
     (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "No page answers")],
)  # fmt: skip
def test_somebody_else_there(said: bytes, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            line, _ = other.accept()
            with line:
                line.recv(4096)
                line.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(ControlError, match=told):
            WebClient(f"http://127.0.0.1:{other.getsockname()[1]}").hello()
        answering.join(10)


def test_https_is_never_unverified(tmp_path: Path) -> None:
    state = tmp_path / "state"
    shown = certificate.make(state, ["localhost"])
    other = certificate.make(tmp_path / "other", ["localhost"])
    port = free_port()
    words = ["--state-dir", str(state), "--tls-port", str(port), "--address", "127.0.0.1"]
    with Page(tmp_path, tmp_path / "none", *words):
        address = f"https://127.0.0.1:{port}"
        named = f"https://localhost:{port}"
        with pytest.raises(ControlError, match=r"not trusted.*fingerprint"):
            WebClient(named).hello()
        trusted = {"cafile": state / "https.crt"}
        assert WebClient(named, **trusted).hello()["https"]
        with pytest.raises(ControlError, match="not trusted"):  # made for another name
            WebClient(address, **trusted).hello()
        with pytest.raises(ControlError, match="not trusted"):
            WebClient(named, cafile=tmp_path / "other" / "https.crt").hello()
        with WebClient(address, make_pin(state), fingerprint=shown) as head:
            assert head.hello()["logged_in"]
        for spelled in (shown.lower(), shown.replace(":", "")):
            assert WebClient(address, fingerprint=spelled).hello()["https"]
        pin = make_pin(state)
        with pytest.raises(ControlError, match=f"another certificate: {shown}"):
            WebClient(address, pin, fingerprint=other)
        WebClient(address, pin, fingerprint=shown).logout()  # the PIN was not told to anybody
        with pytest.raises(ControlError, match="not trusted"):
            WebClient(address, **trusted, fingerprint=shown).hello()


def test_trust_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="A certificate is for https"):
        WebClient("http://robot.local", fingerprint="AA" * 32)
    with pytest.raises(ControlError, match="32 pairs"):
        WebClient("https://robot.local", fingerprint="AA:BB")
    with pytest.raises(ControlError, match="cannot be used as a certificate"):
        WebClient("https://robot.local", cafile=tmp_path / "none")
    (tmp_path / "nonsense").write_text("nonsense")
    with pytest.raises(ControlError, match="cannot be used as a certificate"):
        WebClient("https://robot.local", cafile=tmp_path / "nonsense")
    with pytest.raises(ControlError, match="no session"):
        WebClient("http://robot.local", session="a\r\nHost: evil")


def test_it_brings_nothing_along() -> None:
    """For computers that are no robot; and the robot's own client does without HTTP."""
    script = """
import sys, lipsync_edge.client as client
assert "http.client" not in sys.modules and "ssl" not in sys.modules
client.WebClient
known = sys.stdlib_module_names | {"lipsync_edge", "__main__"}
print([name for name in sys.modules if name.split(".")[0] not in known])
"""
    words = [sys.executable, "-S", "-c", script]
    root = Path(__file__).parents[1]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# ---- what the guide says

GUIDE = Path(__file__).parents[1] / "docs/web-api.md"


def run_example(name: str, *words: str) -> str:
    """What an example of the guide prints; it must end well."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(f'"""Usage: {name} ')]
    done = subprocess.run(
        [sys.executable, "-c", block, *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_the_examples_work(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(tone(0.2))
    told = run_example("greet.py", stage.page.address, stage.pin(), str(tmp_path / "hello.wav"))
    assert "to speak\n" in told
    assert "+    max_us: 1780    # not yet measured\n" in told
    assert stage.config.read_text() == CONFIG
    with WebClient(stage.page.address, stage.pin()) as head:
        assert head.config()["backups"][0]["note"].startswith("undo to ")
        assert head.config()["backups"][1]["note"] == "greet.py"
    told = run_example("look.py", stage.page.address.replace("http", "ws"))
    assert len(told.splitlines()) == 10
    assert all(0 <= float(line) <= 1 for line in told.splitlines())
