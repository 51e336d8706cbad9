"""Puts measured values into a config file: shows the difference, then replaces it in one step."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lipsync_edge import config
from lipsync_edge.errors import ConfigError
from lipsync_edge.yamledit import Path as Key
from lipsync_edge.yamledit import set_values


def rewrite(path: Path, changes: dict[Key, str], show: Callable[[str], None]) -> None:
    """Change these values in a config file: show the difference, then replace it in one step.

    ConfigError where the file cannot be changed safely, or would not load any more.
    """
    path = path.resolve()  # a link stays a link
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ConfigError([f"{path}: cannot be changed (it is no regular file)"])
    try:
        before = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            [f"{path}: cannot be changed ({why}); `lipsync-edge config > FILE` makes a config"]
        ) from error
    mark = "\ufeff" if before.startswith("\ufeff") else ""
    after = mark + set_values(before.removeprefix(mark), changes, str(path))
    names = (f"{path.name} (before)", f"{path.name} (after)")
    show("".join(difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), *names, n=1
    )).rstrip("\n"))  # fmt: skip
    with _beside(path, after.encode("utf-8")) as temporary:
        try:
            config.load(temporary)
        except ConfigError as error:
            lines = [line.replace(str(temporary), str(path)) for line in error.problems]
            raise ConfigError([*lines, f"{path} was not changed."]) from None
        os.replace(temporary, path)
        _flush(path.parent)


def _flush(folder: Path) -> None:
    """Wait until a rename is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _beside(path: Path, data: bytes) -> Iterator[Path]:
    """A new file in the same folder, on the disk; gone where it was not moved.

    Its name is always the same: what a cut of the power leaves is taken away by the next one.
    """
    name = path.with_name(f".{path.name}.part.yaml")
    try:
        try:
            name.unlink(missing_ok=True)
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                _make_like(path, handle)
                file.write(data)
                file.flush()
                os.fsync(handle)  # else a cut of the power leaves neither the old file nor this one
        except OSError as error:
            why = f"{path.parent}: nothing can be written here ({error.strerror})"
            raise ConfigError([why]) from error
        yield name
    finally:
        with suppress(OSError):
            name.unlink()


def _make_like(path: Path, handle: int) -> None:
    """Mode, and owner and group where permitted: root shall not take the config from the page.

    By the handle: others may write in the folder, too, so the name may lead elsewhere by now.
    """
    stat = path.stat()
    for owner, group in ((-1, stat.st_gid), (stat.st_uid, -1)):
        with suppress(PermissionError):
            os.fchown(handle, owner, group)
    os.fchmod(handle, stat.st_mode & 0o777)
