"""A servo board without hardware: it records what it is told, and misbehaves on command."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.faults import BOARD_FAULTS, parse_faults
from lipsync_edge.servos import BoardHealth, Slot

RECORD_LENGTH = 3000
"""Updates kept, the newest: a minute at 50 Hz. A program that runs for days must not grow."""


class DummyBoard:
    """A ``Board`` that keeps (time, widths) of every update in ``record``.

    ``faults`` is written in the language of ``lipsync_edge.faults`` (see ``BOARD_FAULTS``), in
    seconds after ``open``. ValueError when it is not understood.
    """

    def __init__(
        self,
        n_servos: int,
        slots: Sequence[Slot] = (),
        faults: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.name = "dummy board"
        self.slots = tuple(slots)
        self.record: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=RECORD_LENGTH)
        self._faults = parse_faults(faults, BOARD_FAULTS)
        self._slow = [fault for fault in self._faults if fault.kind == "slow"]
        self._resets = [fault for fault in self._faults if fault.kind == "reset"]
        self._clock = clock or MonotonicClock()
        self._sent_us = np.full(n_servos, np.nan)
        self._opened_s = 0.0
        self._health = BoardHealth()

    silenced = True

    def open(self) -> None:
        self._opened_s = self._clock.now()
        self._sent_us = np.full_like(self._sent_us, np.nan)

    def write(self, widths_us: NDArray[np.float64]) -> bool:
        widths_us = np.array(widths_us, dtype=np.float64)
        if widths_us.shape != self._sent_us.shape:
            raise ValueError(f"{widths_us.size} widths for {self._sent_us.size} servos")
        self._dawdle()
        trouble = self._trouble()
        self._count(trouble)
        if trouble:
            self._sent_us = np.full_like(self._sent_us, np.nan)
            return False
        self._sent_us = widths_us
        self.record.append((self._clock.now(), widths_us))
        return True

    def sent_us(self) -> NDArray[np.float64]:
        return self._sent_us.copy()

    def health(self) -> BoardHealth:
        return self._health

    def detach(self) -> None:
        self._sent_us = np.full_like(self._sent_us, np.nan)
        self.record.append((self._clock.now(), self._sent_us))

    def close(self) -> None:
        self.detach()

    def _elapsed_s(self) -> float:
        return self._clock.now() - self._opened_s

    def _dawdle(self) -> None:
        """The one thing that a slow bus does: this update takes longer."""
        while self._slow and self._elapsed_s() >= self._slow[0].start_s:
            longer_s = self._slow.pop(0).argument
            self._clock.sleep_until(self._clock.now() + (0.1 if longer_s is None else longer_s))

    def _trouble(self) -> str:
        elapsed_s = self._elapsed_s()
        if self._resets and elapsed_s >= self._resets[0].start_s:
            self._resets.pop(0)
            return "the dummy board forgot its setup, as its faults say"
        for fault in self._faults:
            if fault.kind == "dead" and fault.active(elapsed_s):
                return "the dummy board plays dead, as its faults say"
            if fault.kind == "nack" and fault.active(elapsed_s, lasting_s=0.1):
                return "the dummy board does not answer, as its faults say"
        return ""

    def _count(self, trouble: str) -> None:
        was = self._health
        self._health = BoardHealth(
            ok=not trouble,
            writes=was.writes + (not trouble),
            nacks=was.nacks + bool(trouble),
            failures=was.failures + bool(trouble and was.ok),
            message=trouble or was.message,
        )
