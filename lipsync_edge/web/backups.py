"""The last texts of a config, so that a save can be undone, and an undo, too.

Each lies in the state folder in a file of its own, whole and with a checksum, as ``store`` keeps
states. What an undo brought back is remembered as a place in this history: the next undo goes on
from there, until somebody saves or edits.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync_edge.store import Store

MOST = 10
NOTE = 200
"""Characters of a note."""
_NAME = re.compile(r"backup_(\d{1,9})\.json", re.ASCII)


@dataclass(frozen=True)
class Backup:
    """A text that was replaced. ``saved_at``: Unix time of that; ``size``: bytes."""

    id: str
    saved_at: float
    size: int
    note: str
    revision: str
    text: str

    def listed(self) -> dict[str, Any]:
        """All but the text, as JSON."""
        return {
            "id": self.id, "saved_at": round(self.saved_at, 3), "size": self.size,
            "note": self.note, "revision": self.revision,
        }  # fmt: skip


def revision(text: str) -> str:
    """What names a text: the SHA-256 of its bytes, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Backups:
    """At most :data:`MOST` texts of one config, newest first. ``now``: Unix time."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        """``folder``: of this config alone; it is made with the first backup."""
        self._folder, self._store, self._now = folder, Store(folder), now

    def __iter__(self) -> Iterator[Backup]:
        """Newest first; what is damaged is left out."""
        for number in reversed(self._numbers()):
            if backup := self._load(number):
                yield backup

    def find(self, id: str) -> Backup | None:
        """The one with this id, which a stranger may have made up."""
        return next((backup for backup in self if backup.id == id), None)

    def keep(self, text: str, note: str) -> str | None:
        """Keep a text that is about to be replaced; its id. None: it could not be written."""
        newest = next(iter(self), None)
        if newest and newest.text == text:
            return newest.id
        number = max(self._numbers(), default=0) + 1
        state = {"saved_at": self._now(), "note": note[:NOTE], "text": text}
        if not self._store.save(f"backup_{number}", state):
            return None
        for old in self._numbers()[:-MOST]:
            with suppress(OSError):
                (self._folder / f"backup_{old}.json").unlink()
        return str(number)

    def older(self, current: str) -> Backup | None:
        """What an undo brings back where ``current`` is the text: the newest that is another one,
        or the next older one where ``current`` came from an undo."""
        place = self._store.load("undone") or {}
        below = place.get("below") if place.get("revision") == revision(current) else None
        for backup in self:
            is_older = not isinstance(below, int) or int(backup.id) < below
            if is_older and backup.text != current:
                return backup
        return None

    def undone(self, backup: Backup) -> None:
        """``backup`` is the text now."""
        self._store.save("undone", {"below": int(backup.id), "revision": backup.revision})

    def _numbers(self) -> list[int]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except OSError:  # none was kept yet
            return []
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def _load(self, number: int) -> Backup | None:
        state = self._store.load(f"backup_{number}") or {}
        text, saved_at = state.get("text"), state.get("saved_at")
        if not isinstance(text, str) or not isinstance(saved_at, int | float):
            return None
        size = len(text.encode("utf-8", "surrogatepass"))
        note = str(state.get("note", ""))
        return Backup(str(number), float(saved_at), size, note, revision(text), text)
