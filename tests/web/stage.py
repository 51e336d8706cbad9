"""A head of three servos on a register-level board, its page, and somebody who asks them."""

from __future__ import annotations

import http.client
import itertools
import json
import math
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from lipsync_edge import config
from lipsync_edge.web.pairing import make_pin
from lipsync_tools.drill.board import Board
from lipsync_tools.webstage import CLOCK, Head, Page

CONFIG = """\
# My first head, printed in blue.
head: jaw-lips   # three servos

audio:
  driver: dummy  # no sound card here
board:
  driver: simulator
  bus: {bus}
service: {{socket: {socket}}}

servos:
  # From the old build; the new jaw is longer.
  jaw:
    min_us: 1420    # teeth closed
    max_us:   1780
    neutral_us: 1420
"""


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    """A program that asks the page, with a session where it has one."""

    def __init__(self, port: int, source: str) -> None:
        self._port, self._source = port, source
        self.cookie = self.csrf = ""

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
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
        answer = self.ask("POST", "/api/v1/login", {"pin": pin})
        if answer.status == 200:
            self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
            self.csrf = answer.json["csrf"]
        return answer


class Stage:
    """All of it. Use as a context manager."""

    def __init__(self, folder: Path, *page_words: str) -> None:
        self._sources = itertools.count()
        self.config = folder / "robot.yaml"
        control, bus = folder / "head.sock", folder / "bus.sock"
        self.config.write_text(CONFIG.format(bus=bus, socket=control))
        self.state = folder / "state"
        self.state.mkdir()
        self.board = Board(bus, config.load(self.config).head.boards)
        self.head = Head(self.config, control)
        words = ("--tls-port", "0", "--state-dir", str(self.state))
        self.page = Page(folder, control, *words, *page_words)

    def __enter__(self) -> Self:
        self.board.__enter__()
        self.head.__enter__()
        self.page.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.page.__exit__()
        self.head.__exit__()
        self.board.__exit__()

    def pin(self) -> str:
        """A PIN that opens once."""
        return make_pin(self.state)

    def asker(self, knows_pin: bool = True) -> Asker:
        asker = Asker(self.page.port, self.source())
        if knows_pin:
            assert asker.login(self.pin()).status == 200
        return asker

    def source(self) -> str:
        """Another address each time: limits are by address, and tests share none."""
        number = next(self._sources)
        return f"127.1.{number // 250}.{number % 250 + 1}"

    def connect(self, timeout_s: float = 10.0, source: str = "") -> socket.socket:
        """A plain connection to the page."""
        ours = (source or self.source(), 0)
        return socket.create_connection(("127.0.0.1", self.page.port), timeout_s, ours)

    @property
    def pulses_us(self) -> list[float]:
        """What the registers of the board say now, by channel; NaN: off."""
        return list(self.board.moments[-1].pulses_us) if self.board.moments else []

    def moved_since(self, at_s: float) -> bool:
        """Whether any output had a pulse at or after ``at_s``, CLOCK_MONOTONIC."""
        later = [moment for moment in self.board.moments if moment.at_s >= at_s]
        return any(not math.isnan(us) for moment in later for us in moment.pulses_us)

    @staticmethod
    def now() -> float:
        return CLOCK.now()
