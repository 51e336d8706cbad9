"""Tells systemd how we are: sd_notify(3), one datagram per message to $NOTIFY_SOCKET.

The protocol is a line of text in a datagram, hence no library: `systemd-python` must be compiled
against libsystemd, and `sdnotify` is unmaintained and says nothing of the watchdog.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends states; without systemd it does nothing. Never blocks, never raises."""

    LONGEST = 200  # characters of a status: a line in `systemctl status`
    RELOAD_S = 60.0

    def __init__(self, environment: Mapping[str, str] | None = None, pid: int = 0) -> None:
        """``environment``: os.environ by default; ``pid``: our own by default."""
        environment = os.environ if environment is None else environment
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL of an abstract name; vsock addresses are for machines.
        self._address = "\0" + address[1:] if address[:1] == "@" else address
        self.listening = address[:1] in ("/", "@") and len(address) > 1
        self._socket: socket.socket | None = None
        if self.listening:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.watchdog_s = _watchdog_s(environment, pid or os.getpid())

    def ready(self) -> None:
        """The start is complete (or a reload is); the watchdog has its own time (again)."""
        self._send("READY=1")
        self._be_patient(self.watchdog_s)

    def status(self, text: str) -> None:
        """One line for people."""
        self._send("STATUS=" + " ".join(text.split())[: self.LONGEST])

    def feed(self) -> None:
        """The watchdog's timer begins anew."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """We are about to end."""
        self._send("STOPPING=1")

    def reloading(self, now_s: float) -> None:
        """A reload begins at ``now_s``, CLOCK_MONOTONIC seconds; :meth:`ready` ends it. Until then
        nobody feeds the watchdog: a slow Pi loads its libraries and the model meanwhile."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={round(now_s * 1e6)}")
        self._be_patient(self.RELOAD_S)

    def close(self) -> None:
        """Let the socket go; what is sent from now on is lost."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _be_patient(self, seconds: float) -> None:
        """Set the watchdog's time, where there is a watchdog; it begins anew."""
        if math.isfinite(self.watchdog_s):
            self._send(f"WATCHDOG_USEC={round(seconds * 1e6)}")

    def _send(self, state: str) -> None:
        if self._socket is None:
            return
        with suppress(OSError, UnicodeError):  # nobody there, or its queue is full: the next one
            flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
            self._socket.sendto(state.encode(), flags, self._address)


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float:
    """Seconds within which systemd wants to be fed, sd_watchdog_enabled(3); infinite: it does not.

    $WATCHDOG_PID names whom it means: a child that inherits the variables is not meant.
    """
    try:
        usec = int(environment.get("WATCHDOG_USEC", "0"))
        meant = int(environment.get("WATCHDOG_PID", str(pid)))
    except ValueError:
        return math.inf
    return usec / 1e6 if usec > 0 and meant == pid else math.inf
