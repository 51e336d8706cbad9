"""One connection of the control socket: what it sent, what it has not read, how fast it asks."""

from __future__ import annotations

import math
import os
import select
import selectors
import socket
from collections import deque

from lipsync_edge.protocol import LONGEST_LINE

RATE_PER_S, BURST = 50.0, 100.0
"""Requests of one client: so many a second in the long run, so many at once; and connections.

Who is faster is not read from until it is time again: answers would cost as much as requests, and
a thread that is always busy takes time from the mover."""
LINE_COST = 1 / 1024
"""A byte in requests: a longest line takes as much as 65 short ones."""


class Bucket:
    """Tokens that come back by time: who takes more than there are has to wait."""

    def __init__(self, now_s: float) -> None:
        self._tokens, self._at_s = BURST, now_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until something may be taken; 0: now."""
        self._tokens = min(BURST, self._tokens + RATE_PER_S * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        return max(0.0, 1.0 - self._tokens) / RATE_PER_S

    def take(self, tokens: float = 1.0) -> None:
        """Take them, also those that are not there yet."""
        self._tokens -= tokens


class Peer:
    """One connection: what it sent and was not looked at yet, what it has not read yet."""

    def __init__(self, connection: socket.socket, now_s: float) -> None:
        self.socket = connection
        self.unread, self.unsent = bytearray(), bytearray()
        self.fds: deque[int] = deque()
        self.bucket, self.heard_s = Bucket(now_s), now_s
        self.again_s = math.inf  # when its bucket is no longer empty; it is not read until then
        self.watch_s, self.due_s = math.inf, math.inf
        self.motion = False  # it watches the motion, not the status
        self.in_flight = 0  # requests that are not answered yet
        self.ended = False  # it asks nothing more, but may still read
        self.last_words = False  # what is unsent is all that there will be

    @property
    def events(self) -> int:
        """What to wait for; 0: nothing but time."""
        reads = not self.ended and not self.last_words and self.again_s == math.inf
        return selectors.EVENT_READ * reads | selectors.EVENT_WRITE * bool(self.unsent)

    @property
    def has_left(self) -> bool:
        """It reads nothing any more; who only ended what it says does."""
        poll = select.poll()
        poll.register(self.socket, 0)  # POLLHUP: both ways are closed
        return bool(poll.poll(0))

    def next_line(self) -> bytes | None:
        """Take a whole line from what is unread; None where there is none yet."""
        end = self.unread.find(b"\n", 0, LONGEST_LINE + 1)
        if end < 0:
            return None
        line = bytes(self.unread[:end])
        del self.unread[: end + 1]
        return line

    def take_file(self) -> int:
        """The file that came first, -1: there is none."""
        return self.fds.popleft() if self.fds else -1

    def close_files(self) -> None:
        """Let go of files that came along."""
        while self.fds:
            os.close(self.fds.popleft())

    def close(self) -> None:
        """Let it go, and the files that it sent."""
        self.close_files()
        self.socket.close()
