"""The live view: one connection to the head for all viewers, and nobody waits for a slow one.

Each viewer has one place per kind of message. What comes while the last one is still on its way
replaces what lies there, so a slow phone sees fewer pictures, never older ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from tornado.websocket import WebSocketClosedError

from lipsync_edge.errors import ControlError
from lipsync_edge.web.base import Socket
from lipsync_edge.web.engine import Engine
from lipsync_edge.web.refusal import HttpRefused, refusal

log = logging.getLogger(__name__)

MOTION_HZ = 30
REMEMBERED = 60
"""Statuses: a minute, for the support bundle."""
UNSENT = 4096
"""Bytes of a viewer that the kernel may hold back: some five pictures, not seconds of them."""
_START = b'{"v":1,'


class Viewer:
    """The newest message of each kind that one viewer did not get yet."""

    def __init__(self, send: Callable[[str | bytes], Any]) -> None:
        self._send, self._slots, self._any = send, dict[str, str | bytes](), asyncio.Event()
        self.skipped = 0
        """Messages that a newer one replaced."""

    def put(self, kind: str, message: str | bytes) -> None:
        """Send it when the last one is away, unless a newer one of its kind comes first."""
        self.skipped += kind in self._slots
        self._slots[kind] = message
        self._any.set()

    async def pump(self) -> None:
        """Send until the viewer goes."""
        with contextlib.suppress(WebSocketClosedError):
            while True:
                await self._any.wait()
                kind = next(iter(self._slots))
                message = self._slots.pop(kind)
                if not self._slots:
                    self._any.clear()
                await self._send(message)


class Live:
    """What the head does, for everyone who looks. ``run`` it for as long as the process lives."""

    def __init__(self, engine: Engine, most: int, period_s: float = 1.0) -> None:
        """``most``: viewers at once; ``period_s``: between two statuses, and two attempts."""
        self._engine, self._most, self._period_s = engine, most, period_s
        self._viewers: set[Viewer] = set()
        self._watched = asyncio.Event()
        self._hello = self._up = ""
        self.history: deque[tuple[float, dict[str, Any]]] = deque(maxlen=REMEMBERED)
        """(Unix time, status), one a second, oldest first."""

    @property
    def is_up(self) -> bool:
        """Whether the head answers."""
        return self._up == "up"

    @property
    def n_viewers(self) -> int:
        """How many look now."""
        return len(self._viewers)

    async def run(self) -> None:
        """Follow the head, through its restarts."""
        await asyncio.gather(self._follow_status(), self._follow_motion())

    def check_room(self) -> None:
        """Raises HttpRefused where too many look already."""
        if len(self._viewers) >= self._most:
            raise HttpRefused(
                503, "full", f"{self._most} are looking already.",
                "Close the page elsewhere, or allow more with --max-viewers.", 10.0,
            )  # fmt: skip

    def enter(self, viewer: Viewer) -> None:
        """One more looks on; it gets what there is."""
        self._viewers.add(viewer)
        if self._hello:
            viewer.put("hello", self._hello)
        if self._up:
            viewer.put("engine", self._engine_message())
        if self.is_up and self.history:
            viewer.put("status", _status_message(self.history[-1][1]))
        self._watched.set()

    def leave(self, viewer: Viewer) -> None:
        """It looks no more."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self._watched.clear()

    def _tell(self, kind: str, message: str | bytes) -> None:
        for viewer in self._viewers:
            viewer.put(kind, message)

    def _engine_message(self) -> str:
        return json.dumps({"engine": self._up})

    def _turn(self, up: str) -> None:
        if up != self._up:
            self._up = up
            self._tell("engine", self._engine_message())

    async def _follow_status(self) -> None:
        while True:
            try:
                status = (await self._engine.ask("status")).get("status", {})
                if not self.is_up:
                    await self._meet()
                self.history.append((time.time(), status))
                if self._viewers:
                    self._tell("status", _status_message(status))
            except ControlError as error:
                if self.is_up:
                    log.warning("%s", error)
                self._turn("down")
            await _pause(self._period_s)

    async def _meet(self) -> None:
        """The head is there (again), perhaps another one: who is it?"""
        try:
            told = (await self._engine.ask("describe")).get("describe", {})
        except ControlError as error:
            log.info("The head does not describe itself: %s", refusal(error).message)
            told = {}
        self._hello = json.dumps({"hello": _public(told)}, separators=(",", ":"))
        self._tell("hello", self._hello)
        self._turn("up")

    async def _follow_motion(self) -> None:
        while True:
            await self._watched.wait()
            try:
                await self._hand_on(self._engine.watch(hz=MOTION_HZ, detail="motion"))
            except ControlError:
                await _pause(self._period_s)  # `_follow_status` tells of it

    async def _hand_on(self, lines: AsyncIterator[bytes]) -> None:
        async with contextlib.aclosing(lines) as opened:  # type: ignore[type-var]
            async for line in opened:
                # Not read here: thirty times a second that would be the greater part of the work.
                if self.is_up and line.startswith(_START):  # who the head is comes first
                    self._tell("motion", b"{" + line[len(_START) :])
                if not self._viewers:
                    return


def _status_message(status: dict[str, Any]) -> str:
    return json.dumps({"status": _public(status)}, separators=(",", ":"))


def _public(told: dict[str, Any]) -> dict[str, Any]:
    """What a stranger may see of a description or status: nothing that only set-up needs. Pure."""
    shown = {name: value for name, value in told.items() if name != "config"}
    if servos := told.get("servos"):
        hidden = ("hard_us", "keys")
        shown["servos"] = [{k: v for k, v in s.items() if k not in hidden} for s in servos]
    return shown


async def _pause(seconds: float) -> None:
    """Let the loop do something else for so long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)


class LiveSocket(Socket):
    """WS /api/v1/live: hello, then motion, status and changes, until the viewer goes."""

    _viewer: Viewer | None = None
    _pump: asyncio.Task[None] | None = None

    @property
    def public(self) -> bool:  # type: ignore[override]
        """Whether it needs no PIN."""
        return self.parts.options.public_live

    def prepare(self) -> None:
        """Like every request, and there must be room."""
        super().prepare()
        self.parts.live.check_room()

    def open(self, *_: str, **__: str) -> None:
        """A viewer came."""
        stream = getattr(self.ws_connection, "stream", None)
        if stream is not None:
            stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        self.set_nodelay(True)
        self._viewer = Viewer(self._send)
        self._pump = asyncio.create_task(self._viewer.pump())
        self.parts.live.enter(self._viewer)

    async def _send(self, message: str | bytes) -> None:
        if not self.still_admitted:
            self.close(1008, "logged out")
            raise WebSocketClosedError
        await self.write_message(message)

    def on_message(self, message: str | bytes) -> None:
        """Viewers look; they have nothing to say."""
        self.close(1008, "nothing is read here")

    def on_close(self) -> None:
        """It went."""
        if self._viewer:
            self.parts.live.leave(self._viewer)
        if self._pump:
            self._pump.cancel()
