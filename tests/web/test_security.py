"""Requests that nobody should make. All are refused, and the head notices none of them."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Asker, Stage

from lipsync_edge.web.routes import routes as answered
from lipsync_tools.webstage import until

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(b"k" * 16).decode()
)


@pytest.fixture(scope="module")
def quiet(stage: Stage) -> Iterator[Stage]:
    """The head rests with its outputs off, so any order would be seen as a pulse. Afterwards its
    config, its pulses and its life are as they were."""
    asleep = "all outputs off at rest"
    stage.head.ask("rest")
    until(lambda: all(map(math.isnan, stage.pulses_us)), word=asleep)
    before, since_s = stage.config.read_bytes(), stage.now()
    hops = stage.head.status()["hops"]
    yield stage
    status = stage.head.status()
    assert stage.config.read_bytes() == before
    assert sorted(path.name for path in stage.config.parent.iterdir() if ".yaml" in path.name) == [
        stage.config.name
    ]
    assert not stage.moved_since(since_s)
    assert (status["ready"], status["resting"], status["muted"]) == (True, True, False)
    assert status["hops"] >= hops


@pytest.fixture(scope="module")
def friend(quiet: Stage) -> Asker:
    """Somebody who knows the PIN."""
    return quiet.asker()


def status_of(answer: bytes) -> int:
    """Of a raw answer; 0: none, the connection was closed."""
    match = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(match[1]) if match else 0


def raw(stage: Stage, request: bytes | str, wait_s: float = 10.0) -> bytes:
    """All that comes back for these bytes until the page closes or says no more."""
    data = request.encode() if isinstance(request, str) else request
    received = b""
    with stage.connect(wait_s) as connection:
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
                if b"\r\n\r\n" in received:
                    connection.settimeout(0.3)
        except (TimeoutError, ConnectionError):
            pass
    return received


# ---- without PIN


def test_the_list_of_routes_is_whole(routes: list[tuple[str, str, bool]]) -> None:
    """What is answered is described, and what is described is answered."""
    patterns = [row[0] for row in answered() if row[0].startswith("/api/")]
    paths = {path for _, path, _ in routes}
    for pattern in patterns:
        assert any(re.fullmatch(pattern, path) for path in paths), pattern
    for path in paths:
        assert any(re.fullmatch(pattern, path) for pattern in patterns), path


def test_nothing_but_the_live_view_is_open(
    quiet: Stage, routes: list[tuple[str, str, bool]]
) -> None:
    stranger, refused = quiet.asker(knows_pin=False), []
    for method, path, public in routes:
        if public or path.endswith(("/live", "/setup")):
            continue
        answer = stranger.ask(method, path, None if method == "GET" else {})
        assert answer.status == 401, (method, path, answer)
        assert answer.json["error"]["code"] == "login"
        refused.append(path)
    assert len(refused) >= 12


def test_a_session_that_never_was(quiet: Stage, routes: list[tuple[str, str, bool]]) -> None:
    forger = quiet.asker(knows_pin=False)
    forger.cookie, forger.csrf = "lipsync_session=" + "A" * 43, "0" * 32
    for method, path, public in routes:
        if not public and not path.endswith(("/live", "/setup")):
            assert forger.ask(method, path, None if method == "GET" else {}).status == 401


def test_setting_up_by_websocket_needs_a_session(quiet: Stage) -> None:
    host = f"127.0.0.1:{quiet.page.port}"
    asked = UPGRADE.format(path="/api/v1/setup", host=host) + "\r\n\r\n"
    assert status_of(raw(quiet, asked)) == 401


def test_the_token_that_only_our_page_knows(
    quiet: Stage, friend: Asker, routes: list[tuple[str, str, bool]]
) -> None:
    for method, path, public in routes:
        if method == "GET" or public:
            continue
        for token in ("", "0" * 32, friend.csrf[:-1], friend.csrf + "0", "é"):
            headers = {"X-CSRF": token.encode("utf-8").decode("latin-1")}
            answer = friend.ask(method, path, {}, headers)
            assert answer.status == 403, (method, path, token, answer)


def test_a_wrong_pin_opens_nothing_and_is_slowed_down(quiet: Stage) -> None:
    guesser = quiet.asker(knows_pin=False)
    pin = quiet.pin()
    wrong = f"{(int(pin) + 1) % 1_000_000:06d}"
    told = [guesser.login(wrong).status for _ in range(6)]
    assert set(told) == {403, 429}
    assert told[0] == 403
    assert told[-1] == 429
    assert guesser.login(pin).status == 429  # the right one too: it may be a guess
    assert guesser.ask("GET", "/api/v1/config").status == 401


# ---- from other pages, by other names


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "8.8.8.8", "[::2]",
     "localhost@evil.example", "localhost:80:80", "LOCALHOST.example:80", "\xe9vil"],
)  # fmt: skip
def test_names_that_are_not_ours(quiet: Stage, friend: Asker, host: str) -> None:
    for path in ("/", "/api/v1/hello", "/api/v1/config", "/static/app.js"):
        answer = friend.ask("GET", path, headers={"Host": host})
        assert answer.status in (400, 403), (host, path, answer)
    upgrade = UPGRADE.format(path="/api/v1/live", host=host) + "\r\n\r\n"
    assert status_of(raw(quiet, upgrade.encode("latin-1"))) in (400, 403)


def test_a_request_without_or_with_two_names(quiet: Stage) -> None:
    ours = f"Host: 127.0.0.1:{quiet.page.port}\r\n"
    for head in ("", ours + "Host: evil.example\r\n", ours + ours):
        answer = raw(quiet, f"GET /api/v1/hello HTTP/1.1\r\n{head}Connection: close\r\n\r\n")
        assert status_of(answer) in (0, 400, 403)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}", "x"]
)
def test_other_pages_get_nothing_done(quiet: Stage, friend: Asker, origin: str) -> None:
    told = origin.format(port=quiet.page.port)
    for path in ("/api/v1/do", "/api/v1/login", "/api/v1/pin/show", "/api/v1/config/save"):
        answer = friend.ask("POST", path, {"cmd": "wake", "pin": "0"}, {"Origin": told})
        assert answer.status == 403, (told, path, answer)
    for path in ("/api/v1/live", "/api/v1/setup"):
        upgrade = UPGRADE.format(path=path, host=f"127.0.0.1:{quiet.page.port}")
        cookie = f"\r\nOrigin: {told}\r\nCookie: {friend.cookie}\r\n\r\n"
        assert status_of(raw(quiet, upgrade + cookie)) == 403
    site = friend.ask("POST", "/api/v1/do", {"cmd": "wake"}, {"Sec-Fetch-Site": "cross-site"})
    assert site.status == 403
    for path in ("/", "/api/v1/hello"):  # no page may read ours either
        answer = friend.ask("GET", path, headers={"Origin": told})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_form_of_another_page(quiet: Stage, friend: Asker) -> None:
    form = {"Content-Type": "text/plain", "X-CSRF": ""}
    assert friend.ask("POST", "/api/v1/do", b'{"cmd":"wake"}', form).status == 403
    assert friend.ask(
        "OPTIONS", "/api/v1/do", headers={"Origin": "http://evil.example"}
    ).status in (
        403,
        405,
    )


def test_what_the_page_tells_browsers(quiet: Stage) -> None:
    headers = quiet.asker(knows_pin=False).ask("GET", "/").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers


# ---- too much


def test_oversized_requests(quiet: Stage, friend: Asker) -> None:
    host = f"Host: 127.0.0.1:{quiet.page.port}\r\n"
    long_line = f"GET /{'a' * 100_000} HTTP/1.1\r\n{host}\r\n"
    long_header = f"GET / HTTP/1.1\r\n{host}X: {'a' * 100_000}\r\n\r\n"
    many_headers = f"GET / HTTP/1.1\r\n{host}{'a: b' * 1}\r\n" + "x: y\r\n" * 20_000 + "\r\n"
    for asked in (long_line, long_header, many_headers):
        assert status_of(raw(quiet, asked)) in (0, 400, 413, 414, 431)
    big = b'{"text": "' + b"a" * (3 << 20) + b'"}'
    for path in ("/api/v1/login", "/api/v1/config/check", "/api/v1/say-text", "/api/v1/do"):
        length = f"POST {path} HTTP/1.1\r\n{host}Content-Type: application/json\r\n"
        length += f"Cookie: {friend.cookie}\r\nX-CSRF: {friend.csrf}\r\n"
        length += f"Content-Length: {len(big)}\r\n\r\n"
        assert status_of(raw(quiet, length.encode() + big)) in (0, 400, 413)
    for length in ("99999999999999999999", "-1", "1, 2", "0x10", "68719476736"):
        claimed = f"POST /api/v1/say HTTP/1.1\r\n{host}Cookie: {friend.cookie}\r\n"
        claimed += (
            f"X-CSRF: {friend.csrf}\r\nContent-Type: audio/wav\r\nContent-Length: {length}\r\n\r\n"
        )
        assert status_of(raw(quiet, claimed.encode() + b"RIFF")) in (0, 400, 413), length


def test_two_lengths_are_no_length(quiet: Stage) -> None:
    """Request smuggling: what two programs would read differently is not read at all."""
    host = f"Host: 127.0.0.1:{quiet.page.port}\r\n"
    inner = f"GET /api/v1/hello HTTP/1.1\r\n{host}\r\n"
    for lengths in (
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ):
        asked = f"POST /api/v1/login HTTP/1.1\r\n{host}{lengths}\r\n0\r\n\r\n{inner}"
        answer = raw(quiet, asked)
        assert status_of(answer) in (0, 400, 403, 409, 501)
        assert answer.count(b"HTTP/1.1 200") == 0


# ---- files


@pytest.mark.parametrize(
    "path",
    ["/static/../options.py", "/static/%2e%2e/options.py", "/static/..%2foptions.py",
     "/static/%2e%2e%2f%2e%2e%2f__init__.py", "/static/....//options.py", "/static//etc/passwd",
     "/static/%00", "/../../etc/passwd", "//etc/passwd", "/static/..\\options.py",
     "/static/%5c..%5coptions.py", "/static/", "/static/.", "/static/~root/x", "/static/%ff",
     "/static/app.js%00.css", "/api/v1/../v1/config", "/api/v1/config/", "/API/v1/config",
     "/api/v1/config/..;/hello"],
)  # fmt: skip
def test_no_way_to_files_of_others(quiet: Stage, path: str) -> None:
    answer = raw(quiet, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{quiet.page.port}\r\n\r\n")
    assert status_of(answer) in (0, 301, 400, 401, 403, 404), answer[:300]
    assert b"root:" not in answer
    assert b"import" not in answer


def test_a_backup_is_no_path(quiet: Stage, friend: Asker) -> None:
    for name in (
        "../../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "",
        "\0",
        "a" * 5000,
        7,
        None,
        [],
    ):
        answer = friend.ask("POST", "/api/v1/config/undo", {"id": name})
        assert answer.status in (400, 404, 409), (name, answer)


# ---- slowly


def test_slow_requests_hold_nobody_up(quiet: Stage) -> None:
    """Two hundred who never end their sentence: others are answered, and they are let go."""
    waiting = []
    try:
        for k in range(200):
            connection = quiet.connect(source="127.9.9.9")
            part = "GET / HTTP/1.1\r\nHost: a" if k % 2 else (
                "POST /api/v1/login HTTP/1.1\r\nContent-Length: 100\r\n"
                f"Host: 127.0.0.1:{quiet.page.port}\r\n\r\n{{"
            )  # fmt: skip
            with contextlib.suppress(ConnectionError):
                connection.sendall(part.encode())
            waiting.append(connection)
        many = "a limit of connections of one address"
        until(lambda: sum(map(is_closed, waiting)) >= 100, 5, many)
        until(lambda: all(is_closed(connection) for connection in waiting), 45, "the end of all")
    finally:
        for connection in waiting:
            connection.close()
    assert quiet.asker(knows_pin=False).ask("GET", "/api/v1/hello").status == 200


def is_closed(connection: socket.socket) -> bool:
    """Whether the page let it go; what it said before does not count."""
    connection.setblocking(False)
    try:
        while part := connection.recv(65536):
            pass
        return not part
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_too_many_requests_are_told_to_wait(quiet: Stage) -> None:
    host = f"127.0.0.1:{quiet.page.port}"
    many = f"GET /api/v1/hello HTTP/1.1\r\nHost: {host}\r\n\r\n" * 600
    answer = raw(quiet, many)
    assert b"HTTP/1.1 429" in answer
    assert b"Retry-After" in answer


# ---- WebSockets


def frame(payload: bytes, opcode: int = 1, claimed: int = -1) -> bytes:
    """A masked frame as clients send it, RFC 6455, 5.2."""
    length = len(payload) if claimed < 0 else claimed
    mask = os.urandom(4)
    body = bytes(byte ^ mask[k % 4] for k, byte in enumerate(payload))
    return struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length) + mask + body


def test_what_a_viewer_says_is_not_read(quiet: Stage) -> None:
    upgrade = UPGRADE.format(path="/api/v1/live", host=f"127.0.0.1:{quiet.page.port}") + "\r\n\r\n"
    order = json.dumps({"v": 1, "cmd": "wake"}).encode()
    for data in (frame(order), frame(b"x" * 100_000), frame(b"", claimed=1 << 40), b"\xff" * 64,
                 b"\x81\x04wake"):  # fmt: skip
        with quiet.connect() as connection:
            connection.sendall(upgrade.encode())
            assert connection.recv(12) == b"HTTP/1.1 101"
            connection.sendall(data)
            until(lambda c=connection: is_closed(c), 10, "the end of the connection")  # type: ignore[misc]


def test_setting_up_begins_with_the_token(quiet: Stage, friend: Asker) -> None:
    upgrade = UPGRADE.format(path="/api/v1/setup", host=f"127.0.0.1:{quiet.page.port}")
    upgrade += f"\r\nCookie: {friend.cookie}\r\n\r\n"
    order = json.dumps({"cmd": "jog", "servo": "jaw", "to_us": 1700, "us_per_s": 4000}).encode()
    for first in (order, b'{"csrf": "0"}', b"[]", b"{", b'{"csrf": 1}'):
        with quiet.connect() as connection:
            connection.sendall(upgrade.encode())
            assert connection.recv(12) == b"HTTP/1.1 101"
            connection.sendall(frame(first) + frame(order))
            until(lambda c=connection: is_closed(c), 10, "the end of the connection")  # type: ignore[misc]


# ---- the program itself


def test_no_shell_and_no_eval() -> None:
    """In what the page is made of, both sides."""
    package = Path(__file__).parents[2] / "lipsync_edge/web"
    python = "\n".join(path.read_text() for path in package.glob("*.py"))
    script = "\n".join(path.read_text() for path in package.glob("static/**/*.js"))
    assert len(script) > 10_000
    assert not re.search(
        r"shell=True|create_subprocess_shell|os\.(system|popen)|\beval\(|\bexec\(|pickle", python
    )
    assert not re.search(
        r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|https?://(?!www\.w3\.org|\$\{location\.)",
        script,
    )
