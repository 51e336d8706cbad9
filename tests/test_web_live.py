"""Asking the head from the web process, and handing its motion on to all who look."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest
from tornado.websocket import WebSocketClientConnection
from web_room import Room, in_room, until

from lipsync_edge.web.live import Viewer
from lipsync_edge.web.refusal import EngineDown, EngineRefused


async def told(viewer: WebSocketClientConnection, kind: str) -> dict:
    """The next message of a kind."""
    async with asyncio.timeout(10):
        while True:
            message = await viewer.read_message()
            assert message is not None, f"closed: {viewer.close_code}"
            if kind in (found := json.loads(message)):
                return found[kind]


# ---- asking


@in_room()
async def test_answers_find_their_questions(room: Room) -> None:
    engine = room.parts.engine
    asked = [engine.ask("mute" if k % 2 else "describe") for k in range(20)]
    answers = await asyncio.gather(*asked)
    assert ["describe" in answer for answer in answers] == [True, False] * 10
    with pytest.raises(EngineRefused, match="Wake them") as refused:
        await engine.ask("unmute")
    assert refused.value.code == "off"
    with pytest.raises(EngineRefused, match="at most 65536 bytes"):
        await engine.ask("mute", text="x" * 65_536)


@in_room()
async def test_a_file_goes_along_open(room: Room) -> None:
    room.head.answer = lambda request: request.reply(
        heard=os.pread(request.take_fd(), 9, 0).decode()
    )
    path = room.folder / "sound"
    path.write_text("hello")
    with path.open("rb") as sound:
        answer = await room.parts.engine.ask("say-file", fd=sound.fileno())
        assert answer["heard"] == "hello"
        assert sound.read() == b"hello"  # still open here


@in_room()
async def test_a_head_that_is_gone_or_dumb_is_told_so(room: Room) -> None:
    engine = room.parts.engine
    await engine.ask("mute")
    room.head.answer = lambda request: None
    waits = asyncio.create_task(engine.ask("mute"))
    with pytest.raises(EngineDown, match="does not answer"):
        await engine.ask("mute", wait_s=0.05)
    await room.head.stop()
    with pytest.raises(EngineDown):
        await waits
    with pytest.raises(EngineDown, match="not running"):
        await engine.ask("mute")
    await until(lambda: not room.parts.live.is_up)
    assert json.loads((await room.fetch("/api/v1/hello")).body)["engine"] == "down"
    room.head.start()
    room.head.answer = lambda request: request.reply()
    assert (await engine.ask("mute"))["ok"]


# ---- looking


@in_room()
async def test_one_question_to_the_head_serves_all_who_look(room: Room) -> None:
    room.head.describe["servos"] = [{"name": "jaw", "min_us": 1000, "hard_us": [500, 2500]}]
    room.head.status["config"] = "/etc/a"
    await until(lambda: room.parts.live.is_up)
    alone = len(room.head.server._peers)
    viewers = [await room.look() for _ in range(5)]
    for viewer in viewers:
        first = json.loads(await viewer.read_message())
        servos = [{"name": "jaw", "min_us": 1000}]  # what only set-up needs is not for all
        assert first == {"hello": {"version": "1", "head": "mouth10", "servos": servos}}
        assert await told(viewer, "engine") == "up"
        assert await told(viewer, "status") == {"head": "mouth10", "line": "fine"}
    assert room.parts.live.n_viewers == 5
    assert len(room.head.server._peers) == alone + 1
    for viewer in viewers:
        viewer.close()
    await until(lambda: room.parts.live.n_viewers == 0)
    await until(lambda: len(room.head.server._peers) == alone)  # nobody looks, nothing is asked


@in_room(max_viewers=2)
async def test_more_than_there_is_room_for_are_turned_away(room: Room) -> None:
    held = [await room.look(), await room.look()]
    with pytest.raises(Exception, match="503"):
        await room.look()
    held[0].close()
    await until(lambda: room.parts.live.n_viewers == 1)
    (await room.look()).close()


@in_room(public_live=False)
async def test_the_face_is_for_who_knows_the_pin_where_so_set(room: Room) -> None:
    with pytest.raises(Exception, match="401"):
        await room.look()
    await room.log_in()
    viewer = await room.look(Cookie=room.cookie)
    await told(viewer, "engine")
    assert (await room.fetch("/api/v1/logout", {})).code == 200
    async with asyncio.timeout(10):
        while await viewer.read_message() is not None:
            pass
    assert viewer.close_code == 1008  # it ended with the session


@in_room()
async def test_viewers_are_told_when_the_head_goes_and_comes(room: Room) -> None:
    viewer = await room.look()
    assert await told(viewer, "engine") == "up"
    await room.head.stop()
    assert await told(viewer, "engine") == "down"
    room.head.describe = {"head": "jaw"}
    room.head.start()
    assert (await told(viewer, "hello"))["head"] == "jaw"
    assert await told(viewer, "engine") == "up"
    assert await told(viewer, "status")


@in_room()
async def test_who_talks_at_the_live_view_is_let_go(room: Room) -> None:
    for message in ("{}", b"\x00" * 20_000):
        viewer = await room.look()
        await viewer.write_message(message, binary=isinstance(message, bytes))
        async with asyncio.timeout(10):
            while await viewer.read_message() is not None:
                pass
        assert viewer.close_code in (1008, 1009)
    await until(lambda: room.parts.live.n_viewers == 0)


def test_a_slow_viewer_skips_to_the_newest() -> None:
    async def play() -> None:
        taken: list[str | bytes] = []
        gate = asyncio.Semaphore(0)

        async def send(message: str | bytes) -> None:
            taken.append(message)
            await gate.acquire()

        viewer = Viewer(send)
        pump = asyncio.create_task(viewer.pump())
        viewer.put("motion", "0")
        await until(lambda: taken == ["0"])
        for k in range(1, 100):
            viewer.put("motion", str(k))
        viewer.put("engine", "down")
        for _ in range(9):
            gate.release()
        await until(lambda: len(taken) == 3)
        assert taken == ["0", "99", "down"]
        assert viewer.skipped == 98
        pump.cancel()

    asyncio.run(play())


@in_room()
async def test_a_phone_that_reads_nothing_costs_the_others_nothing(room: Room) -> None:
    """Its socket is full after a moment; memory and the other viewer do not notice."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", room.port))
    slow.sendall(
        b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    quick = await room.look()
    live = room.parts.live
    await until(lambda: live.n_viewers == 2)
    seen = [json.loads(await quick.read_message()) for _ in range(2)]
    assert [*seen[0], *seen[1]] == ["hello", "engine"]
    for k in range(400):
        live._tell("flood", json.dumps({"flood": k, "rest": "x" * 5000}))
        assert await told(quick, "flood") == k
    slowest = max(live._viewers, key=lambda viewer: viewer.skipped)
    assert slowest.skipped > 300
    assert sum(len(viewer._slots) for viewer in live._viewers) < 8
    slow.close()
