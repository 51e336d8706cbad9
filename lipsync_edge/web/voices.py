"""Speaks a text through a program that is installed: espeak-ng, or Piper, which sounds better."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from lipsync_edge.web import child
from lipsync_edge.web.refusal import HttpRefused

LONGEST_TEXT = 2000
SPEAK_S, VOICES_S = 60.0, 10.0
PIPER_VOICES = (
    "/usr/share/piper-voices", "/usr/local/share/piper-voices", "/var/lib/lipsync-edge-web/voices",
)  # fmt: skip
"""Folders with ``*.onnx`` and its ``*.onnx.json``, as Piper's own downloads come."""
RATE, PITCH = (80, 450), (0, 99)
"""espeak-ng(1): words a minute, and a pitch of no unit; it speaks 175 and 50 by itself."""


async def engines() -> list[dict[str, Any]]:
    """All that are known, with their voices where they are installed."""
    espeak = shutil.which("espeak-ng")
    voices = await _espeak_voices(espeak) if espeak else []
    piper = _piper_voices()
    return [
        {"name": "espeak-ng", "installed": bool(espeak), "voices": voices},
        {"name": "piper", "installed": bool(shutil.which("piper") and piper), "voices": [
            {"id": name, "name": name, "language": name.partition("-")[0].replace("_", "-")}
            for name in piper
        ]},
    ]  # fmt: skip


async def _espeak_voices(program: str) -> list[dict[str, str]]:
    """It prints a table: priority, language, gender, name, file. None where it does not."""
    try:
        table = (await child.run([program, "--voices"], wait_s=VOICES_S)).out
    except (OSError, TimeoutError):
        return []
    rows = [line.split() for line in table.decode(errors="replace").splitlines()[1:]]
    return [
        {"id": row[1], "name": row[3].replace("_", " "), "language": row[1]}
        for row in rows
        if len(row) >= 5
    ]


def _piper_voices() -> dict[str, Path]:
    found = [path for folder in PIPER_VOICES for path in sorted(Path(folder).glob("**/*.onnx"))]
    return {path.stem: path for path in found}


def command(engine: str, voice: str, rate: Any, pitch: Any, known: Sequence[str]) -> list[str]:
    """The words of a command that reads a text and writes a WAV file to its standard output; the
    voice is one of ``known``. Raises HttpRefused."""
    if engine not in ("espeak-ng", "piper"):
        raise HttpRefused(400, "value", f"There is no speech engine {engine!r:.40}.")
    program = shutil.which(engine)
    if not program:
        raise HttpRefused(
            409, "failed", f"{engine} is not installed.", f"sudo apt install {engine}"
        )
    if voice and voice not in known:
        raise HttpRefused(400, "value", f"{engine} has no voice {voice!r:.40}.")
    if engine == "piper":
        chosen = voice or (known[0] if known else "")
        if not chosen:
            raise HttpRefused(409, "failed", "Piper has no voice.", f"Put one in {PIPER_VOICES[1]}")
        return [program, "--model", str(_piper_voices()[chosen]), "--output_file", "-"]
    words = [program, "--stdout", "--stdin", "-b", "1"]
    words += ["-v", voice] if voice else []
    words += ["-s", str(_within(rate, RATE, "rate"))] if rate is not None else []
    words += ["-p", str(_within(pitch, PITCH, "pitch"))] if pitch is not None else []
    return words


def _within(value: Any, limits: tuple[int, int], name: str) -> int:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not limits[0] <= value <= limits[1]:
        raise HttpRefused(400, "value", f"{name} must be {limits[0]} to {limits[1]}.")
    return round(float(value))


async def speak(words: Sequence[str], text: str, sound: IO[bytes]) -> None:
    """Write the WAV file of a text to ``sound``. Raises HttpRefused."""
    try:
        ended = await child.run(words, text.encode(errors="replace") + b"\n", SPEAK_S, sound)
    except OSError as error:
        raise HttpRefused(409, "failed", f"{words[0]} cannot be run ({error.strerror}).") from error
    except TimeoutError:
        raise HttpRefused(504, "failed", f"{words[0]} took too long.", "Shorten it.") from None
    if ended.code or not os.fstat(sound.fileno()).st_size:
        raise HttpRefused(409, "failed", f"{words[0]} could not speak that.", "Try another voice.")
    sound.seek(0)
