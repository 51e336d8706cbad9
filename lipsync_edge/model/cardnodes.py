"""The entries of a ``card.yaml``, each with the line where it stands, for refusals that name it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from lipsync_edge import yamlnodes
from lipsync_edge.errors import ModelError

CARD_FILE = "card.yaml"


@dataclass(frozen=True)
class Node:
    """A value of the card and where it stands. Its methods raise ModelError, naming the line."""

    source: str
    line: int
    key: str
    value: Any

    def fail(self, sentence: str) -> NoReturn:
        """Refuse the card because of this entry."""
        raise ModelError(f"{self.source}:{self.line}: {self.key}: {sentence}")

    def __getitem__(self, key: str) -> Node:
        if key not in self.mapping_nodes():
            self.fail(f"{key!r} is missing here.")
        node: Node = self.value[key]
        return node

    def only(self, known: Iterable[str]) -> None:
        """Refuse entries that are not ``known``."""
        for key, node in self.mapping_nodes().items():
            if key not in known:
                hint = yamlnodes.Problems().did_you_mean(key, known)
                node.fail(f"there is no such entry; {hint}")

    def mapping_nodes(self) -> dict[str, Node]:
        """The entries by name."""
        if not isinstance(self.value, dict):
            self.fail("must be a list of `key: value` lines.")
        return self.value

    def entries(self) -> list[Node]:
        """The entries of a list."""
        if not isinstance(self.value, list):
            self.fail("must be a list.")
        return self.value

    def text(self) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            self.fail("must be a text.")
        return self.value

    def integer(self, low: int, high: int) -> int:
        """A whole number within ``low`` to ``high``."""
        if type(self.value) is not int or not low <= self.value <= high:
            shown = yamlnodes.shorten(repr(self.plain()))
            self.fail(f"must be a whole number from {low} to {high}, not {shown}.")
        return self.value

    def one_of(self, known: Iterable[str]) -> str:
        """One of the ``known`` names."""
        if self.value not in list(known):
            hint = yamlnodes.Problems().did_you_mean(str(self.plain()), known)
            self.fail(f"{yamlnodes.shorten(str(self.plain()))!r} is not there; {hint}")
        return str(self.value)

    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def mapping(self) -> dict[str, Any]:
        """The value as a plain mapping."""
        self.mapping_nodes()
        plain: dict[str, Any] = self.plain()
        return plain


def read_card(folder: Path) -> Node:
    """The card in ``folder``. Raises ModelError."""
    path = folder / CARD_FILE
    if not path.is_file():
        raise ModelError(
            f"{folder}: this is no model bundle, it has no {CARD_FILE}.",
            "Give the folder of a bundle, with card.yaml, the model and golden.npz in it.",
        )
    return read_nodes(path, "card")


def read_nodes(path: Path, what: str) -> Node:
    """The entries of a YAML file, called ``what`` in errors. Raises ModelError."""
    problems = yamlnodes.Problems()
    node = yamlnodes.read(path, problems)
    if problems.lines:
        raise ModelError(problems.lines[0])
    if node is None:
        remedy = "Install the bundle anew." if what == "card" else ""
        raise ModelError(f"{path}:1: the {what} is empty.", remedy)
    return _convert(node, str(path), what, what)


def _convert(node: yaml.Node, source: str, key: str, top: str) -> Node:
    line = node.start_mark.line + 1 if node.start_mark else 1
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = {}
        for name_node, child in node.value:
            name = str(name_node.value)
            if name in value:
                raise ModelError(f"{source}:{name_node.start_mark.line + 1}: {name}: stands twice.")
            value[name] = _convert(child, source, name if key == top else f"{key}.{name}", top)
    elif isinstance(node, yaml.SequenceNode):
        value = [_convert(child, source, f"{key}[{i}]", top) for i, child in enumerate(node.value)]
    else:
        value = _scalar(node, f"{source}:{line}: {key}")
    return Node(source, line, key, value)


def _scalar(node: yaml.Node, place: str) -> Any:
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ModelError(f"{place}: {node.value!r} cannot be read.") from error
