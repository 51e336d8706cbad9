"""What changed between two configs, and which of it a running head can take over without a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lipsync_edge.config import Config
from lipsync_edge.errors import NeedsRestart
from lipsync_edge.options import SECTIONS

LIVE = {"motion", "log"}
"""Sections that only decide how to move, and what to say."""
FIXED = {("motion", "hold_ms"), ("motion", "ease_ms")}
WIRING = {"channel", "board"}
"""Of a servo: where it is plugged in, which the open board was told."""


def changes(old: Config, new: Config) -> list[str]:
    """Dotted keys whose effective values differ, in the order of the config."""
    before, after = _flat(_values(old)), _flat(_values(new))
    keys = [*after, *(key for key in before if key not in after)]
    return [".".join(key) for key in keys if before.get(key) != after.get(key)]


def _values(config: Config) -> dict[str, Any]:
    """All options as plain data, under the keys that they have in a file."""
    head = config.head
    servos = {s.name: {**asdict(s.options), "mix": dict(s.mix)} for s in head.servos}
    about = {
        "name": head.name,
        "description": head.description,
        "boards": [asdict(board) for board in head.boards],
        "personality": asdict(head.personality),
        "servos": servos,
    }
    return {name: asdict(getattr(config, name)) for name in SECTIONS} | {"head": about}


def needs_restart(key: str) -> bool:
    """Whether a dotted key of :func:`changes` takes devices or threads of its own to change."""
    parts = tuple(key.split("."))
    if parts[0] == "head":
        if parts[1] in ("name", "description", "personality"):
            return False
        return parts[1] != "servos" or len(parts) < 4 or parts[3] in WIRING
    return parts[0] not in LIVE or parts in FIXED


def compare(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """:func:`changes`, and those of them that a running head cannot take over."""
    changed = changes(old, new)
    fixed = [key for key in changed if needs_restart(key)]
    if [s.name for s in old.head.servos] != [s.name for s in new.head.servos]:
        fixed = fixed or ["the head's servos"]
    return changed, fixed


def live_changes(old: Config, new: Config) -> list[str]:
    """:func:`changes`, all of which a running head can take over; NeedsRestart where it cannot."""
    changed, fixed = compare(old, new)
    if fixed:
        raise NeedsRestart(
            f"{', '.join(fixed)}: cannot change while the head runs. The old config is kept.",
            "lipsync-edge restart takes it over, with a gap of about half a second.",
        )
    return changed


def _flat(value: Any, key: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if isinstance(value, Mapping):
        parts = ((str(k), v) for k, v in value.items())
    elif isinstance(value, list):
        parts = ((str(k), v) for k, v in enumerate(value))
    else:
        return {key: value}
    return {k: v for name, item in parts for k, v in _flat(item, (*key, name)).items()}
