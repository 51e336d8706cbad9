"""The null sink: a sound device without hardware, paced by a clock, that misbehaves on command.

With a real clock it runs on a thread that it is given; with a virtual one, :meth:`NullStream.pump`
drives it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lipsync_edge.audio import Courier, Samples
from lipsync_edge.clock import Clock
from lipsync_edge.errors import AudioError
from lipsync_edge.faults import Fault, parse_faults
from lipsync_edge.options import AudioOptions

Spawn = Callable[[str, Callable[[], None]], Any]

AUDIO_FAULTS: Mapping[str, str] = {
    "stall": "no callbacks for so many seconds, 0.5 where none is given",
    "silence": "the microphone delivers zeros for so many seconds, 1 where none is given",
    "xrun": "one block is lost",
    "drift": "from then on the card runs so many ppm fast",
    "jitter": "from then on callbacks come up to so many seconds late",
    "end": "the device goes away",
    "input-stall": "the microphone's card, where it is another one, stalls likewise",
    "input-xrun": "it loses a block",
    "input-drift": "it runs so many ppm fast",
    "input-jitter": "its callbacks come up to so many seconds late",
    "input-end": "it goes away for so many seconds, for good where none is given",
    "input-rate": "it goes away and comes back with so many Hz",
}
"""What the null sink, and a null microphone on a card of its own, can do wrong."""

ROUNDING_S = 1e-6  # times are sums of block lengths


def syllables(at_sample: int, n_samples: int, rate_hz: int) -> Samples:
    """What the null sink's microphone hears, (n,): a buzz of 120 Hz, four times a second."""
    t_s = np.arange(at_sample, at_sample + n_samples) / rate_hz
    buzz = 2 * (120 * t_s % 1) - 1
    return np.asarray(8000 * buzz * np.maximum(0.0, np.sin(8 * np.pi * t_s)), np.int16)


class NullStream:
    """A :class:`lipsync_edge.audio.Stream` that nobody hears."""

    LATENCY_BLOCKS = 2  # as of a usual card: two blocks wait in it
    PATIENCE_S = 0.25  # later than this, the blocks in between are lost

    def __init__(
        self,
        options: AudioOptions,
        clock: Clock,
        *,
        rate_hz: int = 48_000,
        duplex: bool = False,
        spawn: Spawn | None = None,
        microphone: Callable[[int, int, int], Samples] = syllables,
        sink: Callable[[Samples], None] | None = None,
        card: NullMicrophone | None = None,
    ) -> None:
        """``spawn`` runs a function on a thread (None: somebody pumps).

        ``microphone(at_sample, n_samples, rate_hz)`` is what is heard; ``sink`` gets what is
        played, block by block; ``card``: whose faults these are in place of the null sink's.
        Raises AudioError for a fault that it does not know.
        """
        self.rate_hz = rate_hz
        self.name = "null microphone" if card else "null sink"
        self._block = options.frames_per_buffer
        self._clock, self._duplex, self._spawn = clock, duplex, spawn
        self._microphone, self._sink = microphone, sink
        self._card = card
        self._faults = card.pending() if card else _faults(options, False)
        self._out = np.zeros(self._block, np.int16)
        self._courier: Courier | None = None
        self._failure = ""
        self._opened_s = self._due_s = math.nan
        self._drift = self._jitter_s = self._late_s = 0.0
        self._random = random.Random(0)
        self._xrun = False
        self._at_sample = 0

    @property
    def output_latency_s(self) -> float:
        """Seconds from a callback to its sound."""
        return self.LATENCY_BLOCKS * self._block / self.rate_hz

    @property
    def failure(self) -> str:
        """Why it ended; empty while it goes on."""
        return self._failure

    def start(self, courier: Courier) -> None:
        """The first block is due now."""
        self._courier = courier
        self._opened_s = self._due_s = self._clock.now()
        if self._card:
            self._opened_s = self._card.begun_s
        if self._spawn is not None:
            self._spawn(self.name, self._run)

    def is_active(self) -> bool:
        """True between start and stop, or the fault ``end``."""
        return self._courier is not None and not self._failure

    def stop(self) -> None:
        """No callbacks from now on, but for one that is under way."""
        self._courier = None

    def pump(self, until_s: float) -> None:
        """Call the courier for every block that is due up to ``until_s``, waiting for each."""
        while self.is_active() and self._due_s + self._late_s <= until_s:
            if self._misbehave(self._due_s - self._opened_s):
                self._clock.sleep_until(self._due_s + self._late_s)
                self._carry()
                self._late_s = self._random.uniform(0.0, self._jitter_s)

    def _run(self) -> None:
        while self.is_active():
            self.pump(self._due_s + self._late_s)

    def _carry(self) -> None:
        courier, now_s = self._courier, self._clock.now()
        if courier is None:
            return
        if now_s - self._due_s > self.PATIENCE_S:
            self._due_s, self._xrun = now_s, True
        dac_s = self._due_s + self.output_latency_s - now_s
        courier.carry(self._captured(), self._out, now_s, dac_s, self._xrun)
        if self._sink is not None:
            self._sink(self._out.copy())
        self._xrun = False
        self._at_sample += self._block
        self._due_s += self._block / (self.rate_hz * (1 + self._drift))

    def _captured(self) -> Samples | None:
        if not self._duplex:
            return None
        elapsed_s = self._due_s - self._opened_s + ROUNDING_S
        if any(fault.kind == "silence" and fault.active(elapsed_s, 1.0) for fault in self._faults):
            return np.zeros(self._block, np.int16)
        return self._microphone(self._at_sample, self._block, self.rate_hz)

    def _misbehave(self, elapsed_s: float) -> bool:
        """Do what is due by now, each once; False where this block is not to be carried."""
        due = [
            f for f in self._faults if f.kind != "silence" and f.start_s <= elapsed_s + ROUNDING_S
        ]
        for fault in due:
            self._faults.remove(fault)
            self._do(fault)
        return not due

    def _do(self, fault: Fault) -> None:
        if fault.kind in ("end", "rate"):
            self._failure = f"the {self.name} went away, as it was told to"
        elif fault.kind == "jitter":
            self._jitter_s = fault.argument or 0.0
        elif fault.kind == "drift":
            self._drift = (fault.argument or 0.0) * 1e-6
        else:
            block_s = self._block / self.rate_hz
            stall_s = 0.5 if fault.argument is None else fault.argument
            self._due_s += block_s if fault.kind == "xrun" else stall_s
            self._xrun = True


class NullMicrophone:
    """A card that only records, with a clock, a rate and faults of its own: the kinds ``input-*``,
    in seconds since it was first opened, and ``silence``."""

    def __init__(
        self,
        options: AudioOptions,
        clock: Clock,
        *,
        rate_hz: int = 48_000,
        spawn: Spawn | None = None,
        microphone: Callable[[int, int, int], Samples] = syllables,
    ) -> None:
        """As :class:`NullStream`."""
        self._options, self._clock, self._rate_hz = options, clock, rate_hz
        self._spawn, self._microphone = spawn, microphone
        self._faults = _faults(options, True)
        self.begun_s = math.nan

    def open(self) -> NullStream:
        """A stream, as long as it is there. Raises AudioError."""
        if math.isnan(self.begun_s):
            self.begun_s = self._clock.now()
        elapsed_s, rate_hz = self._elapsed_s, self._rate_hz
        for fault in self._faults:
            if fault.kind == "end" and fault.active(elapsed_s):
                raise AudioError("the null microphone is away, as it was told to be.")
            if fault.kind == "rate" and fault.start_s <= elapsed_s:
                rate_hz = int(fault.argument or rate_hz)
        return NullStream(
            self._options, self._clock, rate_hz=rate_hz, duplex=True, spawn=self._spawn,
            microphone=self._microphone, card=self,
        )  # fmt: skip

    def ready(self) -> bool:
        """It can be tried at any time."""
        return True

    def cancel(self) -> None:
        """Nothing is under way."""

    def pending(self) -> list[Fault]:
        """What is still to come, and what lasts."""
        lasting = ("drift", "jitter", "silence")
        return [f for f in self._faults if f.kind in lasting or f.start_s > self._elapsed_s]

    @property
    def _elapsed_s(self) -> float:
        return self._clock.now() - self.begun_s + ROUNDING_S


def _faults(options: AudioOptions, of_microphone: bool) -> list[Fault]:
    """The faults of one of two cards; silence is of the one that records. Raises AudioError."""
    try:
        told = parse_faults(options.faults, AUDIO_FAULTS)
    except ValueError as error:
        raise AudioError(f"audio.faults: {error}") from None
    kept = [f for f in told if f.kind.startswith("input-") == of_microphone or f.kind == "silence"]
    return [replace(fault, kind=fault.kind.removeprefix("input-")) for fault in kept]
