"""From YAML to checked values: each with the place it was written at, and all problems at once.

Scalars are read by the *declared* type of their option, never by YAML's own guess, so that ``no``
stays a word, ``010`` is ten and ``1e-3`` a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lipsync_edge.errors import ConfigError
from lipsync_edge.options import Rule

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_SHOWN = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9][0-9_]*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)
_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Path_ = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """One value of a declared type: ``int``, ``float``, ``bool`` or ``str``."""

    type: str
    rule: Rule


@dataclass(frozen=True)
class Group:
    """A mapping with fixed keys. With ``word``, one word may stand in its place."""

    items: Mapping[str, Schema]
    word: Leaf | None = None


@dataclass(frozen=True)
class Named:
    """A mapping from names to things of one kind; ``known``: the names, where they are fixed."""

    item: Schema
    what: str
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """A list of 1 to ``most`` things of one kind."""

    item: Schema
    what: str
    most: int


Schema = Leaf | Group | Named | Listed


def group(section: type[Any], **more: Schema) -> Group:
    """The schema of a class of options, and of what stands beside them."""
    leaves = {f.name: Leaf(str(f.type), f.metadata["rule"]) for f in fields(section)}
    return Group({**leaves, **more})


class Entry(NamedTuple):
    """A value and where it was written. Mappings and lists have an entry too, with None."""

    value: Any
    place: str


Entries = dict[Path_, Entry]


@dataclass
class Problems:
    """Collects what is wrong, so that a maker sees all of it at once."""

    lines: list[str] = field(default_factory=list)
    invalid: set[Path_] = field(default_factory=set)

    def add(self, place: str, path: Path_, text: str) -> None:
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

        choices = {k.casefold(): k for k in known}
        near = difflib.get_close_matches(word.casefold()[:60], choices, 1) if word else []
        if near and len(self.lines) < MAX_SHOWN:
            return f"did you mean {choices[near[0]]}?"
        return f"there are: {', '.join(choices.values()) or 'none'}."


def shorten(text: str) -> str:
    """A value for a message: on one line, printable, not longer than 60 characters."""
    printable = text if text.isprintable() else ascii(text)[1:-1]
    return printable if len(printable) <= 60 else printable[:57] + "..."


# Reading a file -----------------------------------------------------------------------------------


def read(path: Path, problems: Problems) -> yaml.Node | None:
    """The node tree of a file; None where it is empty, or bad (then a problem is noted)."""
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
            size = max(path.stat().st_size, len(data))
    except (OSError, ValueError) as error:
        problems.add(source, (), _why_unreadable(error))
        return None
    if len(data) > MAX_BYTES:
        problems.add(
            source,
            (),
            f"the file has {size / 1024:.0f} kB, the limit is {MAX_BYTES // 1024} kB; "
            "a config is a page of text, is this the right file?",
        )
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


def _why_unreadable(error: OSError | ValueError) -> str:
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


# Walking a tree -----------------------------------------------------------------------------------


def override_node(path: Path_, value: str) -> yaml.Node:
    """The tree of one dotted key from the command line; it has no line numbers."""
    node: yaml.Node = yaml.ScalarNode("", value)
    for key in reversed(path):
        node = yaml.MappingNode("", [(yaml.ScalarNode("", key), node)])
    return node


@dataclass
class Walker:
    """Checks a node tree against a schema and gathers its values."""

    source: str
    problems: Problems
    entries: Entries = field(default_factory=dict)

    def place(self, node: yaml.Node) -> str:
        """``FILE:LINE`` of a node, or the source alone where there are no lines."""
        return f"{self.source}:{node.start_mark.line + 1}" if node.start_mark else self.source

    def walk(self, node: yaml.Node, schema: Schema, path: Path_ = ()) -> None:
        """Gather all values under ``node`` into :attr:`entries`; note what is wrong."""
        self.entries[path] = Entry(None, self.place(node))
        if isinstance(schema, Group) and schema.word and isinstance(node, yaml.ScalarNode):
            schema = schema.word
        if isinstance(schema, Leaf):
            self._leaf(node, schema, path)
        elif isinstance(schema, Listed):
            self._list(node, schema, path)
        else:
            self._mapping(node, schema, path)

    def _refuse(self, node: yaml.Node, path: Path_, text: str) -> None:
        self.problems.add(self.place(node), path, text)
        self.problems.invalid.add(path)

    def _leaf(self, node: yaml.Node, leaf: Leaf, path: Path_) -> None:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, path, f"one value belongs here, not several; {leaf.rule.help}")
            return
        try:
            value = convert(node.value, leaf)
        except ValueError as error:
            self._refuse(node, path, f"{error}{self._hint(node.value, leaf)}")
        else:
            self.entries[path] = Entry(value, self.place(node))

    def _hint(self, word: str, leaf: Leaf) -> str:
        if not leaf.rule.choices:
            return f" ({leaf.rule.help})"
        return f"; {self.problems.did_you_mean(word, leaf.rule.choices)}"

    def _list(self, node: yaml.Node, schema: Listed, path: Path_) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node, path, f"a list belongs here: one line with `- ` per {schema.what}")
        elif not 1 <= len(node.value) <= schema.most:
            n = len(node.value)
            self._refuse(node, path, f"{n} of them; 1 to {schema.most} are possible")
        else:
            for index, item in enumerate(node.value):
                self.walk(item, schema.item, (*path, str(index)))

    def _mapping(self, node: yaml.Node, schema: Group | Named, path: Path_) -> None:
        if isinstance(node, yaml.ScalarNode) and not node.value and not node.style:
            return  # a section whose options are all commented out
        if not isinstance(node, yaml.MappingNode):
            what = "options" if isinstance(schema, Group) else f"{schema.what} names"
            self._refuse(node, path, f"{what} belong here, one `key: value` a line")
            return
        first: dict[str, str] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a key is one word, not a list or a mapping")
                continue
            key = key_node.value
            at = (*path, key)
            if key in first:
                self._refuse(
                    key_node, at, f"given twice, the first time at {first[key]}; remove one of them"
                )
                continue
            first[key] = self.place(key_node)
            item = self._item(key_node, schema, at)
            if item is not None:
                self.walk(value, item, at)

    def _item(self, key_node: yaml.ScalarNode, schema: Group | Named, path: Path_) -> Schema | None:
        """The schema of one key; None, and a problem, where the key is unknown."""
        key = key_node.value
        if isinstance(schema, Group):
            known, what, item = tuple(schema.items), "option", schema.items.get(key)
        else:
            known, what, item = schema.known, schema.what, schema.item
        if known and key not in known:
            hint = self.problems.did_you_mean(key, known)
            self.problems.add(self.place(key_node), path, f"there is no such {what}; {hint}")
            return None
        if not known and not _NAME.fullmatch(key):
            self.problems.add(
                self.place(key_node),
                path,
                f"a {what} name has letters, digits and _, begins with a letter and has up to 40",
            )
            return None
        return item


# One value ----------------------------------------------------------------------------------------


def convert(text: str, leaf: Leaf) -> Any:
    """The value of a text by its declared type and limits; ValueError with a sentence if not."""
    rule, shown = leaf.rule, shorten(text)
    if leaf.type == "str":
        if not text.isprintable():
            raise ValueError(f"{shown} has characters that cannot be printed; leave them out")
        if rule.choices and text not in rule.choices:
            raise ValueError(f"{shown or 'nothing'} is not {rule.limits}")
        return text
    if leaf.type == "bool":
        if text not in {"true", "false"}:
            raise ValueError(f"{shown or 'nothing'} is not an answer here; write true or false")
        return text == "true"
    value = _number(text, leaf)
    if (rule.low is not None and value < rule.low) or (rule.high is not None and value > rule.high):
        much = "small" if rule.low is not None and value < rule.low else "large"
        raise ValueError(f"{shown} is too {much}; allowed is {rule.limits}")
    return value


def _number(text: str, leaf: Leaf) -> int | float:
    whole = leaf.type == "int"
    if _INTEGER.fullmatch(text) and len(text) <= 40:
        integer = int(text, 16) if "x" in text.lower() else int(text)
        return integer if whole else float(integer)
    value = float(text) if _FLOAT.fullmatch(text) and len(text) <= 40 else math.nan
    if math.isfinite(value) and (value.is_integer() or not whole):
        return int(value) if whole else value
    raise ValueError(f"{_why_no_number(text, value, leaf)}")


def _why_no_number(text: str, value: float, leaf: Leaf) -> str:
    shown, limits = shorten(text) or "nothing", leaf.rule.limits
    allowed = f"; allowed is {limits}" if limits else ""
    if math.isfinite(value):
        return f"{shown} is not a whole number; write it without a fraction{allowed}"
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
        return f"{shown} has a comma; write {text.replace(',', '.')}{allowed}"
    with_unit = re.fullmatch(r"([+-]?[0-9.]+) *[a-zA-Zµ%/]+", text)
    if with_unit and not math.isinf(value):
        return f"{shown} is more than a number; write {with_unit[1]} alone{allowed}"
    return f"{shown} is not a finite number{allowed or '; write digits, such as 1.5'}"
