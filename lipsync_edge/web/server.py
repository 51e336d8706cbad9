"""The web process itself: makes its parts, listens, serves until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
    parse_cookie,
)
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from lipsync_edge.errors import LipsyncError
from lipsync_edge.notify import Notifier
from lipsync_edge.ratelimit import RateLimit
from lipsync_edge.web import certificate, limits, routes
from lipsync_edge.web.base import NotFound
from lipsync_edge.web.engine import Engine
from lipsync_edge.web.hosts import Hosts
from lipsync_edge.web.live import Live
from lipsync_edge.web.options import WebOptions
from lipsync_edge.web.pairing import Pairing, make_pin
from lipsync_edge.web.parts import Parts
from lipsync_edge.web.sessions import Sessions
from lipsync_edge.web.tell import tell_terminal

log = logging.getLogger(__name__)

BODY, STRANGERS_BODY = 1 << 20, 16 << 10
HEADERS = 16 << 10
HEADERS_S, BODY_S = 15.0, 20.0
"""For a request's line and headers, or the next request; for a body."""
STUCK_S = 20.0
"""A peer that takes nothing for so long is let go, tcp(7)."""
MESSAGE = 16 << 10


class _Gate(HTTPMessageDelegate):
    """A request before its body is read: who has no session may not send much. A body is read
    before a handler sees it, so a hundred strangers could fill the memory otherwise."""

    def __init__(
        self, inner: HTTPMessageDelegate, connection: HTTPConnection, sessions: Sessions
    ) -> None:
        self._inner, self._connection, self._sessions = inner, connection, sessions
        self.data_received, self.finish = inner.data_received, inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        cookies = parse_cookie(headers.get("Cookie", "")).values()
        known = any(self._sessions.find(cookie) for cookie in cookies)
        if not known and isinstance(self._connection, HTTP1Connection):
            self._connection.set_max_body_size(STRANGERS_BODY)
        return self._inner.headers_received(start_line, headers)


class Server(HTTPServer):
    """An HTTP server that takes so many connections and no more."""

    crowd: limits.Crowd
    sessions: Sessions
    _addresses: dict[IOStream, str]

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """A connection came."""
        peer = str(address[0])
        if not self.crowd.enter(peer):
            stream.close()
            return
        with contextlib.suppress(OSError):  # gone already
            stuck_ms = round(STUCK_S * 1000)
            stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stuck_ms)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._addresses[stream] = peer
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """It went, or became a WebSocket, which has a limit of its own."""
        super().on_close(server_conn)
        assert isinstance(server_conn, HTTP1ServerConnection)
        peer = self._addresses.pop(server_conn.stream, None)
        if peer is not None:
            self.crowd.leave(peer)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """A request came."""
        inner = super().start_request(server_conn, request_conn)
        return _Gate(inner, request_conn, self.sessions)

    @classmethod
    def make(
        cls, parts: Parts, crowd: limits.Crowd, tls: ssl.SSLContext | None = None,
        headers_s: float = HEADERS_S, body_s: float = BODY_S,
    ) -> Server:  # fmt: skip
        """A server with all its limits; ``crowd`` is shared by those of one process."""
        server = cls(
            make_app(parts), ssl_options=tls, max_header_size=HEADERS, max_body_size=BODY,
            chunk_size=65_536, max_buffer_size=2 * BODY, idle_connection_timeout=headers_s,
            body_timeout=body_s,
        )  # fmt: skip
        server.crowd, server.sessions, server._addresses = crowd, parts.sessions, {}
        return server


def make_parts(options: WebOptions) -> Parts:
    """What the handlers share; nothing runs yet. Makes the state folder: LipsyncError if not."""
    folder = options.state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LipsyncError(
            f"The state folder {folder} cannot be made: {error.strerror}.", "Set --state-dir."
        ) from error
    engine = Engine(options.socket_path)
    return Parts(
        options=options,
        folder=folder,
        engine=engine,
        live=Live(engine, options.max_viewers),
        hosts=Hosts(options.name_list, options.anywhere),
        sessions=Sessions(folder),
        pairing=Pairing(folder),
        pace=limits.Pace(),
        uploads=limits.Crowd(2, 2),
    )


def make_app(parts: Parts) -> Application:
    """All handlers, with the limits of WebSockets."""
    return Application(
        routes.routes(),
        default_handler_class=NotFound,
        log_function=_Journal(),
        parts=parts,
        websocket_max_message_size=MESSAGE,
        websocket_ping_interval=20,
        websocket_ping_timeout=15,
    )


class _Journal:
    """Tells of requests that failed here, ever more rarely; not of those that were refused."""

    def __init__(self) -> None:
        self._limit = RateLimit()

    def __call__(self, handler: RequestHandler) -> None:
        status, request = handler.get_status(), handler.request
        if status < 500 or status == 503:
            return
        held_back = self._limit.ask(f"{request.method} {status}", time.monotonic())
        if held_back is not None:
            log.warning("%d %s %s", status, request.method, request.path[:100])


async def serve(options: WebOptions, told: Callable[[str], None] = log.info) -> None:
    """Serve until SIGTERM or SIGINT. Raises LipsyncError where it cannot begin."""
    parts = make_parts(options)
    crowd, stop = limits.Crowd(), asyncio.Event()
    servers = [_listen(Server.make(parts, crowd), options.address, options.port)]
    tls = certificate.load(parts.folder)
    if tls:
        servers.append(
            _listen(Server.make(parts, crowd, tls), options.address, options.tls_port_chosen)
        )
        parts.tls_port = servers[1][1]
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    for server, port in servers:
        told(f"Open http{'s' if server.ssl_options else ''}://{_shown(options.address)}:{port}")
    notifier = Notifier()
    notifier.ready()
    following = asyncio.create_task(parts.live.run())
    if not len(parts.sessions) and not parts.pairing.is_open:
        _tell_first_pin(parts)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, following}, return_when=asyncio.FIRST_COMPLETED)
    notifier.stopping()
    following.cancel()
    for server, _ in servers:
        server.stop()
    await asyncio.gather(*(server.close_all_connections() for server, _ in servers))
    await parts.engine.close()
    with contextlib.suppress(asyncio.CancelledError):
        await following  # raises what ended it before its time: systemd starts us again


def _tell_first_pin(parts: Parts) -> None:
    """Nobody logged in yet: a PIN for the terminal, not aloud at each power-on."""
    try:
        tell_terminal(make_pin(parts.folder))
    except LipsyncError as error:
        log.warning("%s", error)


def _shown(address: str) -> str:
    name = address or f"{socket.gethostname()}.local"
    return f"[{name}]" if ":" in name else name


def _listen(server: Server, address: str, port: int) -> tuple[Server, int]:
    try:
        sockets = bind_sockets(port, address or None)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise LipsyncError(
            f"Nothing can listen at {address or 'port'} {port}: {why}.",
            "Is another program there? Choose another one with --port and --tls-port.",
        ) from error
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])
