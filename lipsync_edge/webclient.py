"""Asks a head over its page, from another computer. For programs: ``WebClient``; see
docs/web-api.md. The standard library alone.

from lipsync_edge.client import WebClient

with WebClient("http://robot.local", pin="123 456") as head:
    head.say("hello.wav")
    print(head.status()["line"])
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from lipsync_edge.errors import ControlError
from lipsync_edge.webplace import Place, unusable

API = "/api/v1/"
SLOW_S = 120.0
"""For what looks at the whole computer, or speaks: the page itself gives up before."""

Answer = dict[str, Any]
Changes = Sequence[Mapping[str, Any]]
"""Of single values: ``[{"path": ["servos", "jaw", "min_us"], "value": 1420}]``."""


class WebRefused(ControlError):
    """The page answers no. ``code``: its word for programs; ``status``: HTTP's; ``wait_s``: when
    to try again, 0 where that is unknown."""

    def __init__(
        self, status: int, code: str, message: str, remedy: str = "", wait_s: float = 0.0
    ) -> None:
        super().__init__(message, remedy)
        self.status, self.code, self.wait_s = status, code, wait_s


class WebClient:
    """One head, by the address of its page. Every method raises ControlError with a sentence and a
    remedy; where the page refused it is a :class:`WebRefused`. A connection lasts for one request.
    """

    def __init__(
        self, address: str, pin: str = "", *, session: str = "", cafile: str | Path = "",
        fingerprint: str = "", timeout_s: float = 10.0,
    ) -> None:  # fmt: skip
        """``pin``: logs in, once; ``session``: goes on with what :meth:`keep` returned. With
        neither there are :meth:`hello`, :meth:`show_pin` and :meth:`login`.

        https is always verified: by the authorities of this computer, or by ``cafile`` (the head's
        ``https.crt``), or by the SHA-256 ``fingerprint`` of its certificate, which then counts
        alone, whatever its names and dates.
        """
        self._place = Place(address, cafile, fingerprint)
        self._timeout_s = timeout_s
        self._session, self._csrf, self._keeps = session, "", bool(session)
        if re.search(r"[^\w-]", session):
            raise ControlError("That is no session.", "It is what keep() returned.")
        if pin:
            self.login(pin)

    def __enter__(self) -> WebClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Log out, unless the session shall be kept."""
        if self._session and not self._keeps:
            with contextlib.suppress(ControlError):
                self.logout()

    # ---- coming and going

    def hello(self) -> Answer:
        """Who is there; needs no PIN."""
        return self.get("hello")

    def show_pin(self) -> list[str]:
        """Let the head tell a new PIN to who stands beside it: by terminal, led, speech."""
        return list(self.post("pin/show")["how"])

    def login(self, pin: str) -> None:
        """With a PIN, which is good for one login."""
        self._session = ""
        with self._answered("POST", "login", {"pin": pin}) as answer:
            cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
            self._csrf = str(_read(answer)["csrf"])
        self._session, self._keeps = cookie.partition("=")[2], False

    def keep(self) -> str:
        """The session, for ``WebClient(address, session=...)`` in the next 90 days; a ``with`` does
        not end it any more. Whoever knows it may do what the PIN allows: keep it like a key."""
        self._keeps = True
        return self._session

    def logout(self) -> None:
        """End the session."""
        self.post("logout")
        self._session = self._csrf = ""

    # ---- the head

    def status(self) -> Answer:
        """How the head is, see docs/control.md."""
        return self.get("status")

    def describe(self) -> Answer:
        """Its servos with their limits, its axes and poses."""
        return self.get("describe")

    def do(self, cmd: str) -> Answer:
        """An order without arguments: mute, unmute, rest, wake, detach, neutral, follow, hush,
        reload, restart."""
        return self.post("do", {"cmd": cmd})

    def mute(self, on: bool = True) -> None:
        """Silence the speaker; the mouth goes on."""
        self.do("mute" if on else "unmute")

    def rest(self, on: bool = True) -> None:
        """Lead all servos to neutral, then switch them off; the sound goes on."""
        self.do("rest" if on else "wake")

    def wake(self) -> None:
        """Switch the servos on again."""
        self.do("wake")

    def detach(self) -> None:
        """All outputs off at once, until :meth:`wake`."""
        self.do("detach")

    def neutral(self) -> None:
        """The face at rest, for 10 s; then it follows the sound."""
        self.do("neutral")

    def follow(self) -> None:
        """Follow the sound again."""
        self.do("follow")

    def hush(self) -> None:
        """Forget the sounds that wait, and end the one that is spoken."""
        self.do("hush")

    def pose(self, axes: Mapping[str, float] | str, hold_s: float | None = None) -> list[str]:
        """Hold a pose for 10 s or ``hold_s``: its name, or axes of the face by name, 0..1.

        Returns the axes that no servo of this head shows.
        """
        told: Answer = {"name": axes} if isinstance(axes, str) else {"axes": dict(axes)}
        return list(self.post("pose", told | _given(hold_s=hold_s))["unmoved"])

    def say(self, sound: str | os.PathLike[str] | bytes) -> int:
        """Speak a WAV file, by its path or its bytes, after what is spoken already; how many are
        spoken or wait now. At most 64 MB."""
        with contextlib.ExitStack() as opened:
            body: IO[bytes] | bytes
            body = sound if isinstance(sound, bytes) else opened.enter_context(_opened(sound))
            answer = opened.enter_context(self._answered("POST", "say", body, SLOW_S))
            return int(_read(answer)["waiting"])

    def voices(self) -> list[Answer]:
        """The speech engines: name, installed, voices (id, name, language)."""
        return list(self.get("voices")["engines"])

    def say_text(
        self, text: str, voice: str | None = None, rate: float | None = None,
        pitch: float | None = None, engine: str | None = None,
    ) -> int:  # fmt: skip
        """Speak a text with a voice of the head's computer; as :meth:`say`. ``rate``: words a
        minute, 80 to 450; ``pitch``: 0 to 99."""
        more = _given(voice=voice, rate=rate, pitch=pitch, engine=engine)
        return int(self.post("say-text", {"text": text, **more}, SLOW_S)["waiting"])

    # ---- its config

    def config(self) -> Answer:
        """path, text, revision, writable, backups (id, saved_at, size, note, revision)."""
        return self.get("config")

    def check(self, text: str) -> list[Answer]:
        """What the checker says of a config's text: line, key, message, remedy, severity."""
        return list(self.post("config/check", {"text": text}, SLOW_S)["problems"])

    def preview(self, changes: Changes) -> Answer:
        """What a save of them would do: text, diff, problems, needs_restart."""
        return self.post("config/preview", {"changes": list(changes)}, SLOW_S)

    def save(self, config: str | Changes, revision: str, note: str = "") -> Answer:
        """Save a text, or changes of the saved one, if it still has this ``revision`` (code
        ``changed`` where not), and move by it. revision, diff, changed, needs_restart, in_force."""
        told = {**_meant(config), "revision": revision, "note": note}
        return self.post("config/save", told, SLOW_S)

    def undo(self, id: str | None = None) -> Answer:
        """Back to the text before the last save, or to that of a backup; as :meth:`save`."""
        return self.post("config/undo", _given(id=id), SLOW_S)

    def try_config(self, config: str | Changes, hold_s: float = 60.0) -> Answer:
        """Move by another config for ``hold_s`` (5 to 600 s); its file is left alone."""
        return self.post("config/try", {**_meant(config), "hold_s": hold_s})

    # ---- what helps

    def doctor(self) -> list[Answer]:
        """Its findings: ok, name, message, remedy; also while no head runs there."""
        return list(self.get("doctor", SLOW_S)["checks"])

    def support(self, path: str | os.PathLike[str]) -> Path:
        """Write the zip for whoever helps to a file, which must be new; returns its path."""
        with _new_file(path) as file:
            with self._answered("GET", "support", wait_s=SLOW_S) as answer:
                data = answer.read()
            file.write(data)
        return Path(path)

    def get(self, path: str, wait_s: float = 0.0) -> Answer:
        """The answer to a GET below /api/v1/."""
        with self._answered("GET", path, wait_s=wait_s) as answer:
            return _read(answer)

    def post(self, path: str, body: Mapping[str, Any] | None = None, wait_s: float = 0.0) -> Answer:
        """The answer to a POST of JSON below /api/v1/."""
        with self._answered("POST", path, body or {}, wait_s) as answer:
            return _read(answer)

    @contextlib.contextmanager
    def _answered(
        self, method: str, path: str, body: Any = None, wait_s: float = 0.0
    ) -> Iterator[HTTPResponse]:
        """An answer that is no refusal."""
        told, headers = _encoded(body)
        headers |= self._credentials(method)
        connection = self._place.connection(max(wait_s, self._timeout_s))
        try:
            answer = _exchanged(connection, method, API + path, told, headers)
            if answer.status != 200:
                raise self._refusal(answer)
            yield answer
        except (OSError, HTTPException, UnicodeError) as error:
            raise self._place.unreachable(error) from error
        finally:
            connection.close()

    def _credentials(self, method: str) -> dict[str, str]:
        if not self._session:
            return {}
        cookie = {"Cookie": f"{self._place.cookie}={self._session}"}
        if method != "GET" and not self._csrf:  # a session that was kept
            self._csrf = str(self.get("session")["csrf"] or "")
        return cookie | ({"X-CSRF": self._csrf} if method != "GET" else {})

    def _refusal(self, answer: HTTPResponse) -> WebRefused:
        told = _read(answer).get("error")
        if not isinstance(told, dict):
            raise _no_page()
        wait = answer.headers.get("Retry-After", "")
        return WebRefused(
            answer.status, str(told.get("code", "")), str(told.get("message", "")),
            str(told.get("remedy", "")), float(wait) if wait.isdecimal() else 0.0,
        )  # fmt: skip


def _exchanged(
    connection: HTTPConnection, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> HTTPResponse:
    """Ask. A page that refuses a long body closes before all of it is sent, but says why."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body, headers)
    return connection.getresponse()


def _encoded(body: Any) -> tuple[Any, dict[str, str]]:
    """A body and its headers: JSON, or a sound as bytes or an open file."""
    if body is None:
        return None, {}
    if isinstance(body, Mapping):
        return json.dumps(body).encode(), {"Content-Type": "application/json"}
    size = len(body) if isinstance(body, bytes) else os.fstat(body.fileno()).st_size
    return body, {"Content-Type": "audio/wav", "Content-Length": str(size)}


def _read(answer: HTTPResponse) -> Answer:
    try:
        told = json.loads(answer.read())
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise _no_page()
    return told


def _no_page() -> ControlError:
    return ControlError("What answers there is no head's page.", "Look at the address.")


def _given(**values: Any) -> Answer:
    return {name: value for name, value in values.items() if value is not None}


def _meant(config: str | Changes) -> Answer:
    return {"text": config} if isinstance(config, str) else {"changes": list(config)}


def _opened(path: str | os.PathLike[str], mode: str = "rb", how: str = "read") -> IO[bytes]:
    try:
        return open(path, mode)
    except OSError as error:
        raise unusable(path, how, error) from error


@contextlib.contextmanager
def _new_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """To write to; gone where that fails."""
    file = _opened(path, "xb", "written")
    try:
        with file:
            yield file
    except (ControlError, OSError) as error:
        os.unlink(path)
        if isinstance(error, OSError):
            raise unusable(path, "written", error) from error
        raise
