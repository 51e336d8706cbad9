"""A head of three servos on a register-level board, its page, and somebody who asks them."""

from __future__ import annotations

import itertools
import math
import socket
from pathlib import Path
from typing import Self

from lipsync_edge import config
from lipsync_edge.web.pairing import make_pin
from lipsync_tools.drill.board import Board
from lipsync_tools.webstage import CLOCK, Asker, Head, Page

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
