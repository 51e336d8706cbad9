"""/api/v1/config: read, check, preview, save, undo and try the head's config."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge.web import checking
from lipsync_edge.web.backups import Backups, revision
from lipsync_edge.web.base import Api
from lipsync_edge.web.configfile import ConfigFile, Saved, diff, revise
from lipsync_edge.web.parts import Parts
from lipsync_edge.web.refusal import EngineDown, EngineRefused, HttpRefused

LONGEST_TEXT = 48 * 1024
"""The head takes no more in one request; the longest shipped example has a quarter of it."""
DEFAULT = Path("/etc/lipsync-edge/config.yaml")
BUILT_IN = "built-in defaults"
Answer = dict[str, Any]


class ConfigApi(Api):
    """What its handlers share."""

    async def file(self) -> ConfigFile:
        """The config that the head was started with; where it is down, the last one that is known,
        else where the service has it. Raises HttpRefused."""
        try:
            name = str((await self.engine.ask("status"))["status"].get("config", ""))
        except EngineDown:
            name = last_name(self.parts)
        if not name or name == BUILT_IN:
            raise HttpRefused(
                404, "unknown", "This head was started without a config file.",
                "Start it with one: lipsync-edge run robot.yaml",
            )  # fmt: skip
        return ConfigFile(Path(name), Backups(self.parts.folder / "backups"))

    def text(self, asked: Mapping[str, Any], base: str, source: str) -> str:
        """The text that is meant: ``text`` itself, or ``base`` with ``changes``."""
        text = asked.get("text")
        if text is None:
            text = revise(base, _in_place(base, asked.get("changes")), source)
        if not isinstance(text, str) or len(text.encode(errors="replace")) > LONGEST_TEXT:
            raise HttpRefused(413, "too-long", f"A config has at most {LONGEST_TEXT >> 10} KiB.")
        return text

    async def check(self, text: str, file: ConfigFile) -> Answer:
        """See :func:`checking.check`."""
        return await checking.check(self.parts, file.path, text)

    async def accepted(self, text: str, file: ConfigFile) -> Answer:
        """What the checker says where it has nothing against it; HttpRefused, with all problems,
        where it has."""
        answer = await self.check(text, file)
        if errors := checking.errors(answer["problems"]):
            lines = [_sentence(problem) for problem in errors]
            raise HttpRefused(400, "config", "\n".join(lines), "Nothing was changed.")
        return answer

    async def take_over(self, saved: Saved, checked: Answer) -> None:
        """Let the head load its file anew, and answer what became of that."""
        fixed = checked["needs_restart"]
        changed: list[str] = []
        in_force = False
        with contextlib.suppress(EngineDown):
            try:
                changed = list((await self.engine.ask("reload")).get("changed", []))
                in_force = True
            except EngineRefused as error:
                if error.code != "restart":
                    raise
        self.finish_json({
            "revision": saved.revision, "diff": saved.diff, "changed": changed,
            "needs_restart": fixed, "in_force": in_force,
        })  # fmt: skip


class Config(ConfigApi):
    """GET /api/v1/config."""

    async def get(self) -> None:
        """The text, its revision, its backups."""
        file = await self.file()
        text = file.read()
        self.finish_json({
            "path": str(file.path), "text": text, "revision": revision(text),
            "writable": file.writable, "backups": [b.listed() for b in file.backups],
        })  # fmt: skip


class Check(ConfigApi):
    """POST /api/v1/config/check {text}."""

    async def post(self) -> None:
        """Its problems."""
        file, text = await self.file(), self.body().get("text")
        if not isinstance(text, str):
            raise HttpRefused(400, "value", "Send the config's text.")
        checked = await self.check(self.text({"text": text}, "", ""), file)
        self.finish_json({"problems": checked["problems"]})


class Preview(ConfigApi):
    """POST /api/v1/config/preview {changes | text, base?}."""

    async def post(self) -> None:
        """The text that would be saved, the difference, its problems."""
        file, asked = await self.file(), self.body()
        before, base = file.read(), asked.get("base")
        text = self.text(asked, base if isinstance(base, str) else before, file.path.name)
        checked = await self.check(text, file)
        self.finish_json({
            "text": text, "diff": diff(before, text, file.path.name),
            "problems": checked["problems"], "needs_restart": checked["needs_restart"],
        })  # fmt: skip


class Save(ConfigApi):
    """POST /api/v1/config/save {text | changes, revision, note?}."""

    async def post(self) -> None:
        """Save what the checker takes, then let the head take it over."""
        file, asked = await self.file(), self.body()
        text = self.text(asked, file.read(), file.path.name)
        checked = await self.accepted(text, file)
        note = asked.get("note", "")
        words = " ".join(note.split()) if isinstance(note, str) else ""
        saved = file.save(text, str(asked.get("revision", "")), words)
        await self.take_over(saved, checked)


class Undo(ConfigApi):
    """POST /api/v1/config/undo {id?}."""

    async def post(self) -> None:
        """Go back, to the text before the last save or to that of a backup."""
        file, name = await self.file(), self.body().get("id")
        if name is not None and not isinstance(name, str):
            raise HttpRefused(400, "value", "An id is that of a backup.")
        backup = file.to_undo(name)
        checked = await self.accepted(backup.text, file)
        await self.take_over(file.undo(backup), checked)


class Try(ConfigApi):
    """POST /api/v1/config/try {text | changes, hold_s}."""

    async def post(self) -> None:
        """Let the head move by another config for a while; the file stays."""
        file, asked = await self.file(), self.body()
        text = self.text(asked, file.read(), file.path.name)
        hold_s = asked.get("hold_s", 60.0)
        answer = await self.engine.ask("try-config", text=text, hold_s=hold_s)
        self.finish_json({"changed": answer["changed"], "hold_s": answer["hold_s"]})


def last_name(parts: Parts) -> str:
    """The config that a head had which was seen last, else where the service has it."""
    seen = (str(status.get("config", "")) for _, status in reversed(parts.live.history))
    return next((name for name in seen if name), str(DEFAULT))


def _sentence(problem: Mapping[str, Any]) -> str:
    place = [f"line {problem['line']}"] if problem.get("line") else []
    key = [str(problem["key"])] if problem.get("key") else []
    remedy = f"; {problem['remedy']}" if problem.get("remedy") else ""
    return ": ".join([*place, *key, f"{problem['message']}{remedy}"])


def _in_place(text: str, changes: Any) -> Any:
    """Changes where the values stand: a servo that is written out under ``head:`` is changed there,
    any other one is overridden in ``servos:``, which is what the head's ``keys`` say."""
    try:
        data = yaml.safe_load(text)
        inline, above = data["head"]["servos"], data.get("servos") or {}
        return [_moved(change, inline, above) for change in changes]
    except (yaml.YAMLError, TypeError, KeyError, IndexError, AttributeError):
        return changes


def _moved(change: Any, inline: Any, above: Any) -> Any:
    section, name, *_ = change["path"]
    if section == "servos" and name in inline and name not in above:
        return {**change, "path": ["head", *change["path"]]}
    return change
