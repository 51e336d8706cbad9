"""Pins that are wired to nothing, with the API of ``RPi.GPIO``, and misbehave on command."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.faults import parse_faults

GPIO_FAULTS: Mapping[str, str] = {
    "press": "the button is held for so many seconds, 0.2 where none is given",
    "fail": "every call raises for so many seconds, for good where none is given",
}


class DummyGpio:
    """Stands in for the module. ``levels``: what each output pin has; ``log``: every change of one,
    ``(seconds, pin, level)``. ``faults``: see ``GPIO_FAULTS``, in seconds after it was made;
    ValueError where they are not understood.
    """

    BCM, IN, OUT, LOW, HIGH, PUD_UP, PUD_DOWN = 11, 1, 0, 0, 1, 22, 21

    def __init__(self, faults: str = "", clock: Clock | None = None) -> None:
        self._faults = parse_faults(faults, GPIO_FAULTS)
        self._clock = clock or MonotonicClock()
        self._begun_s = self._clock.now()
        self.levels: dict[int, int] = {}
        self.inputs: set[int] = set()
        self.log: list[tuple[float, int, int]] = []

    def setwarnings(self, flag: bool) -> None:
        pass

    def setmode(self, mode: int) -> None:
        self._try()

    def setup(self, pin: int, way: int, *, pull_up_down: int = 0, initial: int = LOW) -> None:
        """RuntimeError where the faults say so, as of all that follow."""
        self._try()
        if way == self.IN:
            self.inputs.add(pin)
        else:
            self._set(pin, initial)

    def output(self, pin: int, level: int) -> None:
        self._try()
        if pin not in self.levels:
            raise RuntimeError(f"GPIO {pin} is no output")
        self._set(pin, level)

    def input(self, pin: int) -> int:
        """The level of a button to ground with a pull-up: low while it is pressed."""
        self._try()
        if pin not in self.inputs:
            raise RuntimeError(f"GPIO {pin} is no input")
        return self.LOW if self._active("press", 0.2) else self.HIGH

    def cleanup(self, pins: object = None) -> None:
        """The pins float again: what is wired to them, a pull-up say, decides."""
        self.levels.clear()
        self.inputs.clear()

    def _set(self, pin: int, level: int) -> None:
        self.levels[pin] = int(level)
        self.log.append((self._clock.now() - self._begun_s, pin, int(level)))

    def _try(self) -> None:
        if self._active("fail"):
            raise RuntimeError("the dummy pins fail, as their faults say")

    def _active(self, kind: str, lasting_s: float = float("inf")) -> bool:
        elapsed_s = self._clock.now() - self._begun_s
        return any(f.kind == kind and f.active(elapsed_s, lasting_s) for f in self._faults)
