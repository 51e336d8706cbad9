"""A servo board and the pins that let its pulses out, switched together."""

from __future__ import annotations

from numpy import float64
from numpy.typing import NDArray

from lipsync_edge.clock import Clock
from lipsync_edge.gpio import POWER_UP_S, Pins
from lipsync_edge.servos import Board, BoardHealth


class EnabledBoard:
    """A ``Board`` whose ``/OE`` and servo supply, where they are wired, are on while it is open.

    For a program that measures in the place of the service, which otherwise looks after them.
    """

    def __init__(self, board: Board, pins: Pins, clock: Clock) -> None:
        """Neither is opened yet."""
        self._board, self._pins, self._clock = board, pins, clock
        self.name = board.name

    @property
    def silenced(self) -> bool:
        """See ``Board``."""
        return self._board.silenced

    def open(self) -> None:
        """The board first, all its outputs off, then the supply, then ``/OE``. Raises BoardError,
        GpioError."""
        self._board.open()
        if not self._pins.can_cut:  # an LED and a button are of no use here
            return
        self._pins.open()
        self._pins.servo_power(True)
        if self._pins.has_power:
            self._clock.sleep_until(self._clock.now() + POWER_UP_S)
        self._pins.enable_outputs(True)

    def write(self, widths_us: NDArray[float64]) -> bool:
        """See ``Board``."""
        return self._board.write(widths_us)

    def sent_us(self) -> NDArray[float64]:
        """See ``Board``."""
        return self._board.sent_us()

    def health(self) -> BoardHealth:
        """See ``Board``."""
        return self._board.health()

    def detach(self) -> None:
        """See ``Board``; the pins stay as they are."""
        self._board.detach()

    def close(self) -> None:
        """All outputs off, then the pins."""
        self._board.close()
        self._pins.close()
