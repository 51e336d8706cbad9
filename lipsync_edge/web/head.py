"""What the page asks of the head itself: how it is, orders, poses, sounds, texts, its doctor."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from lipsync_edge.web import checking, voices
from lipsync_edge.web.base import Api
from lipsync_edge.web.configpage import last_name
from lipsync_edge.web.parts import Parts
from lipsync_edge.web.refusal import HttpRefused
from lipsync_edge.web.upload import Upload

COMMANDS = ("mute", "unmute", "rest", "wake", "detach", "neutral", "follow", "hush", "reload",
            "restart")  # fmt: skip


class Status(Api):
    """GET /api/v1/status."""

    async def get(self) -> None:
        """The head's status, see docs/control.md."""
        self.finish_json((await self.engine.ask("status"))["status"])


class Describe(Api):
    """GET /api/v1/describe."""

    async def get(self) -> None:
        """The head's description, with what set-up needs."""
        self.finish_json((await self.engine.ask("describe"))["describe"])


class Do(Api):
    """POST /api/v1/do {cmd}."""

    async def post(self) -> None:
        """One of ``COMMANDS``."""
        cmd = self.body().get("cmd")
        if cmd not in COMMANDS:
            raise HttpRefused(400, "unknown", f"cmd is one of {', '.join(COMMANDS)}.")
        self.finish_json(_plain(await self.engine.ask(cmd)))


class Pose(Api):
    """POST /api/v1/pose {name | axes, hold_s?}."""

    async def post(self) -> None:
        """Hold a pose."""
        asked = {k: v for k, v in self.body().items() if k in ("name", "axes", "hold_s")}
        self.finish_json(_plain(await self.engine.ask("pose", **asked)))


class Say(Upload):
    """POST /api/v1/say: the body is a WAV file."""

    async def post(self) -> None:
        """Speak it after what is spoken already."""
        sound = self.sent()
        answer = await self.engine.ask("say-file", fd=sound.fileno())
        self.finish_json({"waiting": answer["waiting"]})


class Voices(Api):
    """GET /api/v1/voices."""

    async def get(self) -> None:
        """The speech engines and their voices."""
        self.finish_json({"engines": await voices.engines()})


class SayText(Api):
    """POST /api/v1/say-text {text, engine?, voice?, rate?, pitch?}."""

    cost = 5.0

    async def post(self) -> None:
        """Speak a text."""
        asked = self.body()
        text = asked.get("text")
        if not isinstance(text, str) or not text.strip() or len(text) > voices.LONGEST_TEXT:
            raise HttpRefused(
                400, "value", f"A text has 1 to {voices.LONGEST_TEXT} characters.", "Shorten it."
            )
        name = str(asked.get("engine") or "espeak-ng")
        known = {e["name"]: [v["id"] for v in e["voices"]] for e in await voices.engines()}
        words = voices.command(
            name, str(asked.get("voice") or ""), asked.get("rate"), asked.get("pitch"),
            known.get(name, []),
        )  # fmt: skip
        if not self.parts.uploads.enter(self.peer):
            raise HttpRefused(503, "busy", "Another sound is being made.", "Wait for it.", 5.0)
        try:
            with tempfile.TemporaryFile(dir=self.parts.folder) as sound:
                await voices.speak(words, text, sound)
                answer = await self.engine.ask("say-file", fd=sound.fileno())
        finally:
            self.parts.uploads.leave(self.peer)
        self.finish_json({"waiting": answer["waiting"]})


class Doctor(Api):
    """GET /api/v1/doctor."""

    cost = 10.0

    async def get(self) -> None:
        """What is well and what is not, with a remedy for each."""
        self.finish_json({"checks": await findings(self.parts)})


async def findings(parts: Parts) -> list[dict[str, Any]]:
    """The doctor's, whether a head answers or not."""
    name = last_name(parts)
    return await checking.examine(parts, Path(name) if os.path.exists(name) else None)


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what belongs to the control socket."""
    return {key: value for key, value in answer.items() if key not in ("v", "id", "ok")}
