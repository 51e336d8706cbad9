"""Replaces a file in one step, so that a reader, and a cut of the power, finds the old one or the
new one and never a part: written beside it, flushed to the disk, renamed, its folder flushed. A
rename is atomic on POSIX file systems."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Put ``data`` at ``path``; ``mode``: its permissions, None: those that it had, else the usual.

    A link stays a link. What an earlier attempt left half-written is written over. Raises OSError;
    then the old file is as it was.
    """
    path = path.resolve()
    part = path.with_name(f".{path.name}.part")
    if mode is None and path.exists():
        mode = path.stat().st_mode & 0o777
    try:
        with part.open("wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
