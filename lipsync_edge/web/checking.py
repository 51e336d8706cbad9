"""The checker and the doctor: the head's own, or their programs where no head answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipsync_edge.errors import ControlError, LipsyncError
from lipsync_edge.web import child
from lipsync_edge.web.parts import Parts
from lipsync_edge.web.refusal import EngineDown, EngineRefused

CHECK_S, DOCTOR_S = 30.0, 70.0
_COMMAND = (sys.executable, "-m", "lipsync_edge")
_TOO_LONG = ("too-long", "value")
"""Said by a head that answers, of a text that does not fit in a line of its socket."""

Problems = list[dict[str, Any]]


async def check(parts: Parts, path: Path, text: str) -> dict[str, Any]:
    """``problems`` of a text that shall stand in ``path``: line, key, message, remedy, severity.
    From a running head also ``changed`` and ``needs_restart``: dotted keys."""
    try:
        told = await parts.engine.ask("check", text=text)
        return {key: told.get(key, []) for key in ("problems", "changed", "needs_restart")}
    except EngineDown:
        pass
    except EngineRefused as error:
        if error.code not in _TOO_LONG:
            raise
    words = [*_COMMAND, "check", str(path), "--text", "--json"]
    async with parts.programs:
        told = await _json_of(words, text.encode("utf-8", "replace"), CHECK_S)
    return {"problems": list(told["problems"]), "changed": [], "needs_restart": []}


def errors(problems: Problems) -> Problems:
    """Those that keep a config from being taken."""
    return [problem for problem in problems if problem.get("severity") != "warning"]


async def examine(parts: Parts, path: Path | None) -> list[dict[str, Any]]:
    """What the doctor finds: ok, name, message, remedy. ``path``: of the config to look at where no
    head answers; None: the built-in one."""
    try:
        return list((await parts.engine.ask("doctor", wait_s=DOCTOR_S)).get("checks", []))
    except EngineDown as down:
        first = _alone(down)
    file = [str(path)] if path else []
    async with parts.programs:
        found = await _json_of([*_COMMAND, "doctor", *file, "--json"], b"", DOCTOR_S)
    checks = [
        {"ok": bool(row["ok"]), "name": str(row["name"]), "message": str(row["words"]),
         "remedy": str(row["remedy"])}
        for row in found
    ]  # fmt: skip
    return [first, *checks]


def _alone(down: ControlError) -> dict[str, Any]:
    words = f"{down.message} What follows is what the page's own user sees, who may see less."
    remedy = f"{down.remedy}\nOn its terminal: sudo lipsync-edge doctor"
    return {"ok": False, "name": "head", "message": words, "remedy": remedy}


async def _json_of(words: Sequence[str], told: bytes, wait_s: float) -> Any:
    """What a command of ours prints with ``--json``, whatever its exit code."""
    name = words[3]
    try:
        ended = await child.run(words, told, wait_s)
        return json.loads(ended.out)
    except (OSError, TimeoutError, ValueError) as error:
        raise LipsyncError(
            f"The {name} did not come to an end.", f"On its terminal: lipsync-edge {name}"
        ) from error
