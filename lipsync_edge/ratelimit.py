"""Keeps a trouble that lasts from filling the journal: told at once, then ever more rarely."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class _Told:
    next_s: float
    pause_s: float
    seen_s: float
    held_back: int = 0


class RateLimit:
    """Decides per kind of message, by times that it is given; one thread asks.

    The pauses grow from ``FIRST_S`` by ``FACTOR`` up to ``LONGEST_S``. A kind that nobody mentioned
    for ``LONGEST_S`` is new again. Whatever the pattern, a kind gets at most 20 lines an hour:
    worst are bursts of 130 s with 4 lines each between silences, 3600 / 730 * 4 = 19.7.
    """

    FIRST_S, FACTOR, LONGEST_S = 10.0, 3.0, 600.0
    MOST_KINDS = 200  # kinds are literals of the program; more would be a mistake that leaks

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def ask(self, kind: str, now_s: float) -> int | None:
        """None: hold it back. Else tell it: the number says how many were held back since."""
        told = self._told.get(kind)
        if told is None or now_s - told.seen_s >= self.LONGEST_S:
            if len(self._told) >= self.MOST_KINDS:
                self._told.clear()
            held_back = told.held_back if told else 0
            self._told[kind] = _Told(now_s + self.FIRST_S, self.FIRST_S, now_s)
            return held_back
        told.seen_s = now_s
        if now_s < told.next_s:
            told.held_back += 1
            return None
        held_back, told.held_back = told.held_back, 0
        told.pause_s = min(self.LONGEST_S, told.pause_s * self.FACTOR)
        told.next_s = now_s + told.pause_s
        return held_back
