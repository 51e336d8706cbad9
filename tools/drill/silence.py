"""An hour of silence between two sentences, on a clock that goes as fast as the computer can.

    python -m lipsync_tools.drill.silence [SECONDS]    prints JSON

Courier, analyzer, model, motion, care, gate, driver and registers are the real ones.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_edge import config
from lipsync_edge.audio import Samples
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.dummy import NullStream
from lipsync_edge.audio.ring import Ring
from lipsync_edge.audio.wav import open_source, resampled
from lipsync_edge.build import make_care, make_chain, make_model
from lipsync_edge.cli import SAMPLE
from lipsync_edge.clock import Bell, VirtualClock
from lipsync_edge.engine import Pacer
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.servos.pca9685 import Pca9685Board
from lipsync_edge.servos.registers import simulated_bus
from lipsync_edge.servos.rig import Rig
from lipsync_edge.telemetry import Telemetry
from lipsync_tools.drill import record
from lipsync_tools.drill.board import Moment

RATE_HZ = 16_000
SPEECH_S = 7.0


class Hour:
    """The chain, and what came of it: ``moments`` of the board at each change."""

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.config = config.load(None, [("audio.frames_per_buffer", "256")], head="mouth10")
        self.clock = VirtualClock()
        self.telemetry = Telemetry()
        model = make_model(self.config, self.clock)
        rig = Rig(self.config.head, model.axes)
        bus = simulated_bus(self.config.head.boards, clock=self.clock)
        board = Pca9685Board(self.config.head.boards, rig.slots, i2c=bus, clock=self.clock)
        board.open()
        self._chips = tuple(bus.chips.values())
        source = resampled(open_source(str(SAMPLE)), RATE_HZ)
        self._speech = source.read(int(SPEECH_S * RATE_HZ))
        source.close()
        self._stream = NullStream(
            self.config.audio, self.clock, rate_hz=RATE_HZ, duplex=True, microphone=self._hears
        )
        heard, care = Ring(2 * RATE_HZ), make_care(self.config, rig)
        self._chain = make_chain(
            self.config, model, rig, board, heard, RATE_HZ, self.clock, self.telemetry, care
        )
        self._courier = BlockCourier(heard, Bell(), self._chain.lookahead_samples, None)
        self._pacer = Pacer(
            self._chain.mover, SampleClock(RATE_HZ, self._stream.output_latency_s), self._courier,
            self.clock, self.telemetry, period_s=1 / self.config.motion.rate_hz,
            lookahead_samples=self._chain.lookahead_samples, output_latency_s=0.0,
            trail_s=self._chain.budget.trail_ms / 1e3,
        )  # fmt: skip
        self.moments: list[Moment] = []

    def run(self) -> None:
        """Speech, silence, speech."""
        self._stream.start(self._courier)
        period_s = 1 / self.config.motion.rate_hz
        for tick in range(1, round((2 * SPEECH_S + self.silence_s) / period_s)):
            self._stream.pump(tick * period_s)
            self._chain.analyzer.step()
            self._pacer.step()
            pulses = tuple(us for chip in self._chips for us in chip.pulses_us())
            if not self.moments or repr(pulses) != repr(self.moments[-1].pulses_us):
                self.moments.append(Moment(self.clock.now(), True, pulses))

    def _hears(self, at_sample: int, n_samples: int, _rate_hz: int) -> Samples:
        """The sentence, digital silence, the sentence."""
        block = np.zeros(n_samples, np.int16)
        again = int((SPEECH_S + self.silence_s) * RATE_HZ)
        for begin in (0, again):
            first = max(begin, at_sample)
            part = self._speech[first - begin : max(0, at_sample + n_samples - begin)]
            if first < at_sample + n_samples and len(part):
                block[first - at_sample : first - at_sample + len(part)] = part
        return block


def drill(silence_s: float) -> dict[str, Any]:
    """What the hour did; times in seconds."""
    hour = Hour(silence_s)
    hour.run()
    outputs = record.Outputs(hour.config.head)
    again_s = SPEECH_S + silence_s
    first_s = record.first_spoken_s(hour.moments, 0.0, outputs)
    off_s = record.first_off_s(hour.moments, SPEECH_S)
    return {
        "silence_s": silence_s,
        "idle_s": hour.config.motion.idle_s,
        "off_after_s": off_s - SPEECH_S,
        "pulses_in_silence": sum(
            not record.is_off(m) for m in hour.moments if off_s < m.at_s < again_s
        ),
        "outside": len(outputs.outside(hour.moments)),
        "spoke_after_s": first_s,
        "spoke_again_after_s": record.first_spoken_s(hour.moments, again_s, outputs) - again_s,
        "starved": hour.telemetry.starved,
        "gaps": hour.telemetry.gaps,
        "rss_mb": _rss_mb(),
    }


def _rss_mb() -> float:
    """Memory in use, in MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    found = drill(seconds)
    print(json.dumps({k: None if v == math.inf else v for k, v in found.items()}))
