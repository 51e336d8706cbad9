"""Changes single values in YAML that somebody wrote by hand, and leaves every other line alone.

The places come from PyYAML's node marks; the result is read again and must hold exactly the values
that were asked for, else nothing is changed.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from lipsync_edge.errors import ConfigError

Path = tuple[str | int, ...]

INDENT = 2


def set_values(text: str, changes: dict[Path, str], source: str) -> str:
    """``text`` with the values at the paths in ``changes`` set to plain scalars.

    A path holds keys and, for lists, indexes: ``("boards", 0, "oscillator_hz")``. Keys that are
    missing are added: at the top of their section, a section at the end of the file. ConfigError
    where that cannot be done safely, with the lines to type by hand; ``source`` names the file.
    """
    wanted = _load(text, source, changes)
    for path, value in changes.items():
        edited = _set(text, path, value, source, changes)
        wanted = _with(wanted, path, yaml.safe_load(value))
        if edited is None or _load(edited, source, changes) != wanted:
            raise _refusal(source, changes)
        text = edited
    return text


def _load(text: str, source: str, changes: dict[Path, str]) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise _refusal(source, changes) from None


def _refusal(source: str, changes: dict[Path, str]) -> ConfigError:
    lines = [f"{'.'.join(map(str, path))}: {value}" for path, value in changes.items()]
    return ConfigError(
        [f"{source}: the way it is written, it cannot be changed safely. Write by hand:", *lines]
    )


def _with(data: Any, path: Path, value: Any) -> Any:
    """A copy of ``data`` in which ``path`` holds ``value``."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        items = list(data) if isinstance(data, list) else []
        items += [None] * (key + 1 - len(items))
        items[key] = _with(items[key], rest, value)
        return items
    mapping = dict(data) if isinstance(data, dict) else {}
    mapping[key] = _with(mapping.get(key), rest, value)
    return mapping


def _set(text: str, path: Path, value: str, source: str, changes: dict[Path, str]) -> str | None:
    """The edited text, None where no safe way is known."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise _refusal(source, changes) from None
    newline = "\r\n" if "\r\n" in text else "\n"
    if node is None:
        return _append(text, path, value, newline)
    key_node: yaml.Node | None = None
    in_flow = False
    for depth, key in enumerate(path):
        found = _child(node, key)
        in_flow = in_flow or bool(getattr(node, "flow_style", False))
        if found is None and isinstance(key, str) and _is_null(node, in_flow):
            return _replace(text, node, key_node, "{" + _flow(path[depth:], value) + "}")
        if found is None:
            return _insert(text, node, key_node, path[depth:], value, newline)
        key_node, node = found
    return _replace(text, node, key_node, value)


def _child(node: yaml.Node, key: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The nodes of a key and its value; an item of a list stands for its own key."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(k, v) for k, v in node.value if k.value == key]
        return pairs[0] if len(pairs) == 1 else None
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key]
    return None


def _is_nothing(node: yaml.Node) -> bool:
    """A key without a value."""
    return isinstance(node, yaml.ScalarNode) and not node.value and node.style is None


def _is_null(node: yaml.Node, in_flow: bool) -> bool:
    """A null that has a place of its own: the word, or nothing between commas."""
    return node.tag == "tag:yaml.org,2002:null" and (in_flow or not _is_nothing(node))


def _replace(text: str, node: yaml.Node, key_node: yaml.Node | None, value: str) -> str | None:
    if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
        return None
    begin, end = node.start_mark.index, node.end_mark.index
    if _is_nothing(node):
        if key_node is None or key_node is node:
            return None
        begin = end = key_node.end_mark.index
        colon = re.compile(r"\s*:").match(text, begin)
        begin = end = colon.end() if colon else begin
        value = " " + value if colon else ": " + value  # {key} is {key: }
    return text[:begin] + value + text[end:]


def _insert(
    text: str, node: yaml.Node, key_node: yaml.Node | None, path: Path, value: str, newline: str
) -> str | None:
    """Add ``path`` below ``node``, whose key is ``key_node`` (None: the whole file)."""
    if isinstance(path[0], int) and not _is_nothing(node):
        return None
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        at = text.index("{", node.start_mark.index) + 1
        more = ", " if node.value else ""
        return text[:at] + _flow(path, value) + more + text[at:]
    if key_node is None:
        if not isinstance(node, yaml.MappingNode) or node.start_mark.column:
            return None
        return _append(text, path, value, newline)
    place = _place(node, key_node)
    if place is None:
        return None
    above, column = place
    at = _line_end(text, above.end_mark.index)
    lines = newline.join(_block(path, value, column))
    return text[:at] + newline + lines + text[at:]


def _place(node: yaml.Node, key_node: yaml.Node) -> tuple[yaml.Node, int] | None:
    """Below which node a new line of the block ``node`` belongs, and how far it is indented."""
    if isinstance(node, yaml.MappingNode):
        first_key, first_value = node.value[0]
        # In `- key: value` the first key stands beside the dash: the new line must follow it.
        above = key_node if key_node is not node else first_value
        safe = above is key_node or isinstance(first_value, yaml.ScalarNode)
        return (above, first_key.start_mark.column) if safe else None
    if _is_nothing(node) and key_node is not node:
        return key_node, key_node.start_mark.column + INDENT
    return None


def _append(text: str, path: Path, value: str, newline: str) -> str:
    """Add a section at the end of the file."""
    gap = newline if text.strip() else ""
    start = "" if not text or text.endswith("\n") else newline
    return text + start + gap + newline.join(_block(path, value, 0)) + newline


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end


def _block(path: Path, value: str, column: int) -> list[str]:
    """Lines that hold ``path: value``, indented by ``column``. Of a list only item 0 can be new."""
    if isinstance(path[0], int):
        first, *rest = _block(path[1:], value, column + 2)
        return [" " * column + "- " + first.lstrip(), *rest]
    if len(path) == 1:
        return [f"{' ' * column}{path[0]}: {value}"]
    return [f"{' ' * column}{path[0]}:", *_block(path[1:], value, column + INDENT)]


def _flow(path: Path, value: str) -> str:
    if len(path) == 1:
        return f"{path[0]}: {value}"
    return f"{path[0]}: {{{_flow(path[1:], value)}}}"
