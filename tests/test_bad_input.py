"""Every bad input of a maker's day: a sentence, exit code 1 or 2, no traceback, outputs off."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge import build
from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.servos import registers

RUN = ("run", "--ui", "none", "--for", "1", "--set", "audio.driver=dummy")
SIMULATED = ("--set", "board.driver=simulator")


def wav(rate_hz: int = 16_000, n_channels: int = 1, seconds: float = 0.5) -> bytes:
    """A good file, made by Python's own writer."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(n_channels)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(bytes(2 * n_channels * int(seconds * rate_hz)))
    return file.getvalue()


def float_wav(values: list[float]) -> bytes:
    data = np.tile(np.array(values, "<f4"), 4000).tobytes()
    form = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


SOUNDS: dict[str, tuple[bytes, str]] = {
    "truncated": (wav()[:4000], "cut off"),
    "empty": (b"", "is empty"),
    "zero-length": (wav(seconds=0), "no sound"),
    "0 Hz": (wav()[:24] + bytes(4) + wav()[28:], "0 Hz"),
    "192 kHz": (wav(192_000), "192000 Hz"),
    "8 channels": (wav(n_channels=8), "8 channels"),
    "NaN": (float_wav([0.1, float("nan")]), "no numbers"),
    "Inf": (float_wav([0.1, float("inf")]), "no numbers"),
    "MP3": (b"ID3\x04" + bytes(3000), "MP3"),
}

CONFIGS: dict[str, tuple[str, str]] = {
    "tabs": ("audio:\n\tlookahead_ms: 100\n", "tab"),
    "duplicate keys": ("log:\n  level: info\nlog:\n  level: debug\n", "robot.yaml:1"),
    "channel 16": ("head: jaw\nservos:\n  jaw:\n    channel: 16\n", "0 to 15"),
    "min over max": ("head: jaw\nservos:\n  jaw: {min_us: 1900, max_us: 1200}\n", "max_us"),
    "one channel twice": ("head: jaw-lips\nservos:\n  jaw: {channel: 1}\n", "channel 1"),
    "10 MB": ("# " + "x" * 10_000_000, "256 kB"),
    "unknown key": ("audoi: {}\n", "audio"),
    "no mapping": ("- jaw\n", "mapping"),
    "wrong model": ("model: {bundle: no-such-mouth}\n", "mouth"),
    "wrong faults": ("board: {faults: explode@3}\n", "nack"),
}


def edited_card(change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        card = bundle / "card.yaml"
        text = change(card.read_text())
        assert text != card.read_text()
        card.write_text(text)

    return edit


def flip_a_byte(bundle: Path) -> None:
    content = bytearray((bundle / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "model.tflite").write_bytes(content)


BUNDLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "one byte flipped": (flip_a_byte, "sha256"),
    "another feature spec": (
        edited_card(lambda text: text.replace("high_hz: 7600.0", "high_hz: 7000.0")),
        "card.yaml:",
    ),
    "wrong shapes": (
        edited_card(lambda text: text.replace("mel: {shape: [1, 40]", "mel: {shape: [1, 41]")),
        "card.yaml:",
    ),
    "no card": (lambda bundle: (bundle / "card.yaml").unlink(), "card.yaml"),
    "no model": (lambda bundle: (bundle / "model.tflite").unlink(), "model.tflite"),
}


@pytest.fixture
def try_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a command that must fail; prove that no output was ever on; return its sentence."""
    buses: list[registers.Bus] = []
    make = registers.simulated_bus

    def watched(*args: object, **kwargs: object) -> registers.Bus:
        buses.append(make(*args, **kwargs))  # type: ignore[arg-type]
        return buses[-1]

    monkeypatch.setattr(registers, "simulated_bus", watched)

    def attempt(*arguments: str) -> str:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code in (1, 2), out
        assert "Traceback" not in out + err
        for bus in buses:
            assert not any(_switches_on(t.written) for t in bus.log), "an output was switched on"
            for chip in bus.chips.values():
                assert np.isnan(chip.pulses_us()).all()
        return err

    return attempt


def _switches_on(written: bytes) -> bool:
    """Whether a write sets any LEDn_OFF_H without the full-off bit (register 6 + 4 n + 3)."""
    return len(written) > 1 and any(
        (written[0] + k - 6) % 4 == 3 and 6 <= written[0] + k <= 0x45 and not value & 0x10
        for k, value in enumerate(written[1:])
    )


@pytest.mark.parametrize("name", SOUNDS)
def test_bad_sounds(try_command: Callable[..., str], tmp_path: Path, name: str) -> None:
    content, said = SOUNDS[name]
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    for command in ((*RUN, *SIMULATED, "--play", str(path)), ("render", str(path), "-o", "-")):
        words = try_command(*command)
        assert "song.wav" in words
        assert said in words


@pytest.mark.parametrize("name", CONFIGS)
def test_bad_configs(try_command: Callable[..., str], tmp_path: Path, name: str) -> None:
    text, said = CONFIGS[name]
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    assert said in try_command(*RUN, *SIMULATED, str(path))


@pytest.mark.parametrize("name", BUNDLES)
def test_bad_bundles(try_command: Callable[..., str], tmp_path: Path, name: str) -> None:
    change, said = BUNDLES[name]
    bundle = tmp_path / "mouth"
    shutil.copytree(Path(build.__file__).parent.parent / "models" / "mouth", bundle)
    change(bundle)
    assert said in try_command(*RUN, *SIMULATED, "--model", str(bundle))
    assert said in try_command("check", "--model", str(bundle))


def test_a_missing_device_lists_those_that_are_there(try_command: Callable[..., str]) -> None:
    words = try_command(
        "run", "--ui", "none", *SIMULATED,
        "--set", "audio.driver=portaudio", "--set", "audio.output=No Such Card",
    )  # fmt: skip
    assert "No Such Card" in words or "no sound device that can play" in words


def test_a_missing_board_is_a_sentence(try_command: Callable[..., str]) -> None:
    from lipsync_edge.servos.i2c import bus_present

    if bus_present():
        pytest.skip("there is an I2C bus here")
    assert "I2C" in try_command(*RUN, "--set", "board.driver=pca9685")


def test_a_pipe_that_breaks_off_keeps_its_rows_and_fails(tmp_path: Path) -> None:
    """What was rendered stays; that it is not all is said, and is an exit code."""
    out = tmp_path / "out.csv"
    command = [sys.executable, "-m", "lipsync_edge", "render", "-", "-o", str(out)]
    half = SAMPLE.read_bytes()[: 44 + 32_000]
    done = subprocess.run(command, input=half, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"cut off" in done.stderr
    assert b"Traceback" not in done.stderr
    assert len(out.read_text().splitlines()) == 1 + 50
