"""Reads YAML up to a tree of nodes with line numbers, and collects all problems on the way.

Size, encoding, tabs, depth and aliases are checked on the flat text and the stream of events,
before anything is built, so that no file can cost much memory or time.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_SHOWN = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

KeyPath = tuple[str, ...]


@dataclass
class Problems:
    """Collects what is wrong, so that a maker sees all of it at once."""

    lines: list[str] = field(default_factory=list)
    invalid: set[KeyPath] = field(default_factory=set)

    def add(self, place: str, path: KeyPath, text: str) -> None:
        """Note ``PLACE: key: text``; ``path`` is the key, () for the whole file."""
        key = [shorten(".".join(path))] if path else []
        self.lines.append(": ".join([place, *key, text]))

    def raise_all(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        more = len(self.lines) - MAX_SHOWN
        if more > 0:
            raise ConfigError([*self.lines[:MAX_SHOWN], f"... and {more} more problems"])
        if self.lines:
            raise ConfigError(self.lines)

    def did_you_mean(self, word: str, known: Iterable[str]) -> str:
        """The nearest known word as a question, else the list of them."""
        import difflib  # only when something is wrong: it costs start-up time

        choices, word = {k.casefold(): k for k in known}, word.casefold()[:60]
        near = [k for k in choices if len(word) > 2 and k.startswith(word)]
        if not near and len(self.lines) < MAX_SHOWN:  # more are not shown anyway
            near = difflib.get_close_matches(word, choices, 1)
        if near:
            return f"did you mean {choices[near[0]]}?"
        names = list(choices.values())
        listed = ", ".join(names[:12]) or "none"
        return f"there are: {listed}{', ...' if len(names) > 12 else '.'}"


def shorten(text: str) -> str:
    """A value for a message: on one line, printable, not longer than 60 characters."""
    printable = text if text.isprintable() else ascii(text)[1:-1]
    return printable if len(printable) <= 60 else printable[:57] + "..."


def read(path: Path, problems: Problems, may_be_pipe: bool = False) -> yaml.Node | None:
    """The node tree of a file; None where it is empty, or bad (then a problem is noted).

    ``may_be_pipe``: it may be a pipe that somebody writes to, too; then this waits for its end.
    """
    source = str(path)
    try:
        data, size = _bytes_of(path, may_be_pipe)
    except (OSError, ValueError) as error:
        problems.add(source, (), _why_unreadable(error))
        return None
    if len(data) > MAX_BYTES:
        problems.add(source, (), too_large(size))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problems.add(
            f"{source}:{line}", (), "this is not UTF-8 text; save the file with the encoding UTF-8"
        )
        return None
    return compose(text, source, problems)


class _NoFile(OSError):
    """What a name leads to is nothing to read from; as a sentence."""


def _bytes_of(path: Path, may_be_pipe: bool) -> tuple[bytes, int]:
    """The first bytes of a file, and how many there are; 0: nobody knows."""
    _check_kind(path.stat(), may_be_pipe)  # devices are not even opened: some do things by that
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        _check_kind(status, may_be_pipe)  # it may be another one meanwhile
        os.set_blocking(file.fileno(), True)
        data = file.read(MAX_BYTES + 1)
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file and not data:
        raise _NoFile("nobody writes to this pipe; give the name of a YAML file")
    return data, max(status.st_size, len(data)) if is_file else 0


def _open_at_once(path: str, flags: int) -> int:
    """Without a wait for somebody at the other end, such as a pipe's writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _check_kind(status: os.stat_result, may_be_pipe: bool) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(status.st_mode) and not (may_be_pipe and stat.S_ISFIFO(status.st_mode)):
        raise _NoFile("this is no regular file; give the name of a YAML file")


def too_large(size: int = 0) -> str:
    """Why so many bytes are no config; 0: so many that nobody counted on."""
    told = f"the file has {size / 1024:.0f} kB, the limit is" if size else "this is more than"
    return f"{told} {MAX_BYTES // 1024} kB; a config is a page of text, is this the right file?"


def _why_unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, _NoFile):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the name and the folder"
    if isinstance(error, IsADirectoryError):
        return "this is a folder; give the name of a YAML file in it"
    if isinstance(error, OSError):
        return f"the file cannot be read ({error.strerror}); check its owner and permissions"
    return "this is no file name; give the name of a YAML file"


def compose(text: str, source: str, problems: Problems) -> yaml.Node | None:
    """The node tree of a text; None where it is empty, or bad (then a problem is noted)."""
    bad = _bad_character(text) or _bad_structure(text)
    if bad:
        line, sentence = bad
        problems.add(f"{source}:{line}", (), sentence)
        return None
    node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    return node


def _bad_character(text: str) -> tuple[int, str] | None:
    strange = _NOT_TEXT.search(text)
    if strange:
        line = text.count("\n", 0, strange.start()) + 1
        return line, (
            f"there is a character that is not text (code {ord(strange[0]):#04x}); "
            "is this a YAML file, saved as UTF-8?"
        )
    for number, line_text in enumerate(text.split("\n"), 1):
        if "\t" in line_text.split("#", 1)[0]:
            return number, "there is a tab; YAML takes only spaces: put two spaces in its place"
    return None


def _bad_structure(text: str) -> tuple[int, str] | None:
    """Walk the flat stream of events first: it needs no memory and no recursion, a tree does."""
    depth = documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if depth > MAX_DEPTH:
                return line, f"this is nested deeper than {MAX_DEPTH} levels; a config needs 5"
            if documents > 1:
                return line, "a second document begins here; keep one and remove the `---`"
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                return line, (
                    "a value that begins with &, * or ! means something special in YAML, "
                    "which is not used here; put the value in quotes"
                )
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "it cannot be read"
        return (mark.line + 1 if mark else 1), (
            f"this is not valid YAML ({what}); check the indentation, the space after each colon, "
            "and that quotes and brackets are closed"
        )
    return None
