"""A head and its page as two processes in a folder, for tests and measurements of the page."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from lipsync_edge.client import Client
from lipsync_edge.clock import MonotonicClock
from lipsync_edge.errors import ControlError

CLOCK = MonotonicClock()
START_S = 40.0
POLL_S = 0.05


def until(what: Callable[[], Any], within_s: float = START_S, word: str = "it") -> Any:
    """What ``what`` returns as soon as that is true. AssertionError where it never is."""
    end_s = CLOCK.now() + within_s
    while not (found := what()):
        assert CLOCK.now() < end_s, f"{word} did not happen in {within_s:g} s"
        CLOCK.sleep_until(CLOCK.now() + POLL_S)
    return found


def free_port() -> int:
    """A port that nobody has, and that no outgoing connection is given meanwhile: below Linux's
    32768 (ip(7), ``ip_local_port_range``)."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port


class Child:
    """A program that runs until the end of the ``with``; ``log``: what it prints."""

    def __init__(self, words: list[str], log: Path) -> None:
        self.log, self._words = log, words
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Once more, after :meth:`end`."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *self._words], stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def rss_mb(self) -> float:
        """Memory in use, MB."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    def end(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.end()

    def _alive(self) -> None:
        assert self.process
        assert self.process.poll() is None, f"ended: {self.said[-2000:]}"


class Head(Child):
    """`lipsync-edge run CONFIG`; the config names ``socket``."""

    def __init__(self, config: Path, socket: Path, *words: str, module: str = "lipsync_edge"):
        self.config, self.socket = config, socket
        run = ["-m", module, "run", str(config), "--ui", "none", *words]
        super().__init__(run, config.with_suffix(".log"))

    def __enter__(self) -> Self:
        self.start()
        until(self._ready, word="a head that is ready")
        return self

    def ask(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        """One request over a connection of its own."""
        with Client(str(self.socket)) as client:
            return client.ask(cmd, **arguments)

    def say(self, sound: Path) -> None:
        """Speak a WAV file."""
        with Client(str(self.socket)) as client, sound.open("rb") as file:
            client.say(file)

    def status(self) -> dict[str, Any]:
        return dict(self.ask("status")["status"])

    def _ready(self) -> bool:
        self._alive()
        try:
            return bool(self.status().get("ready"))
        except ControlError:
            return False


class Page(Child):
    """`lipsync-edge-web` at ``address``."""

    def __init__(self, folder: Path, head_socket: Path, *words: str) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        run = ["-m", "lipsync_edge.web", "--socket", str(head_socket), "--port", str(self.port)]
        super().__init__([*run, *words], folder / "page.log")

    def __enter__(self) -> Self:
        self.start()
        until(self._hello, word="a page that answers")
        return self

    def get(self, path: str) -> Any:
        """JSON of a public route."""
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return json.load(answer)

    def _hello(self) -> Any:
        self._alive()
        try:
            return self.get("/api/v1/hello")
        except (urllib.error.URLError, OSError):
            return None


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, read."""
        return json.loads(self.body)


class Asker:
    """A program that asks the page, with a session where it has one."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._port, self._source = port, source
        self.cookie = self.csrf = ""

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """A body that is no bytes is sent as JSON."""
        told = {"Cookie": self.cookie, "X-CSRF": self.csrf} if self.cookie else {}
        if body is not None and not isinstance(body, bytes):
            body, told["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=20, source_address=(self._source, 0)
        )
        try:
            connection.request(method, path, body, {**told, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def login(self, pin: str) -> Answer:
        """Keeps the session where the PIN is right."""
        answer = self.ask("POST", "/api/v1/login", {"pin": pin})
        if answer.status == 200:
            self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
            self.csrf = answer.json["csrf"]
        return answer
