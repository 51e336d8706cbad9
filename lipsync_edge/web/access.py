"""Hello, the PIN, logging in and out."""

from __future__ import annotations

import time

from lipsync_edge import __version__
from lipsync_edge.web.base import Api
from lipsync_edge.web.refusal import HttpRefused
from lipsync_edge.web.sessions import LIFE_S
from lipsync_edge.web.tell import tell

API = 1


class Hello(Api):
    """GET /api/v1/hello: what a page must know before it knows anything."""

    public = True

    def get(self) -> None:
        """Public: names no more than what stands on the page."""
        status = self.parts.live.history[-1][1] if self.parts.live.history else {}
        answer = {
            "name": str(status.get("head", "")),
            "version": __version__,
            "api": API,
            "engine": "up" if self.parts.live.is_up else "down",
            "needs_pin": self.session is None,
            "logged_in": self.session is not None,
            "live_public": self.parts.options.public_live,
            "https": self.on_tls,
        }
        if self.parts.tls_port:
            answer["tls_port"] = self.parts.tls_port
        self.finish_json(answer)


class ShowPin(Api):
    """POST /api/v1/pin/show: the head tells who stands beside it a new PIN."""

    public = True
    cost = 5.0

    async def post(self) -> None:
        """How it was told."""
        pin = self.parts.pairing.show(time.monotonic())
        self.finish_json({"how": await tell(pin, self.engine, self.parts.folder)})


class Login(Api):
    """POST /api/v1/login {pin}: a session for who knows the PIN."""

    public = True
    cost = 5.0

    def post(self) -> None:
        """The cookie, and the token that everything but GET must carry."""
        pin = self.body().get("pin")
        if not isinstance(pin, str):
            raise HttpRefused(400, "value", 'Send the PIN as a word: {"pin": "012345"}.')
        digits = "".join(pin.split())
        self.parts.pairing.check(digits, self.peer, time.monotonic())
        token = self.parts.sessions.make(self.request.headers.get("User-Agent", ""))
        self.set_cookie(
            self.cookie_name, token, max_age=int(LIFE_S), path="/", httponly=True,
            secure=self.on_tls, samesite="Strict",
        )  # fmt: skip
        session = self.parts.sessions.find(token)
        self.finish_json({"csrf": session.csrf if session else ""})


class Logout(Api):
    """POST /api/v1/logout."""

    def post(self) -> None:
        """The session ends, here and in the browser."""
        if self.session:
            self.parts.sessions.end(self.session)
        self.clear_cookie(self.cookie_name, path="/", httponly=True, samesite="Strict")
        self.finish_json({})


class WhoAmI(Api):
    """GET /api/v1/session: whether the browser is logged in, and its token."""

    public = True

    def get(self) -> None:
        """For a page that was loaded again."""
        csrf = self.session.csrf if self.session else None
        self.finish_json({"logged_in": self.session is not None, "csrf": csrf})
