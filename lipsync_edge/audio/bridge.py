"""From one sound card to another whose clock runs a little faster or slower.

Two crystals differ by up to some 300 ppm: after half an hour one card is half a second ahead. The
bridge therefore converts between the two *real* rates, and steers the ratio so that the sound
always takes equally long. Delay is measured in samples counted by both callbacks, each smoothed by
a :class:`SampleClock`, so that neither the size of blocks nor the moment of asking matters (the
principle: F. Adriaensen, "Controlling adaptive resampling", Linux Audio Conference 2012).

What a driver keeps beyond its callback is not in that, and changes: a sound server that stumbled
once may call sooner ever after, and keep 3 to 9 ms more. So what the drivers report of
it, averaged over a minute, is made up for, as far as there is a reserve.
"""

from __future__ import annotations

import math

import numpy as np
import samplerate

from lipsync_edge.audio.resample import HALF_FILTER, to_float, to_int16
from lipsync_edge.audio.ring import Ring
from lipsync_edge.audio.slack import Slack
from lipsync_edge.audio.stamps import Stamp, StampReader, Stamps
from lipsync_edge.sampleclock import SampleClock


class Side:
    """One card as its callbacks show it: does it run, how far is it, how long are its blocks?"""

    SETTLE_S = 0.5  # until then the clock jumps with every report
    SILENT_S = 0.25  # without a report for so long (or three blocks), it stands
    AVERAGED_S = 60.0  # single reports of what a driver keeps are off by a block
    MOST_KEPT_S = 1.0  # more is no report, nor is less than nothing
    NEW_S = 5.0  # a sound server reports nonsense of a stream that has just begun
    OUTLIER_S = 0.03  # a single report counts for no more than this

    def __init__(self, stamps: Stamps, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.clock = SampleClock(rate_hz, 0.0)
        self.block_s = 0.0
        self.behind = 0
        self.kept_s = 0.0
        """What the driver keeps beyond the callback, on average, as far as it reports that."""
        self._reported_s = 0.0  # time that is in the average
        self._reader = StampReader(stamps)
        self._at_sample = -1
        self._begun_s = self._last_s = math.nan

    def listen(self) -> None:
        """Take what the callbacks noted since the last call."""
        for stamp in self._reader.new():
            if not stamp.now_s - self._last_s <= self._patience_s:
                self._begin(stamp)
            if self._at_sample >= 0:
                block_s = (stamp.at_sample - self._at_sample) / self.rate_hz
                self.block_s = max(self.block_s, block_s)
                if stamp.now_s - self._begun_s >= self.NEW_S:
                    self._average(stamp.dac_s, block_s)
            # When a sample was recorded or will be heard is of no interest here, only its handing
            # over; drivers know that better, too.
            self.clock.observe(stamp.at_sample, stamp.now_s, math.nan, stamp.xrun)
            self._last_s, self._at_sample, self.behind = stamp.now_s, stamp.at_sample, stamp.behind

    def runs(self, now_s: float) -> bool:
        """Whether blocks come."""
        return now_s - self._last_s <= self._patience_s

    def settled(self, now_s: float) -> bool:
        """Whether they have come for long enough to know the clock."""
        return self.runs(now_s) and now_s - self._begun_s >= self.SETTLE_S

    def done(self, now_s: float) -> float:
        """How many samples it carried up to ``now_s``, evenly from block to block."""
        return self.clock.sample_at(now_s)

    @property
    def reports(self) -> bool:
        """Whether the driver has told what it keeps for long enough to go by it."""
        return self._reported_s >= Bridge.USUAL_S

    def _average(self, kept_s: float, block_s: float) -> None:
        if 0.0 <= kept_s <= self.MOST_KEPT_S:  # NaN: it does not know
            self._reported_s = min(self._reported_s + block_s, self.AVERAGED_S)
            off_s = kept_s - self.kept_s
            if self._reported_s > 1.0:
                off_s = max(-self.OUTLIER_S, min(self.OUTLIER_S, off_s))
            self.kept_s += off_s * block_s / max(self._reported_s, block_s)

    @property
    def rate(self) -> float:
        """How much faster than its nominal rate it runs, as a ratio."""
        return 1e-6 * self.clock.drift_ppm

    @property
    def _patience_s(self) -> float:
        return max(self.SILENT_S, 3 * self.block_s)

    def _begin(self, stamp: Stamp) -> None:
        self.clock.resync()
        self._begun_s, self._at_sample, self.block_s = stamp.now_s, -1, 0.0
        self.kept_s = self._reported_s = 0.0


class Bridge:
    """Moves samples from the ring of a recording card to the ring of a playing one. One thread.

    ``trim_ppm``: by how much the ratio differs from the nominal one, at most 1000 (1.7 cents);
    ``delay_s``: how long the sound takes from ring to ring, NaN while nothing flows; ``jumps``: how
    often the delay had to be mended at once, by dropped samples or silence.
    """

    GAIN_PER_S = 0.05  # of a delay that is off, so much is made good every second
    MAX_TRIM = 1e-3
    JUMP_S = 0.02  # off by more than that is nothing that a crystal did
    OFF_S = 0.5  # so long: after an xrun the clocks jump about
    USUAL_S = 30.0  # what drivers keep for so long at first is the usual
    MOST_LESS_S = 0.02  # what they keep less is made up for by so much

    def __init__(
        self, captured: Ring, recorded: Stamps, in_hz: int, ring: Ring, played: Stamps, out_hz: int
    ) -> None:
        """``recorded``: stamps of the blocks in ``captured``, index after the block; ``played``:
        of those taken from ``ring``, index before the block.
        """
        self._captured, self._ring = captured, ring
        self._in, self._out = Side(recorded, in_hz), Side(played, out_hz)
        # At 32 kHz and more the band that the fast filter spares is wider than speech.
        quality = "sinc_fastest" if min(in_hz, out_hz) >= 32_000 else "sinc_medium"
        self._filter = samplerate.Resampler(quality, 1)
        self._filter_s = HALF_FILTER[quality] / min(in_hz, out_hz)
        self._block = np.zeros(4096, np.int16)
        self._consumed = self._to_drop = self._behind = 0
        self._slack = Slack()
        self._off_since_s = math.inf
        self._usual_s = math.nan
        self._goes_by_reports = False
        self._trim = 0.0
        self.flowing = False
        self.delay_s = math.nan
        self.jumps = 0

    @property
    def trim_ppm(self) -> float:
        """By how much the ratio differs from the nominal one."""
        return 1e6 * self._trim

    @property
    def target_s(self) -> float:
        """The delay that is kept: one block of each card, the filter, slack, the reserve, and what
        the drivers keep less than usual."""
        needed_s = self._in.block_s + self._out.block_s + self._filter_s + self._slack.now_s
        if not (self._goes_by_reports and self._in.reports and self._out.reports):
            return needed_s + self._reserve_s  # also after a stop that no step saw: counted anew
        return needed_s + max(0.0, self._reserve_s + min(self.MOST_LESS_S, self._less_s))

    @property
    def _reserve_s(self) -> float:
        """What may be given for what the drivers keep more later: a sound server that asked for a
        block at a time asks for two at once after a stumble, and keeps up to one more."""
        return self._out.block_s

    @property
    def _less_s(self) -> float:
        """How much less the drivers keep than usual; NaN: nothing is usual yet."""
        return self._usual_s - self._in.kept_s - self._out.kept_s

    def step(self, now_s: float) -> None:
        """Move what there is. Call it for every recorded block, soon."""
        self._in.listen()
        self._out.listen()
        if self.flowing and self._in.runs(now_s) and self._out.runs(now_s):
            self._move()
            self._steer(now_s)
            return
        if self.flowing:
            self._slack.forgive(now_s)
        self._discard()
        self.flowing = self._in.settled(now_s) and self._out.settled(now_s)
        self._ring.ended = not self.flowing
        self.delay_s = math.nan
        if self.flowing:
            self._filter.reset()
            self._goes_by_reports = False
            self._behind = self._out.behind
            self._jump(self._measure(now_s) - self.target_s)

    def _measure(self, now_s: float) -> float:
        """Seconds of sound that was recorded and not yet played, wherever it waits."""
        waits_in = self._in.done(now_s) - self._consumed - self._to_drop
        waits_out = self._ring.write_index - (self._out.done(now_s) - self._out.behind)
        return waits_in / self._in.rate_hz + waits_out / self._out.rate_hz

    def _steer(self, now_s: float) -> None:
        self.delay_s = self._measure(now_s)
        starved_s = (self._out.behind - self._behind) / self._out.rate_hz
        self._behind = self._out.behind
        if starved_s > 0:  # the silence that stood in for what was late stays
            self._slack.want(now_s, starved_s)
        self._slack.step(now_s)
        if not self._goes_by_reports and self._in.reports and self._out.reports:
            self._goes_by_reports = True
            if not abs(self._less_s) < self.MOST_LESS_S:  # the first ones, or other cards'
                self._usual_s = self._in.kept_s + self._out.kept_s
        error_s = self.delay_s - self.target_s
        if not abs(error_s) > self.JUMP_S:
            self._off_since_s = math.inf
        elif now_s - (since_s := min(self._off_since_s, now_s)) < self.OFF_S:
            self._off_since_s = since_s
        else:
            self.jumps += 1
            self._jump(error_s)
            self._off_since_s, error_s = math.inf, 0.0
        ratio = (1 + self._out.rate) / (1 + self._in.rate) * (1 - self.GAIN_PER_S * error_s)
        self._trim = max(-self.MAX_TRIM, min(self.MAX_TRIM, ratio - 1))

    def _jump(self, error_s: float) -> None:
        """Drop what is too much, put silence in for what is too little."""
        self._to_drop += max(0, round(error_s * self._in.rate_hz))
        n_short = max(0, round(-error_s * self._out.rate_hz))
        self._ring.write(np.zeros(n_short, np.int16))

    def _move(self) -> None:
        ratio = self._out.rate_hz / self._in.rate_hz * (1 + self._trim)
        while n_samples := self._take():
            n_dropped = min(n_samples, self._to_drop)
            self._to_drop -= n_dropped
            if n_dropped < n_samples:
                samples = to_float(self._block[n_dropped:n_samples])
                self._ring.write(to_int16(self._filter.process(samples, ratio)))

    def _discard(self) -> None:
        self._to_drop = 0
        while self._take():
            pass

    def _take(self) -> int:
        at_sample, n_samples = self._captured.read_into(self._block)
        self._consumed = at_sample + n_samples
        return n_samples
