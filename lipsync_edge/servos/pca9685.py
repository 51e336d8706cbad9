"""All servos of a head on one to four PCA9685 boards: one burst per board and update.

A bus that fails is retried, then the mouth is switched off and brought back when the bus is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.errors import BoardError
from lipsync_edge.servos import BoardHealth, BoardSpec, Slot
from lipsync_edge.servos.driver import OFF, Counts, Driver
from lipsync_edge.servos.guardian import Guardian
from lipsync_edge.servos.i2c import (
    ADDRESSES,
    ALL_CALL,
    I2C,
    bus_present,
    bus_problem,
    close_bus,
    detach_all,
    open_bus,
    scan,
)

__all__ = ["Pca9685Board", "bus_present", "bus_problem", "detach_all", "open_bus", "scan"]

MAX_BOARDS = 4
RECOVER_S = 0.5
"""Pause between attempts to get a lost bus back."""
CHECK_S = 1.0
"""Pause between looks at whether the boards still have their setup: a chip that lost its power for
an instant, or that another program reset, acknowledges everything and moves nothing."""
DETACH_WAIT_S = 1.0
STUCK_S = 0.1
"""What took so long to fail is a bus that is held low, not a chip that missed a word (2 ms at the
most): Linux waits for a second. To try again would keep the mover, or the main thread."""

T = TypeVar("T")


class Pca9685Board:
    """All servos of a head on one to four boards of one bus. See the protocol ``Board``.

    The boards are taken whole: channels without a servo are kept off. Thread-safe; ``write`` may
    take some 10 ms per board when a board has to be set up again.
    """

    def __init__(
        self,
        boards: Sequence[BoardSpec],
        slots: Sequence[Slot],
        *,
        pwm_hz: float = 50.0,
        retries: int = 3,
        i2c: I2C | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``retries``: tries per transaction. ``i2c``: a bus to use, e.g. a simulated one; None:
        the computer's own, opened by ``open``. BoardError where the places make no sense.
        """
        _check_places(boards, slots)
        at = ", ".join(f"0x{board.address:02x}" for board in boards)
        self.name = f"PCA9685 at {at}" + (f" ({getattr(i2c, 'name', 'given bus')})" if i2c else "")
        self._addresses = [board.address for board in boards]
        self._chips = [Driver(board, pwm_hz) for board in boards]
        self._board = np.array([slot.board for slot in slots], dtype=np.intp)
        self._channel = np.array([slot.channel for slot in slots], dtype=np.intp)
        self._us_per_count = np.array([self._chips[slot.board].us_per_count for slot in slots])
        self._retries, self._clock = retries, clock or MonotonicClock()
        self._given, self._bus = i2c, i2c
        self._lock = threading.Lock()
        self._silent = np.full((len(boards), 16), OFF, dtype=np.int64)
        self._sent = self._silent
        self._open = self._lost = self._closing = False
        self._guardian: Guardian | None = None
        self.silenced = True
        """False while an output may be on: nobody could switch it off yet."""
        self._check_at_s = self._retry_at_s = 0.0
        self._writes = self._nacks = self._failures = 0
        self._message = ""

    def open(self) -> None:
        with self._lock:
            self._bus = self._given or open_bus()
            begun_s = self._clock.now()
            try:
                for chip in self._chips:
                    self._tried(chip, chip.start, self._bus)
            except BoardError as error:
                stuck = self._clock.now() - begun_s > STUCK_S
                found = "The bus may be held low." if stuck else _found(self._bus)
                self._release()
                raise BoardError(f"{error.message} {found}", error.remedy) from error
            self._open, self._lost, self._sent = True, False, self._silent
            self._check_at_s = self._clock.now() + CHECK_S
            self._guardian = Guardian(self._bus, self._addresses)

    def write(self, widths_us: NDArray[np.float64]) -> bool:
        counts = self._to_counts(widths_us)
        with self._lock:
            if self._closing or not self._open:
                return False
            begun_s = self._clock.now()
            if self._lost and begun_s < self._retry_at_s:
                return False
            try:
                if not self._look_after():
                    return False
                self.silenced = False
                for chip, wanted in zip(self._chips, counts, strict=True):
                    self._writes += self._tried(chip, chip.burst, wanted)
            except BoardError as error:
                self._lose(error, self._clock.now() - begun_s > STUCK_S)
                return False
            self._sent = counts
            return not self._quiet_if_closing()

    def sent_us(self) -> NDArray[np.float64]:
        counts = self._sent[self._board, self._channel]
        return np.where(counts == OFF, np.nan, counts * self._us_per_count)

    def health(self) -> BoardHealth:
        ok = self._open and not self._lost
        return BoardHealth(ok, self._writes, self._nacks, self._failures, self._message)

    def detach(self) -> None:
        # A thread that hangs inside a dead bus must not keep the program from ending.
        if not self._lock.acquire(timeout=DETACH_WAIT_S):
            self._message = f"{self.name}: the bus is stuck. Cut the power of the servos."
            return
        try:
            if self._open:
                self._silence(self._retries)
        finally:
            self._lock.release()

    def close(self) -> None:
        self._closing = True
        if self._open or not self.silenced:
            self._open = True  # until it is silent: a second try, at exit, is worth it
            self.detach()
        self._open = False
        if self.silenced and self._guardian:  # else it has another try, when we are gone
            self._guardian.dismiss()
        if self.silenced and self._lock.acquire(blocking=False):  # no thread hangs in the bus
            self._release()
            self._lock.release()

    # ---- all of this runs under the lock

    def _to_counts(self, widths_us: NDArray[np.float64]) -> Counts:
        """(n_servos,) microseconds -> (n_boards, 16) counts; whatever is no pulse becomes OFF."""
        widths_us = np.asarray(widths_us, dtype=np.float64)
        if widths_us.shape != self._us_per_count.shape:
            raise ValueError(f"{widths_us.size} widths for {self._us_per_count.size} servos")
        counts = np.rint(widths_us / self._us_per_count)
        is_pulse = np.isfinite(counts) & (counts >= 1)
        table = self._silent.copy()
        table[self._board, self._channel] = np.where(is_pulse, np.minimum(counts, 4095), OFF)
        return table

    def _look_after(self) -> bool:
        """Set the boards up again after a loss, or when one of them has forgotten its setup.

        False: it had, and all outputs are off, those of the other boards too. The caller shall wake
        its servos anew, since for up to ``CHECK_S`` nobody held their horns.
        """
        now_s, whole = self._clock.now(), True
        if self._lost:
            for chip in self._chips:
                self._tried(chip, chip.start, self._bus)
            self._lost = False
        elif now_s >= self._check_at_s:
            for chip in self._chips:
                if not self._tried(chip, chip.is_ready):
                    self._failures += 1
                    self._message = (
                        f"{chip.label} had lost its setup (a dip of its power, or another program "
                        "reset it) and was set up again."
                    )
                    self._tried(chip, chip.start, self._bus)
                    whole = False
        else:
            return True
        self._check_at_s = now_s + CHECK_S
        if not whole:
            self._silence(self._retries)
        return whole

    def _tried(self, chip: Driver, action: Callable[..., T], *given: object) -> T:
        """Do it, again on a bus error; BoardError when the tries are used up, or the bus stuck."""
        begun_s = self._clock.now()
        for _ in range(self._retries):
            try:
                return action(*given)
            except OSError as error:
                self._nacks += 1
                reason = error.strerror or str(error)
            if self._clock.now() - begun_s > STUCK_S:
                break
        raise BoardError(
            f"{chip.label} does not answer ({reason}).",
            "Check its power (VCC), SDA, SCL, ground and its address bridges; "
            "`lipsync-edge devices` lists what answers.",
        )

    def _quiet_if_closing(self) -> bool:
        """A burst may have been stuck in the bus while somebody gave up on it and closed."""
        if self._closing:
            self._silence(self._retries)
        return self._closing

    def _lose(self, error: BoardError, stuck: bool) -> None:
        self._failures += not self._lost
        if not (stuck and self._lost):  # a bus that is still stuck would keep us for another second
            self._silence(tries=1)
        self._message = str(error)
        self._lost = True
        self._retry_at_s = self._clock.now() + RECOVER_S

    def _silence(self, tries: int) -> None:
        """All outputs off, as far as the boards can be reached."""
        self.silenced, stuck = True, False
        for chip in self._chips:
            begun_s = self._clock.now()
            if stuck or not self._switched_off(chip, tries):
                stuck = stuck or self._clock.now() - begun_s > STUCK_S
                self._lost, self.silenced = True, False
                self._message = f"{chip.label} could not be switched off. Cut the servos' power."
        self._sent = self._silent

    def _switched_off(self, chip: Driver, tries: int) -> bool:
        begun_s = self._clock.now()
        for _ in range(tries):
            if chip.switch_off():
                return True
            if self._clock.now() - begun_s > STUCK_S:
                return False
        return False

    def _release(self) -> None:
        if self._bus is not None and self._given is None:
            with suppress(OSError):
                close_bus(self._bus)
            self._bus = None


def _found(bus: I2C) -> str:
    """The boards that do answer, in a sentence."""
    addresses = [f"0x{answer.address:02x}" for answer in scan(bus) if answer.is_board]
    if not addresses:
        return "No servo board answers on this bus."
    return f"Servo boards that do answer: {', '.join(addresses)}."


def _check_places(boards: Sequence[BoardSpec], slots: Sequence[Slot]) -> None:
    """BoardError where boards or channels cannot exist or are taken twice."""
    if not 1 <= len(boards) <= MAX_BOARDS:
        raise BoardError(f"A head has 1 to {MAX_BOARDS} servo boards, not {len(boards)}.")
    addresses = [board.address for board in boards]
    for address in addresses:
        if address == ALL_CALL:
            raise BoardError(
                "0x70 is the address at which all servo boards answer together.",
                "Set another address with the board's solder bridges.",
            )
        if address not in ADDRESSES:
            raise BoardError(
                f"No servo board can have the address 0x{address:02x}, only 0x40-0x7f."
            )
    if len(set(addresses)) != len(addresses):
        raise BoardError("Two servo boards have the same address.")
    for slot in slots:
        if not (0 <= slot.board < len(boards) and 0 <= slot.channel < 16):
            raise BoardError(f"There is no channel {slot.channel} on board {slot.board}.")
    if len(set(slots)) != len(slots):
        raise BoardError("Two servos are plugged into the same channel.")
