"""Plays prepared sounds and records what the microphone hears of them, for calibration."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from lipsync_edge import calibration
from lipsync_edge.audio import Samples, Stream
from lipsync_edge.audio.resample import to_float, to_int16
from lipsync_edge.clock import Clock
from lipsync_edge.errors import AudioError, MeasurementError
from lipsync_edge.sampleclock import SampleClock

SWEEP_LEVEL = 0.4  # of full scale
SWEEPS_AT_S = (0.5, 0.87, 1.16, 1.57, 1.9)  # irregular, so that no echo of one looks like the next
LEAD_S = 1.0  # the clocks settle
LATE_S = 5.0  # a device that is so much behind has stopped


class Tape:
    """A courier that plays prepared sounds and keeps what is recorded. See ``audio.Courier``."""

    N_STAMPS = 4096

    def __init__(self) -> None:
        self.at_sample = 0
        self.xruns = 0
        self.deaf = False  # blocks came without recorded samples
        self._blocks = self._told = 0
        self._index = array("q", bytes(8 * self.N_STAMPS))
        self._end = array("q", bytes(8 * self.N_STAMPS))
        self._now_s = array("d", bytes(8 * self.N_STAMPS))
        self._dac_s = array("d", bytes(8 * self.N_STAMPS))
        self._sounds: tuple[tuple[int, Samples], ...] = ()
        self._take: tuple[int, Samples] = (0, np.zeros(0, np.int16))

    def record(self, begin: int, n_samples: int) -> Samples:
        """The array (n_samples,) in which what is recorded from index ``begin`` on appears."""
        recorded = np.zeros(n_samples, np.int16)
        self._take = (begin, recorded)
        return recorded

    def play(self, sounds: Sequence[tuple[int, Samples]]) -> None:
        """Play these samples at these indexes, instead of what was given before."""
        self._sounds = tuple(sounds)

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        slot, begin, end = self._blocks % self.N_STAMPS, self.at_sample, self.at_sample + len(out)
        self._index[slot], self._end[slot] = begin, end
        self._now_s[slot], self._dac_s[slot] = now_s, dac_s
        out.fill(0)
        for at, samples in self._sounds:
            _overlay(samples, at, out, begin)
        if captured is None:
            self.deaf = True
        else:
            at, recorded = self._take
            _overlay(captured, begin, recorded, at)
        self.xruns += xrun
        self._blocks += 1
        self.at_sample = end

    def drain(self, heard: SampleClock, captured: SampleClock) -> None:
        """Tell the clocks about all blocks since the last call, of the newest 2048 at most."""
        n_blocks = self._blocks
        for k in range(max(self._told, n_blocks - self.N_STAMPS // 2), n_blocks):
            slot = k % self.N_STAMPS
            now_s = self._now_s[slot]
            heard.observe(self._index[slot], now_s, self._dac_s[slot])
            captured.observe(self._end[slot], now_s, 0.0)  # the last sample was taken just now
        self._told = n_blocks


def _overlay(source: Samples, source_at: int, target: Samples, target_at: int) -> None:
    """Copy what the two have in common on the time axis."""
    begin = max(source_at, target_at)
    end = min(source_at + len(source), target_at + len(target))
    if begin < end:
        target[begin - target_at : end - target_at] = source[begin - source_at : end - source_at]


class Listener:
    """Speaker and microphone of one duplex stream, with the clocks of both ways."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self.rate_hz = stream.rate_hz
        self.captured = SampleClock(stream.rate_hz, 0.0)
        self._heard = SampleClock(stream.rate_hz, stream.output_latency_s)
        self._stream, self._clock, self._tape = stream, clock, Tape()
        self._delay_s = float("nan")
        self._xruns = 0

    def start(self) -> None:
        """Begin, and wait for the clocks to settle."""
        self._stream.start(self._tape)
        self.wait(self._clock.now() + LEAD_S)
        self._reach(1)

    def wait(self, until_s: float) -> None:
        """Sleep, keeping the clocks fed. AudioError when the device goes away."""
        while True:
            now_s = self._clock.now()
            self._clock.sleep_until(min(until_s, now_s + 0.1))
            self._tape.drain(self._heard, self.captured)
            if not self._stream.is_active():
                raise AudioError(f"The sound device is lost: {self._stream.failure}.")
            if self._clock.now() >= until_s:
                return

    def record(self, seconds: float) -> tuple[int, Samples]:
        """Begin to record; returns the index of the first sample, and the array that fills."""
        begin = self._tape.at_sample
        self._xruns = self._tape.xruns
        return begin, self._tape.record(begin, round(seconds * self.rate_hz))

    def finish(self, begin: int, recorded: Samples) -> calibration.Floats:
        """Wait until the array is full; returns it as floats. MeasurementError where the device
        lost samples meanwhile: then its time does not count."""
        self._reach(begin + len(recorded))
        if self._tape.xruns > self._xruns:
            raise MeasurementError(
                "The sound device lost samples while it listened.",
                "Stop other programs, or set audio.frames_per_buffer to 512 or more.",
            )
        return np.asarray(to_float(recorded), np.float64)

    def delay(self, max_delay_s: float) -> calibration.Delay:
        """Play sweeps and find them. MeasurementError where they are not heard."""
        rate_hz, sound = self.rate_hz, to_int16(SWEEP_LEVEL * calibration.sweep(self.rate_hz))
        begin, recorded = self.record(SWEEPS_AT_S[-1] + calibration.SWEEP_S + max_delay_s)
        played_at = begin + np.rint(np.array(SWEEPS_AT_S) * rate_hz).astype(np.int64)
        self._tape.play([(int(at), sound) for at in played_at])
        found = calibration.find_delay(
            self.finish(begin, recorded), played_at - begin, rate_hz, max_delay_s
        )
        self._delay_s = found.s
        return found

    def unreported_s(self) -> float:
        """Latency of both ways that the driver does not report, from the last ``delay``."""
        at = float(self._tape.at_sample)
        return self.captured.time_of(at + self._delay_s * self.rate_hz) - self._heard.time_of(at)

    def _reach(self, sample: int) -> None:
        late_s = self._clock.now() + LATE_S + (sample - self._tape.at_sample) / self.rate_hz
        while self._tape.at_sample < sample:
            if self._clock.now() > late_s:
                raise AudioError("The sound device does not keep its rate.", "Restart it.")
            self.wait(self._clock.now() + 0.02)
        if self._tape.deaf:
            raise AudioError("The sound device does not record.", "Set audio.input.")
