"""The part of RPi.GPIO that the robot uses. What is set goes to the drill's board, which /OE cuts.

A pin keeps its level when its program dies, the worst that a Pi may do.
"""

from __future__ import annotations

from lipsync_tools.drill.board import send_pin, socket_of_environment

BCM, OUT, IN, PUD_UP, PUD_DOWN, HIGH, LOW = 11, 0, 1, 22, 21, 1, 0


def setwarnings(_on: bool) -> None:
    """Nothing is warned of."""


def setmode(_mode: int) -> None:
    """Numbers are those of BCM."""


def setup(pin: int, direction: int, initial: int = LOW, pull_up_down: int = PUD_UP) -> None:
    """An output gets its level at once; a button is up."""
    if direction == OUT:
        output(pin, initial)


def output(pin: int, level: int) -> None:
    """Set a level; a bus that is stuck keeps nobody waiting here."""
    send_pin(socket_of_environment(), pin, level)


def input(_pin: int) -> int:
    """Nobody presses the button."""
    return HIGH


def cleanup() -> None:
    """The levels stay."""
