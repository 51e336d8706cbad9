"""One PCA9685, driven through ServoKit: silent start, read-back, bursts.

ServoKit sets the chip up; updates go through its I2C device as one auto-increment write, because
its own ``servo.angle`` costs a transaction per servo. Formulas: NXP PCA9685 data sheet, rev. 4.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import BoardError
from lipsync_edge.servos import BoardSpec
from lipsync_edge.servos.i2c import ALL_OFF, I2C, looks_like_pca9685

MODE1, LED0, PRE_SCALE = 0x00, 0x06, 0xFE
MODE1_READY = 0x20
"""Auto-increment on, awake, deaf to all-call: how ServoKit leaves MODE1."""
RESTART = 0x80
OFF = 0x1000
"""Counts that mean "no pulse": bit 4 of LEDn_OFF_H."""

Counts = NDArray[np.int64]


class Driver:
    """One board. All but ``switch_off`` raise OSError on a bus error; the caller retries."""

    def __init__(self, spec: BoardSpec, pwm_hz: float) -> None:
        self.label = f"The servo board at 0x{spec.address:02x}"
        self._spec, self._pwm_hz = spec, pwm_hz
        # Section 7.3.5: round(oscillator / (4096 rate)) - 1, rounded as ServoKit does.
        self.prescale = int(spec.oscillator_hz / 4096 / pwm_hz + 0.5) - 1
        self.us_per_count = (self.prescale + 1) / spec.oscillator_hz * 1e6
        self._counts = np.full(16, OFF, dtype=np.int64)
        self._device: Any = None

    def start(self, bus: I2C) -> None:
        """Set the chip up from whatever state it is in; all outputs are off and stay off.

        BoardError where it is no PCA9685 or reads back wrong.
        """
        servo_kit, i2c_device = library()
        self._device = i2c_device(bus, self._spec.address, probe=False)
        self._identify(bus)
        # A chip that outlived the computer's reboot still pulses; ServoKit would stop its
        # oscillator for the frequency and then let the old pulses go on.
        self._send(ALL_OFF)
        try:
            kit = servo_kit(
                channels=16,
                i2c=bus,
                address=self._spec.address,
                reference_clock_speed=self._spec.oscillator_hz,
                frequency=self._pwm_hz,
            )
        except ValueError as error:  # its word for "no answer to the probe"
            raise OSError(errno.EREMOTEIO, str(error)) from error
        self._device = kit._pca.i2c_device
        self._counts = np.full(16, OFF, dtype=np.int64)
        self._verify()

    def is_ready(self) -> bool:
        """Whether the chip still has its setup; False after a loss of power or a reset."""
        mode1, prescale = self._read(MODE1, 1)[0], self._read(PRE_SCALE, 1)[0]
        return (mode1 & ~RESTART, prescale) == (MODE1_READY, self.prescale)

    def burst(self, counts: Counts) -> bool:
        """Bring the outputs to ``counts`` (16,) with one write, from the first channel that
        changes to the last; True where something had to be sent.
        """
        changed = np.flatnonzero(counts != self._counts)
        if changed.size == 0:
            return False
        first, end = int(changed[0]), int(changed[-1]) + 1
        registers = np.zeros((end - first, 2), dtype="<u2")  # LEDn_ON = 0, LEDn_OFF
        registers[:, 1] = counts[first:end]
        self._send(bytes((LED0 + 4 * first,)) + registers.tobytes())
        self._counts = counts.copy()
        return True

    def switch_off(self) -> bool:
        """All outputs off, with a single byte that works in any state; False: not reached."""
        if self._device is None:
            return True
        try:
            self._send(ALL_OFF)
        except OSError:
            return False
        self._counts = np.full(16, OFF, dtype=np.int64)
        return True

    def _identify(self, bus: I2C) -> None:
        with self._device:
            known = looks_like_pca9685(bus, self._spec.address)
        if not known:
            raise BoardError(
                f"What answers at 0x{self._spec.address:02x} is not a PCA9685.",
                "Other chips, e.g. current sensors, like 0x40 too: give one of them another "
                "address. If it is a servo board, cut its power for a moment.",
            )

    def _verify(self) -> None:
        mode1, prescale = self._read(MODE1, 1)[0], self._read(PRE_SCALE, 1)[0]
        led_off_high = self._read(LED0, 64)[3::4]
        wrong = [
            f"{name} reads 0x{got:02x} where 0x{wanted:02x} was written"
            for name, got, wanted in (
                ("MODE1", mode1 & ~RESTART, MODE1_READY),
                ("PRE_SCALE", prescale, self.prescale),
                ("LED_OFF_H", min(led_off_high), OFF >> 8),
            )
            if got != wanted
        ]
        if wrong:
            raise BoardError(
                f"{self.label} does not take its setup: {', '.join(wrong)}.",
                "Cut its power for a moment; check the wires (short ones, a common ground); stop "
                "other programs that use the board.",
            )

    def _read(self, register: int, n_bytes: int) -> bytearray:
        data = bytearray(n_bytes)
        with self._device as device:
            device.write_then_readinto(bytes((register,)), data)
        return data

    def _send(self, data: bytes) -> None:
        with self._device as device:
            device.write(data)


def library() -> tuple[Any, Any]:
    """The classes ``ServoKit`` and ``I2CDevice``. BoardError where they are not installed.

    ServoKit's module looks for the computer's pins, which it does not need when it is given a
    bus; so on a computer that Blinka does not know, it is told not to look.
    """
    try:
        with _any_computer():
            from adafruit_bus_device.i2c_device import I2CDevice
            from adafruit_servokit import ServoKit
    except ImportError as error:
        raise BoardError(
            f"The servo library is not installed ({error}).",
            "Run `pip install adafruit-circuitpython-servokit`.",
        ) from error
    return ServoKit, I2CDevice


@contextmanager
def _any_computer() -> Iterator[None]:
    """Blinka's word for "a computer without pins", unless its ``board`` was imported before."""
    name = "BLINKA_OS_AGNOSTIC"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
