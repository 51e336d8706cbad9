"""The sound device of a run: opened, started, and opened again by its name after it went away."""

from __future__ import annotations

from lipsync_edge.audio import Stream
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import make_stream, recording_device, two_cards
from lipsync_edge.clock import Clock
from lipsync_edge.config import Config
from lipsync_edge.errors import AudioError
from lipsync_edge.live import Live
from lipsync_edge.realtime import Realtime, thread_ids
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Telemetry

RING_S = 2.0  # how far a source is read ahead
RENEW_S = 60.0  # so long between two gaps for the sake of a card that still cannot be opened


class Sound:
    """Owner of the stream. Main thread only, but for what the stream itself does.

    ``ring``: what is played where the stream itself records nothing: a source's, or that of the
    card in ``live``; None: the stream records.
    """

    def __init__(
        self,
        config: Config,
        has_source: bool,
        clock: Clock,
        telemetry: Telemetry,
        realtime: Realtime,
        supervisor: Supervisor,
    ) -> None:
        """Opens, does not start. ``has_source``: it plays that, and opens no microphone.

        Raises AudioError.
        """
        self._config, self._clock, self._telemetry = config, clock, telemetry
        self._realtime, self._supervisor = realtime, supervisor
        self._retry_s = config.audio.retry_s
        listens = bool(config.audio.input) and not has_source
        self._duplex = listens and not two_cards(config)
        self._next_s = self._renew_s = 0.0
        self.lost = ""
        """Why there is no device; empty while there is one."""
        self.stream = self._open(0)
        rate_hz = self.stream.rate_hz
        separate = listens and not self._duplex
        self.ring = Ring(int(RING_S * rate_hz)) if has_source or separate else None
        self.live: Live | None = None
        if separate and self.ring:
            self.live = self._open_live(self.ring, rate_hz)

    @property
    def name(self) -> str:
        """The devices, those that record first."""
        name = self.stream.name
        return f"{self.live.name} > {name}" if self.live else name

    @property
    def input_lost(self) -> str:
        """Why there is no recording card; empty while there is one, or none is wanted."""
        return self.live.lost if self.live else ""

    def start(self, courier: BlockCourier, clock: SampleClock) -> None:
        """Begin to carry sound, ahead of all other threads. Raises AudioError."""
        self._sample_clock = clock
        self._begin(courier)
        if self.live:
            self.live.start(courier)
            self._supervisor.loop("input", self.live.follow)
            self._realtime.give("input", self._supervisor.native_ids("input"))

    def _begin(self, courier: BlockCourier) -> None:
        self._courier = courier
        before = thread_ids()
        self.stream.start(courier)
        self._realtime.give("sound", thread_ids() - before)

    def step(self) -> str:
        """See whether the device is there, try to get it back where it is time to.

        Returns what our own callback did wrong: opening the device again would not mend it.
        """
        failure = ""
        if self.lost:
            if self._clock.now() >= self._next_s:
                self._reopen()
        elif not self.stream.is_active():
            failure = self._lose()
        if self.live:
            self.live.step(bool(self.lost))
            if self.live.wants_new_list and not self.lost and self._clock.now() >= self._renew_s:
                self._renew()
        return failure

    def stop(self) -> None:
        """Close it."""
        if self.live:
            self.live.stop()
        self.stream.stop()

    def _open(self, rate_hz: int) -> Stream:
        return make_stream(self._config, self._clock, self._supervisor.spawn, self._duplex, rate_hz)

    def _open_live(self, ring: Ring, rate_hz: int) -> Live:
        device = recording_device(self._config, self._clock, self._supervisor.spawn, rate_hz)
        try:
            return Live(
                device, ring, rate_hz, self._clock, self._telemetry, self._realtime, self._retry_s
            )
        except AudioError:
            self.stream.stop()
            raise

    def _lose(self) -> str:
        self._telemetry.lost_devices += 1
        self.lost = self.stream.failure or "it stopped"
        self.stream.stop()
        self._next_s = self._clock.now() + self._retry_s
        if "callback failed" not in self.lost:
            return ""
        self._telemetry.callback_errors += 1
        return self.lost

    def _renew(self) -> None:
        """Close all, to open all anew: PortAudio lists the cards once, when it starts. One that was
        plugged in after the playing card came back is in no list of ours."""
        self._renew_s = self._clock.now() + RENEW_S
        self.lost = "opened anew, for the sake of the recording card"
        self._next_s = self._clock.now()
        self.stream.stop()

    def _reopen(self) -> None:
        try:
            self.stream = self._open(self.stream.rate_hz)
            self._sample_clock.resync()
            self._begin(self._courier)
            self.lost = ""
        except AudioError:
            self.stream.stop()  # also one that opened and did not start
            self._next_s = self._clock.now() + self._retry_s
