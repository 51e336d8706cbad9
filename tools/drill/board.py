"""A servo board that outlives the robot: simulated chips behind a unix socket, and their record.

What ``lipsync_edge.servos.remote`` asks for is done on a bus of ``servos.registers``. Each
transaction, and each fault that changes a chip, leaves a :class:`Moment` with the pulses of all
outputs after it.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lipsync_edge.clock import MonotonicClock
from lipsync_edge.servos import BoardSpec
from lipsync_edge.servos.registers import Bus, simulated_bus

PIN = 0xFF
"""In place of an address: a pin of the computer is set. See ``fake/RPi/GPIO.py``."""
KERNEL_TIMEOUT_S = 1.0
"""After so long Linux gives up on a bus that is held low: i2c_register_adapter() sets it to HZ."""
LONGEST = 512
Pulses = tuple[float, ...]


@dataclass(frozen=True)
class Moment:
    """A change of the board, or an attempt: when (monotonic seconds), and all pulses in us after
    it (16 for each board, NaN: off)."""

    at_s: float
    acknowledged: bool
    pulses_us: Pulses


class Board:
    """The bus, its chips and its record. Use as a context manager."""

    def __init__(self, path: Path, boards: Sequence[BoardSpec], output_enable: int = -1) -> None:
        """``path``: of the socket; ``output_enable``: the pin that is wired to ``/OE``."""
        self.path = path
        self.moments: list[Moment] = []
        self._clock = MonotonicClock()
        self._bus = simulated_bus(boards)
        self._output_enable = output_enable
        self._wire = threading.Lock()
        self._held = threading.Event()
        self._free = threading.Event()
        self._gives_up_s: float | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(path))
        self._socket.listen()
        if output_enable >= 0:  # pulled up, until somebody drives it
            self._enable(False)

    def __enter__(self) -> Board:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def take(self) -> list[Moment]:
        """The record so far, which begins anew."""
        taken = self.moments[:]
        del self.moments[: len(taken)]
        return taken

    # ---- faults

    def order(self, fault: Callable[[Bus], None]) -> float:
        """Let a fault happen now, e.g. ``lambda bus: bus.reset()``; returns when it did."""
        with self._wire:
            fault(self._bus)
            return self._note(True)

    def hold(self, gives_up_s: float | None = KERNEL_TIMEOUT_S) -> float:
        """Somebody holds the bus low: each transaction ends in ETIMEDOUT after ``gives_up_s``;
        None: it never ends. Until :meth:`release`. Returns when it began."""
        self._gives_up_s = gives_up_s
        self._free.clear()
        self._held.set()
        return self._clock.now()

    def release(self) -> float:
        """The bus is free again."""
        self._held.clear()
        self._free.set()
        return self._clock.now()

    # ---- what a client asks for

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while request := connection.recv(LONGEST):
                connection.send(self._answer(request[0], request[1], request[2:]))

    def _answer(self, address: int, n_read: int, written: bytes) -> bytes:
        is_pin = address == PIN
        gave_up = not is_pin and self._held.is_set() and not self._free.wait(self._gives_up_s)
        with self._wire:
            if is_pin:
                self._set_pin(*written)
                return b"\0"
            if gave_up:
                self._note(False)
                return bytes((errno.ETIMEDOUT,))
            data = bytearray(n_read)
            try:
                self._bus.writeto_then_readfrom(address, written, data)
            except OSError as error:
                self._note(False)
                return bytes((error.errno or errno.EIO,))
            self._note(True)
            return b"\0" + bytes(data)

    def _set_pin(self, pin: int, level: int) -> None:
        if pin == self._output_enable:
            self._enable(not level)
            self._note(True)

    def _enable(self, on: bool) -> None:
        for chip in self._bus.chips.values():
            chip.output_enabled = on

    def _note(self, acknowledged: bool) -> float:
        pulses = tuple(us for chip in self._bus.chips.values() for us in chip.pulses_us())
        now_s = self._clock.now()
        self.moments.append(Moment(now_s, acknowledged, pulses))
        return now_s


def send_pin(path: str, pin: int, level: int) -> None:
    """Tell the board at ``path`` that a pin of the computer is high (1) or low (0)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        connection.send(bytes((PIN, 0, pin, level)))
        connection.recv(LONGEST)


def socket_of_environment() -> str:
    """Where the fake pins find the board."""
    return os.environ["LIPSYNC_DRILL_BOARD"]
