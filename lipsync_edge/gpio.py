"""Pins of the computer, through the API of ``RPi.GPIO`` (on a Pi 5: ``rpi-lgpio``). BCM numbers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lipsync_edge.errors import GpioError

Failures = tuple[type[Exception], ...]

HIGHEST_PIN = 27


def library() -> Any:
    """The module ``RPi.GPIO``. GpioError where it is missing or this is no Pi."""
    try:
        return importlib.import_module("RPi.GPIO")
    except (ImportError, RuntimeError) as error:  # off a Pi it raises RuntimeError
        raise GpioError(
            f"The computer's pins cannot be used ({error}).",
            "On a Raspberry Pi: `sudo apt install python3-rpi-lgpio`, or `pip install rpi-lgpio`.",
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
        failures: tuple[type[Exception], ...] = (
            OSError,
            RuntimeError,
            ValueError,
            *_lgpio_errors(),
        )
        try:
            gpio.setmode(gpio.BCM)
            gpio.setup(pin, gpio.IN, pull_up_down=gpio.PUD_DOWN)
            gpio.add_event_detect(pin, gpio.RISING, callback=self._note)
        except failures as error:
            raise GpioError(
                f"GPIO {pin} cannot be listened to ({error}).",
                "Is it used by another program? On newer systems RPi.GPIO cannot see edges: put "
                "rpi-lgpio in its place.",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, RuntimeError, *_lgpio_errors()):
            self._gpio.remove_event_detect(self._pin)
            self._gpio.cleanup(self._pin)

    def _note(self, _pin: int) -> None:
        self.times_s.append(self._now())


def _lgpio_errors() -> Failures:
    """What ``rpi-lgpio`` lets through from below; it is imported by then, or never."""
    error = getattr(sys.modules.get("lgpio"), "error", None)
    return (error,) if isinstance(error, type) and issubclass(error, Exception) else ()
