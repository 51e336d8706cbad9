"""/api/v1/config: read, check, preview, save, undo and try the head's config."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipsync_edge.errors import ConfigError
from lipsync_edge.web.base import Api
from lipsync_edge.web.configfile import LARGEST, ConfigFile, changed, diff, revision, told, wrong
from lipsync_edge.web.refusal import EngineDown, EngineRefused, HttpRefused

CHECK_S = 20.0
DEFAULT = Path("/etc/lipsync-edge/config.yaml")
BUILT_IN = "built-in defaults"


class ConfigApi(Api):
    """What its handlers share."""

    async def file(self) -> ConfigFile:
        """The config that the head was started with; where it is down, the last one that is known,
        else where the service has it. Raises HttpRefused."""
        try:
            name = str((await self.engine.ask("status"))["status"].get("config", ""))
        except EngineDown:
            seen = [status.get("config", "") for _, status in self.parts.live.history]
            name = next((str(n) for n in reversed(seen) if n), str(DEFAULT))
        if not name or name == BUILT_IN:
            raise HttpRefused(
                404, "unknown", "This head was started without a config file.",
                "Start it with one: lipsync-edge run robot.yaml",
            )  # fmt: skip
        return ConfigFile(Path(name), self.parts.folder / "backups")

    def text(self, asked: Mapping[str, Any], base: str, source: str) -> str:
        """The text that is meant: ``text`` itself, or ``base`` with ``changes``."""
        text, changes = asked.get("text"), asked.get("changes")
        if isinstance(text, str) and changes is None:
            if len(text.encode(errors="replace")) > LARGEST or "\0" in text:
                raise HttpRefused(413, "too-long", f"A config has at most {LARGEST >> 10} KiB.")
            return text
        if text is not None or not isinstance(changes, list) or not 1 <= len(changes) <= 500:
            raise HttpRefused(400, "value", "Send text, or changes: a list of path and value.")
        if not all(isinstance(change, dict) for change in changes):
            raise HttpRefused(400, "value", "A change is an object with path and value.")
        try:
            return changed(base, changes, source)
        except ConfigError as error:
            raise wrong(error) from error

    async def problems(self, text: str, file: ConfigFile) -> list[dict[str, Any]]:
        """What the checker says: the head's own, or where it is down, the same in a process."""
        try:
            answer = await self.engine.ask("check", text=text)
        except EngineDown:
            return await _check_apart(text, file.path)
        return list(answer["problems"])

    async def accepted(self, text: str, file: ConfigFile) -> None:
        """Raises HttpRefused, with all problems, where the checker refuses."""
        errors = [p for p in await self.problems(text, file) if p["severity"] == "error"]
        if errors:
            lines = [_sentence(problem) for problem in errors]
            raise HttpRefused(400, "config", "\n".join(lines), "Nothing was changed.")

    async def take_over(self) -> dict[str, Any]:
        """Let the head load its file anew; which keys changed, and which need a restart."""
        try:
            answer = await self.engine.ask("reload")
        except EngineRefused as error:
            if error.code != "restart":
                raise
            keys = [key.strip() for key in error.message.partition(": ")[0].split(",")]
            return {"changed": [], "needs_restart": keys}
        except EngineDown:
            return {"changed": [], "needs_restart": []}
        return {"changed": answer.get("changed", []), "needs_restart": []}


class Config(ConfigApi):
    """GET /api/v1/config."""

    async def get(self) -> None:
        """The text, its revision, its backups."""
        self.finish_json(told(await self.file()))


class Check(ConfigApi):
    """POST /api/v1/config/check {text}."""

    async def post(self) -> None:
        """Its problems."""
        file, asked = await self.file(), self.body()
        text = self.text({"text": asked.get("text")}, "", "")
        self.finish_json({"problems": await self.problems(text, file)})


class Preview(ConfigApi):
    """POST /api/v1/config/preview {changes | text, base?}."""

    async def post(self) -> None:
        """The text that would be saved, the difference, its problems."""
        file, asked = await self.file(), self.body()
        before, base = file.read(), asked.get("base")
        text = self.text(asked, base if isinstance(base, str) else before, file.path.name)
        self.finish_json({
            "text": text, "diff": diff(before, text, file.path.name),
            "problems": await self.problems(text, file),
        })  # fmt: skip


class Save(ConfigApi):
    """POST /api/v1/config/save {text | changes, revision, note?}."""

    async def post(self) -> None:
        """Save what the checker takes, then let the head take it over."""
        file, asked = await self.file(), self.body()
        text = self.text(asked, file.read(), file.path.name)
        await self.accepted(text, file)
        note = asked.get("note", "")
        difference = file.save(text, str(asked.get("revision", "")), _word(note))
        self.finish_json({"revision": revision(text), "diff": difference, **await self.take_over()})


class Undo(ConfigApi):
    """POST /api/v1/config/undo {id?, revision?}."""

    async def post(self) -> None:
        """Go back, to the text before the last save or to that of a backup."""
        file, asked = await self.file(), self.body()
        name = asked.get("id")
        if name is not None and not isinstance(name, str):
            raise HttpRefused(400, "value", "An id is that of a backup.")
        _, text = file.earlier(name)
        await self.accepted(text, file)
        difference = file.undo(name, str(asked.get("revision", revision(file.read()))))
        self.finish_json({"revision": revision(text), "diff": difference, **await self.take_over()})


class Try(ConfigApi):
    """POST /api/v1/config/try {text | changes, hold_s}."""

    async def post(self) -> None:
        """Let the head move by another config for a while; the file stays."""
        file, asked = await self.file(), self.body()
        text = self.text(asked, file.read(), file.path.name)
        hold_s = asked.get("hold_s", 60.0)
        answer = await self.engine.ask("try-config", text=text, hold_s=hold_s)
        self.finish_json({"changed": answer["changed"], "hold_s": answer["hold_s"]})


async def _check_apart(text: str, path: Path) -> list[dict[str, Any]]:
    """Beside the file where that can be, since it may name others by their places."""
    folder = path.parent if os.access(path.parent, os.W_OK) else None
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".check") as file:
        file.write(text.encode())
        file.flush()
        words = ("-m", "lipsync_edge", "check", file.name, "--json")
        said = await run(sys.executable, *words, within_s=CHECK_S)
        try:
            found = json.loads(said)["problems"]
        except (ValueError, KeyError, TypeError):
            raise HttpRefused(500, "failed", "The checker did not answer.") from None
        return [{**p, "message": str(p["message"]).replace(file.name, str(path))} for p in found]


async def run(program: str, *words: str, within_s: float, text: bytes = b"") -> bytes:
    """What a program prints. Never a shell. Raises HttpRefused where it takes too long."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            program, *words, stdin=pipe, stdout=pipe, stderr=nothing
        )
    except OSError as error:
        raise HttpRefused(500, "failed", f"{program} cannot be run ({error.strerror}).") from error
    try:
        async with asyncio.timeout(within_s):
            return (await process.communicate(text))[0]
    except TimeoutError:
        raise HttpRefused(504, "failed", f"{Path(program).name} took too long.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _sentence(problem: Mapping[str, Any]) -> str:
    place = [f"line {problem['line']}"] if problem.get("line") else []
    key = [str(problem["key"])] if problem.get("key") else []
    remedy = f"; {problem['remedy']}" if problem.get("remedy") else ""
    return ": ".join([*place, *key, f"{problem['message']}{remedy}"])


def _word(note: Any) -> str:
    return " ".join(note.split())[:200] if isinstance(note, str) else ""
