"""A head and its page as processes, without card and board, and a program that asks."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Self

from lipsync_edge.web.pairing import make_pin
from lipsync_tools.webstage import Asker, Head, Page

CONFIG = """\
# My first head.
head: jaw-lips
audio: {driver: dummy}
board: {driver: dummy}
servos:
  jaw:
    max_us: 1790    # not yet measured
"""


class Stage:
    """Both processes, with a state folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.config = folder / "robot.yaml"
        self.config.write_text(CONFIG)
        control = folder / "c.sock"
        self.head = Head(self.config, control, "--set", f"service.socket={control}")
        self.page = Page(folder, control, "--state-dir", str(self.state))
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.enter_context(self.head)
            opened.enter_context(self.page)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def asker(self) -> Asker:
        """Somebody who knows the PIN."""
        asker = Asker(self.page.port)
        assert asker.login(self.pin()).status == 200
        return asker

    def pin(self) -> str:
        """A new one, good for one login."""
        return make_pin(self.state)
