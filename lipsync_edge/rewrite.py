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
    with _beside(path) as temporary:
        temporary.write_bytes(after.encode("utf-8"))
        try:
            config.load(temporary)
        except ConfigError as error:
            lines = [line.replace(str(temporary), str(path)) for line in error.problems]
            raise ConfigError([*lines, f"{path} was not changed."]) from None
        _flush(temporary)  # else a cut of the power may leave neither the old file nor the new one
        os.replace(temporary, path)
        _flush(path.parent)


def _flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file in the same folder, with the same permissions; gone where it was not moved.

    Its name is always the same: what a cut of the power leaves is taken away by the next one.
    """
    name = path.with_name(f".{path.name}.part.yaml")
    try:
        name.unlink(missing_ok=True)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.chmod(name, path.stat().st_mode & 0o777)
    except OSError as error:
        raise ConfigError([f"{path.parent}: nothing can be written here ({error.strerror})"]) from (
            error
        )
    try:
        yield name
    finally:
        with suppress(FileNotFoundError):
            name.unlink()
