"""What must outlive a restart or a pulled plug: small JSON files, each whole or not there.

A file is written beside its name, flushed to the disk, renamed, and the folder is flushed: a rename
is atomic on POSIX file systems, so a reader finds the old state or the new one. A checksum tells
decay of the card. For one process. Nothing here may stop a head from talking: a card that is busy
with something else may take seconds to flush, so that a head which runs leaves that to a thread.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

State = dict[str, Any]
MOST_BYTES = 1_000_000
"""State is small; what is larger is not ours and is not read."""


class Store:
    """States by name in one folder. ``folder`` empty: nothing is kept, and nobody is warned."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder) if str(folder) else None
        self._warned = False
        self._due: dict[str, State] = {}
        self._hurry, self._disk = threading.Lock(), threading.Lock()
        self._asked = threading.Event()

    @property
    def keeps(self) -> bool:
        """There is a folder."""
        return self._folder is not None

    def load(self, name: str) -> State | None:
        """The state saved last as ``name``; None where there is none or it is damaged.

        A damaged file is kept aside as ``NAME.bad`` for whoever wants to know. Never OSError.
        """
        path = self._path(name)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                text = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"{path} cannot be read ({error.strerror})")
            return None
        state = _decoded(text)
        if state is None:
            self._set_aside(path, name)
        return state

    def save(self, name: str, state: State) -> bool:
        """Keep ``state`` (JSON values, finite numbers) as ``name``; False where that failed.

        A full or read-only disk costs one warning in the life of this object, nothing more; the
        state saved before stays.
        """
        path = self._path(name)
        if path is None:
            return False
        with self._disk:
            with self._hurry:
                self._due.pop(name, None)
            return self._write(path, state)

    def later(self, name: str, state: State) -> None:
        """The same soon, by whoever calls :meth:`step`; of several states the last. Never waits."""
        if self._path(name) is not None:
            with self._hurry:
                self._due[name] = state
            self._asked.set()

    def step(self, patience_s: float = 0.1) -> bool:
        """Save what :meth:`later` was given, waiting for it; False where nothing came in time."""
        if not self._asked.wait(patience_s):
            return False
        self._asked.clear()
        with self._disk:
            with self._hurry:
                due, self._due = self._due, {}
            for name, state in due.items():
                if path := self._path(name):
                    self._write(path, state)
        return True

    def _write(self, path: Path, state: State) -> bool:
        try:
            _replace(path, _encoded(state))
        except OSError as error:
            self._warn(f"{path} cannot be written ({error.strerror})")
        except (TypeError, ValueError) as error:
            self._warn(f"{path} cannot be written ({error})")
        else:
            return True
        return False

    def _path(self, name: str) -> Path | None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no name for a state")
        return self._folder / f"{name}.json" if self._folder else None

    def _set_aside(self, path: Path, name: str) -> None:
        with suppress(OSError):
            os.replace(path, path.with_name(f"{name}.bad"))
        self._warn(f"{path} is damaged and was put aside as {name}.bad")

    def _warn(self, what: str) -> None:
        if not self._warned:
            log.warning("%s: the head goes on without what it remembered there.", what)
        self._warned = True


def _encoded(state: State) -> bytes:
    document = {"sha256": _checksum(state), "state": state}
    return json.dumps(document, allow_nan=False, sort_keys=True).encode()


def _decoded(text: bytes) -> State | None:
    """The state in a file's bytes; None where a single one of them is not as it was written."""
    if len(text) > MOST_BYTES:
        return None
    try:
        document = json.loads(text)
        state = document["state"]
        whole = isinstance(state, dict) and document == {"sha256": _checksum(state), "state": state}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return state if whole else None


def _checksum(state: State) -> str:
    text = json.dumps(state, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` so that a cut of the power leaves the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            file.write(data)
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
