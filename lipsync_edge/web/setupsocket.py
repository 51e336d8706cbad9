"""WS /api/v1/setup: one person moves one servo by hand, while a button is held.

What comes is handed to the head as it is, whose own limits decide. When the page goes away, for
whatever reason, the servo is released; and the head's leases end by themselves, should this process
go away too.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lipsync_edge.errors import ControlError
from lipsync_edge.web.base import Socket
from lipsync_edge.web.engine import Engine
from lipsync_edge.web.refusal import HttpRefused, as_json, refusal

FIELDS = {
    "jog": ("servo", "to_us", "us_per_s", "hold_s"), "buzz": ("servo",), "release": (),
    "follow": (),
}  # fmt: skip
MOST_WAITING = 16
SILENT_S = 45.0
"""A page that said nothing for so long, as ours does every 20 s, gives way to another."""


class SetUpSocket(Socket):
    """First the CSRF token, then ``{cmd, id?, ...}``; each gets its answer back, with its id."""

    _busy: SetUpSocket | None = None  # of all: a head has one set of servos
    _known = False
    _heard_s = 0.0
    _jobs: set[asyncio.Task[None]]

    def open(self, *_: str, **__: str) -> None:
        """Somebody came; nothing is done yet."""
        self._jobs = set()
        self.set_nodelay(True)

    def on_message(self, message: str | bytes) -> None:
        """The token, or a wish."""
        self._heard_s = asyncio.get_running_loop().time()
        if not self.still_admitted:
            self.close(1008, "logged out")
            return
        try:
            told = json.loads(message)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            self.close(1003, "JSON objects only")
        elif not self._known:
            self._enter(told.get("csrf"))
        elif len(self._jobs) >= MOST_WAITING:
            self._refuse(told, HttpRefused(429, "too-fast", "Too many wishes wait already."))
        else:
            job = asyncio.create_task(self._obey(told))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    def on_close(self) -> None:
        """Whoever held the button does no more."""
        if SetUpSocket._busy is self:
            SetUpSocket._busy = None
            job = asyncio.create_task(_let_go(self.engine))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    def _enter(self, token: Any) -> None:
        if not self.is_csrf(token):
            self.close(1008, "wrong token")
        elif (other := SetUpSocket._busy) and self._heard_s - other._heard_s < SILENT_S:
            self._refuse({}, HttpRefused(
                409, "busy", "Somebody else is setting up this head.", "Close that page first."
            ))  # fmt: skip
            self.close(1013, "busy")
        else:
            if other:
                other.close(1013, "silent for too long")
            SetUpSocket._busy, self._known = self, True
            self.write_message('{"ok":true}')

    async def _obey(self, told: dict[str, Any]) -> None:
        cmd = told.get("cmd")
        fields = FIELDS.get(cmd) if isinstance(cmd, str) else None
        if fields is None:
            self._refuse(told, HttpRefused(400, "unknown", f"cmd is one of {', '.join(FIELDS)}."))
            return
        asked = {name: told[name] for name in fields if name in told}
        try:
            answer = await self.engine.ask(str(cmd), **asked)
        except ControlError as error:
            self._refuse(told, refusal(error))
            return
        answer = {key: value for key, value in answer.items() if key not in ("v", "id")}
        self._answer(told, answer)

    def _refuse(self, told: dict[str, Any], error: HttpRefused) -> None:
        self._answer(told, {"ok": False, **as_json(error)})

    def _answer(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        if self.ws_connection is None or self.ws_connection.is_closing():
            return
        known = {"id": told["id"]} if isinstance(told.get("id"), str | int) else {}
        self.write_message(json.dumps({**known, **answer}, separators=(",", ":")))


async def _let_go(engine: Engine) -> None:
    try:
        await engine.ask("release")
    except ControlError:
        return
