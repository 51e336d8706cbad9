"""The head's config as a file: what is in it, what would change, saving, and ways back.

It is a text that somebody wrote by hand: values are changed in place, every other line stays.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge import yamledit
from lipsync_edge.atomic import replace
from lipsync_edge.errors import ConfigError
from lipsync_edge.web.refusal import HttpRefused

LARGEST = 48 * 1024
"""Bytes; the head takes no more in one request. The longest shipped example has a quarter of it."""
KEPT = 10
_ID = re.compile(r"[0-9]{1,19}-(save|undo)")
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Backup:
    """An earlier text. ``id``: its Unix time in ms and what replaced it; ``saved_at``: Unix time;
    ``size`` in bytes."""

    id: str
    saved_at: float
    size: int
    note: str


def revision(text: str) -> str:
    """Names a text: equal for equal texts."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def diff(before: str, after: str, name: str) -> str:
    """What changed, as a unified diff; empty: nothing."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True),
        f"{name} (before)", f"{name} (after)", n=2,
    )  # fmt: skip
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def changed(text: str, changes: Sequence[Mapping[str, Any]], source: str) -> str:
    """``text`` with ``{"path": [...], "value": ...}`` set, and nothing else. Raises HttpRefused for
    what is no change, ConfigError where the text cannot be changed safely."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(mark)
    wanted = {}
    for change in changes:
        path, value = _path(change.get("path")), _scalar(change.get("value"))
        wanted[_in_place(text, path)] = value
    return mark + yamledit.set_values(text, wanted, source)


def _path(path: Any) -> Key:
    parts = path if isinstance(path, list) else []
    if not 1 <= len(parts) <= 8 or not all(_is_key(part) for part in parts):
        raise HttpRefused(400, "value", "A path is a list of keys, such as servos, jaw, max_us.")
    return tuple(parts)


def _is_key(part: Any) -> bool:
    if isinstance(part, bool) or not isinstance(part, str | int):
        return False
    return 0 <= part < 64 if isinstance(part, int) else bool(re.fullmatch(r"[\w.-]{1,64}", part))


def _scalar(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and abs(value) < 1e12:
        return repr(int(value)) if value == int(value) else repr(round(value, 4))
    if isinstance(value, str) and len(value) <= 500 and value.isprintable():
        plain = re.fullmatch(r"[A-Za-z_./][\w./ -]*", value) and yaml.safe_load(value) == value
        return value if plain else json.dumps(value)
    raise HttpRefused(400, "value", "A value is a number, a word, true or false.")


def _in_place(text: str, path: Key) -> Key:
    """Where the value belongs: a servo that is written out under ``head:`` is changed there, any
    other one is overridden in ``servos:``."""
    try:
        data = yaml.safe_load(text)
        written = data["head"]["servos"][path[1]] if path[0] == "servos" else None
        above = data.get("servos") or {}
    except (yaml.YAMLError, TypeError, KeyError, IndexError):
        return path
    own = isinstance(above, dict) and path[1] in above
    return ("head", *path) if isinstance(written, dict) and not own else path


class ConfigFile:
    """One config, and where its earlier texts are kept."""

    def __init__(self, path: Path, backups: Path) -> None:
        self.path, self._backups = path, backups

    def read(self) -> str:
        """The text. Raises HttpRefused."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise HttpRefused(
                404, "unknown", f"{self.path} cannot be read ({error.strerror}).", _LOOK
            ) from error
        if len(data) > LARGEST:
            raise HttpRefused(
                413, "too-long", f"{self.path} is longer than {LARGEST >> 10} KiB.",
                "Edit it on the robot itself.",
            )  # fmt: skip
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise HttpRefused(
                409, "config", f"{self.path} is not UTF-8 text.", "Edit it on the robot itself."
            ) from None

    def backups(self) -> list[Backup]:
        """The newest first."""
        found = []
        for path in self._backups.glob("*.yaml"):
            if not _ID.fullmatch(path.stem):
                continue
            try:
                note = path.with_suffix(".txt").read_text() if _has_note(path) else ""
                size = path.stat().st_size
            except OSError:
                continue
            found.append(Backup(path.stem, int(path.stem.partition("-")[0]) / 1e3, size, note))
        return sorted(found, key=lambda backup: backup.saved_at, reverse=True)

    def save(self, text: str, expected: str, note: str = "", kind: str = "save") -> str:
        """Replace the file by ``text`` where it is still what ``expected`` (a revision) names, and
        keep what was there. Returns the difference."""
        before = self.read()
        if revision(before) != expected:
            raise HttpRefused(
                409, "conflict", "The config was changed by somebody else meanwhile.",
                "Load it again, and make your change once more.",
            )  # fmt: skip
        if len(text.encode()) > LARGEST:
            raise HttpRefused(
                413, "too-long", f"A config has at most {LARGEST >> 10} KiB.",
                "Take out comments, or edit it on the robot itself.",
            )  # fmt: skip
        try:
            if text != before:
                self._keep(before, note, kind)
                replace(self.path, text.encode())
        except OSError as error:
            raise HttpRefused(
                507 if error.errno == 28 else 403, "failed",
                f"{self.path} cannot be written ({error.strerror}).", _LOOK,
            ) from error  # fmt: skip
        return diff(before, text, self.path.name)

    def earlier(self, backup: str | None) -> tuple[str, str]:
        """(id, text) of a backup; None: of the newest that was saved. Raises HttpRefused."""
        known = self.backups()
        saved = [b.id for b in known if b.id.endswith("-save")]
        name = backup if backup is not None else (saved[0] if saved else "")
        if name not in {b.id for b in known}:
            raise HttpRefused(404, "unknown", "There is nothing to go back to.", "")
        try:
            return name, (self._backups / f"{name}.yaml").read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise HttpRefused(404, "unknown", "That backup cannot be read.", _LOOK) from error

    def undo(self, backup: str | None, expected: str) -> str:
        """Go back to a backup. What was there is kept, so that an undo can be undone; the backup
        itself goes, so that the next undo goes further back. Returns the difference."""
        name, text = self.earlier(backup)
        difference = self.save(text, expected, "before an undo", "undo")
        self._drop(name)
        return difference

    def _keep(self, text: str, note: str, kind: str) -> None:
        self._backups.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = max((int(b.saved_at * 1e3) for b in self.backups()), default=0)
        name = f"{max(time.time_ns() // 1_000_000, newest + 1)}-{kind}"
        if note:
            replace(self._backups / f"{name}.txt", note[:200].encode(), 0o600)
        replace(self._backups / f"{name}.yaml", text.encode(), 0o600)
        for old in self.backups()[KEPT:]:
            self._drop(old.id)

    def _drop(self, name: str) -> None:
        for suffix in (".yaml", ".txt"):
            (self._backups / f"{name}{suffix}").unlink(missing_ok=True)


_LOOK = "Look at: ls -l /etc/lipsync-edge"


def _has_note(path: Path) -> bool:
    return path.with_suffix(".txt").is_file()


def told(file: ConfigFile) -> dict[str, Any]:
    """All about the file, as JSON. Raises HttpRefused."""
    text = file.read()
    return {
        "path": str(file.path), "text": text, "revision": revision(text),
        "writable": _is_writable(file.path), "backups": [asdict(b) for b in file.backups()],
    }  # fmt: skip


def _is_writable(path: Path) -> bool:
    import os

    return os.access(path.resolve().parent, os.W_OK)


def wrong(error: ConfigError) -> HttpRefused:
    """A text that cannot be changed safely."""
    return HttpRefused(409, "config", "\n".join(error.problems), "Change it in the editor.")
