"""The little language in which a dummy is told to misbehave: ``nack@2:0.2 slow@3:0.05 dead@5``.

Each word is ``kind@start`` or ``kind@start:argument``: what goes wrong, when (seconds since the
device was opened) and one number whose meaning the kind decides (mostly a duration in seconds).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One misbehaviour; ``argument`` is None where the text gave none."""

    kind: str
    start_s: float
    argument: float | None = None

    def active(self, elapsed_s: float, lasting_s: float = math.inf) -> bool:
        """Whether it is going on at ``elapsed_s``, for kinds whose argument is a duration.

        Without an argument it lasts ``lasting_s`` seconds.
        """
        duration_s = lasting_s if self.argument is None else self.argument
        return self.start_s <= elapsed_s < self.start_s + duration_s


def parse_faults(text: str, allowed: Mapping[str, str]) -> tuple[Fault, ...]:
    """Read ``text``, words separated by blanks or commas; returns the faults ordered by start.

    ``allowed`` maps each known kind to a phrase that explains it. Raises ValueError, with a
    sentence that lists the known kinds, for an unknown kind or a number that is none.
    """
    faults = [_parse_one(word, allowed) for word in text.replace(",", " ").split()]
    return tuple(sorted(faults, key=lambda fault: fault.start_s))


def _parse_one(word: str, allowed: Mapping[str, str]) -> Fault:
    kind, at, rest = word.partition("@")
    if kind not in allowed:
        close = difflib.get_close_matches(kind, allowed, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{word!r}: no fault is called {kind!r}{hint}. {_known(allowed)}")
    start, colon, argument = rest.partition(":")
    start_s = _number(start)
    value = _number(argument) if colon else None
    if not at or start_s is None or (colon and value is None):
        raise ValueError(
            f"{word!r}: write kind@start or kind@start:argument, the numbers 0 or more, "
            f"e.g. {kind}@2:0.5. {_known(allowed)}"
        )
    return Fault(kind, start_s, value)


def _number(text: str) -> float | None:
    """A finite number >= 0, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _known(allowed: Mapping[str, str]) -> str:
    return "Known: " + "; ".join(f"{kind} ({phrase})" for kind, phrase in allowed.items())


BOARD_FAULTS: Mapping[str, str] = {
    "nack": "no answer for so many seconds, 0.1 where none is given; the pulses go on",
    "slow": "the next update takes so many seconds longer, 0.1 where none is given",
    "dead": "no power for so many seconds, for good where none is given",
    "reset": "the registers go back to their power-up values: the outputs are off",
}
"""What the servo dummy and the simulated bus can do wrong."""
