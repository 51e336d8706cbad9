"""Sound files that a running head was asked to speak, one after the other.

While one is spoken it takes the place of what the head hears: a mouth has one voice.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from lipsync_edge.audio import Source
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.engine import Feeder
from lipsync_edge.errors import LipsyncError

log = logging.getLogger(__name__)

MOST_FILES = 16
LARGEST = 512_000_000
"""Bytes of a file to speak: an hour and a half at 48 kHz."""
RING_S = 2.0


Wish = Callable[[], Source | None]
"""Opens a file at the stream's rate; None: it could not. It may take as long as it likes."""


class Speech:
    """``step`` is for a thread of its own, which opens and reads files; the rest for any."""

    def __init__(self, courier: BlockCourier, rate_hz: int) -> None:
        """``rate_hz``: the stream's; sources must have it."""
        self._courier = courier
        self.ring = courier.spoken = Ring(int(RING_S * rate_hz))
        self._asked: deque[Wish | None] = deque()  # None: hush
        self._queue: deque[Source] = deque()
        self._feeder: Feeder | None = None
        self._source: Source | None = None

    @property
    def waiting(self) -> int:
        """Files that are spoken or wait for it."""
        return len(self._queue) + (self._source is not None or self._courier.speaking)

    def say(self, wish: Wish) -> bool:
        """Speak this after all others; False: too many wait. It is closed at its end."""
        if len(self._asked) + len(self._queue) >= MOST_FILES:
            return False
        self._asked.append(wish)
        return True

    def hush(self) -> None:
        """Forget all files, the one that is spoken too; it fades within a block of the card, also
        while the file hangs, as on a network that is gone."""
        self._courier.hushed_to = self.ring.write_index
        if not self.ring.available:
            self._courier.speaking = False
        self._asked.append(None)  # last: what the thread then says of the ring is newer

    def step(self) -> bool:
        """Feed the ring; False where nothing was to do."""
        if self._asked:
            self._look_at(self._asked.popleft())
            return True
        if self._source is None:
            return self._next()
        assert self._feeder is not None
        try:
            if self._feeder.step():
                self._courier.speaking = True  # again, after a hush that came before this file
                return True
        except (LipsyncError, OSError) as error:  # a stick that was pulled out, say
            log.warning("a file could not be spoken to its end: %s", error)
            self.ring.end()
        if self.ring.ended:
            self._end()
        return False

    def close(self) -> None:
        """Close what is open. Call it when no thread steps any more."""
        self._forget()

    def _look_at(self, wish: Wish | None) -> None:
        if wish is None:
            self._forget()
        elif source := wish():
            self._queue.append(source)

    def _next(self) -> bool:
        if not self._queue:
            if self._courier.speaking and not self.ring.available:
                self._courier.speaking = False
            elif self.ring.write_index > max(self.ring.read_index, self._courier.hushed_to):
                self._courier.speaking = True  # a hush of the file before it ended it, too
            return False
        self._source = self._queue.popleft()
        self.ring.ended = False
        self._feeder = Feeder(self._source, self.ring)
        self._courier.speaking = True
        return True

    def _end(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source, self._feeder = None, None

    def _forget(self) -> None:
        while self._queue:
            self._queue.popleft().close()
        self._courier.hushed_to = self.ring.write_index
        self._end()
