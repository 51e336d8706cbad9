"""Asks a running head over its control socket. For programs: ``Client``; see docs/control.md.

from lipsync_edge.client import Client

with Client() as head:
    head.mute()
    print(head.status()["line"])

From another computer, over the head's page: ``WebClient``, which takes the same orders.
"""

from __future__ import annotations

import grp
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from lipsync_edge.errors import ControlError
from lipsync_edge.protocol import VERSION, request_line

if TYPE_CHECKING:
    from lipsync_edge.webclient import WebClient

__all__ = ["Client", "WebClient", "default_socket"]

SYSTEM_SOCKET = "/run/lipsync-edge/control.sock"


def default_socket(environment: Mapping[str, str] = os.environ) -> str:
    """$LIPSYNC_SOCKET, else where the system's service has it."""
    return environment.get("LIPSYNC_SOCKET") or SYSTEM_SOCKET


class Client:
    """A connection to one head. Every method raises ControlError with a sentence and a remedy."""

    def __init__(self, path: str = "", timeout_s: float = 10.0) -> None:
        """``path``: the socket, see :func:`default_socket`; ``timeout_s``: for each answer."""
        self._path = path or default_socket()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(self._socket, self._path, timeout_s)
        except OSError as error:
            self._socket.close()
            raise _unreachable(self._path, error) from error
        self._socket.settimeout(timeout_s)
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()

    def status(self) -> dict[str, Any]:
        """How the head is."""
        return dict(self._of(self.ask("status"), "status", dict))

    def watch(self, hz: float = 10.0) -> Iterator[dict[str, Any]]:
        """How the head is, ``hz`` times a second (0.2 to 30), until the connection ends."""
        self.ask("watch", hz=hz)
        while True:
            yield dict(self._of(self._read(), "watch", dict))

    def mute(self, on: bool = True) -> None:
        """Silence the speaker; the mouth goes on."""
        self.ask("mute" if on else "unmute")

    def rest(self, on: bool = True) -> None:
        """Lead all servos to neutral, then switch them off; the sound goes on."""
        self.ask("rest" if on else "wake")

    def pose(self, axes: Mapping[str, float] | str, hold_s: float | None = None) -> list[str]:
        """Hold a pose for 10 s or ``hold_s``: its name, or axes of the face by name, 0..1.

        Returns the axes that no servo of this head shows.
        """
        told: dict[str, Any] = {"name": axes} if isinstance(axes, str) else {"axes": dict(axes)}
        if hold_s is not None:
            told["hold_s"] = hold_s
        return list(self._of(self.ask("pose", **told), "unmoved", list))

    def neutral(self, hold_s: float | None = None) -> None:
        """End a pose: the face at rest, for 10 s or ``hold_s``; then it follows the sound."""
        told: dict[str, Any] = {} if hold_s is None else {"hold_s": hold_s}
        self.ask("neutral", **told)

    def follow(self) -> None:
        """Follow the sound again."""
        self.ask("follow")

    def describe(self) -> dict[str, Any]:
        """Its servos with their limits, its axes and poses."""
        return dict(self._of(self.ask("describe"), "describe", dict))

    def motion(self, hz: float = 30.0) -> Iterator[dict[str, Any]]:
        """What the mouth does, ``hz`` times a second (0.2 to 50), until the connection ends."""
        self.ask("watch", detail="motion", hz=hz)
        while True:
            yield dict(self._of(self._read(), "motion", dict))

    def check(self, text: str) -> list[dict[str, Any]]:
        """What the checker says of a config's text: line, key, message, remedy, severity."""
        return list(self._of(self.ask("check", text=text), "problems", list))

    def try_config(self, text: str, hold_s: float = 60.0) -> dict[str, Any]:
        """Move by another config for ``hold_s`` (5 to 600 s); its file is left alone."""
        return self.ask("try-config", text=text, hold_s=hold_s)

    def jog(self, servo: str, to_us: float, us_per_s: float = 100.0, hold_s: float = 0.4) -> float:
        """Move one servo by hand, all others off, for ``hold_s`` (0.1 to 1 s): say it again and
        again. Returns where it is, us. It is off 3 s after the last one; :meth:`follow` ends it."""
        told = self.ask("jog", servo=servo, to_us=to_us, us_per_s=us_per_s, hold_s=hold_s)
        return float(self._of(told, "us", (int, float)))

    def buzz(self, servo: str) -> None:
        """Let one servo wiggle, to see which it is."""
        self.ask("buzz", servo=servo)

    def release(self) -> None:
        """Switch the servo off that is moved by hand."""
        self.ask("release")

    def detach(self) -> None:
        """All outputs off at once, until ``rest(False)``."""
        self.ask("detach")

    def doctor(self) -> list[dict[str, Any]]:
        """Its findings: ok, name, message, remedy. It may take some seconds."""
        return list(self._of(self.ask("doctor"), "checks", list))

    def reload(self) -> dict[str, Any]:
        """Read the config anew; returns what changed. The old one stays where it is refused."""
        return self.ask("reload")

    def restart(self) -> None:
        """End in order and begin anew."""
        self.ask("restart")

    def stop(self) -> None:
        """End in order."""
        self.ask("stop")

    def say(self, sound: BinaryIO) -> dict[str, Any]:
        """Speak an open WAV file after what is spoken already; it stays open here."""
        return self.ask("say-file", fd=sound.fileno())

    def hush(self) -> None:
        """Forget the files that wait, and end the one that is spoken."""
        self.ask("hush")

    def ask(self, command: str, fd: int = -1, **arguments: Any) -> dict[str, Any]:
        """One request and its answer; ``fd``: an open file that goes along."""
        is_sent = self._send(request_line({"v": VERSION, "cmd": command, **arguments}), fd)
        answer = self._read()
        while "watch" in answer or "motion" in answer:
            answer = self._read()
        told = answer.get("error")
        if answer.get("ok") is False and isinstance(told, dict):
            raise ControlError(str(told.get("message", "refused")), str(told.get("remedy", "")))
        if answer.get("ok") is not True or answer.get("v") != VERSION:
            raise self._stranger()
        if not is_sent:
            raise _gone()
        return answer

    def _send(self, line: bytes, fd: int) -> bool:
        """False: the head reads no more; it may have said why before."""
        try:
            if fd >= 0:
                socket.send_fds(self._socket, [line], [fd])
            else:
                self._socket.sendall(line)
        except ConnectionError:
            return False
        except TimeoutError as error:
            raise _silent() from error
        except OSError as error:
            raise _gone() from error
        return True

    def _read(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise _silent() from error
        except OSError as error:
            raise _gone() from error
        if not line:
            raise _gone()
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._stranger()
        return answer

    def _of(self, answer: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
        """A part of an answer, which every head gives."""
        if not isinstance(value := answer.get(key), kind):
            raise self._stranger()
        return value

    def _stranger(self) -> ControlError:
        return ControlError(
            f"What answers at {self._path} is no head.", "Name the right one with --socket."
        )


def _connect(connection: socket.socket, path: str, timeout_s: float) -> None:
    """Wait in the kernel for a place in the head's queue: a timeout of Python's own would make the
    socket one that never waits, and a full queue refuses those at once."""
    seconds, microseconds = divmod(max(1, round(timeout_s * 1e6)), 1_000_000)
    limit = struct.pack("@ll", seconds, microseconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connection.connect(path)


def _gone() -> ControlError:
    return ControlError("The head went away.", "Look at: lipsync-edge doctor")


def _silent() -> ControlError:
    return ControlError("The head does not answer.", "Look at: lipsync-edge doctor")


def _group(path: str) -> str:
    """The name of a file's group; the service's own where that cannot be seen."""
    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "lipsync"


def _unreachable(path: str, error: OSError) -> ControlError:
    if isinstance(error, PermissionError):
        return ControlError(
            f"{path} is for the group {_group(path)}, in which this user is not.",
            f"Join it: sudo usermod -aG {_group(path)} $USER, then log out and in again.",
        )
    if isinstance(error, BlockingIOError):
        return ControlError("The head is asked by too many at once.", "Try again in a moment.")
    return ControlError(
        f"No head answers at {path} ({error.strerror or error}).",
        "Start it: sudo systemctl start lipsync-edge; or name its socket with --socket.",
    )


def __getattr__(name: str) -> Any:
    """``WebClient``, which brings HTTP and TLS along: not for those who ask over the socket."""
    if name == "WebClient":
        from lipsync_edge.webclient import WebClient

        return WebClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
