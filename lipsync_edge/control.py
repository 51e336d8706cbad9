"""The control socket: versioned JSON lines over a unix socket, so that other programs may ask.

One thread looks after all connections and never waits for any of them. What only asks is answered
from a snapshot that the main thread publishes; what acts is put into a short queue that the main
thread takes from. docs/control.md describes the protocol, ``client`` speaks it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import os
import selectors
import socket
import stat
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lipsync_edge.clock import Clock
from lipsync_edge.errors import ControlError

log = logging.getLogger(__name__)

VERSION = 1
LONGEST_LINE = 65_536
"""Bytes; a config is read from its file, a sound comes as an open file, so lines stay short."""
MOST_CLIENTS = 16
MOST_WAITING = 32  # requests that the main thread has not taken yet
MOST_UNSENT = 262_144  # bytes that a client left unread; one that reads nothing is let go
RATE_PER_S, BURST = 50.0, 100.0
"""Requests of one client: so many a second in the long run, so many at once."""
WATCH_HZ = (0.2, 30.0)
MODE = 0o660
Answer = Callable[[Mapping[str, Any]], None]


class Request:
    """One wish that acts. ``reply`` or ``refuse`` it once, from any thread."""

    def __init__(self, name: str, arguments: Mapping[str, Any], fd: int, answer: Answer) -> None:
        """``fd``: an open file that came along, -1 without; it belongs to the request."""
        self.name, self.arguments = name, arguments
        self._fd, self._answer = fd, answer

    def take_fd(self) -> int:
        """The open file that came along, to be closed by who takes it. -1: none."""
        fd, self._fd = self._fd, -1
        return fd

    def reply(self, **result: Any) -> None:
        """It is done."""
        self._end({"ok": True, **result})

    def refuse(self, code: str, message: str, remedy: str = "") -> None:
        """It is not done, and why."""
        self._end(_error(code, message, remedy))

    def _end(self, reply: Mapping[str, Any]) -> None:
        if self._fd >= 0:
            os.close(self.take_fd())
        self._answer(reply)


def _error(code: str, message: str, remedy: str = "") -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "remedy": remedy}}


class _Refused(Exception):
    """A line that is no request: what is answered."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.reply = _error(code, message, remedy)


class _Peer:
    """One connection: what it sent and did not end with a line break, what it has not read yet."""

    def __init__(self, connection: socket.socket, now_s: float) -> None:
        self.socket = connection
        self.unread, self.unsent = bytearray(), bytearray()
        self.fds: deque[int] = deque()
        self.tokens, self.seen_s = BURST, now_s
        self.watch_s, self.due_s = math.inf, math.inf
        self.last_words = False  # what is unsent is all that there will be

    def may_ask(self, now_s: float) -> bool:
        """Take a token from the bucket; False where it is empty."""
        self.tokens = min(BURST, self.tokens + RATE_PER_S * (now_s - self.seen_s))
        self.seen_s = now_s
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def close_files(self) -> None:
        """Let go of files that came along."""
        while self.fds:
            os.close(self.fds.popleft())

    def close(self) -> None:
        """Let it go, and the files that it sent."""
        self.close_files()
        self.socket.close()


class ControlServer:
    """The socket of a running head. ``step`` it from one thread of its own."""

    def __init__(self, path: str, clock: Clock, commands: tuple[str, ...]) -> None:
        """``commands``: the names of what acts; ``status`` and ``watch`` are answered here."""
        self._path, self._clock, self._commands = Path(path), clock, commands
        self._selector = selectors.DefaultSelector()
        self._peers: set[_Peer] = set()
        self._waiting: deque[Request] = deque()
        self._replies: deque[tuple[_Peer, Mapping[str, Any]]] = deque()
        self._snapshot: Mapping[str, Any] = {}
        self._listener: socket.socket | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self.refused = 0
        """Lines that were no requests, connections that were not taken."""

    # ---- for the main thread

    def open(self) -> None:
        """Make the socket. ControlError where that cannot be done, or another head has it."""
        try:
            self._remove_stale()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.bind(str(self._path))
                self._path.chmod(MODE)
                listener.listen(MOST_CLIENTS)
                listener.setblocking(False)
            except OSError:
                listener.close()
                raise
        except OSError as error:
            raise ControlError(
                f"The control socket {self._path} cannot be made: {error.strerror or error}.",
                "Its folder must exist and be writable, and its path shorter than 108 letters; "
                "set service.socket.",
            ) from error
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)

    def publish(self, snapshot: Mapping[str, Any]) -> None:
        """What ``status`` and ``watch`` tell from now on; never changed afterwards."""
        self._snapshot = snapshot

    def take(self) -> list[Request]:
        """The requests that came since the last call, oldest first."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    def close(self) -> None:
        """Let all go and remove the socket. Call it when no thread steps any more."""
        for request in self.take():
            request.refuse("stopping", "The head stops.")
        self._send_replies()
        for peer in list(self._peers):
            self._drop(peer)
        if self._listener:
            self._listener.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._listener = None
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    # ---- for the thread of the socket

    def step(self, timeout_s: float = 0.5) -> None:
        """Wait for whatever comes first, at most ``timeout_s``, and look after it."""
        now_s = self._clock.now()
        due_s = min((peer.due_s for peer in self._peers), default=math.inf)
        wait_s = max(0.0, min(timeout_s, due_s - now_s))
        for key, events in self._selector.select(wait_s):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake_out:
                self._woken()
            elif isinstance(key.data, _Peer) and key.data in self._peers:
                self._serve(key.data, events)
        self._send_replies()
        self._send_watched()

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _remove_stale(self) -> None:
        """A socket that a killed head left behind; one that is answered is left alone."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise OSError(errno.EEXIST, "a file that is no socket is in its place")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._path))
            except OSError:
                self._path.unlink()
                return
        raise ControlError(
            f"Another head is running: {self._path} answers.",
            "Stop that one first: lipsync-edge stop.",
        )

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            peer = _Peer(connection, self._clock.now())
            if len(self._peers) >= MOST_CLIENTS:
                self.refused += 1
                with contextlib.suppress(OSError):
                    connection.send(_line(_error("busy", f"{MOST_CLIENTS} programs ask already.")))
                peer.close()
                return
            self._peers.add(peer)
            self._selector.register(connection, selectors.EVENT_READ, peer)

    def _serve(self, peer: _Peer, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(peer)
        if events & selectors.EVENT_READ and peer in self._peers:
            self._receive(peer)

    def _receive(self, peer: _Peer) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(peer.socket, 16_384, 4)
        except BlockingIOError:
            return
        except OSError:
            self._drop(peer)
            return
        peer.fds.extend(fds)
        if not data or len(peer.fds) > 4:
            self._drop(peer)
            return
        peer.unread += data
        while not peer.last_words and (end := peer.unread.find(b"\n")) >= 0:
            line = bytes(peer.unread[:end])
            del peer.unread[: end + 1]
            if line.strip():
                self._line(peer, line)
        if not peer.unread:
            peer.close_files()  # no line wanted them
        if len(peer.unread) > LONGEST_LINE:
            self._answer(peer, _error("too-long", f"A line holds at most {LONGEST_LINE} bytes."))
            self._part(peer)

    def _line(self, peer: _Peer, line: bytes) -> None:
        """Answer a line, or pass it on. Nothing in it may do any harm."""
        told: dict[str, Any] = {}
        try:
            told = parse(line)
            if not peer.may_ask(self._clock.now()):
                raise _Refused("too-fast", f"At most {RATE_PER_S:.0f} requests a second.")
            self._obey(peer, told)
        except _Refused as refusal:
            self.refused += 1
            self._answer(peer, {**_echo(told), **refusal.reply})

    def _obey(self, peer: _Peer, told: Mapping[str, Any]) -> None:
        name = told["cmd"]
        if name == "status":
            self._answer(peer, {**_echo(told), "ok": True, "status": self._snapshot})
        elif name == "watch":
            hertz = told.get("hz", 10.0)
            if not _is_number(hertz) or not WATCH_HZ[0] <= hertz <= WATCH_HZ[1]:
                raise _Refused("value", f"hz must be {WATCH_HZ[0]:g} to {WATCH_HZ[1]:g}.")
            peer.watch_s, peer.due_s = 1.0 / hertz, self._clock.now()
            self._answer(peer, {**_echo(told), "ok": True})
        elif name not in self._commands:
            known = ", ".join(sorted({*self._commands, "status", "watch"}))
            raise _Refused("unknown", f"There is no command {name!r:.60}.", f"There are: {known}.")
        elif len(self._waiting) >= MOST_WAITING:
            raise _Refused("busy", "Too many requests wait already.", "Try again in a moment.")
        else:
            fd = peer.fds.popleft() if peer.fds else -1
            echo = _echo(told)

            def answer(reply: Mapping[str, Any]) -> None:
                self._replies.append((peer, {**echo, **reply}))
                with contextlib.suppress(OSError):
                    self._wake_in.send(b"!")

            self._waiting.append(Request(name, told, fd, answer))

    def _send_replies(self) -> None:
        while self._replies:
            peer, reply = self._replies.popleft()
            self._answer(peer, reply)

    def _send_watched(self) -> None:
        now_s = self._clock.now()
        for peer in [p for p in self._peers if p.due_s <= now_s]:
            peer.due_s = now_s + peer.watch_s
            if not peer.unsent:  # a slow reader misses some, and never gets old ones
                self._answer(peer, {"v": VERSION, "watch": self._snapshot})

    def _answer(self, peer: _Peer, reply: Mapping[str, Any]) -> None:
        if peer not in self._peers or peer.last_words:
            return
        peer.unsent += _line({"v": VERSION, **reply})
        if len(peer.unsent) > MOST_UNSENT:
            self._drop(peer)
        else:
            self._flush(peer)

    def _part(self, peer: _Peer) -> None:
        """Nothing more is read from it; when it has read its answers, it is let go."""
        peer.last_words = True
        if peer in self._peers and not peer.unsent:
            self._drop(peer)

    def _flush(self, peer: _Peer) -> None:
        try:
            sent = peer.socket.send(peer.unsent, socket.MSG_NOSIGNAL) if peer.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(peer)
            return
        del peer.unsent[:sent]
        if peer.last_words and not peer.unsent:
            self._drop(peer)
            return
        events = selectors.EVENT_WRITE if peer.unsent else 0
        events |= 0 if peer.last_words else selectors.EVENT_READ
        self._selector.modify(peer.socket, events, peer)

    def _drop(self, peer: _Peer) -> None:
        if peer in self._peers:
            self._peers.discard(peer)
            self._selector.unregister(peer.socket)
            peer.close()


def parse(line: bytes) -> dict[str, Any]:
    """A request of a line. Raises the refusal where it is none. Pure."""
    if len(line) > LONGEST_LINE:
        raise _Refused("too-long", f"A line holds at most {LONGEST_LINE} bytes.")
    try:
        told = json.loads(line.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        example = '{"v":1,"cmd":"status"}'
        raise _Refused("syntax", "That is no line of JSON.", f"Like this: {example}") from None
    if not isinstance(told, dict) or not isinstance(told.get("cmd"), str):
        raise _Refused("syntax", "A request is an object with a command, cmd.")
    if told.get("v") != VERSION or isinstance(told["v"], bool):
        raise _Refused("version", f"This head speaks version {VERSION} of the protocol.")
    if not isinstance(told.get("id"), str | int | type(None)) or len(str(told.get("id"))) > 100:
        raise _Refused("value", "An id is a short word or a number.")
    return told


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _echo(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": told["id"]} if told.get("id") is not None else {}


def _line(reply: Mapping[str, Any]) -> bytes:
    return json.dumps(reply, separators=(",", ":"), default=str).encode() + b"\n"
