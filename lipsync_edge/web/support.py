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
from collections.abc import Awaitable, Mapping
from importlib import metadata
from typing import Any

from lipsync_edge import __version__
from lipsync_edge.errors import LipsyncError
from lipsync_edge.web import child
from lipsync_edge.web.configpage import ConfigApi
from lipsync_edge.web.head import findings

PACKAGES = ("lipsync-edge", "numpy", "ai-edge-litert", "pyaudio", "samplerate", "pyyaml", "tornado",
            "adafruit-circuitpython-servokit", "Adafruit-Blinka", "RPi.GPIO",
            "rpi-lgpio")  # fmt: skip
UNITS = ("lipsync-edge", "lipsync-edge-web")
LINES = 2000
JOURNAL_S = 15.0
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
        files["doctor.json"] = await _told(self._doctor())
        files["describe.json"] = await _told(self.engine.ask("describe"))
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

    async def _doctor(self) -> dict[str, Any]:
        return {"checks": await findings(self.parts)}


async def _told(answer: Awaitable[dict[str, Any]]) -> str:
    try:
        return _json(await answer)
    except LipsyncError as error:
        return _json({"error": str(error)})


async def _journal(unit: str) -> str:
    program = shutil.which("journalctl")
    if not program:
        return "There is no journal here.\n"
    words = (program, "-u", unit, "-n", str(LINES), "--no-pager", "-o", "short-iso")
    try:
        text = (await child.run(words, wait_s=JOURNAL_S)).out.decode(errors="replace")
    except (OSError, TimeoutError) as error:
        text = f"The journal cannot be read: {error or 'it took too long'}.\n"
    return without_pins(text)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
