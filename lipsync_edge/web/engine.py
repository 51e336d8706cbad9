"""Asks the running head from within an event loop: one lasting connection, made anew when needed.

Requests carry numbers, so any number of them may wait at once. A request that takes an open file
along, and one that goes on and on (``watch``), has a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

from lipsync_edge.protocol import LONGEST_LINE, VERSION, request_line
from lipsync_edge.web.refusal import EngineDown, EngineRefused

ANSWER_S = 10.0
"""For how long an answer is waited for, unless the one who asks knows better."""
_REMEDY = "Start it: sudo systemctl start lipsync-edge"

Answer = dict[str, Any]


class Engine:
    """The head at the other end of a control socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    @property
    def up(self) -> bool:
        """Whether the head was there when it was asked last."""
        return self._writer is not None

    async def ask(
        self, cmd: str, /, fd: int = -1, wait_s: float = ANSWER_S, **arguments: Any
    ) -> Answer:
        """The answer to one request; ``fd``: an open file that goes along and stays open here.

        Raises EngineDown where nobody answers within ``wait_s``, EngineRefused where the head
        refuses. Nothing is asked twice: whoever asks decides whether to try again.
        """
        number = next(self._numbers)
        line = _line(number, cmd, arguments)
        try:
            async with asyncio.timeout(wait_s):
                told = await (self._send_along(line, fd) if fd >= 0 else self._send(number, line))
        except TimeoutError:
            raise EngineDown("The head does not answer.", "Look at its log.") from None
        except OSError as error:
            raise self._unreachable(error) from error
        if not told.get("ok"):
            raise _refused(told)
        return told

    async def watch(self, **arguments: Any) -> AsyncIterator[bytes]:
        """Lines of JSON as they come, until the head goes away (EngineDown) or refuses."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.path, limit=LONGEST_LINE)
        except OSError as error:
            raise self._unreachable(error) from error
        try:
            writer.write(_line(next(self._numbers), "watch", arguments))
            async with asyncio.timeout(ANSWER_S):
                told = _parsed(await _read(reader))
            if not told.get("ok"):
                raise _refused(told)
            while True:
                yield await _read(reader)
        except (OSError, TimeoutError) as error:
            raise EngineDown("The head went away.", _REMEDY) from error
        finally:
            writer.close()

    async def close(self) -> None:
        """Let the connection go; what waits fails."""
        if self._reading:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        self._gone()

    async def _send(self, number: int, line: bytes) -> Answer:
        writer = await self._connected()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(line)
            await writer.drain()
            return await future
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                reader, writer = await asyncio.open_unix_connection(self.path, limit=LONGEST_LINE)
                self._writer = writer
                self._reading = asyncio.create_task(self._read_on(reader, writer))
            return self._writer

    async def _read_on(self, reader: asyncio.StreamReader, mine: asyncio.StreamWriter) -> None:
        try:
            while True:
                told = _parsed(await _read(reader))
                future = self._waiting.pop(told.get("id", 0), None)
                if future and not future.done():
                    future.set_result(told)
        except (OSError, EngineDown):
            if self._writer is mine:
                self._gone()

    def _gone(self) -> None:
        if self._writer:
            self._writer.close()
        self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineDown("The head went away.", _REMEDY))
        self._waiting.clear()

    async def _send_along(self, line: bytes, fd: int) -> Answer:
        """On a socket of its own: its buffer is empty, so the line with the file fits at once."""
        loop = asyncio.get_running_loop()
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await loop.sock_connect(plain, self.path)
            socket.send_fds(plain, [line], [fd])
            reader, writer = await asyncio.open_unix_connection(sock=plain, limit=LONGEST_LINE)
        except OSError:
            plain.close()
            raise
        try:
            return _parsed(await _read(reader))
        finally:
            writer.close()

    def _unreachable(self, error: OSError) -> EngineDown:
        if isinstance(error, PermissionError):
            return EngineDown(
                f"This page may not use the head's socket {self.path}.",
                "Its user must be in the group lipsync.",
            )
        return EngineDown("The head is not running.", _REMEDY)


def _line(number: int, cmd: str, arguments: Answer) -> bytes:
    line = request_line({"v": VERSION, "id": number, "cmd": cmd, **arguments})
    if len(line) > LONGEST_LINE:
        raise EngineRefused("too-long", f"The head takes at most {LONGEST_LINE} bytes at once.")
    return line


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readline()
    except ValueError:  # longer than any line of the protocol
        line = b""
    if not line.endswith(b"\n"):
        raise EngineDown("The head went away.", _REMEDY)
    return line


def _parsed(line: bytes) -> Answer:
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise EngineDown("What answers at the socket is no head.", "Name the right one: --socket.")
    return told


def _refused(told: Answer) -> EngineRefused:
    error = told.get("error") or {}
    return EngineRefused(
        str(error.get("code", "failed")),
        str(error.get("message", "The head refused.")),
        str(error.get("remedy", "")),
    )
