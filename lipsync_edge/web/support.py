"""GET /api/v1/support: one zip for whoever helps. Never sound, no PIN, no session, no key.

Config, versions, the doctor's findings, the last minute of statuses, and the journals of both
services where this user may read them.
"""

from __future__ import annotations

import io
import json
import platform
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from lipsync_edge import __version__
from lipsync_edge.errors import LipsyncError
from lipsync_edge.web.configpage import ConfigApi, run
from lipsync_edge.web.refusal import HttpRefused

PACKAGES = ("lipsync-edge", "numpy", "ai-edge-litert", "pyaudio", "samplerate", "pyyaml", "tornado",
            "adafruit-circuitpython-servokit", "Adafruit-Blinka", "RPi.GPIO",
            "rpi-lgpio")  # fmt: skip
UNITS = ("lipsync-edge", "lipsync-edge-web")
LINES = 2000
JOURNAL_S, DOCTOR_S = 15.0, 70.0
_PIN = re.compile(r"(?i)(\bpin\b[^0-9\n]{0,20})[0-9][0-9 ]{4,8}[0-9]")


def packed(files: Mapping[str, str]) -> bytes:
    """A zip of texts by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def without_pins(text: str) -> str:
    """A journal in which PINs were told."""
    return _PIN.sub(r"\1(left out)", text)


def versions() -> dict[str, str]:
    """Of all that matters, and of the system."""
    found = {"python": sys.version, "system": platform.platform(), "version": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


class Support(ConfigApi):
    """GET /api/v1/support."""

    cost = 20.0

    async def get(self) -> None:
        """The zip. What cannot be had is a file that says why."""
        files = {"versions.json": _json(versions())}
        files["config.yaml"] = await self._config()
        files["doctor.json"] = await self._asked("doctor", DOCTOR_S)
        files["describe.json"] = await self._asked("describe", 10.0)
        statuses = [{"unix_s": round(at_s, 2), **s} for at_s, s in self.parts.live.history]
        files["statuses.jsonl"] = "".join(json.dumps(status) + "\n" for status in statuses)
        for unit in UNITS:
            files[f"{unit}.log"] = await _journal(unit)
        name = time.strftime("lipsync-edge-%Y%m%d-%H%M%S.zip")
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(packed(files))

    async def _config(self) -> str:
        try:
            return (await self.file()).read()
        except LipsyncError as error:
            return f"# {error}\n"

    async def _asked(self, cmd: str, wait_s: float) -> str:
        try:
            answer: dict[str, Any] = await self.engine.ask(cmd, wait_s=wait_s)
        except LipsyncError as error:
            answer = {"error": str(error)}
        return _json(answer)


async def _journal(unit: str) -> str:
    program = shutil.which("journalctl")
    if not program:
        return "There is no journal here.\n"
    words = ("-u", unit, "-n", str(LINES), "--no-pager", "-o", "short-iso")
    try:
        text = (await run(program, *words, within_s=JOURNAL_S)).decode(errors="replace")
    except HttpRefused as error:
        text = f"{error}\n"
    return without_pins(text)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
