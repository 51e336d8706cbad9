"""What the requests of the control socket do to a running head. For the main thread."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from lipsync_edge.actions import Actions
from lipsync_edge.audio import Source
from lipsync_edge.clock import Clock
from lipsync_edge.control import Request
from lipsync_edge.errors import ConfigError, LipsyncError
from lipsync_edge.face import AXES, axis_range
from lipsync_edge.protocol import did_you_mean
from lipsync_edge.speech import Speech

POSES: Mapping[str, Mapping[str, float]] = {
    "closed": {"mouthClose": 0.3, "mouthPressLeft": 0.4, "mouthPressRight": 0.4},
    "open": {"jawOpen": 0.9, "mouthLowerDownLeft": 0.5, "mouthLowerDownRight": 0.5},
    "half": {"jawOpen": 0.45},
    "smile": {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "mouthStretchLeft": 0.4,
              "mouthStretchRight": 0.4},
    "ooh": {"mouthPucker": 1.0, "mouthFunnel": 0.3, "jawOpen": 0.15},
    "oh": {"mouthFunnel": 0.9, "jawOpen": 0.45},
    "ee": {"mouthStretchLeft": 0.8, "mouthStretchRight": 0.8, "jawOpen": 0.15},
}  # fmt: skip
"""Faces to hold by name. A head shows of them what its servos can."""
HOLD_S = 10.0
MOST_HOLD_S = 3600.0
Reload = Callable[[], Mapping[str, Any]]
OpenSource = Callable[[int], Source]


class Orders:
    """``COMMANDS`` are the methods below. Each replies or refuses; none raises."""

    safe_mode = ""
    """Why the servos are off for good; empty where they are not."""
    COMMANDS = ("mute", "unmute", "rest", "wake", "pose", "neutral", "follow", "say-file", "hush",
                "reload", "restart", "stop")  # fmt: skip

    def __init__(
        self, actions: Actions, speech: Speech, open_fd: OpenSource, reload: Reload, clock: Clock
    ) -> None:
        """``open_fd``: the source at the stream's rate behind an open file, which it then owns;
        ``reload``: applies the config anew and tells what changed, or raises LipsyncError."""
        self._actions, self._speech, self._clock = actions, speech, clock
        self._open_fd, self._reread = open_fd, reload
        self._until_s = math.inf

    def obey(self, request: Request) -> None:
        """Do what is asked and answer."""
        name = request.name.replace("-", "_")
        try:
            getattr(self, "_" + name)(request)
        except ConfigError as error:
            request.refuse("config", "\n".join(error.problems), "The old config is kept.")
        except LipsyncError as error:
            request.refuse("failed", error.message, error.remedy)

    def step(self) -> None:
        """End a pose whose time is over."""
        if self._clock.now() >= self._until_s:
            self._follow_again()

    def _follow_again(self) -> None:
        self._actions.show(None)
        self._until_s = math.inf

    def _hold(self, request: Request, axes: Mapping[str, float], hold_s: float) -> None:
        if self.safe_mode or self._actions.resting:
            why = "is in safe mode" if self.safe_mode else "rests"
            remedy = self.safe_mode or "Wake it first: lipsync-edge wake."
            request.refuse("off", f"The servos are off, for the head {why}.", remedy)
            return
        unmoved = self._actions.show(axes)
        self._until_s = self._clock.now() + hold_s
        request.reply(hold_s=hold_s, unmoved=unmoved)

    def _mute(self, request: Request) -> None:
        self._actions.mute(True)
        request.reply(muted=True)

    def _unmute(self, request: Request) -> None:
        self._actions.mute(False)
        request.reply(muted=False)

    def _rest(self, request: Request) -> None:
        self._actions.rest(True)
        request.reply(resting=True)

    def _wake(self, request: Request) -> None:
        self._actions.rest(False)
        request.reply(resting=False)

    def _neutral(self, request: Request) -> None:
        hold_s = self._hold_s(request)
        if hold_s is not None:
            self._hold(request, {}, hold_s)

    def _follow(self, request: Request) -> None:
        self._follow_again()
        request.reply()

    def _hold_s(self, request: Request) -> float | None:
        """For how long; None: refused."""
        hold_s = request.arguments.get("hold_s", HOLD_S)
        if _within(hold_s, 0.1, MOST_HOLD_S):
            return float(hold_s)
        request.refuse("value", f"hold_s must be 0.1 to {MOST_HOLD_S:.0f} s.")
        return None

    def _pose(self, request: Request) -> None:
        hold_s = self._hold_s(request)
        if hold_s is None:
            return
        axes, name = request.arguments.get("axes"), request.arguments.get("name")
        if isinstance(name, str) and axes is None:
            axes = POSES.get(name)
            if axes is None:
                hint = did_you_mean(name, POSES)
                request.refuse("unknown", f"There is no pose {name!r:.60}.", hint)
                return
        if not isinstance(axes, Mapping) or not axes or len(axes) > len(AXES):
            request.refuse("value", "A pose is a name, or axes of the face with their values.")
        elif refusal := next(filter(None, (_wrong(*item) for item in axes.items())), None):
            request.refuse(*refusal)
        else:
            self._hold(request, dict(axes), hold_s)

    def _say_file(self, request: Request) -> None:
        fd = request.take_fd()
        if fd < 0:
            request.refuse("value", "No open file came along.", "lipsync-edge say-file sends it.")
        elif not self._speech.say(lambda: self._opened(request, fd)):
            os.close(fd)
            request.refuse("busy", "Too many files wait already.", "Try again later, or hush.")

    def _opened(self, request: Request, fd: int) -> Source | None:
        """In the thread of the speech: who waits for a slow disk shall not be the main one."""
        try:
            source = self._open_fd(fd)
        except LipsyncError as error:
            request.refuse("failed", error.message, error.remedy)
            return None
        request.reply(waiting=self._speech.waiting + 1)
        return source

    def _hush(self, request: Request) -> None:
        self._speech.hush()
        request.reply()

    def _reload(self, request: Request) -> None:
        request.reply(**self._reread())

    def _restart(self, request: Request) -> None:
        request.reply()
        self._actions.restart()

    def _stop(self, request: Request) -> None:
        request.reply()
        self._actions.stop("asked over the control socket")


def _wrong(axis: str, value: Any) -> tuple[str, str, str] | None:
    """Why an axis cannot have this value: code, message and remedy; None: it can."""
    if axis not in AXES:
        return "unknown", f"The face has no axis {axis!r:.60}.", did_you_mean(axis, AXES)
    low, high = axis_range(axis)
    if not _within(value, low, high):
        return "value", f"{axis} must be {low:g} to {high:g}.", ""
    return None


def _within(value: Any, low: float, high: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and low <= value <= high
