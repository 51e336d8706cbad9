"""A web server of ours in this process, beside the control socket of a head, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketClientConnection, websocket_connect

from lipsync_edge.clock import MonotonicClock
from lipsync_edge.control import ControlServer, Request
from lipsync_edge.web import limits, server
from lipsync_edge.web.live import Live
from lipsync_edge.web.options import WebOptions
from lipsync_edge.web.pairing import make_pin

COMMANDS = ("mute", "unmute", "blink", "say-file", "describe")


class Socket:
    """The control socket of a head, which answers each request as ``answer`` does."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.taken: list[Request] = []
        self.status: dict[str, Any] = {"head": "mouth10", "line": "fine"}
        self.describe: dict[str, Any] = {"version": "1", "head": "mouth10"}
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.server = ControlServer(self._path, MonotonicClock(), COMMANDS)
        self.server.open()
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._running:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None
            self.server.close()

    async def _run(self) -> None:
        while True:
            self.server.step(0.0)
            for request in self.server.take():
                self.taken.append(request)
                self.answer(request)
            self.server.publish(functools.partial(dict, self.status))
            await asyncio.sleep(0.001)

    def answer(self, request: Request) -> None:
        if request.name == "unmute":
            request.refuse("off", "The servos rest.", "Wake them.")
        elif request.name == "describe":
            request.reply(describe=self.describe)
        else:
            request.reply(led=False, waiting=1)


class Room:
    """The server, a head's socket, and a browser's view of them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.head = Socket(str(folder / "c.sock"))
        chosen = WebOptions(socket=str(folder / "c.sock"), state_dir=str(folder / "s"), **options)
        self.parts = server.make_parts(chosen)
        self.parts.live = Live(self.parts.engine, chosen.max_viewers, period_s=0.02)
        self.crowd = limits.Crowd()
        self.timeouts = {"headers_s": 15.0, "body_s": 15.0}
        self.csrf, self.cookie = "", ""

    async def open(self) -> None:
        self.head.start()
        self.server = server.Server.make(self.parts, self.crowd, **self.timeouts)
        sockets = bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self.server.add_sockets(sockets)
        self._following = asyncio.create_task(self.parts.live.run())
        self._client = AsyncHTTPClient(force_instance=True)

    async def close(self) -> None:
        self._client.close()
        self._following.cancel()
        self.server.stop()
        await self.server.close_all_connections()
        await self.parts.engine.close()
        await self.head.stop()

    async def fetch(self, path: str, body: Any = None, **more: Any) -> HTTPResponse:
        """GET, or POST where there is a body (a dict is sent as JSON)."""
        headers = {"Host": f"localhost:{self.port}", **more.pop("headers", {})}
        if isinstance(body, dict):
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        if self.cookie:
            headers.setdefault("Cookie", self.cookie)
            headers.setdefault("X-CSRF", self.csrf)
        method = more.pop("method", "GET" if body is None else "POST")
        return await self._client.fetch(
            f"http://127.0.0.1:{self.port}{path}", method=method, body=body, raise_error=False,
            headers=HTTPHeaders(headers), follow_redirects=False, **more,
        )  # fmt: skip

    async def log_in(self) -> None:
        pin = make_pin(self.parts.folder)
        answer = await self.fetch("/api/v1/login", {"pin": pin})
        assert answer.code == 200, answer.body
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        self.csrf = json.loads(answer.body)["csrf"]

    async def look(self, **headers: str) -> WebSocketClientConnection:
        """A live view."""
        from tornado.httpclient import HTTPRequest

        told = HTTPHeaders({"Host": f"localhost:{self.port}", **headers})
        url = f"ws://127.0.0.1:{self.port}/api/v1/live"
        return await websocket_connect(HTTPRequest(url, headers=told))

    async def raw(self, sent: bytes) -> bytes:
        """What is answered to bytes until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


async def until(holds: Callable[[], Any]) -> None:
    """Wait for something that is about to be."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


def in_room(**options: Any) -> Callable[[Callable[[Room], Awaitable[None]]], Callable[[], None]]:
    """Run a test in a room made with ``options``; ``setup`` may change it before it opens."""
    setup = options.pop("setup", lambda room: None)

    def decorate(test: Callable[[Room], Awaitable[None]]) -> Callable[[], None]:
        async def play() -> None:
            with tempfile.TemporaryDirectory() as folder:
                room = Room(Path(folder), **options)
                setup(room)
                await room.open()
                try:
                    await test(room)
                finally:
                    await room.close()

        def run() -> None:  # without arguments: for pytest those would be fixtures
            asyncio.run(play())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


def code(answer: HTTPResponse) -> tuple[int, str]:
    """Status and word of a refusal."""
    return answer.code, json.loads(answer.body)["error"]["code"]
