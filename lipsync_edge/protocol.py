"""The words of the control socket: versioned JSON lines. docs/control.md describes them."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

VERSION = 1
LONGEST_LINE = 65_536
"""Bytes; a config is read from its file, a sound comes as an open file, so lines stay short."""

WITH_FILE = ("say-file",)
"""Commands along with which an open file comes."""

WATCH_HZ, MOTION_HZ = (0.2, 30.0), (0.2, 50.0)
"""How often a second the status and the motion may be watched."""


def error_reply(code: str, message: str, remedy: str = "") -> dict[str, Any]:
    """An answer that says no: a word for programs, a sentence, what to do about it."""
    return {"ok": False, "error": {"code": code, "message": message, "remedy": remedy}}


class Refused(Exception):
    """A line that is no request: what is answered."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.reply = error_reply(code, message, remedy)


def parse(line: bytes) -> dict[str, Any]:
    """A request of a line. Raises the refusal where it is none. Pure."""
    if len(line) > LONGEST_LINE:
        raise Refused("too-long", f"A line holds at most {LONGEST_LINE} bytes.")
    try:
        told = json.loads(line.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        example = '{"v":1,"cmd":"status"}'
        raise Refused("syntax", "That is no line of JSON.", f"Like this: {example}") from None
    if not isinstance(told, dict) or not isinstance(told.get("cmd"), str):
        raise Refused("syntax", "A request is an object with a command, cmd.")
    if told.get("v") != VERSION or isinstance(told["v"], bool):
        raise Refused("version", f"This head speaks version {VERSION} of the protocol.")
    if not isinstance(told.get("id"), str | int | type(None)) or len(str(told.get("id"))) > 100:
        raise Refused("value", "An id is a short word or a number.")
    return told


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as a question, else the list of them."""
    near = difflib.get_close_matches(word[:40].lower(), known, 1)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known))}."


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def is_number(value: Any) -> bool:
    """Whether it is a finite number, no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def watch_of(told: Mapping[str, Any]) -> tuple[bool, float]:
    """Whether the motion is watched, else the status; and how often a second. Raises the refusal
    where that cannot be."""
    detail, hertz = told.get("detail", "status"), told.get("hz", 10.0)
    if detail not in ("status", "motion"):
        raise Refused("value", "detail must be status or motion.")
    low, high = MOTION_HZ if detail == "motion" else WATCH_HZ
    if not is_number(hertz) or not low <= hertz <= high:
        raise Refused("value", f"hz must be {low:g} to {high:g}.")
    return detail == "motion", float(hertz)


def echo(told: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request stands in its answer, too."""
    return {"id": told["id"]} if told.get("id") is not None else {}


def request_line(told: Mapping[str, Any]) -> bytes:
    """A request as JSON with a line break. All letters as they are: escapes would make a Cyrillic
    config three times as long as it is."""
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"  # half a pair: as JSON escapes it, too


def as_line(reply: Mapping[str, Any]) -> bytes:
    """JSON with a line break. What JSON has no number for becomes null."""
    try:
        text = _as_text(reply)
    except ValueError:
        text = _as_text(_finite(reply))
    return text.encode() + b"\n"


def _as_text(reply: Any) -> str:
    return json.dumps(reply, separators=(",", ":"), default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
