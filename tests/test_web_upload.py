"""Large bodies: streamed to the disk, within limits, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.netutil import bind_sockets
from web_room import Room, code, in_room, until

from lipsync_edge.web import routes, upload
from lipsync_edge.web.server import Server


class Echo(upload.Upload):
    """Says how much came."""

    most = 3 << 20

    def post(self) -> None:
        self.finish_json({"bytes": len(self.sent().read())})


def with_echo(room: Room) -> None:
    known = routes.routes
    routes.routes = lambda: [("/echo", Echo), *known()]  # type: ignore[assignment]
    try:
        server = Server.make(room.parts, room.crowd)
    finally:
        routes.routes = known
    sockets = bind_sockets(0, "127.0.0.1")
    room.port = sockets[0].getsockname()[1]
    server.add_sockets(sockets)


async def send(room: Room, sent: int, told: int) -> tuple[asyncio.StreamReader, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    lines = ["POST /echo HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"Cookie: {room.cookie}", f"X-CSRF: {room.csrf}", f"Content-Length: {told}", "", ""]
    writer.write("\r\n".join(lines).encode() + b"x" * sent)
    return reader, writer


@in_room()
async def test_a_large_body_comes_whole_and_leaves_nothing(room: Room) -> None:
    with_echo(room)
    assert code(await room.fetch("/echo", "x")) == (401, "login")
    await room.log_in()
    before = set(room.parts.folder.iterdir())
    answer = await room.fetch("/echo", "x" * (2 << 20))  # more than other requests may have
    assert answer.body == b'{"bytes":2097152}'
    room.csrf, token = "", room.csrf
    assert code(await room.fetch("/echo", "x")) == (403, "csrf")
    room.csrf = token
    assert code(await room.fetch("/echo", "x" * ((3 << 20) + 1))) == (413, "too-long")
    assert set(room.parts.folder.iterdir()) == before


@in_room()
async def test_two_at_a_time_and_who_goes_away_makes_room(room: Room) -> None:
    with_echo(room)
    await room.log_in()
    crowd = room.parts.uploads
    held = [await send(room, 10, 20) for _ in range(2)]
    await until(lambda: crowd._by_address.total() == 2)
    assert code(await room.fetch("/echo", "x")) == (503, "busy")
    held[0][1].close()
    await until(lambda: crowd._by_address.total() == 1)
    assert (await room.fetch("/echo", "x")).body == b'{"bytes":1}'
    held[1][1].write(b"x" * 10)
    assert b'{"bytes":20}' in await held[1][0].read()
    assert crowd._by_address.total() == 0
    held[1][1].close()
