"""A simulated I2C bus with PCA9685 chips on it, which stands in for the real one.

It plugs in under the real driver code (ServoKit and what that uses), counts the traffic, and
misbehaves on command. The chips are those of ``chip.py``: true to the registers.
"""

from __future__ import annotations

import errno
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.faults import BOARD_FAULTS, Fault, parse_faults
from lipsync_edge.servos import BoardSpec
from lipsync_edge.servos.chip import Chip

GENERAL_CALL, RESET_BYTE = 0x00, 0x06
LOG_LENGTH = 4096


def simulated_bus(boards: Sequence[BoardSpec], clock: Clock | None = None, faults: str = "") -> Bus:
    """A bus with one freshly powered chip per board, each as fast as its spec says.

    ValueError where ``faults`` is not understood (see ``Bus``).
    """
    chips = (Chip(board.address, board.oscillator_hz) for board in boards)
    return Bus(chips, clock=clock, faults=faults)


@dataclass(frozen=True)
class Transaction:
    """One START to STOP on the bus."""

    address: int
    written: bytes
    read: bytes = b""
    acknowledged: bool = True

    @property
    def n_bytes(self) -> int:
        """Bytes on the wire, addresses included."""
        if not self.acknowledged:
            return 1
        turns = 2 if self.read and self.written else 1
        return turns + len(self.written) + len(self.read)

    @property
    def bits(self) -> int:
        """Clock periods: START, 9 per byte, STOP; one more for a repeated START."""
        return 2 + 9 * self.n_bytes + (1 if self.read and self.written else 0)


Step = tuple[float, Callable[[], None]]


class Bus:
    """Chips on one bus, with the methods of ``busio.I2C`` that drivers use.

    ``faults`` is written in the language of ``lipsync_edge.faults``, in seconds after the first
    transaction. The methods ``nack``, ``nack_for``, ``stall``, ``kill`` and ``revive`` do the same
    at once. ``log`` holds the newest transactions, ``n_transactions`` and ``n_bits`` count all.
    """

    name = "simulated bus"

    def __init__(self, chips: Iterable[Chip], clock: Clock | None = None, faults: str = "") -> None:
        self.chips = {chip.address: chip for chip in chips}
        self.log: deque[Transaction] = deque(maxlen=LOG_LENGTH)
        self.n_transactions = 0
        self.n_bits = 0
        self._clock = clock or MonotonicClock()
        self._lock = threading.Lock()
        self._nacks = 0
        self._nack_until_s = -math.inf
        self._stall_s = 0.0
        self._faults = parse_faults(faults, BOARD_FAULTS)
        self._plan: list[Step] | None = None

    # ---- the surface of busio.I2C

    def try_lock(self) -> bool:
        return self._lock.acquire(blocking=False)

    def unlock(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def scan(self) -> list[int]:
        """Addresses that answer, all-call included."""
        return [a for a in range(0x08, 0x80) if any(c.answers(a) for c in self.chips.values())]

    def writeto(
        self,
        address: int,
        buffer: bytes | bytearray | memoryview,
        *,
        start: int = 0,
        end: int | None = None,
        stop: bool = True,
    ) -> None:
        self._transfer(address, bytes(buffer[start:end]), 0)

    def readfrom_into(
        self,
        address: int,
        buffer: bytearray | memoryview,
        *,
        start: int = 0,
        end: int | None = None,
        stop: bool = True,
    ) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self._transfer(address, b"", end - start)

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: bytes | bytearray | memoryview,
        in_buffer: bytearray | memoryview,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
        stop: bool = False,
    ) -> None:
        in_end = len(in_buffer) if in_end is None else in_end
        written = bytes(out_buffer[out_start:out_end])
        in_buffer[in_start:in_end] = self._transfer(address, written, in_end - in_start)

    # ---- misbehaviour

    def nack(self, n_transactions: int) -> None:
        """The next ``n_transactions`` are not acknowledged."""
        self._nacks = n_transactions

    def nack_for(self, duration_s: float) -> None:
        """Nothing is acknowledged for a while, like a loose wire; the chips keep pulsing."""
        self._nack_up_to(self._clock.now() + duration_s)

    def stall(self, duration_s: float) -> None:
        """The next transaction takes so much longer."""
        self._stall_s += duration_s

    def kill(self, address: int | None = None) -> None:
        """Cut the power of one chip, or of all."""
        for chip in self._chosen(address):
            chip.power_off()

    def revive(self, address: int | None = None) -> None:
        """Give the power back: registers as at power-up."""
        for chip in self._chosen(address):
            chip.power_on()

    def reset(self, address: int | None = None) -> None:
        """A dip of the power, too short to miss an acknowledge: registers as at power-up."""
        for chip in self._chosen(address):
            if chip.powered:
                chip.power_on()

    # ---- inside

    def _chosen(self, address: int | None) -> list[Chip]:
        return list(self.chips.values()) if address is None else [self.chips[address]]

    def _follow_plan(self) -> None:
        now_s = self._clock.now()
        if self._plan is None:
            steps = (step for fault in self._faults for step in self._steps(fault, now_s))
            self._plan = sorted(steps, key=lambda step: step[0])
        while self._plan and now_s >= self._plan[0][0]:
            self._plan.pop(0)[1]()

    def _steps(self, fault: Fault, zero_s: float) -> list[Step]:
        """What a fault does to this bus, and at what time of the clock."""
        start_s = zero_s + fault.start_s
        argument = 0.1 if fault.argument is None else fault.argument
        if fault.kind == "nack":
            return [(start_s, lambda: self._nack_up_to(start_s + argument))]
        if fault.kind == "slow":
            return [(start_s, lambda: self.stall(argument))]
        if fault.kind == "reset":
            return [(start_s, self.reset)]
        revival = [] if fault.argument is None else [(start_s + argument, self.revive)]
        return [(start_s, self.kill), *revival]

    def _nack_up_to(self, end_s: float) -> None:
        self._nack_until_s = end_s

    def _transfer(self, address: int, written: bytes, n_read: int) -> bytes:
        self._follow_plan()
        if self._stall_s:
            self._stall_s, stall_s = 0.0, self._stall_s
            self._clock.sleep_until(self._clock.now() + stall_s)
        acknowledged, read = False, b""
        if not self._refuses():
            acknowledged, read = self._deliver(address, written, n_read)
        transaction = Transaction(address, written, read, acknowledged)
        self.log.append(transaction)
        self.n_transactions += 1
        self.n_bits += transaction.bits
        if not acknowledged:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        return read

    def _refuses(self) -> bool:
        if self._nacks > 0:
            self._nacks -= 1
            return True
        return self._clock.now() < self._nack_until_s

    def _deliver(self, address: int, written: bytes, n_read: int) -> tuple[bool, bytes]:
        if address == GENERAL_CALL:
            return self._general_call(written, n_read)
        called = [chip for chip in self.chips.values() if chip.answers(address)]
        heard = [chip.write(written) for chip in called]
        if not any(heard):
            return False, b""
        answers = [chip.read(n_read) for chip in called]
        # Several chips that talk at once pull the line low together: a wired AND.
        return True, bytes(reduce(and_, column) for column in zip(*answers, strict=True))

    def _general_call(self, written: bytes, n_read: int) -> tuple[bool, bytes]:
        """Software reset, section 7.6: exactly one byte 0x06, never a read."""
        powered = [chip for chip in self.chips.values() if chip.powered]
        if not powered or n_read or written != bytes((RESET_BYTE,)):
            return False, b""
        for chip in powered:
            chip.power_on()
        return True, b""
