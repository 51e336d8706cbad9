"""What every request goes through before anything is done for it, and how answers look.

A handler of the API derives from :class:`Api`; what needs no PIN says ``public = True``. The checks
are made in ``prepare``, which tornado calls first: who is asking, under which name, from which
page, how often, and with which session.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from tornado.web import HTTPError, MissingArgumentError, RequestHandler
from tornado.websocket import WebSocketHandler

from lipsync_edge.errors import LipsyncError
from lipsync_edge.web.engine import Engine
from lipsync_edge.web.parts import Parts
from lipsync_edge.web.refusal import HttpRefused, as_json, refusal
from lipsync_edge.web.sessions import Session

log = logging.getLogger(__name__)

COOKIE, COOKIE_TLS = "lipsync_session", "lipsync_session_tls"
"""Two, since a browser lets no page of http replace a cookie of https."""
SAFE = ("GET", "HEAD")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
_CSP = (
    "default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data: blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


class Guarded(RequestHandler):
    """A request that was checked: peer, host, origin, rate. Pages and files are this."""

    cost = 1.0
    """How many ordinary requests it counts as, for the rate limit."""

    @property
    def parts(self) -> Parts:
        """What all handlers share."""
        return self.settings["parts"]  # type: ignore[no-any-return]

    @property
    def engine(self) -> Engine:
        """The head."""
        return self.parts.engine

    @property
    def peer(self) -> str:
        """The address that asks."""
        return self.request.remote_ip or ""

    @property
    def on_tls(self) -> bool:
        """Whether this came by https."""
        return self.request.protocol == "https"

    def set_default_headers(self) -> None:
        """Name no version, and tell the browser what this page never does."""
        self.clear_header("Server")
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", _CSP.format(sockets=self._sockets()))

    def _sockets(self) -> str:
        """Older Safaris do not count a WebSocket to the same host as 'self'."""
        host = self.request.host
        return f" ws://{host} wss://{host}" if self.parts.hosts.is_ours(host) else ""

    def prepare(self) -> None:
        """All checks; raises the refusal."""
        self.parts.hosts.check_peer(self.peer)
        self.parts.hosts.check_host(self.request.headers.get_list("Host"))
        wait_s = self.parts.pace.ask(self.peer, time.monotonic(), self.cost)
        if wait_s > 0:
            raise HttpRefused(429, "too-fast", "Too many requests.", "Wait a little.", wait_s)
        self.check_same_origin()

    def check_same_origin(self) -> None:
        """What changes something, and every WebSocket, comes from a page of ours or from a
        program; browsers say ``Origin`` with both, programs do not."""
        origin = self.request.headers.get("Origin")
        site = self.request.headers.get("Sec-Fetch-Site", "none")
        upgrades = self.request.headers.get("Upgrade", "").lower() == "websocket"
        if self.request.method in SAFE and not upgrades:
            return
        ours = f"{self.request.protocol}://{self.request.host}"
        if (origin is not None and origin != ours) or site not in ("none", "same-origin"):
            raise HttpRefused(
                403, "origin", "Another page asks this.", "Open the head's own page and try there."
            )

    def log_exception(self, kind: Any, error: Any, at: Any) -> None:
        """Refusals are no news for the journal; everything else is, with its place."""
        if not isinstance(error, LipsyncError | MissingArgumentError):
            super().log_exception(kind, error, at)

    def write_error(self, status_code: int, **more: Any) -> None:
        """A refusal as JSON, whatever went wrong; never where in the program it did."""
        error = more.get("exc_info", (None, None, None))[1]
        if isinstance(error, LipsyncError):
            told = refusal(error)
        elif status_code < 500 and isinstance(error, HTTPError):
            told = HttpRefused(status_code, _word(status_code), f"{self._reason}.")
        else:
            told = HttpRefused(status_code, "internal", "Something went wrong here.", _LOOK)
        self.set_status(told.status)
        if told.wait_s:
            self.set_header("Retry-After", str(max(1, round(told.wait_s))))
        self.finish_json(as_json(told))

    def finish_json(self, answer: Mapping[str, Any]) -> None:
        """End with a JSON object."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(json.dumps(answer, separators=(",", ":"), allow_nan=False))


_LOOK = "Look at: journalctl -u lipsync-edge-web"


def _word(status: int) -> str:
    return {404: "unknown", 405: "method"}.get(status, "request")


class Api(Guarded):
    """A request of the API: JSON in, JSON out, with a session unless ``public``."""

    public = False
    session: Session | None = None

    def prepare(self) -> None:
        """The checks of every request, then session and CSRF token."""
        super().prepare()
        self.session = self.find_session()
        if self.public:
            return
        if self.session is None:
            raise HttpRefused(401, "login", "This needs the head's PIN.", "Log in first.")
        token = self.request.headers.get("X-CSRF", "")
        if self.request.method not in SAFE and not self.is_csrf(token):
            raise HttpRefused(403, "csrf", "This page is out of date.", "Load it again.")

    @property
    def cookie_name(self) -> str:
        """Where the session's token is kept in the browser."""
        return COOKIE_TLS if self.on_tls else COOKIE

    def find_session(self) -> Session | None:
        """The session that the browser's cookie names; None where there is none (any more)."""
        return self.parts.sessions.find(self.get_cookie(self.cookie_name) or "")

    def is_csrf(self, token: Any) -> bool:
        """Whether it is the token of this session, as POSTs say it and a WebSocket does first."""
        ours = self.session.csrf if self.session else ""
        return bool(ours) and isinstance(token, str) and hmac.compare_digest(
            token.encode(), ours.encode()
        )  # fmt: skip

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; no body is an empty one. Raises HttpRefused."""
        if not self.request.body:
            return {}
        if self.request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise HttpRefused(415, "syntax", "This takes JSON: Content-Type: application/json.")
        try:
            told = json.loads(self.request.body)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise HttpRefused(400, "syntax", "What was sent is no JSON object.")
        return told


class Socket(Api, WebSocketHandler):
    """A WebSocket of the API. The session's cookie is checked at its start, as for a GET; where it
    may change something, the first message says the token (:meth:`is_csrf`)."""

    def check_origin(self, origin: str) -> bool:
        """``prepare`` did it."""
        return True

    @property
    def still_admitted(self) -> bool:
        """Whether the session lives; it may be ended while this is open."""
        return self.public or self.find_session() is not None


class NotFound(Guarded):
    """Everything that nobody answers to."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        super().prepare()
        raise HttpRefused(404, "unknown", "There is no such page.")
