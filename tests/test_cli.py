"""The command line as a maker uses it: exit codes, sentences, no tracebacks."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipsync_edge import cli_control
from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.cli_control import _opened
from lipsync_edge.errors import ConfigError, UsageError

COMMANDS = ("run", "render", "calibrate", "check", "devices", "doctor", "detach", "config")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"Example: lipsync-edge {command}" in out


def test_bad_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "fly")[0] == 2
    assert run(capsys, "render")[0] == 2
    assert run(capsys)[0] == 2


def test_check_prints_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check")
    assert code == 0
    assert "model delay" in out
    code, out, _ = run(capsys, "check", "--json", "--lookahead-ms", "0")
    report = json.loads(out)
    assert code == 0
    assert report["trail_ms"] == pytest.approx(sum(report["budget_ms"].values()))


def test_check_of_a_text_that_is_in_no_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(text: str) -> tuple[int, list[dict[str, object]]]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code = main(["check", "robot.yaml", "--text", "--json"])
        return code, json.loads(capsys.readouterr().out)["problems"]

    code, problems = check("head: jaw\nservos:\n  jaw: {min_us: 99}\n")
    assert (code, [(p["line"], p["key"]) for p in problems]) == (2, [(3, "servos.jaw.min_us")])
    assert check("head: jaw\n") == (0, [])
    code, problems = check("board: {pwm_hz: 40}\n")  # allowed, but hardly meant
    assert (code, [p["severity"] for p in problems]) == (0, ["warning"])


def test_a_text_without_end_is_not_read_to_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/zero") as endless:
        monkeypatch.setattr("sys.stdin", endless)
        code, _, err = run(capsys, "check", "--text")
    assert code == 2
    assert "the text: this is more than 256 kB" in err


@pytest.mark.parametrize(
    "words", [("check", "--text"), ("say-file", "-"), ("render", "-"), ("run", "--play", "-")]
)
def test_a_closed_standard_input_is_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    code, _, err = run(capsys, *words)
    assert code in (1, 2)
    assert "standard input is closed." in err


def test_a_config_may_come_through_a_pipe(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As ``lipsync-edge check <(...)`` gives it; its writer may take its time."""
    reader, writer = os.pipe()

    def write() -> None:
        os.write(writer, b"head: jaw-lips\n")
        os.close(writer)

    timer = threading.Timer(0.2, write)
    timer.start()
    code, out, _ = run(capsys, "check", f"/dev/fd/{reader}")
    timer.join()
    os.close(reader)
    assert (code, "Head jaw-lips" in out) == (0, True)
    os.mkfifo(tmp_path / "pipe")
    code, _, err = run(capsys, "check", str(tmp_path / "pipe"))
    assert (code, "nobody writes to this pipe" in err) == (2, True)


class Enough(UsageError):
    """The robot was made."""


def test_a_reload_alone_sets_and_prints_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Any] = []

    def robot(*told: Any) -> None:
        made.extend(told)
        raise Enough("It is made.")

    monkeypatch.setattr("lipsync_edge.app.Robot", robot)
    path = tmp_path / "robot.yaml"
    path.write_text("log: {level: warning}\nboard: {pwm_hz: 40}\n")
    code, _, err = run(capsys, "run", str(path))
    assert (code, logging.getLogger().level) == (2, logging.WARNING)
    assert err.startswith("warning: ")
    path.write_text("log: {level: error}\nboard: {pwm_hz: 40}\n")
    assert made[3](None).log.level == "error"
    assert logging.getLogger().level == logging.WARNING, "it may yet be refused"
    assert capsys.readouterr() == ("", "")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="no regular file"):
        made[3](None)


def test_config_prints_what_loads_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "config", "--head", "jaw", "--lookahead-ms", "120")
    assert code == 0
    (tmp_path / "full.yaml").write_text(out)
    again = run(capsys, "config", str(tmp_path / "full.yaml"))
    assert again[0] == 0
    assert again[1].splitlines()[1:] == out.splitlines()[1:]  # the first line tells the source


def test_a_bad_config_is_2_with_file_and_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text("audio:\n  lookahead_ms: 9999\n  frames_per_bufer: 256\n")
    code, _, err = run(capsys, "check", str(path))
    assert code == 2
    assert f"{path}:2: audio.lookahead_ms" in err
    assert "frames_per_buffer" in err  # did you mean


def test_set_without_a_value_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", "--set", "motion.rate_hz")
    assert code == 2
    assert "KEY=VALUE" in err


def test_devices_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "devices", "--json")
    found = json.loads(out)
    assert code == 0
    assert "mouth" in found["models"]
    assert {"jaw", "jaw-lips", "mouth10", "face26"} <= set(found["heads"])


def test_doctor_names_a_remedy_for_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor", "--json", "--set", "board.driver=simulator")
    findings = json.loads(out)
    assert {"machine", "config", "model", "latency", "servo board"} <= {f["name"] for f in findings}
    assert code == (0 if all(f["ok"] for f in findings) else 1)
    assert all(f["ok"] or f["remedy"] for f in findings)


def test_run_without_hardware_ends_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, "run", "--json", "--set", "audio.driver=dummy", "--set", "board.driver=simulator",
        "--for", "1",
    )  # fmt: skip
    report = json.loads(out)
    assert code == 0, err
    assert report["mover"]["ticks"] > 10
    assert report["sound"]["blocks"] > 10
    assert report["analyzer"]["hops"] > 10
    assert report["board"]["failures"] == 0


def test_render_writes_the_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "hello.csv"
    code, text, _ = run(capsys, "render", str(SAMPLE), "-o", str(out), "--head", "jaw", "--json")
    assert code == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert json.loads(text)["rows"] == len(rows) == 350  # 6.99 s at 50 Hz: 0 to 6.98
    assert float(rows[-1]["time_s"]) == pytest.approx(6.98)
    assert "pose.jawOpen" in rows[0]
    widths = [float(row["width_us.jaw"]) for row in rows]
    assert max(widths) - min(widths) > 100, "the jaw moves"
    for silent in (widths[0], widths[-1]):
        assert silent == pytest.approx(1400, abs=40), "and rests in silence, within 10 %"


def test_render_leaves_nothing_behind_on_an_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "song.wav"
    bad.write_bytes(b"ID3\x04" + bytes(2000))
    code, _, err = run(capsys, "render", str(bad), "-o", str(tmp_path / "out.csv"))
    assert code == 1
    assert "song.wav" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["song.wav"]


def test_render_into_a_missing_folder_is_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "render", str(SAMPLE), "-o", str(tmp_path / "no" / "out.csv"))
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize("rate", ["-5", "0", "3999", "96001", "x"])
def test_an_impossible_raw_rate_is_2(capsys: pytest.CaptureFixture[str], rate: str) -> None:
    code, _, err = run(capsys, "render", "-", "-o", "-", "--raw-rate", rate)
    assert code == 2
    assert rate in err


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "soon"])
def test_an_impossible_duration_is_2(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    for words in (("run",), ("pose", "smile")):
        code, _, err = run(capsys, *words, "--for", seconds)
        assert code == 2
        assert f"argument --for: {seconds} is not a time above 0" in err


def test_a_pose_is_held_for_a_time_that_ends(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "pose", "smile", "--for", "inf")
    assert (code, "inf is no time that ends" in err) == (2, True)


# What is spoken -----------------------------------------------------------------------------------


def test_a_file_is_spoken_as_it_is_and_a_pipe_is_kept_first(tmp_path: Path) -> None:
    whole = SAMPLE.read_bytes()
    with _opened(str(SAMPLE)) as file:
        assert file.name == str(SAMPLE)
        assert os.get_blocking(file.fileno())
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=lambda: pipe.write_bytes(whole))
    writer.start()
    with _opened(str(pipe)) as file:
        writer.join()
        assert stat.S_ISREG(os.fstat(file.fileno()).st_mode), "as the head wants it"
        assert file.read() == whole


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "is a pipe nobody writes to. Start"),
        (os.mkdir, "is a folder."),
        (lambda path: os.symlink("/dev/null", path), "is empty."),
        (lambda path: os.symlink(os.ttyname(os.openpty()[1]), path), "is a keyboard, not sound."),
    ],
)
def test_what_cannot_be_spoken_is_told_without_a_wait(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make: Callable[[Path], object],
    said: str,
) -> None:
    monkeypatch.setattr(cli_control, "WRITER_S", 0.05)
    make(tmp_path / "sound")
    code, _, err = run(capsys, "say-file", str(tmp_path / "sound"))
    assert (code, f"{tmp_path / 'sound'} {said}" in err) == (1, True), err


def test_render_replaces_only_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "render", str(SAMPLE), "-o", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()


def test_render_has_a_pulse_in_every_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import wave

    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * 16_000 * 8))
    code, out, _ = run(capsys, "render", str(tmp_path / "silence.wav"), "--head", "jaw")
    assert code == 0
    assert "nan" not in out
    assert len(out.splitlines()) == 401
