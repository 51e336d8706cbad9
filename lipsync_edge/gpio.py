"""Pins of the computer, through the API of ``RPi.GPIO`` (on a Pi 5: ``rpi-lgpio``). BCM numbers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lipsync_edge.errors import GpioError
from lipsync_edge.options import GpioOptions

Failures = tuple[type[Exception], ...]

HIGHEST_PIN = 27
POWER_UP_S = 0.3
"""From the servos' supply on to the first pulse, for its capacitors and their electronics."""


def library() -> Any:
    """The module ``RPi.GPIO``. GpioError where it is missing or this is no Pi."""
    try:
        return importlib.import_module("RPi.GPIO")
    except (ImportError, RuntimeError) as error:  # off a Pi it raises RuntimeError
        raise GpioError(
            f"The computer's pins cannot be used ({error}).",
            "As a service: `sudo make install` again, in the project's folder; see what it notes. "
            "For `make run`: `sudo apt install swig`, `PYPI=1 .venv/bin/pip install rpi-lgpio`.",
        ) from error


class EdgeListener:
    """Writes down when an input goes from low to high, for as long as the ``with`` block lasts.

    ``times_s``: what ``now()`` said at each edge. ``gpio``: a module with the API of ``RPi.GPIO``;
    None: the computer's own. GpioError where the pin cannot be used.
    """

    def __init__(self, pin: int, now: Callable[[], float], gpio: Any = None) -> None:
        if not 0 <= pin <= HIGHEST_PIN:
            raise GpioError(f"There is no GPIO {pin}.", "Use BCM numbers, 0 to 27.")
        self.times_s: list[float] = []
        self._pin, self._now = pin, now
        self._gpio = gpio if gpio is not None else library()

    def __enter__(self) -> EdgeListener:
        gpio, pin = self._gpio, self._pin
        failures = _failures()
        try:
            gpio.setmode(gpio.BCM)
            gpio.setup(pin, gpio.IN, pull_up_down=gpio.PUD_DOWN)
            gpio.add_event_detect(pin, gpio.RISING, callback=self._note)
        except failures as error:
            raise GpioError(
                f"GPIO {pin} cannot be listened to ({error}).",
                "Is it used by another program? On newer systems RPi.GPIO cannot see edges: put "
                "rpi-lgpio in its place, by `sudo make install PINS=rpi-lgpio`.",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, RuntimeError, *_lgpio_errors()):
            self._gpio.remove_event_detect(self._pin)
            self._gpio.cleanup(self._pin)

    def _note(self, _pin: int) -> None:
        self.times_s.append(self._now())


class Pins:
    """A head's own pins: an LED, a button to ground, the board's ``/OE``, the servos' supply.

    After ``open`` the outputs are disabled and the supply is off. ``/OE`` needs a pull-up (1 kOhm
    to 3.3 V, since many boards pull it low by 10): while nobody drives the pin, before boot or
    after a crash, it is high and all outputs of the board are off. A pin of -1 is not wired: what
    is asked of it is done.
    """

    def __init__(self, options: GpioOptions, gpio: Any = None) -> None:
        """``gpio``: a module with the API of ``RPi.GPIO``; None: the computer's own."""
        self._options, self._gpio = options, gpio
        self._last: dict[int, bool] = {}

    @property
    def wired(self) -> bool:
        """Whether any pin is given at all."""
        o = self._options
        return max(o.status_led, o.button, o.output_enable, o.servo_power) >= 0

    @property
    def has_led(self) -> bool:
        """There is an LED."""
        return self._options.status_led >= 0

    @property
    def has_power(self) -> bool:
        """Whether a pin switches the servos' supply."""
        return self._options.servo_power >= 0

    @property
    def can_cut(self) -> bool:
        """Whether a pin can stop the pulses without the bus."""
        return max(self._options.output_enable, self._options.servo_power) >= 0

    def open(self) -> None:
        """Take the pins; all is off. GpioError, with the remedy, where that fails."""
        if not self.wired:
            return
        gpio = self._gpio = self._gpio if self._gpio is not None else library()
        o = self._options
        try:
            gpio.setwarnings(False)  # a pin that a crashed run left as an output is no news
            gpio.setmode(gpio.BCM)
            for pin, level in (
                (o.output_enable, True),
                (o.servo_power, False),
                (o.status_led, False),
            ):
                if pin >= 0:
                    gpio.setup(pin, gpio.OUT, initial=gpio.HIGH if level else gpio.LOW)
                    self._last[pin] = level
            if o.button >= 0:
                gpio.setup(o.button, gpio.IN, pull_up_down=gpio.PUD_UP)
        except _failures() as error:
            raise GpioError(
                f"The pins cannot be used ({error}).",
                "Is the user in the group gpio, and does no other program hold them? "
                "On a Raspberry Pi 5 RPi.GPIO must be rpi-lgpio: `sudo make install` again.",
            ) from error

    def led(self, on: bool) -> None:
        """GpioError where a pin fails, as of all that follow."""
        self._set(self._options.status_led, on)

    def enable_outputs(self, on: bool) -> None:
        """Let the board's pulses out: ``/OE`` low."""
        self._set(self._options.output_enable, not on)

    def servo_power(self, on: bool) -> None:
        """Switch the servos' supply."""
        self._set(self._options.servo_power, on)

    def pressed(self) -> bool:
        """Whether the button is down now; False where there is none."""
        if self._options.button < 0:
            return False
        try:
            return not self._gpio.input(self._options.button)
        except _failures() as error:
            raise GpioError(f"GPIO {self._options.button} cannot be read ({error}).") from error

    def close(self) -> None:
        """Outputs disabled, supply and LED off, pins given back. Never raises."""
        if self._gpio is None or (not self._last and self._options.button < 0):
            return
        for switch in (self.enable_outputs, self.servo_power, self.led):
            with suppress(GpioError):
                switch(False)
        with suppress(*_failures()):
            self._gpio.cleanup()
        self._last.clear()

    def _set(self, pin: int, high: bool) -> None:
        if pin < 0 or self._last.get(pin) is high:
            return
        try:
            self._gpio.output(pin, self._gpio.HIGH if high else self._gpio.LOW)
        except _failures() as error:
            self._last.pop(pin, None)
            raise GpioError(f"GPIO {pin} cannot be set ({error}).") from error
        self._last[pin] = high


def _failures() -> Failures:
    return (OSError, RuntimeError, ValueError, *_lgpio_errors())


def _lgpio_errors() -> Failures:
    """What ``rpi-lgpio`` lets through from below; it is imported by then, or never."""
    error = getattr(sys.modules.get("lgpio"), "error", None)
    return (error,) if isinstance(error, type) and issubclass(error, Exception) else ()
