"""The control socket: versioned JSON lines over a unix socket, so that other programs may ask.

One thread looks after all connections and never waits for any of them. What only asks is answered
from a snapshot that the main thread publishes; what acts is put into a short queue that the main
thread takes from. docs/control.md describes the protocol, ``client`` speaks it.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lipsync_edge import socketfile
from lipsync_edge.clock import Clock
from lipsync_edge.peer import LINE_COST, Bucket, Peer
from lipsync_edge.protocol import (
    LONGEST_LINE,
    VERSION,
    WITH_FILE,
    Refused,
    as_line,
    did_you_mean,
    echo,
    error_reply,
    parse,
    watch_of,
)

MOST_CLIENTS = 16
MOST_WAITING = 32  # requests that the main thread has not taken yet
MOST_UNSENT = 262_144  # bytes that a client left unread; one that reads nothing is let go
IDLE_S = 30.0
"""Who said nothing for so long makes room when nobody else could be heard."""
Snapshot = Callable[[], Mapping[str, Any]]
Answer = Callable[[Mapping[str, Any]], None]


class Request:
    """One wish that acts. ``reply`` or ``refuse`` it once, from any thread; it is sent with the
    next snapshot, which shows what it did."""

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
        self._end(error_reply(code, message, remedy))

    def _end(self, reply: Mapping[str, Any]) -> None:
        if self._fd >= 0:
            os.close(self.take_fd())
        self._answer(reply)


class ControlServer:
    """The socket of a running head. ``step`` it from one thread of its own."""

    def __init__(
        self, path: str, clock: Clock, commands: tuple[str, ...], motion: Snapshot = dict
    ) -> None:
        """``commands``: the names of what acts; ``status`` and ``watch`` are answered here.
        ``motion``: what the mouth does at this moment, asked in the socket's thread."""
        self._path, self._clock, self._commands = Path(path), clock, commands
        self._motion = motion
        self._selector = selectors.DefaultSelector()
        self._peers: set[Peer] = set()
        self._waiting: deque[Request] = deque()
        self._staged: deque[tuple[Peer, Mapping[str, Any]]] = deque()  # until the next snapshot
        self._replies: deque[tuple[Peer, Mapping[str, Any]]] = deque()
        self._snapshot: Snapshot = dict
        self._told: tuple[Snapshot, bytes] = (dict, b"{}")  # a snapshot, and that as JSON
        self._listener: socket.socket | None = None
        self._door, self._open_s = Bucket(clock.now()), math.inf
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self.refused = 0
        """Lines that were no requests, connections that were not taken."""

    # ---- for the main thread

    def open(self) -> None:
        """Make the socket. ControlError where that cannot be done, or another head has it."""
        listener = socketfile.listen(self._path, MOST_CLIENTS)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)

    def publish(self, snapshot: Snapshot) -> None:
        """What ``status`` and ``watch`` tell from now on: called in the socket's thread, once,
        when somebody asks; so it may only read what never changes."""
        self._snapshot = snapshot
        if self._staged:
            for _ in range(len(self._staged)):
                self._replies.append(self._staged.popleft())
            with contextlib.suppress(OSError):
                self._wake_in.send(b"!")

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
        self.publish(self._snapshot)
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
        due_s = min((min(p.due_s, p.again_s) for p in self._peers), default=math.inf)
        wait_s = max(0.0, min(timeout_s, due_s - now_s, self._open_s - now_s))
        for key, events in self._selector.select(wait_s):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake_out:
                self._woken()
            elif isinstance(key.data, Peer) and key.data in self._peers:
                self._serve(key.data, events)
        self._send_replies()
        self._go_on()

    def _go_on(self) -> None:
        """What time brings: watchers are told, those that were too fast are heard again."""
        now_s = self._clock.now()
        for peer in [p for p in self._peers if p.due_s <= now_s]:
            peer.due_s = now_s + peer.watch_s
            if not peer.unsent:  # a slow reader misses some, and never gets old ones
                text = as_line(self._motion())[:-1] if peer.motion else self._snapshot_text()
                word = b"motion" if peer.motion else b"watch"
                self._send(peer, b'{"v":%d,"%s":%s}\n' % (VERSION, word, text))
        for peer in [p for p in self._peers if p.again_s <= now_s]:
            self._digest(peer)
        if self._open_s <= now_s and self._listener:
            self._open_s = math.inf
            self._selector.register(self._listener, selectors.EVENT_READ, None)

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _accept(self) -> None:
        assert self._listener is not None
        now_s = self._clock.now()
        if wait_s := self._door.wait_s(now_s):
            self._selector.unregister(self._listener)  # callers wait in the kernel's queue
            self._open_s = now_s + wait_s
            return
        self._door.take()
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            peer = Peer(connection, now_s)
            if not self._has_room(now_s):
                self.refused += 1
                busy = error_reply("busy", f"{MOST_CLIENTS} programs ask already.")
                with contextlib.suppress(OSError):
                    connection.send(as_line({"v": VERSION, **busy}))
                peer.close()
                return
            self._peers.add(peer)
            self._selector.register(connection, selectors.EVENT_READ, peer)

    def _has_room(self, now_s: float) -> bool:
        """For one more; who was idle for the longest time gives way, if that is long."""
        if len(self._peers) < MOST_CLIENTS:
            return True
        idle = [p for p in self._peers if p.watch_s == math.inf and now_s - p.heard_s > IDLE_S]
        if not idle:
            return False
        self._drop(min(idle, key=lambda peer: peer.heard_s))
        return True

    def _serve(self, peer: Peer, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(peer)
        if events & selectors.EVENT_READ and peer in self._peers:
            self._receive(peer)

    def _receive(self, peer: Peer) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(peer.socket, 16_384, 4)
        except BlockingIOError:
            return
        except OSError:
            self._drop(peer)
            return
        peer.fds.extend(fds)
        if len(peer.fds) > 4:
            self._drop(peer)
            return
        if not data:
            self._end(peer)
            return
        peer.unread += data
        peer.heard_s = self._clock.now()
        self._digest(peer)

    def _end(self, peer: Peer) -> None:
        """It asks nothing more: it is let go when it has its answers, or at once if it left."""
        peer.ended, peer.watch_s, peer.due_s = True, math.inf, math.inf
        if peer.has_left:
            self._drop(peer)
        elif not peer.in_flight:
            self._part(peer)
        self._await(peer)

    def _digest(self, peer: Peer) -> None:
        """Answer the lines that came, as many as the bucket allows."""
        now_s, wait_s = self._clock.now(), 0.0
        line: bytes | None = b""
        while line is not None and not wait_s and not peer.last_words and peer in self._peers:
            wait_s = peer.bucket.wait_s(now_s)
            if not wait_s and (line := peer.next_line()) is not None:
                peer.bucket.take(1.0 + LINE_COST * len(line))
                if line.strip():
                    self._line(peer, line)
        peer.again_s = now_s + wait_s if wait_s else math.inf
        if not peer.unread:
            peer.close_files()  # no line wanted them
        if not wait_s and len(peer.unread) > LONGEST_LINE:
            self._answer(
                peer, error_reply("too-long", f"A line holds at most {LONGEST_LINE} bytes.")
            )
            self._part(peer)
        self._await(peer)

    def _line(self, peer: Peer, line: bytes) -> None:
        """Answer a line, or pass it on. Nothing in it may do any harm."""
        told: dict[str, Any] = {}
        try:
            told = parse(line)
            self._obey(peer, told)
        except Refused as refusal:
            self.refused += 1
            self._answer(peer, {**echo(told), **refusal.reply})

    def _obey(self, peer: Peer, told: Mapping[str, Any]) -> None:
        name = told["cmd"]
        if name == "status":
            begin = as_line({"v": VERSION, **echo(told), "ok": True})
            self._send(peer, b'%s,"status":%s}\n' % (begin[:-2], self._snapshot_text()))
        elif name == "watch":
            peer.motion, hertz = watch_of(told)
            peer.watch_s, peer.due_s = 1.0 / hertz, self._clock.now()
            self._answer(peer, {**echo(told), "ok": True})
        elif name not in self._commands:
            hint = did_you_mean(name, {*self._commands, "status", "watch"})
            raise Refused("unknown", f"There is no command {name!r:.60}.", hint)
        else:
            self._put(peer, told)

    def _put(self, peer: Peer, told: Mapping[str, Any]) -> None:
        """Into the queue of the main thread, with the file that came for it."""
        fd = peer.take_file() if told["cmd"] in WITH_FILE else -1
        if len(self._waiting) >= MOST_WAITING:
            if fd >= 0:
                os.close(fd)
            raise Refused("busy", "Too many requests wait already.", "Try again in a moment.")
        known = echo(told)

        def answer(reply: Mapping[str, Any]) -> None:
            self._staged.append((peer, {**known, **reply}))

        peer.in_flight += 1
        self._waiting.append(Request(told["cmd"], told, fd, answer))

    def _send_replies(self) -> None:
        while self._replies:
            peer, reply = self._replies.popleft()
            peer.in_flight -= 1
            self._answer(peer, reply)
            if peer.ended and not peer.in_flight:
                self._part(peer)

    def _snapshot_text(self) -> bytes:
        """The snapshot as JSON, made once however many ask."""
        snapshot = self._snapshot
        if self._told[0] is not snapshot:
            self._told = snapshot, as_line(snapshot())[:-1]
        return self._told[1]

    def _answer(self, peer: Peer, reply: Mapping[str, Any]) -> None:
        self._send(peer, as_line({"v": VERSION, **reply}))

    def _send(self, peer: Peer, line: bytes) -> None:
        if peer not in self._peers or peer.last_words:
            return
        peer.unsent += line
        if len(peer.unsent) > MOST_UNSENT:
            self._drop(peer)
        else:
            self._flush(peer)

    def _part(self, peer: Peer) -> None:
        """Nothing more is read from it; when it has read its answers, it is let go."""
        peer.last_words = True
        if peer in self._peers and not peer.unsent:
            self._drop(peer)

    def _flush(self, peer: Peer) -> None:
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
        self._await(peer)

    def _await(self, peer: Peer) -> None:
        """Let the selector wait for what this one waits for; a selector takes no 0."""
        if peer not in self._peers:
            return
        is_known = peer.socket in self._selector.get_map()
        if not peer.events:
            if is_known:
                self._selector.unregister(peer.socket)
        elif is_known:
            self._selector.modify(peer.socket, peer.events, peer)
        else:
            self._selector.register(peer.socket, peer.events, peer)

    def _drop(self, peer: Peer) -> None:
        if peer in self._peers:
            self._peers.discard(peer)
            if peer.socket in self._selector.get_map():
                self._selector.unregister(peer.socket)
            peer.close()
