"""A simulated I2C bus in another process, which lives on when this one dies, as a real one does.

Each transaction is one packet each way over a unix socket. Request: the address and how many bytes
to read (a byte each), then the bytes to write. Answer: an errno (one byte, 0: acknowledged), then
the bytes that were read.
"""

from __future__ import annotations

import os
import socket
import threading

LONGEST = 512  # bytes of a packet; 65 are the most that a driver sends


class RemoteBus:
    """The methods of ``busio.I2C`` that drivers use. OSError where the bus says no, or is gone."""

    name = "shared simulated bus"

    def __init__(self, path: str) -> None:
        """``path``: the socket. It is opened at the first transaction, and anew after an error."""
        self._path = path
        self.place = f"unix:{path}"
        """For a guardian, see there."""
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def try_lock(self) -> bool:
        return self._lock.acquire(blocking=False)

    def unlock(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def deinit(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def writeto(
        self,
        address: int,
        buffer: bytes | bytearray | memoryview,
        *,
        start: int = 0,
        end: int | None = None,
        stop: bool = True,
    ) -> None:
        self._transfer(address, bytes(buffer[start:end]), 0)

    def readfrom_into(
        self,
        address: int,
        buffer: bytearray | memoryview,
        *,
        start: int = 0,
        end: int | None = None,
        stop: bool = True,
    ) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self._transfer(address, b"", end - start)

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: bytes | bytearray | memoryview,
        in_buffer: bytearray | memoryview,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
        stop: bool = False,
    ) -> None:
        in_end = len(in_buffer) if in_end is None else in_end
        written = bytes(out_buffer[out_start:out_end])
        in_buffer[in_start:in_end] = self._transfer(address, written, in_end - in_start)

    def _transfer(self, address: int, written: bytes, n_read: int) -> bytes:
        try:
            connection = self._connected()
            connection.send(bytes((address, n_read)) + written)
            answer = connection.recv(LONGEST)
        except OSError:
            self.deinit()
            raise
        if not answer:
            self.deinit()
            raise ConnectionResetError("the shared bus is gone")
        if answer[0]:
            raise OSError(answer[0], os.strerror(answer[0]))
        return answer[1:]

    def _connected(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(self._path)
            except OSError:
                connection.close()
                raise
            self._socket = connection
        return self._socket
