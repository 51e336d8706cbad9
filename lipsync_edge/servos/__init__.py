"""The servo edge: pulse widths in, pulses out. Interchangeable: ``pca9685``, ``dummy``.

The ``pca9685`` board also runs on ``registers``, a simulated bus that models the chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.options import BoardSpec as BoardSpec


@dataclass(frozen=True)
class Slot:
    """Where a servo is plugged in: the board (index into the boards) and its channel (0..15)."""

    board: int
    channel: int


@dataclass(frozen=True)
class BoardHealth:
    """A board's state of health; immutable, safe to hand to other threads."""

    ok: bool = True
    writes: int = 0
    nacks: int = 0
    failures: int = 0
    message: str = ""


class Board(Protocol):
    """All servo outputs of a head, over one or more boards; servo ``i`` sits in ``slots[i]``."""

    name: str

    @property
    def silenced(self) -> bool:
        """False while an output may be on, though it should be off."""

    def open(self) -> None:
        """Probe, set the frequency, read back; outputs stay off. Raises BoardError."""

    def write(self, widths_us: NDArray[np.float64]) -> bool:
        """Set all pulse widths, (n_servos,) microseconds; NaN switches that output off.

        False: the bus failed, or a board had lost its setup and got it anew, and the mouth is off
        for now; recovery is tried on later calls.
        """

    def sent_us(self) -> NDArray[np.float64]:
        """Pulse widths that the outputs have now, after rounding to counts; NaN = off."""

    def health(self) -> BoardHealth:
        """Counts and the last error in words."""

    def detach(self) -> None:
        """All outputs off, best effort; never raises."""

    def close(self) -> None:
        """Detach and release the bus; never raises, may be called twice."""
