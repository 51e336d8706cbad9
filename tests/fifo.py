"""A pipe in the place of a file, with somebody at its other end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def a_writer(path: Path) -> Iterator[None]:
    """Who writes something into the pipe ``path``: a reader that should not be there gets it, and
    a test does not hang."""
    writer = threading.Thread(target=_write, args=(path,), daemon=True)
    writer.start()
    try:
        yield
    finally:
        while writer.is_alive():
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # lets it go, if it waits there
            writer.join(0.05)


def _write(path: Path) -> None:
    with suppress(BrokenPipeError):
        path.write_text("a: b\n")
