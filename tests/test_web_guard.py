"""What is refused before anything is done for it: wrong names, pages, peers, sizes, paths."""

from __future__ import annotations

import asyncio
import ipaddress
import json

import pytest
from web_room import Room, code, in_room, until

from lipsync_edge.web import limits, routes
from lipsync_edge.web.hosts import Hosts, Interface, interfaces
from lipsync_edge.web.limits import Crowd, Pace
from lipsync_edge.web.refusal import HttpRefused

HELLO = "/api/v1/hello"


def wlan() -> list[Interface]:
    told = (("192.168.7.4", "192.168.7.0/24"), ("2001:db8::4", "2001:db8::/64"),
            ("10.9.0.2", "10.9.0.1/32"))  # fmt: skip
    return [Interface(ipaddress.ip_address(a), ipaddress.ip_network(n)) for a, n in told]


def test_our_own_addresses_are_those_of_the_kernel() -> None:
    found = {str(interface.address): interface for interface in interfaces()}
    assert str(found["127.0.0.1"].network) == "127.0.0.0/8"


@pytest.mark.parametrize(
    ("peer", "near"),
    [("127.0.0.1", True), ("::1", True), ("192.168.7.99", True), ("192.168.8.1", False),
     ("fe80::1%wlan0", True), ("169.254.3.4", True), ("2001:db8::99", True),
     ("2001:db9::1", False), ("10.9.0.1", True), ("10.9.0.3", False), ("8.8.8.8", False),
     ("", False), ("nonsense", False)],
)  # fmt: skip
def test_near_is_what_no_router_lies_before(peer: str, near: bool) -> None:
    assert Hosts(read=wlan).is_near(peer) is near
    Hosts(read=wlan, anywhere=True).check_peer(peer)
    if not near:
        with pytest.raises(HttpRefused, match="local network alone"):
            Hosts(read=wlan).check_peer(peer)


@pytest.mark.parametrize(
    ("host", "ours"),
    [("localhost", True), ("LOCALHOST:8080", True), ("192.168.7.4:80", True), ("robi:8080", True),
     ("[2001:db8::4]:8080", True), ("[::1]", True), ("127.0.0.2", True), ("192.168.7.5", False),
     ("evil.example", False), ("localhost.evil.example", False), ("localhost@evil.example", False),
     ("", False), ("localhost:8080:1", False), ("localhost, evil.example", False),
     ("localhost\x00", False), ("[::1", False), ("0.0.0.0", False), ("2130706433", False)],
)  # fmt: skip
def test_names_that_are_ours(host: str, ours: bool) -> None:
    assert Hosts(("robi",), read=wlan).is_ours(host) is ours


def test_an_address_of_a_minute_ago_is_not_ours_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now, known = [0.0], wlan()
    monkeypatch.setattr("lipsync_edge.web.hosts.time.monotonic", lambda: now[0])
    hosts = Hosts(read=lambda: known)
    assert hosts.is_ours("192.168.7.4")
    known = known[1:]
    now[0] = 6.0
    assert not hosts.is_ours("192.168.7.4")


@in_room()
async def test_another_name_is_refused_by_everything(room: Room) -> None:
    for path in (HELLO, "/", "/static/app.js", "/nothing"):
        answer = await room.fetch(path, headers={"Host": "evil.example"})
        assert code(answer) == (403, "host")
        assert "evil" not in str(answer.headers)
    twice = b"GET /api/v1/hello HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    none = b"GET /api/v1/hello HTTP/1.0\r\n\r\n"
    for sent in (twice, none):
        assert (await room.raw(sent)).split()[1] in (b"400", b"403")


@in_room()
async def test_other_pages_may_change_nothing_and_open_no_socket(room: Room) -> None:
    await room.log_in()
    own = f"http://localhost:{room.port}"
    for origin in ("http://evil.example", "null", own + "1", own.replace("http", "https")):
        answer = await room.fetch("/api/v1/logout", {}, headers={"Origin": origin})
        assert code(answer) == (403, "origin")
        with pytest.raises(Exception, match="403"):
            await room.look(Origin=origin)
    answer = await room.fetch("/api/v1/logout", {}, headers={"Sec-Fetch-Site": "cross-site"})
    assert code(answer) == (403, "origin")
    (await room.look(Origin=own)).close()
    assert (await room.fetch("/api/v1/logout", {}, headers={"Origin": own})).code == 200


@in_room()
async def test_every_answer_says_what_a_browser_must_not_do(room: Room) -> None:
    for path in (HELLO, "/", "/nothing", "/static/../server.py"):
        headers = (await room.fetch(path)).headers
        rules = dict(
            rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";")
        )
        assert rules["default-src"] == "'self'"
        assert rules["frame-ancestors"] == rules["object-src"] == "'none'"
        assert "unsafe" not in str(rules)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "microphone=(self)" in headers["Permissions-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers


@in_room()
async def test_what_lies_outside_of_the_folder_is_not_there(room: Room) -> None:
    for path in ("/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py",
                 "/static/....//server.py", "/static//etc/passwd", "/static/%00", "/../server.py",
                 "/static/..\\server.py", "/static/", "/static/."):  # fmt: skip
        sent = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = await room.raw(sent.encode())
        assert answer.split()[1] in (b"400", b"403", b"404"), path
        assert b"import" not in answer
        assert b"root:" not in answer


@in_room()
async def test_methods_and_words_that_are_none(room: Room) -> None:
    assert code(await room.fetch(HELLO, method="DELETE")) == (405, "method")
    assert code(await room.fetch("/api/v1/login", method="GET")) == (405, "method")
    assert code(await room.fetch("/api/v2/hello")) == (404, "unknown")
    for body in ("{", "[]", "[" * 10_000, '{"pin": NaN', "\xff"):
        answer = await room.fetch(
            "/api/v1/login", body, headers={"Content-Type": "application/json"}
        )
        assert code(answer) == (400, "syntax")
    form = await room.fetch("/api/v1/login", "pin=123456")
    assert code(form) == (415, "syntax")


@in_room()
async def test_strangers_may_not_send_much(room: Room) -> None:
    def post(size: int, cookie: str = "") -> bytes:
        told = f"POST /api/v1/logout HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}"
        return f"{told}Content-Length: {size}\r\n\r\n".encode()

    refused = await room.raw(post(17_000))
    assert refused.startswith(b"HTTP/1.1 400")  # at once: no body was sent
    chunked = post(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    assert (await room.raw(chunked + b"8000\r\n" + b"x" * 0x8000)).startswith(b"HTTP/1.1 400")
    await room.log_in()
    cookie = f"Cookie: {room.cookie}\r\n"
    assert (await room.raw(post(17_000, cookie) + b"x" * 17_000)).startswith(b"HTTP/1.1 403")
    assert (await room.raw(post((1 << 20) + 1, cookie))).startswith(b"HTTP/1.1 400")
    long = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000
    assert b"200" not in await room.raw(long)


def hasty(room: Room) -> None:
    room.timeouts = {"headers_s": 0.05, "body_s": 0.05}


@in_room(setup=hasty)
async def test_who_sends_too_slowly_is_let_go(room: Room) -> None:
    assert await room.raw(b"GET / HTTP/1.1\r\nHost: loc") == b""
    assert await room.raw(b"") == b""
    body = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
    assert await room.raw(body) == b""
    await until(lambda: room.crowd._by_address.total() == 0)


@in_room()
async def test_no_more_connections_than_there_is_room_for(room: Room) -> None:
    room.server.crowd = Crowd(3, 2)
    async with asyncio.timeout(5):
        held = [await asyncio.open_connection("127.0.0.1", room.port) for _ in range(3)]
        assert await held[2][0].read() == b""  # one address may have two
        request = b"GET /api/v1/hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
        held[0][1].write(request)
        assert (await held[0][0].readline()).startswith(b"HTTP/1.1 200")
        held[1][1].close()
        await until(lambda: room.server.crowd._by_address.total() == 1)
        answer = await room.raw(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answer.startswith(b"HTTP/1.1 200")
        held[0][1].close()


@in_room()
async def test_who_asks_too_often_waits(room: Room) -> None:
    room.parts.pace = Pace(per_s=0.5, at_once=3)
    answers = [await room.fetch(HELLO) for _ in range(4)]
    assert [answer.code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"] == "2"


def test_buckets_fill_again_and_are_not_kept_for_ever() -> None:
    pace = Pace(per_s=2.0, at_once=2.0)
    assert [pace.ask("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert pace.ask("b", 0.0) == 0.0
    assert pace.ask("a", 0.5) == 0.0
    for k in range(limits.MOST_ADDRESSES + 9):
        pace.ask(str(k), 1.0)
    assert len(pace._buckets) == limits.MOST_ADDRESSES


@in_room()
async def test_nobody_learns_where_the_program_broke(room: Room) -> None:
    room.parts.sessions = None  # a mistake of ours
    answer = await room.fetch(HELLO)
    assert code(answer) == (500, "internal")
    assert "Traceback" not in answer.body.decode()
    assert json.loads(answer.body)["error"]["remedy"]


@in_room()
async def test_a_file_that_changed_is_sent_anew(
    room: Room,
) -> None:
    path = room.folder / "page.js"
    path.write_text("one")
    room.server.request_callback.add_handlers(
        ".*", [(r"/test/(.+)", routes.File, {"path": str(room.folder)})]
    )
    first = await room.fetch("/test/page.js")
    assert (first.code, first.body, first.headers["Cache-Control"]) == (200, b"one", "no-cache")
    known = {"If-None-Match": first.headers["Etag"]}
    assert (await room.fetch("/test/page.js", headers=known)).code == 304
    path.write_text("three")
    assert (await room.fetch("/test/page.js", headers=known)).body == b"three"
    assert code(await room.fetch("/test/none.js")) == (404, "unknown")
    assert code(await room.fetch("/test/c.sock")) == (403, "request")
