"""The I2C bus that is really there: is there one, open it, what answers on it, switch it off."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lipsync_edge.errors import BoardError

ADDRESSES = range(0x40, 0x80)
ALL_CALL = 0x70
"""The address that every PCA9685 answers after power-up, until a driver switches that off."""

_SIGNATURE = {0x02: 0xE2, 0x03: 0xE4, 0x04: 0xE8, 0x05: 0xE0}
"""Sub-addresses and all-call address as they are at power-up; hardly anybody changes them."""
ALL_OFF = bytes((0xFD, 0x10))
"""ALL_LED_OFF_H, full off: one byte, so it works whatever state the chip is in."""


class I2C(Protocol):
    """What ``busio.I2C`` and the simulated bus have in common."""

    def try_lock(self) -> bool: ...

    def unlock(self) -> None: ...

    def writeto(
        self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None
    ) -> None: ...

    def readfrom_into(
        self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None
    ) -> None: ...

    def writeto_then_readfrom(
        self, address: int, out_buffer: bytes, in_buffer: bytearray, *, in_start: int = 0
    ) -> None: ...


@dataclass(frozen=True)
class Answer:
    """Something that answers on the bus, and what it is in words."""

    address: int
    is_board: bool
    note: str


def bus_problem(devices: Path = Path("/dev")) -> str:
    """Why this program cannot use an I2C bus, in words with the remedy; empty where it can.

    Cheap: it looks at device files and opens none.
    """
    buses = sorted(devices.glob("i2c-*"))
    if not buses:
        return (
            "This computer shows no I2C bus. On a Raspberry Pi enable it with "
            "`sudo raspi-config nonint do_i2c 0` and restart."
        )
    if not any(os.access(bus, os.R_OK | os.W_OK) for bus in buses):
        return (
            f"This user may not use {buses[0]}. Run `sudo usermod -aG i2c $USER`, "
            "then log out and in again."
        )
    return ""


def bus_present() -> bool:
    """Whether there is an I2C bus that this program may use; cheap, imports no driver."""
    return not bus_problem()


def open_bus() -> I2C:
    """The computer's own I2C bus, through Blinka. BoardError, with the remedy, where it fails."""
    problem = bus_problem()
    if problem:
        raise BoardError(problem)
    try:
        import board
    except ImportError as error:
        raise BoardError(
            f"The servo library is not installed ({error}).",
            "Run `pip install adafruit-circuitpython-servokit`.",
        ) from error
    except (RuntimeError, OSError, AttributeError, ValueError) as error:
        raise BoardError(
            f"The hardware library does not know this computer: {_first_line(error)}.",
            "On a Raspberry Pi `pip install gpiod` often helps; anywhere, `driver: simulator` "
            "runs without a board.",
        ) from error
    if not hasattr(board, "I2C") or board.board_id == "OS_AGNOSTIC_BOARD":
        raise BoardError(
            "The hardware library finds no I2C pins on this computer.",
            "Servo boards need a Raspberry Pi or a similar board; `driver: simulator` needs none.",
        )
    try:
        bus: I2C = board.I2C()
    except (RuntimeError, OSError, ValueError) as error:
        raise BoardError(
            f"The I2C bus does not open: {_first_line(error)}.",
            "Enable I2C with `sudo raspi-config nonint do_i2c 0` and restart.",
        ) from error
    return bus


def close_bus(bus: I2C) -> None:
    """Give a bus back that ``open_bus`` opened."""
    deinit = getattr(bus, "deinit", None)
    if deinit is not None:
        deinit()


def scan(i2c: I2C | None = None) -> tuple[Answer, ...]:
    """What answers at 0x40..0x7f, the addresses that a PCA9685 can have. Writes no register.

    ``i2c`` None: the computer's own bus; BoardError where there is none, or where it is stuck.
    """
    with _borrowed(i2c) as bus:
        return tuple(_judge(bus, address) for address in ADDRESSES if _answers(bus, address))


def detach_all(i2c: I2C | None = None, addresses: Sequence[int] | None = None) -> tuple[int, ...]:
    """Switch every output off, without knowing the head. Returns the addresses that obeyed.

    ``addresses`` None: every PCA9685 that ``scan`` finds. BoardError where there is no bus, or
    where a board that was asked for did not take the command.
    """
    with _borrowed(i2c) as bus:
        if addresses is None:
            found = (_judge(bus, address) for address in ADDRESSES if _answers(bus, address))
            addresses = [answer.address for answer in found if answer.is_board]
        obeyed = tuple(address for address in addresses if _switch_off(bus, address))
    missing = [f"0x{address:02x}" for address in addresses if address not in obeyed]
    if missing:
        raise BoardError(
            f"No servo board answered at {', '.join(missing)}, so its outputs may still be on.",
            "Cut the power of the servos.",
        )
    return obeyed


def _switch_off(bus: I2C, address: int, tries: int = 3) -> bool:
    for _ in range(tries):
        try:
            bus.writeto(address, ALL_OFF)
            return True
        except OSError:
            continue
    return False


def _answers(bus: I2C, address: int) -> bool:
    try:
        bus.readfrom_into(address, bytearray(1))
    except OSError as error:
        if error.errno == errno.ETIMEDOUT:  # a second or more for each of 64 addresses
            raise BoardError(
                "The I2C bus is stuck: SDA or SCL is held low.",
                "Look for a short between its wires, or to ground; cut the power of the servos "
                "and of the boards for a moment.",
            ) from error
        return False
    return True


def _judge(bus: I2C, address: int) -> Answer:
    if address == ALL_CALL:
        return Answer(
            address, False, "the all-call address of servo boards, not a board of its own"
        )
    try:
        is_board = looks_like_pca9685(bus, address)
    except OSError:
        is_board = False
    if is_board:
        return Answer(address, True, "PCA9685 servo board")
    return Answer(address, False, "something else, not a PCA9685")


def looks_like_pca9685(bus: I2C, address: int) -> bool:
    """Whether the registers that never change read as a PCA9685's; the bus must be locked.

    Changes nothing. OSError where the chip does not answer.
    """
    value = bytearray(1)
    for register, expected in _SIGNATURE.items():
        bus.writeto_then_readfrom(address, bytes((register,)), value)
        if value[0] != expected:
            return False
    return True


@contextmanager
def _borrowed(i2c: I2C | None) -> Iterator[I2C]:
    """The bus, locked; closed again where it was opened here."""
    bus = open_bus() if i2c is None else i2c
    while not bus.try_lock():
        pass
    try:
        yield bus
    finally:
        bus.unlock()
        if i2c is None:
            close_bus(bus)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
