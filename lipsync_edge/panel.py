"""The head's front panel, as pure functions of time: one LED, one button.

The LED:

| state | what it does |
|---|---|
| ``booting`` | slow and even: on 0.5 s, off 0.5 s |
| ``ready`` | a short flash every 3 s |
| ``speaking`` | on |
| ``muted`` | on, with a short gap every 2 s |
| ``resting`` | a short flash every 6 s |
| ``strained`` | two flashes, a pause: a servo is hot, or the Pi is in trouble |
| ``lost`` | three flashes, a pause: no sound device, or no servo board |
| ``safe`` | four flashes, a pause: safe mode, the servos are off |
| ``error`` | fast and even: on 0.1 s, off 0.1 s: a part hangs |

It tells digits (a PIN) by flashes: 2.5 s dark, then so many for each digit, ten for a zero, with a
second between digits.

The button: short (less than 2 s) mutes and unmutes, long (2 s) lets the head rest until the next
short press, very long (6 s) shuts the computer down. Long and very long count while it is held.
"""

from __future__ import annotations

from collections.abc import Mapping

FLASH = (0.15, 0.2)
PATTERNS: Mapping[str, tuple[float, ...]] = {
    "booting": (0.5, 0.5),
    "ready": (0.1, 2.9),
    "speaking": (1.0,),
    "muted": (1.8, 0.2),
    "resting": (0.1, 5.9),
    "strained": (*FLASH, 0.15, 1.5),
    "lost": (*FLASH, *FLASH, 0.15, 1.5),
    "safe": (*FLASH, *FLASH, *FLASH, 0.15, 1.5),
    "error": (0.1, 0.1),
}
"""Seconds on, off, on, ... of one round."""
LONG_S, VERY_LONG_S = 2.0, 6.0
STEADY_S = 0.02
"""A contact bounces for some milliseconds; a change counts when it has lasted so long."""


DIGIT = (0.2, 0.25)
PAUSE_S, END_S = 1.0, 2.5


def digits_pattern(digits: str, t_s: float) -> bool | None:
    """Whether the LED is on, ``t_s`` seconds after it began to tell digits: so many flashes each,
    ten for a zero, a pause between them; None: all are told."""
    t_s -= END_S  # dark at first, so that nobody counts what was before
    for digit in digits:
        length_s = (int(digit) or 10) * sum(DIGIT)
        if t_s < length_s:
            return t_s >= 0 and t_s % sum(DIGIT) < DIGIT[0]
        t_s -= length_s
        if t_s < PAUSE_S:
            return False
        t_s -= PAUSE_S
    return None if t_s >= END_S - PAUSE_S else False


def pattern(state: str, t_s: float) -> bool:
    """Whether the LED is on, ``t_s`` seconds after ``state`` (a key of ``PATTERNS``) began."""
    rounds = PATTERNS[state]
    t_s %= sum(rounds)
    for k, length_s in enumerate(rounds):
        if t_s < length_s:
            return k % 2 == 0
        t_s -= length_s
    return False


class Button:
    """Turns what a pin reads into presses. One that is held from the start says nothing."""

    def __init__(self) -> None:
        self._raw = self._pressed = False
        self._raw_since_s = self._since_s = 0.0
        self._said = ""
        self._armed = False

    def step(self, raw: bool, now_s: float) -> str:
        """``raw``: the pin says pressed. Returns ``short``, ``long``, ``very long`` or nothing."""
        if raw != self._raw:
            self._raw, self._raw_since_s = raw, now_s
        if now_s - self._raw_since_s < STEADY_S:
            return ""
        armed, self._armed = self._armed, self._armed or not raw
        if raw == self._pressed:
            return self._held(now_s) if raw else ""
        self._pressed, self._since_s = raw, self._raw_since_s
        said, self._said = self._said, ""
        return "short" if armed and not raw and not said else ""

    def _held(self, now_s: float) -> str:
        held_s = now_s - self._since_s
        stage = "very long" if held_s >= VERY_LONG_S else "long" if held_s >= LONG_S else ""
        if not self._armed or stage == self._said:
            return ""
        self._said = stage
        return stage
