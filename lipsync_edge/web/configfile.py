"""The head's config as a file that a page may change: whole or not at all, with a way back.

What was written by hand stays as it is: single values are changed in place (``yamledit``). The new
text is written beside the file, flushed to the disk and renamed; a rename is atomic on POSIX file
systems, so a cut of the power leaves the old file or the new one.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge.errors import ConfigError
from lipsync_edge.web.backups import Backup, Backups, revision
from lipsync_edge.web.refusal import HttpRefused
from lipsync_edge.yamledit import Path as Key
from lipsync_edge.yamledit import set_values
from lipsync_edge.yamlnodes import MAX_BYTES

MOST_CHANGES = 400
_MARK = "\ufeff"
_SIMPLE = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Saved:
    """What a save or an undo did. ``before``: the id of the backup that brings the old text back;
    empty where nothing changed."""

    text: str
    revision: str
    diff: str
    before: str


class ConfigFile:
    """One config. Its methods wait for the disk: not for the event loop, and one at a time."""

    def __init__(self, path: Path, backups: Backups) -> None:
        """``path``: of a file that is there; where it is a link, what it leads to is changed."""
        self.path, self.backups = path.resolve(), backups

    def read(self) -> str:
        """The text, line ends as they are, without a byte order mark. HttpRefused if there is
        none."""
        return self._read().removeprefix(_MARK)

    @property
    def writable(self) -> bool:
        """Whether :meth:`save` may work."""
        try:
            owner = self.path.stat().st_uid
        except OSError:
            return False
        return os.geteuid() in (0, owner) and os.access(self.path.parent, os.W_OK)

    def save(self, text: str, base: str, note: str = "") -> Saved:
        """Put ``text`` there, if the file still has the revision ``base``. HttpRefused else."""
        before = self._read()
        plain = before.removeprefix(_MARK)
        if revision(plain) != base:
            raise HttpRefused(
                409, "changed", "The config file was changed meanwhile.",
                "Load it again, then make your change once more.",
            )  # fmt: skip
        text = like(plain, text)
        kept = self._replace(plain, before[: len(before) - len(plain)] + text, note, text)
        return Saved(text, revision(text), diff(plain, text, self.path.name), kept)

    def to_undo(self, id: str | None = None) -> Backup:
        """The backup that :meth:`undo` brings back: ``id``, or the one before what is there."""
        found = self.backups.older(self.read()) if id is None else self.backups.find(id)
        if found is None:
            raise HttpRefused(404, "unknown", "There is nothing (more) to bring back.")
        return found

    def undo(self, backup: Backup, note: str = "") -> Saved:
        """Bring a backup's text back; what was there becomes a backup, too."""
        saved = self.save(backup.text, revision(self.read()), note or f"undo to {backup.id}")
        self.backups.undone(backup)
        return saved

    def _read(self) -> str:
        if self.path.exists() and not self.path.is_file():  # a pipe would be waited for
            raise HttpRefused(409, "no-config", f"The config {self.path} is no regular file.")
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            why = f"The config {self.path} cannot be read: {error.strerror}."
            raise HttpRefused(409, "no-config", why) from error
        if len(data) > MAX_BYTES:
            raise HttpRefused(409, "no-config", f"{self.path} is too long for a config.")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise HttpRefused(
                409, "no-config", f"{self.path} is not UTF-8 text.", "Save it with that encoding."
            ) from error

    def _replace(self, old: str, whole: str, note: str, new: str) -> str:
        """Keep ``old``, then put ``whole`` there; the id of the backup."""
        data = _encoded(whole)
        if old == new:
            return ""
        with _beside(self.path) as (temporary, handle):
            try:
                _write(handle, data)
                kept = self.backups.keep(old, note)
                if kept is None:
                    raise HttpRefused(507, "no-room", "The old config cannot be kept; look at the "
                                      "page's log. Nothing was changed.")  # fmt: skip
                os.replace(temporary, self.path)
                _flush(self.path.parent)
            except OSError as error:
                raise _unwritable(self.path, error) from error
        return kept


def revise(text: str, changes: Any, name: str) -> str:
    """``text`` with single values changed, nothing else: ``[{"path": ["servos", "jaw", "min_us"],
    "value": 1420}, ...]``. HttpRefused where that is no such list, or cannot be done safely."""
    if not isinstance(changes, list) or len(changes) > MOST_CHANGES:
        raise _no_changes()
    wanted: dict[Key, str] = {}
    for change in changes:
        if not isinstance(change, Mapping) or set(change) != {"path", "value"}:
            raise _no_changes()
        wanted[_key(change["path"])] = written(change["value"])
    try:
        return set_values(text, wanted, name)
    except ConfigError as error:
        first, *rest = error.problems
        raise HttpRefused(409, "by-hand", first, "\n".join(rest)) from error


def written(value: Any) -> str:
    """A value as YAML holds it on one line: 1420, 1.5, true, null, a word. Pure."""
    if not isinstance(value, _SIMPLE) or (isinstance(value, float) and not math.isfinite(value)):
        raise HttpRefused(400, "value", "A value is a number, a word, true, false or null.")
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, str) and not value.isprintable():
        raise HttpRefused(400, "value", "A word stands on one line and has no strange characters.")
    text: str = yaml.safe_dump(value, width=1_000_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").removesuffix("\n")


def like(old: str, new: str) -> str:
    """``new`` with the line ends of ``old``: the text field of a browser knows LF alone. Pure."""
    if "\r\n" in old and "\n" not in old.replace("\r\n", "") and "\r" not in new:
        return new.replace("\n", "\r\n")
    return new


def diff(old: str, new: str, name: str) -> str:
    """What differs, as ``diff -u`` shows it; empty: nothing. Pure."""
    before, after = (text.splitlines(keepends=True) for text in (old, new))
    names = (f"{name} (before)", f"{name} (after)")
    lines = difflib.unified_diff(before, after, *names, n=2)
    no_end = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + no_end for line in lines)


def _key(path: Any) -> Key:
    parts: Sequence[Any] = path if isinstance(path, list) else ()
    good = all(
        (isinstance(part, str) and part.isprintable() and 0 < len(part) <= 100)
        or (isinstance(part, int) and not isinstance(part, bool) and 0 <= part < 100)
        for part in parts
    )
    if not good or not 0 < len(parts) <= 8:
        raise _no_changes()
    return tuple(parts)


def _no_changes() -> HttpRefused:
    example = '[{"path": ["servos", "jaw", "min_us"], "value": 1420}]'
    return HttpRefused(400, "value", "That is no list of changes.", f"Like this: {example}")


def _encoded(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise HttpRefused(400, "value", "There is a character that is no text.") from error
    if len(data) > MAX_BYTES:
        raise HttpRefused(413, "too-long", f"A config has at most {MAX_BYTES >> 10} KiB.")
    return data


@contextmanager
def _beside(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file in the same folder with the mode and owner of ``path``, open for writing; gone
    where it was not moved. Its name is always the same: what a cut of the power left goes, too."""
    name = path.with_name(f".{path.name}.part")
    handle = -1
    try:
        try:
            stat = path.stat()
            name.unlink(missing_ok=True)
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            ours = os.fstat(handle)
            if (ours.st_uid, ours.st_gid) != (stat.st_uid, stat.st_gid):
                os.fchown(handle, stat.st_uid, stat.st_gid)
            os.fchmod(handle, stat.st_mode & 0o777)
        except OSError as error:
            raise _unwritable(path, error) from error
        yield name, handle
    finally:
        if handle >= 0:
            os.close(handle)
            with suppress(OSError):
                name.unlink()


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)


def _flush(folder: Path) -> None:
    """Wait until a rename is on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> HttpRefused:
    remedy = "The page's user must own the file and may write to its folder; see docs/web.md."
    return HttpRefused(409, "read-only", f"{path} cannot be changed: {error.strerror}.", remedy)
