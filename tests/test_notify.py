"""What systemd would read, on a real socket."""

from __future__ import annotations

import math
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lipsync_edge.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd opens it, and how $NOTIFY_SOCKET names it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        path = str(Path(folder) / "notify")
        abstract = request.param == "abstract"
        listener.bind("\0" + path if abstract else path)
        listener.settimeout(5)
        yield listener, "@" + path if abstract else path


def test_states_arrive_as_lines(systemd: tuple[socket.socket, str]) -> None:
    listener, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.status("waiting for\nthe café's\tdevice")
    notifier.feed()
    notifier.reloading(12.3456789)
    notifier.stopping()
    assert [listener.recv(4096).decode() for _ in range(5)] == [
        "READY=1",
        "STATUS=waiting for the café's device",
        "WATCHDOG=1",
        "RELOADING=1\nMONOTONIC_USEC=12345679",
        "STOPPING=1",
    ]
    notifier.close()
    notifier.ready()
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.recv(4096)


def test_a_reload_may_take_longer_than_the_watchdog_waits(
    systemd: tuple[socket.socket, str],
) -> None:
    listener, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5000000"})
    notifier.reloading(1.0)
    notifier.ready()
    assert [listener.recv(4096).decode() for _ in range(4)] == [
        "RELOADING=1\nMONOTONIC_USEC=1000000",
        "WATCHDOG_USEC=60000000",
        "READY=1",
        "WATCHDOG_USEC=5000000",
    ]


def test_a_reader_that_sleeps_holds_nobody_up(systemd: tuple[socket.socket, str]) -> None:
    listener, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address})
    for _ in range(5000):  # more than any queue holds (net.unix.max_dgram_qlen)
        notifier.feed()
    listener.setblocking(False)
    received = 0
    with suppress(BlockingIOError):
        while listener.recv(64):
            received += 1
    assert 0 < received < 5000
    notifier.ready()
    assert listener.recv(64) == b"READY=1"


@pytest.mark.parametrize("address", ["", "@", "vsock:2:1234", "relative", "/nobody/listens"])
def test_without_a_listener_nothing_happens(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready()
    assert notifier.listening == (address == "/nobody/listens")
    notifier.close()


def test_the_watchdog_is_meant_for_one_process() -> None:
    asked = {"WATCHDOG_USEC": "10000000"}
    assert Notifier(asked, pid=7).watchdog_s == 10.0
    assert Notifier(asked | {"WATCHDOG_PID": "7"}, pid=7).watchdog_s == 10.0
    assert Notifier(asked | {"WATCHDOG_PID": "8"}, pid=7).watchdog_s == math.inf
    own = {"WATCHDOG_USEC": "500", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(own).watchdog_s == 0.0005
    for wrong in ("", "0", "-5", "soon"):
        assert Notifier({"WATCHDOG_USEC": wrong}).watchdog_s == math.inf
