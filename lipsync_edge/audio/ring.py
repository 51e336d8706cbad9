"""A ring of samples between two threads: one writes, one reads, neither ever waits."""

from __future__ import annotations

import numpy as np

from lipsync_edge.audio import Samples


class Ring:
    """The last ``capacity`` int16 samples of an endless stream, by absolute index.

    Single producer, single consumer, no lock: the writer announces what it is about to overwrite,
    copies, then publishes; the reader copies, then looks whether its part was overwritten since.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.lost = 0  # samples that were overwritten before they were read
        self.ended = False
        self._buffer = np.zeros(capacity, np.int16)
        self._announced = 0
        self._written = 0
        self._read = 0

    @property
    def available(self) -> int:
        """Samples that can be read now."""
        return min(self._written - self._read, self.capacity)

    @property
    def write_index(self) -> int:
        """Index of the sample that is written next."""
        return self._written

    @property
    def read_index(self) -> int:
        """Index of the sample that is read next, where it is not overwritten before."""
        return self._read

    @property
    def free(self) -> int:
        """Samples that can be written before unread ones are overwritten."""
        return self.capacity - self.available

    def end(self) -> None:
        """The writer's word that nothing more will come."""
        self.ended = True

    def write(self, block: Samples) -> None:
        """Append ``block`` (n,) of any length; the oldest samples give way."""
        end = self._written + len(block)
        self._announced = end
        kept = block[-self.capacity :]
        begin = (end - len(kept)) % self.capacity
        n_first = min(len(kept), self.capacity - begin)
        self._buffer[begin : begin + n_first] = kept[:n_first]
        self._buffer[: len(kept) - n_first] = kept[n_first:]
        self._written = end

    def read_into(self, out: Samples) -> tuple[int, int]:
        """Fill ``out`` (n,) from its start; return ``(index of out[0], number of samples)``.

        A reader that was overtaken goes on in the middle of what the ring holds, so that it is not
        overtaken again at once.
        """
        while True:
            oldest = self._announced - self.capacity
            at_sample = self._read
            if at_sample < oldest:
                at_sample = min(oldest + self.capacity // 2, self._written)
            n_samples = max(0, min(len(out), self._written - at_sample))
            self._copy(at_sample, out[:n_samples])
            if self._announced - self.capacity <= at_sample:
                self.lost += at_sample - self._read
                self._read = at_sample + n_samples
                return at_sample, n_samples

    def skip_to(self, index: int) -> None:
        """For the reader: nothing before ``index`` is read any more, or lost."""
        self._read = max(self._read, min(index, self._written))

    def _copy(self, at_sample: int, out: Samples) -> None:
        begin = at_sample % self.capacity
        n_first = min(len(out), self.capacity - begin)
        out[:n_first] = self._buffer[begin : begin + n_first]
        out[n_first:] = self._buffer[: len(out) - n_first]
