"""Where a running head takes orders: socket, orders and spoken files of one run."""

from __future__ import annotations

import logging
import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from lipsync_edge import __version__
from lipsync_edge.actions import Actions
from lipsync_edge.audio import Source
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.wav import WavSource, resampled
from lipsync_edge.clock import Clock
from lipsync_edge.control import ControlServer
from lipsync_edge.errors import AudioError, ControlError
from lipsync_edge.health import Vitals, flows, status_line
from lipsync_edge.orders import Insides, Orders
from lipsync_edge.speech import LARGEST, Speech
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.supply import SupplyState
from lipsync_edge.telemetry import Snapshot

log = logging.getLogger(__name__)

IDLE_S = 0.02


class Desk:
    """``socket``: where it is reached, empty: nowhere; but files may be spoken all the same."""

    def __init__(
        self,
        socket: str,
        actions: Actions,
        courier: BlockCourier,
        rate_hz: int,
        insides: Insides,
        motion: Callable[[], Mapping[str, Any]],
        clock: Clock,
    ) -> None:
        """``motion``: what the mouth does at this moment, for any thread."""
        self._rate_hz, self._actions = rate_hz, actions
        self._speech = Speech(courier, rate_hz)
        self._orders = Orders(actions, self._speech, self._open_fd, insides, clock)
        self._server = ControlServer(socket, clock, Orders.COMMANDS, motion) if socket else None

    def open(self, supervisor: Supervisor, unattended: bool = False) -> None:
        """Begin to listen. Raises ControlError; where nobody stands by it costs the socket alone,
        for a head that cannot be asked can still talk."""
        if self._server:
            try:
                self._server.open()
            except ControlError as error:
                if not unattended:
                    raise
                log.warning("goes on without its control socket: %s", error)
                self._server.close()
                self._server = None
                return
            supervisor.loop("control", self._server.step)
            supervisor.loop("speech", lambda: self._speak(supervisor))

    def step(self, vitals: Vitals, shown: Snapshot, more: Mapping[str, Any]) -> None:
        """Tell how the head is, and do what was asked; for the main thread. ``more``: what else
        the status tells."""
        if not self._server:
            return
        self._orders.safe_mode = vitals.safe_mode
        for request in self._server.take():
            self._orders.obey(request)
        self._orders.step()
        asked, waiting = self._actions, self._speech.waiting
        now = replace(
            vitals, muted=asked.muted, resting=asked.resting, posing=asked.posing
        )  # what was asked just now
        set_up = asked.set_up
        more = {
            "spoken_files": waiting, "trial": self._orders.trial,
            "setup": asdict(set_up.state) if set_up else None, **more,
        }  # fmt: skip
        self._server.publish(lambda: _told(now, shown, more))

    def close(self) -> None:
        """Answer what waits, let all go. Call it when the threads have ended."""
        if self._server:
            self._server.close()
        self._speech.close()

    def _speak(self, supervisor: Supervisor) -> None:
        if not self._speech.step():
            supervisor.wait(IDLE_S)

    def _open_fd(self, fd: int) -> Source:
        try:
            _refuse_other_things(os.fstat(fd))
        except AudioError:
            os.close(fd)
            raise
        # Looking through a long file of floats would hold the main thread up.
        return resampled(WavSource(fd, "the file", looks_through=False), self._rate_hz)


def _refuse_other_things(status: os.stat_result) -> None:
    """AudioError where it is no file, or too large a one."""
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(
            "What came along is no regular file.", "lipsync-edge say-file copies a pipe first."
        )
    if status.st_size > LARGEST:
        raise AudioError("The file is larger than 512 MB.", "Cut it, or give another one.")


def _told(vitals: Vitals, shown: Snapshot, more: Mapping[str, Any]) -> dict[str, Any]:
    """The status, as JSON has it. Made when somebody asks, of what never changes."""
    return {
        "version": __version__, "ready": flows(vitals), "line": status_line(vitals),
        **_plain(asdict(vitals)),
        **_rounded({"heard_s": shown.heard_s}, 3), "pose": _rounded(shown.pose, 4),
        "widths_us": _rounded(shown.widths_us, 1), **_plain(more),
    }  # fmt: skip


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON can tell it: infinite ages become null."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping | SupplyState):
        return _plain(value if isinstance(value, Mapping) else asdict(value))
    if isinstance(value, float):
        return round(value, 4) if abs(value) < 1e12 else None  # NaN neither
    return value


def _rounded(values: Mapping[str, float], digits: int) -> dict[str, float | None]:
    """NaN, a servo that is off, becomes null; so does the time while no clock is known."""
    return {k: round(v, digits) if math.isfinite(v) else None for k, v in values.items()}
