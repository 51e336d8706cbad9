"""What the last blocks of a stream told: written by a callback, read by threads when they like."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple


class Stamp(NamedTuple):
    """One block. ``now_s``, ``dac_s``, ``xrun``: as in :class:`lipsync_edge.audio.Courier`.

    ``behind``: by how many samples a source's own index lags behind that of the stream, after the
    block; it grows where the source was late.
    """

    at_sample: int
    now_s: float
    dac_s: float
    xrun: bool
    behind: int


class Stamps:
    """The last stamps in arrays that were made before; one writer, any number of readers."""

    N = 256

    def __init__(self) -> None:
        self.count = 0
        self._at_sample = array("q", bytes(8 * self.N))
        self._now_s = array("d", bytes(8 * self.N))
        self._dac_s = array("d", bytes(8 * self.N))
        self._xrun = array("b", bytes(self.N))
        self._behind = array("q", bytes(8 * self.N))

    def put(self, at_sample: int, now_s: float, dac_s: float, xrun: bool, behind: int = 0) -> None:
        """Note one block; makes nothing new."""
        slot = self.count % self.N
        self._at_sample[slot] = at_sample
        self._now_s[slot] = now_s
        self._dac_s[slot] = dac_s
        self._xrun[slot] = xrun
        self._behind[slot] = behind
        self.count += 1

    def at(self, k: int) -> Stamp:
        """The stamp of block ``k``, which must be one of the last."""
        slot = k % self.N
        return Stamp(
            self._at_sample[slot],
            self._now_s[slot],
            self._dac_s[slot],
            bool(self._xrun[slot]),
            self._behind[slot],
        )


class StampReader:
    """Reads every stamp once, in order; one that stayed away for long gets the newest only."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._n_read = 0

    def new(self) -> Iterator[Stamp]:
        """The stamps since the last call."""
        count = self._stamps.count
        begin = max(self._n_read, count - self._stamps.N // 2)
        self._n_read = count
        return map(self._stamps.at, range(begin, count))
