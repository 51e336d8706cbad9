"""Live sound from another card than that which plays: opened, followed, opened again.

The playing card lives on while this one is away; nothing is heard then, and the mouth rests.
"""

from __future__ import annotations

import math

from lipsync_edge.audio import Opener, Stream
from lipsync_edge.audio.bridge import Bridge
from lipsync_edge.audio.courier import BlockCourier, Intake
from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import Bell, Clock
from lipsync_edge.errors import AudioError
from lipsync_edge.realtime import Realtime, thread_ids
from lipsync_edge.telemetry import Telemetry

NOT_THERE = "it is not there yet"


class Live:
    """Owner of the recording card. Main thread only, but for :meth:`follow`."""

    def __init__(
        self,
        device: Opener,
        ring: Ring,
        rate_hz: int,
        clock: Clock,
        telemetry: Telemetry,
        realtime: Realtime,
        retry_s: float,
    ) -> None:
        """``ring``: what is played at ``rate_hz``. Opens, does not start. Raises AudioError."""
        self._device, self._ring, self._rate_hz = device, ring, rate_hz
        self._clock, self._telemetry, self._realtime = clock, telemetry, realtime
        self._retry_s = retry_s
        self._next_s = 0.0
        self._told_s = -math.inf
        self._jumps = self._xruns = 0  # before this opening
        self._bell = Bell()
        self._at_work: tuple[Bridge, Intake] | None = None
        self.lost = ""
        """Why there is no card; empty while there is one."""
        self.wants_new_list = False
        """The card is there, but not in the list of devices that this program has."""
        self.stream: Stream | None = device.open()
        self.name = self.stream.name
        ring.ended = True  # nothing comes yet

    def start(self, courier: BlockCourier) -> None:
        """Begin to record for ``courier``, whose source is the ring. Raises AudioError."""
        self._courier = courier
        if self.stream is None:
            self.stream = self._device.open()
        intake = Intake(self.stream.rate_hz, self._bell)
        self._telemetry.input_rate_hz = intake.rate_hz
        bridge = Bridge(
            intake.ring, intake.stamps, intake.rate_hz, self._ring, courier.stamps, self._rate_hz
        )
        before = thread_ids()
        self.stream.start(intake)
        self._realtime.give("sound", thread_ids() - before)
        self._jumps, self._xruns = self._telemetry.input_jumps, self._telemetry.input_xruns
        self._at_work = bridge, intake

    def follow(self) -> None:
        """Wait for a block and pass it on: for a thread of its own."""
        self._bell.wait(0.1)
        at_work, now_s, telemetry = self._at_work, self._clock.now(), self._telemetry
        if at_work is None:
            self._ring.ended = True  # silence is no underrun
            return
        bridge, intake = at_work
        bridge.step(now_s)
        telemetry.input_jumps = self._jumps + bridge.jumps
        telemetry.input_xruns = self._xruns + intake.xruns
        if not math.isnan(bridge.delay_s) and now_s - self._told_s >= 1.0:
            self._told_s = now_s
            telemetry.input_ppm = bridge.trim_ppm
            telemetry.input_delay_s.add(bridge.delay_s)

    def step(self, away: bool) -> None:
        """See whether the card is there, try to get it back where it is time to.

        ``away``: the playing card is. Then this one is closed too, since a new list of devices is
        made only when all are closed.
        """
        if away:
            self.stop()
        elif self.stream is None:
            if self._clock.now() >= self._next_s:
                self._try()
        elif not self.stream.is_active():
            self._lose(self.stream.failure or "it stopped")

    def stop(self) -> None:
        """Close it; :meth:`step` opens it again."""
        self._at_work, self.wants_new_list = None, False
        self._device.cancel()
        if self.stream is not None:
            self.stream.stop()
        self.stream = None

    def _lose(self, why: str) -> None:
        self.lost = why
        self._telemetry.lost_inputs += 1
        self.stop()
        self._next_s = self._clock.now() + self._retry_s

    def _try(self) -> None:
        ready = self._device.ready()
        if ready:
            self._reopen()
        elif ready is not None:
            self.lost, self.wants_new_list = self.lost or NOT_THERE, False
            self._next_s = self._clock.now() + self._retry_s

    def _reopen(self) -> None:
        try:
            self.start(self._courier)
        except AudioError:
            self.stop()  # also one that opened and did not start
            self.lost = self.lost or NOT_THERE
            self.wants_new_list = True
            self._next_s = self._clock.now() + self._retry_s
            return
        self.lost, self.wants_new_list = "", False
