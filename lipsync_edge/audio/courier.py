"""What happens for every block on the sound card's own thread: copy and count, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lipsync_edge.audio import Samples
from lipsync_edge.audio.delay import DelayLine
from lipsync_edge.audio.ring import Ring
from lipsync_edge.audio.stamps import StampReader, Stamps
from lipsync_edge.clock import Bell

Observe = Callable[[int, float, float, bool], None]


class BlockCourier:
    """Carries blocks: to the analyzer's ring at once, to the speaker after the lookahead.

    No lock, no log, no array is made here (numpy makes views, of fixed size). The index counts the
    samples handed to the device and goes on when a device is opened again.
    """

    MAX_BLOCK = 8192
    FADE = 1024  # samples at most, in which what is hushed ends; a power of two
    N_STAMPS = Stamps.N

    def __init__(
        self,
        heard: Ring,
        bell: Bell,
        lookahead_samples: int,
        source: Ring | None = None,
        live: bool = False,
    ) -> None:
        """``heard``: the analyzer's ring; ``source``: played where the device captures nothing.

        ``live``: the source waits for nobody and has no end; ``source.ended`` means that nothing
        comes for now.
        """
        self._heard, self._bell, self._source, self._live = heard, bell, source, live
        self._delay = DelayLine(lookahead_samples)
        self._pulled = np.zeros(self.MAX_BLOCK, np.int16)
        self.stamps = Stamps()
        """Of every block: the index of its first sample, how far the source is behind after it."""
        self._told = StampReader(self.stamps)
        self.at_sample = 0  # output index of the next block
        self.end_sample = -1  # index after the source's last sample; -1 until it was carried
        self.blocks = 0
        self.xruns = 0
        self.underruns = 0  # blocks for which the source was late; not counted after its end
        self.muted = False  # the speaker gets zeros; everything else goes on
        self.held = False  # the source waits, silence is played; as while the servos wake
        self.spoken: Ring | None = None
        self.speaking = False  # spoken takes the place of what is captured, and the source waits
        self.hushed_to = 0  # what is spoken is not heard up to this index of its ring
        self._sounded = False  # the block before was spoken
        self._fade = np.linspace(1.0, 0.0, self.FADE, dtype=np.float32)

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        """See :class:`lipsync_edge.audio.Courier`. Blocks of 0 to 8192 samples."""
        if self.speaking:
            if self._live:
                self._pull(len(out))
            captured = self._speak(len(out))
        else:
            self._sounded = False
            if captured is None:
                captured = self._pull(len(out))
        self._heard.write(captured)
        self._bell.ring()
        self._delay.process(captured, out)
        if self.muted:
            out.fill(0)
        begin, self.at_sample = self.at_sample, self.at_sample + len(out)
        behind = self.at_sample - self._source.read_index if self._source is not None else 0
        self.stamps.put(begin, now_s, dac_s, xrun, behind)
        self.xruns += xrun
        self.blocks += 1

    def drain_stamps(self, observe: Observe) -> None:
        """Hand ``(at_sample, now_s, dac_s, xrun)`` of every block since the last call to a clock.

        For one reading thread. One that stayed away for long gets the newest stamps only.
        """
        for at_sample, now_s, dac_s, xrun, _ in self._told.new():
            observe(at_sample, now_s, dac_s, xrun)

    def _speak(self, n_samples: int) -> Samples:
        """The next samples of what is spoken, silence where it is late."""
        pulled = self._pulled[:n_samples]
        n_got = 0
        if self.spoken is not None:
            n_hushed = max(0, self.hushed_to - self.spoken.read_index)
            if not self.held:
                wanted = pulled[:n_hushed] if n_hushed else pulled  # and nothing that comes after
                n_got = self.spoken.read_into(wanted)[1]
            if n_hushed:
                n_got = self._fade_out(pulled[:n_got]) if n_got and self._sounded else 0
                self.spoken.skip_to(self.hushed_to)
                self.speaking = self.spoken.available > 0  # whoever feeds it may hang
            self._sounded = n_got > 0 and not n_hushed
        pulled[n_got:] = 0
        return pulled

    def _fade_out(self, block: Samples) -> int:
        """Let the block's beginning fade, so that nothing clicks; the number of samples it has."""
        n_faded = min(1 << (len(block).bit_length() - 1), self.FADE)
        faded = block[:n_faded]
        np.multiply(faded, self._fade[:: self.FADE // n_faded], out=faded, casting="unsafe")
        return n_faded

    def _pull(self, n_samples: int) -> Samples:
        """The next samples of the source; silence where it is late, at its end, or is none."""
        pulled = self._pulled[:n_samples]
        n_got = 0
        if self._source is not None and not self.held:
            ended = self._source.ended  # looked at first: what is missing after it is the end
            n_got = self._source.read_into(pulled)[1]
            if n_got < n_samples:
                if not ended:
                    self.underruns += 1
                elif self.end_sample < 0 and not self._live:
                    self.end_sample = self.at_sample + n_got
        pulled[n_got:] = 0
        return pulled


class Intake:
    """The courier of a card that only records: its samples go into a ring, nothing is played."""

    KEPT_S = 1.0

    def __init__(self, rate_hz: int, bell: Bell) -> None:
        """``bell`` rings for every block."""
        self.rate_hz = rate_hz
        self.ring = Ring(int(self.KEPT_S * rate_hz))
        self.stamps = Stamps()
        """Of every block, its index taken after it was recorded; ``dac_s``: how long before."""
        self.xruns = 0
        self._bell = bell

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        """See :class:`lipsync_edge.audio.Courier`; ``out`` is left alone."""
        if captured is not None:
            self.ring.write(captured)
            age_s = -dac_s - len(captured) / self.rate_hz
            self.stamps.put(self.ring.write_index, now_s, age_s, xrun)
            self.xruns += xrun
            self._bell.ring()
