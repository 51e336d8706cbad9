"""A microphone and a speaker with crystals of their own, joined by a bridge, in virtual time.

What comes out is judged by itself: the phase of a tone tells when it was recorded, what is left of
it without the tone tells of clicks. Neither tells of a slip by whole cycles, so the tone fits no
block, and swells slowly: how loud it is tells of each cycle. Nothing here asks the bridge.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lipsync_edge.audio import Samples
from lipsync_edge.audio.bridge import Bridge
from lipsync_edge.audio.courier import BlockCourier, Intake
from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import Bell

TONE_HZ, AMPLITUDE = 997, 12_000
SWELL_HZ, SWELL = 1.7, 0.1  # so slow that it leaves no click of its own: 0.1 LSB
PERIOD_S = 10  # of both
WINDOW = 8192
MOST_CYCLES = 400
"""A delay is told up to so many, less than a swell."""


def tone(at_sample: int, n_samples: int, rate_hz: int) -> Samples:
    """The tone, as a card of that nominal rate records it."""
    turns = np.arange(at_sample, at_sample + n_samples) % (PERIOD_S * rate_hz) / rate_hz * 2 * np.pi
    loud = AMPLITUDE * (1 + SWELL * np.sin(SWELL_HZ * turns))
    return np.rint(loud * np.sin(TONE_HZ * turns)).astype(np.int16)


@dataclass
class Card:
    """Calls for every block at the pace of its crystal, each call late by up to ``jitter_s``."""

    rate_hz: int
    ppm: float = 0.0
    block: int = 480
    jitter_s: float = 0.0
    away: list[tuple[float, float]] = field(default_factory=list)  # (from, to) without a call
    stalls: list[tuple[float, float]] = field(default_factory=list)  # calls of (from, to) come late
    n_blocks: int = 0
    last_s: float = 0.0

    @property
    def real_hz(self) -> float:
        """Samples a second, by a good clock."""
        return self.rate_hz * (1 + 1e-6 * self.ppm)

    def next_s(self, random: np.random.Generator) -> float:
        """When it calls next; a late call delays those after it."""
        while True:
            self.n_blocks += 1
            due_s = self.n_blocks * self.block / self.real_hz
            self.last_s = max(self.last_s, due_s + random.uniform(0, self.jitter_s))
            self.last_s = max([self.last_s, *(e for b, e in self.stalls if b <= self.last_s < e)])
            if not any(begin <= self.last_s < end for begin, end in self.away):
                return self.last_s


class Ear:
    """Judges the tone, a second at a time; ``at_s`` and the lists tell of each whole second.

    ``delay_ms``: from recording to playing, up to whole cycles at the start, then unbroken;
    ``loud``: of the tone;
    ``click``: largest sample of what the tone's own recurrence does not explain, in LSB;
    ``purity_db``: all else against the tone.
    """

    def __init__(self, mic: Card, speaker: Card) -> None:
        self._mic, self._speaker = mic, speaker
        self._parts: list[Samples] = []
        self._n_kept = self._n_heard = 0
        self.at_s: list[float] = []
        self.delay_ms: list[float] = []
        self.loud: list[float] = []
        self.click: list[float] = []
        self.purity_db: list[float] = []

    def hear(self, block: Samples) -> None:
        """Take what is played next."""
        self._parts.append(block.copy())
        self._n_kept += len(block)
        if self._n_kept >= self._speaker.rate_hz:
            whole = np.concatenate(self._parts).astype(np.float64)
            self._judge(whole)
            self._n_heard += len(whole) - 2  # the recurrence needs two samples of the past
            self._parts, self._n_kept = [whole[-2:].astype(np.int16)], 2

    def _judge(self, sound: np.ndarray) -> None:
        turn = 2 * np.pi * TONE_HZ / self._speaker.rate_hz
        left = sound[2:] - 2 * math.cos(turn) * sound[1:-1] + sound[:-2]
        self.click.append(float(np.abs(left).max()))
        self.at_s.append(self._n_heard / self._speaker.rate_hz)
        spectrum = np.fft.rfft(sound[:WINDOW] * _blackman_harris(WINDOW))
        power, peak = np.abs(spectrum) ** 2, round(TONE_HZ * WINDOW / self._speaker.rate_hz)
        near = power[peak - 8 : peak + 9].sum()
        self.purity_db.append(10 * math.log10((power.sum() - near) / max(near, 1e-9) + 1e-30))
        self.delay_ms.append(self._delay_ms(sound[:WINDOW], turn))

    def _delay_ms(self, sound: np.ndarray, turn: float) -> float:
        """When the middle of the window was played, less when it was recorded."""
        index = np.arange(WINDOW) - WINDOW / 2
        beat = (sound * _blackman_harris(WINDOW) * np.exp(-1j * turn * index)).sum()
        self.loud.append(2 * abs(beat) / _blackman_harris(WINDOW).sum())
        cycles = (np.angle(beat) + np.pi / 2) / (2 * np.pi)
        played_s = (self._n_heard + WINDOW / 2) / self._speaker.real_hz
        recorded_s = cycles / TONE_HZ * self._mic.rate_hz / self._mic.real_hz
        cycle_s = self.cycle_ms / 1e3
        last_s = self.delay_ms[-1] / 1e3 if self.delay_ms else cycle_s / 2
        delay_s = played_s - recorded_s
        return 1e3 * (delay_s - cycle_s * round((delay_s - last_s) / cycle_s))

    @property
    def cycle_ms(self) -> float:
        """Of the tone, as the microphone's crystal makes it."""
        return 1e3 * self._mic.rate_hz / self._mic.real_hz / TONE_HZ

    def true_delay_ms(self, from_second: int, to_second: int) -> float:
        """From recording to playing on average, cycles and all: by phase and loudness of at least
        five seconds in which nothing was torn."""
        seconds = slice(from_second, to_second)
        middle_s = np.array(self.at_s[seconds]) + WINDOW / 2 / self._speaker.rate_hz
        played_s = middle_s * self._speaker.rate_hz / self._speaker.real_hz
        delay_ms = np.array(self.delay_ms[seconds])
        candidates_ms = delay_ms + self.cycle_ms * np.arange(MOST_CYCLES)[:, None]
        recorded_s = (played_s - candidates_ms / 1e3) * self._mic.real_hz / self._mic.rate_hz
        expected = 1 + self._swell() * np.sin(2 * np.pi * SWELL_HZ * recorded_s)
        off = ((np.array(self.loud[seconds]) / AMPLITUDE - expected) ** 2).sum(axis=1)
        return float(candidates_ms[off.argmin()].mean())

    def _swell(self) -> float:
        """What the window, which hears for a while, leaves of the swell."""
        window = _blackman_harris(WINDOW)
        turns = 2 * np.pi * SWELL_HZ / self._speaker.rate_hz * (np.arange(WINDOW) - WINDOW / 2)
        return SWELL * float((window * np.cos(turns)).sum() / window.sum())


def _blackman_harris(n: int) -> np.ndarray:
    """F. J. Harris, "On the use of windows for harmonic analysis", 1978: side lobes at -92 dB."""
    k = 2 * np.pi * np.arange(n) / n
    return 0.35875 - 0.48829 * np.cos(k) + 0.14128 * np.cos(2 * k) - 0.01168 * np.cos(3 * k)


class TwoCards:
    """The chain from one card's callback to the other's; :meth:`run` it, then ask the ``ear``."""

    def __init__(self, mic: Card, speaker: Card, late_s: float = 0.002, sound=tone) -> None:
        """``late_s``: the thread that moves the samples wakes up to so much later."""
        self.mic, self.speaker, self.ear = mic, speaker, Ear(mic, speaker)
        self._late_s, self._sound, self._recorded = late_s, sound, 0
        self._intake = Intake(mic.rate_hz, Bell())
        self.ring = Ring(2 * speaker.rate_hz)
        self.ring.ended = True
        self.courier = BlockCourier(Ring(48_000), Bell(), 0, self.ring, live=True)
        self.bridge = Bridge(
            self._intake.ring, self._intake.stamps, mic.rate_hz,
            self.ring, self.courier.stamps, speaker.rate_hz,
        )  # fmt: skip
        self.trims_ppm: list[float] = []
        self.kept_s: Callable[[float], tuple[float, float]] = lambda _: (math.nan, 0.02)
        """What the drivers say at a time that they keep beyond their callbacks."""
        self.asleep = (math.inf, math.inf)  # nothing is moved in between
        self._out = np.zeros(speaker.block, np.int16)
        self._random = np.random.default_rng(7)
        self._events = [(card.next_s(self._random), k) for k, card in enumerate((mic, speaker))]
        self._events.append((0.1, 3))
        heapq.heapify(self._events)

    def run(self, until_s: float) -> None:
        """Go on until then."""
        while self._events[0][0] < until_s:
            now_s, what = heapq.heappop(self._events)
            (self._record, self._play, self._move, self._look)[what](now_s)

    def _record(self, now_s: float) -> None:
        block = self._sound(self._recorded, self.mic.block, self.mic.rate_hz)
        self._recorded += self.mic.block
        begun_s = -self.kept_s(now_s)[0] - self.mic.block / self.mic.rate_hz
        self._intake.carry(block, self._out, now_s, begun_s, False)
        heapq.heappush(self._events, (self.mic.next_s(self._random), 0))
        heapq.heappush(self._events, (now_s + self._random.uniform(0, self._late_s), 2))

    def _play(self, now_s: float) -> None:
        self.courier.carry(None, self._out, now_s, self.kept_s(now_s)[1], False)
        self.ear.hear(self._out)
        heapq.heappush(self._events, (self.speaker.next_s(self._random), 1))

    def _move(self, now_s: float) -> None:
        if self.asleep[0] <= now_s < self.asleep[1]:
            return
        self.bridge.step(now_s)
        self.trims_ppm.append(self.bridge.trim_ppm)

    def _look(self, now_s: float) -> None:
        """The moving thread wakes now and then though nothing is recorded."""
        self._move(now_s)
        heapq.heappush(self._events, (now_s + 0.1, 3))
