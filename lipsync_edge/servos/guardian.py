"""Switches the outputs off when the robot dies without a word: SIGKILL, a crash in C, no memory.

A board goes on with its last pulses, and whoever must first load Python's libraries to stop that
is late by half a second, on a slow Pi by two. So a small process of its own stands by, with the bus
open, and waits for the end of a pipe whose other end only the robot holds. It needs the standard
library alone, and is started as a script: ``guardian.py PLACE ADDRESS...``.

``PLACE`` is a device file of Linux' i2c-dev, or ``unix:`` and the socket of a shared simulated bus.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ALL_OFF = bytes((0xFD, 0x10))  # i2c.ALL_OFF, which this script cannot import
I2C_SLAVE = 0x0703  # linux/i2c-dev.h
BYE = b"!"
TRIES = 5
PATIENCE_S = 1.0
Write = Callable[[int], None]


def place_of(bus: object) -> str:
    """Where a bus is, for another process; empty where that cannot be told."""
    if place := getattr(bus, "place", ""):
        return str(place)
    with suppress(OSError):
        for link in sorted(Path("/proc/self/fd").iterdir()):
            with suppress(OSError):  # the handle of this very look is closed again
                if (target := os.readlink(link)).startswith("/dev/i2c-"):
                    return target
    return ""


class Guardian:
    """The robot's end of it. None is there where the bus has no place, e.g. in this process."""

    def __init__(self, bus: object, addresses: Sequence[int]) -> None:
        """Let it stand by for the boards at ``addresses``."""
        self._process: subprocess.Popen[bytes] | None = None
        place = place_of(bus)
        if place:
            words = [sys.executable, "-I", "-S", __file__, place, *map(str, addresses)]
            with suppress(OSError):
                self._process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
                )

    def dismiss(self) -> None:
        """All outputs are off, or somebody else looks after them."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            process.stdin.write(BYE)
        with suppress(OSError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)


def _i2c_dev(path: str) -> Write:
    import fcntl

    handle = os.open(path, os.O_RDWR)

    def write(address: int) -> None:
        fcntl.ioctl(handle, I2C_SLAVE, address)
        os.write(handle, ALL_OFF)

    return write


def _shared(path: str) -> Write:
    """See ``remote.RemoteBus``."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(path)

    def write(address: int) -> None:
        connection.send(bytes((address, 0)) + ALL_OFF)
        if connection.recv(16) != b"\0":
            raise OSError("not acknowledged")

    return write


def stand_by(place: str, addresses: Sequence[int]) -> int:
    """Wait for the robot's end; 0: it said bye, or all boards are off, 1: they are not."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the robot
        signal.signal(number, signal.SIG_IGN)
    try:
        write = _shared(place.removeprefix("unix:")) if place[:5] == "unix:" else _i2c_dev(place)
    except OSError as error:
        print(f"WARNING: nobody guards the outputs: {place}: {error.strerror}", file=sys.stderr)
        return 1
    if os.read(0, 1) == BYE:
        return 0
    reached = [_silence(write, address) for address in addresses]  # each, whatever became of others
    return 0 if all(reached) else 1


def _silence(write: Write, address: int) -> bool:
    for _ in range(TRIES):
        with suppress(OSError):
            write(address)
            return True
    return False


if __name__ == "__main__":
    raise SystemExit(stand_by(sys.argv[1], [int(word) for word in sys.argv[2:]]))
