"""Declared shapes for YAML: what keys there may be, and of which type each value is.

Scalars are read by the *declared* type of their option, never by YAML's own guess, so that ``no``
stays a word, ``010`` is ten and ``1e-3`` a number. Each value keeps the place it was written at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import yaml

from lipsync_edge.options import Rule
from lipsync_edge.yamlnodes import KeyPath, Problems, shorten

_DIGITS = "[0-9](?:_?[0-9])*"
_INTEGER = re.compile(rf"[+-]?(0[xX][0-9a-fA-F]+|{_DIGITS})", re.ASCII)
_FLOAT = re.compile(rf"[+-]?({_DIGITS}\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{{1,4}})?", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)


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
    """A mapping from up to ``most`` names to things of one kind.

    ``known``: the names, where they are fixed.
    """

    item: Schema
    what: str
    most: int
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


Entries = dict[KeyPath, Entry]


def override_node(path: KeyPath, value: str) -> yaml.Node:
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

    def walk(self, node: yaml.Node, schema: Schema, path: KeyPath = ()) -> None:
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

    def _refuse(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.problems.add(self.place(node), path, text)
        self.problems.invalid.add(path)

    def _leaf(self, node: yaml.Node, leaf: Leaf, path: KeyPath) -> None:
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

    def _list(self, node: yaml.Node, schema: Listed, path: KeyPath) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node, path, f"a list belongs here: one line with `- ` per {schema.what}")
        elif not 1 <= len(node.value) <= schema.most:
            n = len(node.value)
            self._refuse(node, path, f"{n} of them; 1 to {schema.most} are possible")
        else:
            for index, item in enumerate(node.value):
                self.walk(item, schema.item, (*path, str(index)))

    def _mapping(self, node: yaml.Node, schema: Group | Named, path: KeyPath) -> None:
        if isinstance(node, yaml.ScalarNode) and not node.value and not node.style:
            return  # a section whose options are all commented out
        if not isinstance(node, yaml.MappingNode):
            what = "options" if isinstance(schema, Group) else f"{schema.what} names"
            self._refuse(node, path, f"{what} belong here, one `key: value` a line")
            return
        if isinstance(schema, Named) and len(node.value) > schema.most:
            n = len(node.value)
            self._refuse(node, path, f"{n} of them; {schema.most} are possible")
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

    def _item(
        self, key_node: yaml.ScalarNode, schema: Group | Named, path: KeyPath
    ) -> Schema | None:
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
    with_unit = re.fullmatch(r"([+-]?[0-9]+\.?[0-9]*) *[a-zA-Zµ%/]+", text)
    if with_unit:
        return f"{shown} is more than a number; write {with_unit[1]} alone{allowed}"
    return f"{shown} is not a finite number{allowed or '; write digits, such as 1.5'}"
