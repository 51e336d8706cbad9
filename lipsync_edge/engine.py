"""The runtime between the edges: sound to poses (analyzer), poses to pulses (mover).

Each part has a step that does what is due and returns; the threads that call the steps are made
elsewhere, so that the same parts run in real time, in a virtual one, and as fast as possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.audio import Source
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.resample import Resampler, to_float
from lipsync_edge.audio.ring import Ring
from lipsync_edge.care import Care
from lipsync_edge.clock import Clock, Ticker
from lipsync_edge.errors import ModelError
from lipsync_edge.features import Features
from lipsync_edge.idle import Idle
from lipsync_edge.jog import SetUp
from lipsync_edge.loudness import Loudness
from lipsync_edge.model import Model
from lipsync_edge.motion import Motion, Step
from lipsync_edge.rest import Rest
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.servos import Board
from lipsync_edge.servos.gate import Gate
from lipsync_edge.telemetry import Snapshot, Telemetry
from lipsync_edge.timeline import Timeline


class Feeder:
    """Reads a source ahead of the stream that plays it."""

    CHUNK_S = 0.1

    def __init__(self, source: Source, ring: Ring) -> None:
        """``source`` must have the stream's rate."""
        self._source, self._ring = source, ring
        self._chunk = max(1, int(self.CHUNK_S * source.rate_hz))

    def await_first(self, wait: Callable[[float], bool]) -> None:
        """Give the source half a second to come up with its first samples; a pipe may take longer.

        ``wait``: for so many seconds; True: no longer.
        """
        for _ in range(25):
            if self._ring.ended or self._ring.available or wait(0.02):
                return

    def step(self) -> bool:
        """Read what the ring has room for; False when nothing was to do (full, or at the end)."""
        room = min(self._ring.free, self._chunk)
        if self._ring.ended or room < self._chunk // 4:
            return False
        samples = self._source.read(room)
        if not len(samples):
            self._ring.end()
            return False
        self._ring.write(samples)
        return True


class Analyzer:
    """Sound from the ring becomes poses on the timeline."""

    def __init__(
        self,
        ring: Ring,
        rate_hz: int,
        model: Model,
        timeline: Timeline,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        spec = model.spec
        self._ring, self._model, self._timeline = ring, model, timeline
        self._clock, self._telemetry = clock, telemetry
        self._features = Features(spec)
        self._rest = Rest(model.axes, spec.hop_s)
        self._resampler = Resampler(rate_hz, spec.sample_rate_hz)
        self._ratio = rate_hz / spec.sample_rate_hz
        # A pose stands at the centre of the frame that it describes, delay_frames before the last.
        self._to_centre = spec.frame_length / 2 - model.delay_frames * spec.hop_length
        self._block = np.zeros(4096, np.int16)
        self._origin = 0
        self._expected = 0
        self.loudness = Loudness(rate_hz)

    def step(self) -> int:
        """Process all that the ring holds; return the number of hops done."""
        hops = 0
        while True:
            at_sample, n_samples = self._ring.read_into(self._block)
            if n_samples == 0:
                return hops
            if at_sample != self._expected:
                self._begin_anew(at_sample)
            self._expected = at_sample + n_samples
            self.loudness.add(at_sample, self._block[:n_samples])
            hops += self.push(self._block[:n_samples])

    def push(self, block: NDArray[np.int16]) -> int:
        """Process (n,) samples that follow the last ones; return the number of hops done."""
        begun_s = self._clock.now()
        rows = self._features.push(self._resampler.push(to_float(block)))
        for at_sample, row in rows:
            self._put(at_sample + self._to_centre, self._model.step(row))
        if rows:
            self._telemetry.hops += len(rows)
            self._telemetry.hop_s.add((self._clock.now() - begun_s) / len(rows))
        return len(rows)

    def _put(self, centre: float, pose: NDArray[np.float32]) -> None:
        if pose.shape != (len(self._model.axes),):
            raise ModelError(
                f"The model {self._model.name} returned {pose.size} values for "
                f"{len(self._model.axes)} axes.",
                "Its bundle does not fit: take another one.",
            )
        if centre < 0:  # the model has not seen its look-ahead yet
            return
        if np.isfinite(pose).all():
            self._timeline.put(self._origin + centre * self._ratio, self._rest.step(pose))
        else:
            self._telemetry.refused_poses += 1

    def _begin_anew(self, at_sample: int) -> None:
        self._telemetry.gaps += 1
        self._origin = at_sample
        self._resampler.reset()
        self._features.reset()
        self._model.reset()
        self._rest.reset()


class Mover:
    """Every tick, poses from the timeline become pulses on the board."""

    PARK_S = 0.5

    def __init__(
        self,
        motion: Motion,
        gate: Gate,
        idle: Idle,
        board: Board,
        timeline: Timeline,
        telemetry: Telemetry,
        axes: tuple[str, ...],
        care: Care | None = None,
    ) -> None:
        """``care`` None: no soft start, no heat budget (a table, a test)."""
        self._motion, self._gate, self._idle, self._board = motion, gate, idle, board
        self._timeline, self._telemetry, self._axes = timeline, telemetry, axes
        self._last_s = -math.inf
        self.shown: Mapping[str, float] | None = None
        """The pose that is held, see :meth:`show`."""
        self.set_up: SetUp | None = None
        """One servo is moved by hand instead; for any thread."""
        self._was_set_up = self._parking = False
        self.care = care
        self.snapshot = Snapshot(0.0, {}, {}, False)

    def tick(self, heard_sample: float, now_s: float) -> NDArray[np.float64]:
        """Command what belongs to captured sample ``heard_sample``, which is heard now.

        Returns the widths (n_servos,) in microseconds that the gate let through.
        """
        dt_s = now_s - self._last_s if math.isfinite(self._last_s) else 0.0
        self._last_s = now_s
        set_up = self.set_up
        if (set_up is not None) != self._was_set_up:
            self._was_set_up = set_up is not None
            self._limp()  # before and after: who moves a servo next begins anew
        if set_up is not None:
            return self._tick_by_hand(set_up, heard_sample, now_s, dt_s)
        step = self._wish(heard_sample)
        sent_us, short_us = self._let_through(step.widths_us, dt_s)
        # What care has shrunk on purpose shall not look to the planner like a servo that lags: it
        # would plan from there, and be shrunk again.
        self._motion.sent(step.widths_us + short_us)
        self._send(sent_us)
        self._telemetry.starved += step.starved
        pose = dict(zip(self._axes, step.pose.tolist(), strict=True))
        if shown := self.shown:
            pose.update(shown)  # it may have axes that the model does not know
        self._show(heard_sample, pose, sent_us, step.starved, now_s)
        return sent_us

    def _tick_by_hand(
        self, set_up: SetUp, heard_sample: float, now_s: float, dt_s: float
    ) -> NDArray[np.float64]:
        """One servo as it is told, all others off; within no limits but those of the set-up."""
        sent_us = set_up.step(now_s)
        blocked = bool(self.care and self.care.blocked)
        if blocked:
            sent_us = np.full_like(sent_us, np.nan)
        if not self._send(sent_us) or blocked:
            set_up.lost()
            sent_us = np.full_like(sent_us, np.nan)
        if self.care:
            self.care.sent(sent_us, dt_s)
        self._show(heard_sample, dict.fromkeys(self._axes, 0.0), sent_us, False, now_s)
        return sent_us

    def _send(self, sent_us: NDArray[np.float64]) -> bool:
        """Whether it arrived; where it did not, all outputs are off, or nobody knows."""
        self._telemetry.ticks += 1
        if self._board.write(sent_us):
            return True
        self._telemetry.bus_failures += 1
        self._limp()
        return False

    def _limp(self) -> None:
        """The horns are limp: nobody knows where they will be."""
        self._gate.off()
        if self.care:
            self.care.lost()

    def _show(
        self, heard_sample: float, pose: dict[str, float], sent_us: NDArray[np.float64],
        starved: bool, now_s: float,
    ) -> None:  # fmt: skip
        self.snapshot = Snapshot(
            heard_sample / self._motion.rate_hz,
            pose,
            dict(zip(self._motion.names, sent_us.tolist(), strict=True)),
            starved,
            now_s,
        )

    def take_over(self, other: Mover) -> None:
        """Go on where another mover of the same servos stopped: no horn jumps, none forgets how
        warm it is. What is shown is told to it by :meth:`show`."""
        self._gate.take_over(other._gate)
        self._idle.take_over(other._idle)
        last_us = self._gate.sent_us
        last_us = np.where(np.isnan(last_us), self._motion.neutral_us, last_us)
        self._motion.take_over(other._motion, last_us)
        self._last_s, self.snapshot = other._last_s, other.snapshot
        self._was_set_up = other._was_set_up
        if self.care and other.care:
            self.care.take_over(other.care)

    def show(self, pose: Mapping[str, float] | None) -> tuple[str, ...]:
        """Hold this pose, axes by name, the others at 0; None: back to what is heard. For any
        thread. Returns the axes that this head cannot show."""
        self.shown = None if pose is None else dict(pose)
        return self._motion.unmoved(pose or {})

    @property
    def names(self) -> tuple[str, ...]:
        """Of the servos."""
        return self._motion.names

    def make_set_up(self, low_us: float, high_us: float, now_s: float) -> SetUp:
        """What moves these servos by hand, from where they are believed to stand."""
        neutral_us = self._motion.neutral_us
        last_us = self.care.last_us if self.care else np.full_like(neutral_us, np.nan)
        return SetUp(self._motion.names, low_us, high_us, neutral_us, last_us, now_s)

    def _wish(self, heard_sample: float) -> Step:
        shown = self.shown
        if self._parking or (self.care and self.care.resting):
            return self._motion.step(-math.inf, self._timeline)
        if shown is not None:
            pose = np.array([shown.get(axis, 0.0) for axis in self._axes])
            return Step(self._motion.show(shown), pose, False)
        return self._motion.step(heard_sample, self._timeline)

    def _let_through(
        self, widths_us: NDArray[np.float64], dt_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What care, gate and idleness leave of a wish, (n_servos,) us, NaN: off; and by how much
        the gate fell short of what care left."""
        off = self._idle.step(widths_us, dt_s)
        if self.care is None:
            sent_us = self._gate.pass_(widths_us, dt_s)
            sent_us = self._gate.off(off) if off.any() else sent_us
            return sent_us, sent_us - widths_us
        leave = self.care.step(widths_us, dt_s)
        if leave.start_us is not None:
            self._gate.begin(leave.start_us)
        sent_us = self._gate.pass_(leave.widths_us, dt_s, leave.pace)
        if leave.asleep is not None:
            off = off | leave.asleep
        if off.any():
            sent_us = self._gate.off(off)
        self.care.sent(sent_us, dt_s)
        return sent_us, sent_us - leave.widths_us

    def park(self, clock: Clock, period_s: float) -> None:
        """Bring the servos to neutral as the gate allows, then switch the outputs off.

        Servos that got no pulse yet are not woken for that, and one that is set up by hand is not
        moved any more. Poses on demand end.
        """
        self._parking = True
        end_s = clock.now() + (0.0 if self.set_up else self.PARK_S)
        while clock.now() < end_s and not np.isnan(self._board.sent_us()).all():
            sent_us = self.tick(-math.inf, clock.now())
            if (np.isnan(sent_us) | (sent_us == self._motion.neutral_us)).all():
                break
            clock.sleep_until(clock.now() + period_s)
        self._gate.off()
        self._board.detach()


class Pacer:
    """Calls the mover at its rate, with the sample that is heard at that moment."""

    def __init__(
        self,
        mover: Mover,
        sample_clock: SampleClock,
        courier: BlockCourier,
        clock: Clock,
        telemetry: Telemetry,
        *,
        period_s: float,
        lookahead_samples: int,
        output_latency_s: float,
        trail_s: float,
    ) -> None:
        self._mover, self._sample_clock, self._clock = mover, sample_clock, clock
        self._courier, self._telemetry = courier, telemetry
        self._lookahead = lookahead_samples
        self._output_latency_s, self._trail_s = output_latency_s, trail_s
        self._ticker = Ticker(period_s)
        self._next: tuple[Mover, float, float] | None = None

    def swap(self, mover: Mover, period_s: float, trail_s: float) -> None:
        """From the next tick on another mover moves the same servos. For any thread."""
        self._next = (mover, period_s, trail_s)

    def _swap(self) -> None:
        if self._next is None:
            return
        (mover, period_s, self._trail_s), self._next = self._next, None
        mover.take_over(self._mover)
        self._mover = mover
        if period_s != self._ticker.period_s:
            self._ticker = Ticker(period_s)

    def step(self) -> None:
        """Wait for the next tick and move; a late tick moves to where the sound is by then."""
        self._swap()
        deadline_s = self._ticker.advance(self._clock.now())
        self._clock.sleep_until(deadline_s)
        now_s = self._clock.now()
        late_s = now_s - deadline_s + self._ticker.skipped_s
        self._courier.drain_stamps(self._sample_clock.observe)
        heard = self.heard_sample(now_s)
        self._mover.tick(heard, now_s)
        self._measure(late_s, heard)
        # The clock runs on while a device is away; what was heard is what was carried.
        carried = self._courier.at_sample - self._lookahead
        heard_s = min(heard, carried) / self._sample_clock.rate_hz
        self._telemetry.heard_s = max(self._telemetry.heard_s, heard_s)

    def heard_sample(self, now_s: float) -> float:
        """Index of the captured sample that is heard at ``now_s``; negative before the first."""
        if not self._sample_clock.ready:
            return -math.inf
        return self._sample_clock.sample_at(now_s - self._output_latency_s) - self._lookahead

    def _measure(self, late_s: float, heard: float) -> None:
        telemetry = self._telemetry
        telemetry.late_s.add(late_s)
        telemetry.late += late_s > self._ticker.period_s / 2
        telemetry.resyncs = self._ticker.resyncs
        if heard > 0 and not self._mover.snapshot.starved:
            # The command is on the wire only now, while the sound went on.
            moved_on = self.heard_sample(self._clock.now()) - heard
            telemetry.offset_s.add(moved_on / self._sample_clock.rate_hz + self._trail_s)
