"""The sound device of a run: opened, started, and opened again by its name after it went away."""

from __future__ import annotations

from collections.abc import Callable

from lipsync_edge.audio import Stream
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.clock import Clock
from lipsync_edge.errors import AudioError
from lipsync_edge.realtime import Realtime, thread_ids
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.telemetry import Telemetry


class Sound:
    """Owner of the stream. Main thread only, but for what the stream itself does."""

    def __init__(
        self,
        open_stream: Callable[[int], Stream],
        clock: Clock,
        telemetry: Telemetry,
        realtime: Realtime,
        retry_s: float,
    ) -> None:
        """``open_stream``: opens it at a rate in Hz, 0: any. Raises AudioError."""
        self._open, self._clock, self._telemetry = open_stream, clock, telemetry
        self._realtime, self._retry_s = realtime, retry_s
        self._next_s = 0.0
        self.lost = ""
        """Why there is no device; empty while there is one."""
        self.stream = open_stream(0)

    def start(self, courier: BlockCourier, clock: SampleClock) -> None:
        """Begin to carry sound, ahead of all other threads. Raises AudioError."""
        self._courier, self._sample_clock = courier, clock
        before = thread_ids()
        self.stream.start(courier)
        self._realtime.give("sound", thread_ids() - before)

    def step(self) -> str:
        """See whether the device is there, try to get it back where it is time to.

        Returns what our own callback did wrong: opening the device again would not mend it.
        """
        if self.lost:
            if self._clock.now() >= self._next_s:
                self._reopen()
        elif not self.stream.is_active():
            return self._lose()
        return ""

    def stop(self) -> None:
        """Close it."""
        self.stream.stop()

    def _lose(self) -> str:
        self._telemetry.lost_devices += 1
        self.lost = self.stream.failure or "it stopped"
        self.stream.stop()
        self._next_s = self._clock.now() + self._retry_s
        if "callback failed" not in self.lost:
            return ""
        self._telemetry.callback_errors += 1
        return self.lost

    def _reopen(self) -> None:
        try:
            self.stream = self._open(self.stream.rate_hz)
            self._sample_clock.resync()
            self.start(self._courier, self._sample_clock)
            self.lost = ""
        except AudioError:
            self.stream.stop()  # also one that opened and did not start
            self._next_s = self._clock.now() + self._retry_s
