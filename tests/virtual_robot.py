"""The whole chain on a virtual clock: courier, delay line, analyzer, mover, real driver, registers.

Only the sound device is replaced, by the null sink; time goes on when we say so, hence every figure
is exact and repeatable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_edge import config
from lipsync_edge.audio import Samples
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.dummy import NullStream
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import make_chain, make_model
from lipsync_edge.clock import Bell, VirtualClock
from lipsync_edge.engine import Feeder, Pacer
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.servos.pca9685 import Pca9685Board
from lipsync_edge.servos.registers import simulated_bus
from lipsync_edge.servos.rig import Rig
from lipsync_edge.telemetry import Telemetry


class ArraySource:
    """Samples from memory."""

    def __init__(self, samples: Samples, rate_hz: int) -> None:
        self.rate_hz, self._samples, self._at = rate_hz, samples, 0

    def read(self, n_samples: int) -> Samples:
        part = self._samples[self._at : self._at + n_samples]
        self._at += len(part)
        return part

    def close(self) -> None:
        pass


class VirtualRobot:
    """Build it from a sound and options, then :meth:`run` it for some seconds."""

    def __init__(self, samples: Samples, rate_hz: int, **options: str) -> None:
        overrides = [(key.replace("__", "."), value) for key, value in options.items()]
        # Time is what counts here: a servo that the gate does not slow down.
        overrides.append(("servos.jaw.slew_us_per_s", "100000"))
        if "motion__planner" not in options:  # the planner's own timing has tests of its own
            overrides.append(("motion.planner", "lag"))
        self.config = config.load(None, overrides, head="jaw")
        self.clock = VirtualClock()
        self.telemetry = Telemetry()
        model = make_model(self.config, self.clock)
        rig = Rig(self.config.head, model.axes)
        self.bus = simulated_bus(self.config.head.boards, clock=self.clock)
        self.board = Pca9685Board(
            self.config.head.boards, rig.slots, i2c=self.bus, clock=self.clock
        )
        self.board.open()
        self.blocks: list[Samples] = []
        self.stream = NullStream(
            self.config.audio,
            self.clock,
            rate_hz=rate_hz,
            sink=lambda block: self.blocks.append(block.copy()),
        )
        heard, played, bell = Ring(2 * rate_hz), Ring(2 * rate_hz), Bell()
        self.chain = make_chain(
            self.config, model, rig, self.board, heard, rate_hz, self.clock, self.telemetry
        )
        self.courier = BlockCourier(heard, bell, self.chain.lookahead_samples, played)
        self.feeder = Feeder(ArraySource(samples, rate_hz), played)
        self.pacer = Pacer(
            self.chain.mover,
            SampleClock(rate_hz, self.stream.output_latency_s),
            self.courier,
            self.clock,
            self.telemetry,
            period_s=1 / self.config.motion.rate_hz,
            lookahead_samples=self.chain.lookahead_samples,
            output_latency_s=0.0,
            trail_s=self.chain.budget.trail_ms / 1e3,
        )
        self.pulses: list[tuple[float, float]] = []

    def run(self, seconds: float) -> None:
        """Let time go by, a millisecond at a step."""
        self.stream.start(self.courier)
        period_s = 1 / self.config.motion.rate_hz
        next_tick_s = self.clock.now() + period_s
        for step in range(round(seconds * 1000)):
            self.feeder.step()
            self.stream.pump(step / 1000)
            self.chain.analyzer.step()
            if self.clock.now() >= next_tick_s:
                next_tick_s += period_s
                self.pacer.step()
                (chip,) = self.bus.chips.values()
                self.pulses.append((self.clock.now(), chip.pulse_us(0)))

    def played(self) -> NDArray[np.int16]:
        """Everything that went to the speaker."""
        return np.concatenate(self.blocks)
