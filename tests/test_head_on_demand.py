"""A whole head in a process of its own, asked over its socket."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.client import Client
from lipsync_edge.clock import MonotonicClock
from lipsync_edge.errors import ControlError

CLOCK = MonotonicClock()


class Head:
    """A running head; ``config``: its file."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "head.yaml"
        self.socket = str(folder / "head.sock")
        self.write()
        command = [sys.executable, "-m", "lipsync_edge", "run", str(self.config), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.client = self._connect()
        self.wait(lambda status: status.get("ready"))

    def write(self, more: str = "") -> None:
        text = f"head: jaw\naudio: {{driver: dummy}}\nboard: {{driver: simulator}}\n{more}\n"
        self.config.write_text(text + f"service: {{socket: {self.socket}}}\n")

    def _connect(self) -> Client:
        for _ in range(200):
            try:
                return Client(self.socket)
            except ControlError:
                CLOCK.sleep_until(CLOCK.now() + 0.05)
        raise AssertionError("the head never listened")

    def wait(self, wanted: object) -> dict:
        for status in self.client.watch(hz=20):
            if wanted(status):  # type: ignore[operator]
                return status
        raise AssertionError("the head went away")

    def end(self) -> dict:
        self.client.stop()
        out, _ = self.process.communicate(timeout=20)
        return json.loads(out)


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    made = Head(tmp_path)
    yield made
    made.client.close()
    made.process.kill()
    made.process.wait()


def test_it_speaks_a_file_holds_a_pose_and_takes_a_config_over(head: Head) -> None:
    with SAMPLE.open("rb") as sound:
        assert head.client.say(sound)["waiting"] == 1
    head.wait(lambda s: s["pose"]["jawOpen"] > 0.3)
    head.client.mute()
    assert head.wait(lambda s: s["muted"])["spoken_files"] == 1
    head.client.hush()
    head.wait(lambda s: s["spoken_files"] == 0)

    head.client.pose({"jawOpen": 1.0})
    wide = head.wait(lambda s: s["pose"]["jawOpen"] == 1.0 and s["widths_us"]["jaw"])
    head.wait(lambda s: s["widths_us"]["jaw"] == pytest.approx(1700, abs=110))
    before = wide["hops"]
    head.write("servos: {jaw: {range: 0.5}}\nmotion: {idle_s: 9}")
    assert head.client.reload()["changed"] == ["motion.idle_s", "head.servos.jaw.range"]
    with pytest.raises(ControlError, match="no axis"):
        head.client.pose({"nose": 1.0})
    halved = head.wait(lambda s: s["widths_us"]["jaw"] < 1600)
    assert halved["hops"] > before, "the sound went on"
    assert head.client.reload()["changed"] == []

    head.write("motion: {idle_s: never}")
    with pytest.raises(ControlError, match="idle_s"):
        head.client.reload()
    head.write("audio: {lookahead_ms: 100}")  # given twice
    with pytest.raises(ControlError, match="twice"):
        head.client.reload()
    head.config.write_text(head.config.read_text().replace("audio: {driver: dummy}\n", ""))
    with pytest.raises(ControlError, match="restart"):
        head.client.reload()
    head.client.follow()

    summary = head.end()
    assert head.process.returncode == 0
    assert summary["reason"] == "asked over the control socket"
    assert summary["board"]["silenced"]
    assert summary["analyzer"]["gaps"] == 0, "the sound went on"
    assert not os.path.exists(head.socket)


class Terminal:
    """The command line, and what it printed."""

    def __init__(self, head: Head, capsys: pytest.CaptureFixture[str]) -> None:
        self._head, self._capsys = head, capsys

    def run(self, *words: str) -> tuple[int, str]:
        code = main([*words, "--socket", self._head.socket])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out + err

    def json(self, *words: str) -> dict:
        code, out = self.run(*words, "--json")
        assert code == 0, out
        return dict(json.loads(out))


def test_the_command_line(
    head: Head, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal = Terminal(head, capsys)
    assert "head jaw, model mouth" in terminal.run("status")[1]
    assert terminal.json("status")["warmth"].keys() == {"jaw"}
    assert terminal.json("mute")["muted"] is True
    assert "muted" in terminal.run("status")[1]
    assert terminal.run("unmute") == (0, "unmute: done\n")
    assert terminal.json("pose", "jawOpen=0.5", "mouthPucker=1")["unmoved"] == ["mouthPucker"]
    assert "holding a pose" in terminal.json("status")["line"]
    assert terminal.run("pose", "smille")[0] == 1
    assert "did you mean" in terminal.run("pose", "smille")[1].lower()
    for wrong in ("jawOpen=nan", "jawOpen=", "jawOpen=x"):
        code, said = terminal.run("pose", wrong)
        assert (code, "AXIS=VALUE" in said) == (2, True)
    assert terminal.run("neutral")[0] == 0
    assert terminal.run("follow")[0] == 0
    assert terminal.run("say-file", str(SAMPLE)) == (0, "say-file: speaks\n")
    with SAMPLE.open("rb") as piped:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(piped))
        assert terminal.json("say-file", "-")["waiting"] == 2
    assert terminal.run("hush")[0] == 0
    code, said = terminal.run("say-file", str(tmp_path / "none.wav"))
    assert (code, "does not exist" in said) == (1, True)
    (tmp_path / "song.wav").write_bytes(b"ID3" + bytes(3000))
    code, said = terminal.run("say-file", str(tmp_path / "song.wav"))
    assert (code, "MP3" in said) == (1, True)
    assert terminal.json("reload")["changed"] == []
    head.config.write_text("head: jaw\naudio: {rate_hz: 1}\n")
    code, said = terminal.run("reload")
    assert (code, f"{head.config}:2" in said, "old config" in said) == (1, True, True)
    head.write()
    assert main(["status", "--config", str(head.config)]) == 0
    for what in (("lag", "--set", "audio.input=mic"), ("oscillator", "--channel", "15")):
        assert main(["calibrate", *what, str(head.config)]) == 2
        assert "sudo systemctl stop lipsync-edge" in capsys.readouterr().err
    capsys.readouterr()
    assert terminal.run("stop")[0] == 0
    head.process.communicate(timeout=20)
    code, said = terminal.run("status")
    assert (code, "sudo systemctl start lipsync-edge" in said) == (1, True)


def test_what_is_no_sound_is_told(head: Head, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("hello")
    with text.open("rb") as file, pytest.raises(ControlError, match="WAV"):
        head.client.say(file)
    with open("/dev/zero", "rb") as endless, pytest.raises(ControlError, match="regular file"):
        head.client.say(endless)
    with pytest.raises(ControlError, match="No open file"):
        head.client.ask("say-file")
    assert head.client.status()["ready"]


def test_detach_from_a_terminal_tells_the_head_that_runs(
    head: Head, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would switch the outputs on again a moment later."""
    assert main(["detach", str(head.config)]) == 0
    assert "switched its outputs off, until `lipsync-edge wake`" in capsys.readouterr().out
    head.wait(lambda status: status["resting"] and set(status["widths_us"].values()) == {None})
    head.client.rest(False)
    head.wait(lambda status: not status["resting"])
