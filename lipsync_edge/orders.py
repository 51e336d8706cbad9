"""What the requests of the control socket do to a running head. For the main thread."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lipsync_edge.actions import Actions
from lipsync_edge.audio import Source
from lipsync_edge.clock import Clock
from lipsync_edge.control import Request
from lipsync_edge.errors import ConfigError, LipsyncError, NeedsRestart
from lipsync_edge.face import AXES, axis_range
from lipsync_edge.jog import HOLD_S as JOG_S
from lipsync_edge.jog import US_PER_S, Wish
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
OpenSource = Callable[[int], Source]
TRY_S = (5.0, 600.0)
LONGEST_TEXT = 49_152  # characters of a config that comes in a request


class Insides(Protocol):
    """What orders may know and do of the whole head. Those that raise raise LipsyncError."""

    def describe(self) -> Mapping[str, Any]:
        """What never changes while it runs, see :func:`about.describe`."""

    def hard_us(self) -> tuple[float, float]:
        """What no pulse leaves, us."""

    def check(self, text: str) -> Mapping[str, Any]:
        """What the checker says of a config's text, and what it would change."""

    def reload(self, text: str | None = None) -> Mapping[str, Any]:
        """Take the config's file over, or a text in its place, for a trial; tells what changed."""

    def revert(self) -> None:
        """End a trial."""

    def blink(self, digits: str) -> bool:
        """Let the LED tell digits; False: there is none."""

    def examine(self, request: Request) -> None:
        """Look everything over, in a thread that answers the request."""


class Orders:
    """``COMMANDS`` are the methods below. Each replies or refuses; none raises."""

    safe_mode = ""
    """Why the servos are off for good; empty where they are not."""
    COMMANDS = ("mute", "unmute", "rest", "wake", "pose", "neutral", "follow", "say-file", "hush",
                "reload", "restart", "stop", "describe", "check", "try-config", "jog", "buzz",
                "release", "detach", "blink", "doctor")  # fmt: skip

    def __init__(
        self, actions: Actions, speech: Speech, open_fd: OpenSource, insides: Insides, clock: Clock
    ) -> None:
        """``open_fd``: the source at the stream's rate behind an open file, which it then owns."""
        self._actions, self._speech, self._clock = actions, speech, clock
        self._open_fd, self._insides = open_fd, insides
        self._until_s = self._trial_until_s = math.inf

    def obey(self, request: Request) -> None:
        """Do what is asked and answer."""
        name = request.name.replace("-", "_")
        try:
            getattr(self, "_" + name)(request)
        except ConfigError as error:
            request.refuse("config", "\n".join(error.problems), "The old config is kept.")
        except NeedsRestart as error:
            request.refuse("restart", error.message, error.remedy)
        except LipsyncError as error:
            request.refuse("failed", error.message, error.remedy)

    @property
    def trial(self) -> bool:
        """Another config than that of the file is being tried."""
        return self._trial_until_s < math.inf

    def step(self) -> None:
        """End what is over: a pose, a trial, a set-up."""
        now_s = self._clock.now()
        if now_s >= self._until_s:
            self._follow_again()
        if now_s >= self._trial_until_s:
            self._trial_until_s = math.inf
            self._insides.revert()
        set_up = self._actions.set_up
        if set_up is not None and set_up.over(now_s):
            self._actions.end_set_up()

    def _follow_again(self) -> None:
        self._actions.show(None)
        self._until_s = math.inf

    def _is_off(self, request: Request) -> bool:
        """Whether servos may not move; then it is told."""
        if not (self.safe_mode or self._actions.resting):
            return False
        why = "is in safe mode" if self.safe_mode else "rests"
        remedy = self.safe_mode or "Wake it first: lipsync-edge wake."
        request.refuse("off", f"The servos are off, for the head {why}.", remedy)
        return True

    def _hold(self, request: Request, axes: Mapping[str, float], hold_s: float) -> None:
        if self._is_off(request):
            return
        if self._actions.set_up is not None:
            remedy = "End that first: follow."
            request.refuse("busy", "One servo is being set up, all others are off.", remedy)
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
        self._actions.end_set_up()
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
        self._actions.end_set_up()
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
        changed = self._insides.reload()
        self._trial_until_s = math.inf
        request.reply(**changed)

    def _describe(self, request: Request) -> None:
        request.reply(describe=self._insides.describe())

    def _check(self, request: Request) -> None:
        if (text := self._text(request)) is not None:
            request.reply(**self._insides.check(text))

    def _try_config(self, request: Request) -> None:
        text, hold_s = self._text(request), request.arguments.get("hold_s", 60.0)
        if text is None:
            return
        if not _within(hold_s, *TRY_S):
            request.refuse("value", f"hold_s must be {TRY_S[0]:g} to {TRY_S[1]:g} s.")
            return
        changed = self._insides.reload(text)
        self._trial_until_s = self._clock.now() + hold_s
        request.reply(**changed, hold_s=hold_s)

    def _text(self, request: Request) -> str | None:
        """The text of a config; None: refused."""
        text = request.arguments.get("text")
        if isinstance(text, str) and len(text) <= LONGEST_TEXT:
            return text
        request.refuse("value", f"text must be a config of at most {LONGEST_TEXT} characters.")
        return None

    def _jog(self, request: Request) -> None:
        asked = request.arguments
        to_us, hold_s = asked.get("to_us", math.nan), asked.get("hold_s", 0.4)
        us_per_s, (low_us, high_us) = asked.get("us_per_s", 100.0), self._insides.hard_us()
        if not _within(to_us, low_us, high_us):
            request.refuse("value", f"to_us must be {low_us:g} to {high_us:g} us.")
        elif not _within(us_per_s, *US_PER_S):
            request.refuse("value", f"us_per_s must be {US_PER_S[0]:g} to {US_PER_S[1]:g} us/s.")
        elif not _within(hold_s, *JOG_S):
            request.refuse("value", f"hold_s must be {JOG_S[0]:g} to {JOG_S[1]:g} s.")
        elif (servo := self._servo(request)) >= 0 and not self._is_off(request):
            now_s = self._clock.now()
            self._by_hand(request, Wish(servo, now_s, to_us, us_per_s, now_s + hold_s))

    def _buzz(self, request: Request) -> None:
        if (servo := self._servo(request)) >= 0 and not self._is_off(request):
            self._by_hand(request, Wish(servo, self._clock.now(), buzz=True))

    def _servo(self, request: Request) -> int:
        """The index of the servo that is named; -1: refused."""
        name, names = request.arguments.get("servo"), self._actions.servos
        if isinstance(name, str) and name in names:
            return names.index(name)
        hint = did_you_mean(str(name), names)
        request.refuse("unknown", f"The head has no servo {str(name)!r:.60}.", hint)
        return -1

    def _by_hand(self, request: Request, wish: Wish) -> None:
        set_up = self._actions.set_up
        if set_up is None:
            self._until_s = math.inf
            set_up = self._actions.begin_set_up(*self._insides.hard_us(), wish.at_s)
        set_up.wish = wish
        request.reply(us=round(set_up.where_us(wish.servo), 1))

    def _release(self, request: Request) -> None:
        if (set_up := self._actions.set_up) is not None:
            set_up.wish = Wish(-1, self._clock.now())
        request.reply()

    def _detach(self, request: Request) -> None:
        self._until_s = math.inf
        self._actions.show(None)
        self._actions.detach()
        request.reply(resting=True)

    def _blink(self, request: Request) -> None:
        digits = request.arguments.get("digits")
        if isinstance(digits, str) and digits.isascii() and digits.isdigit() and len(digits) <= 8:
            request.reply(led=self._insides.blink(digits))
        else:
            request.refuse("value", "digits must be one to eight digits.")

    def _doctor(self, request: Request) -> None:
        self._insides.examine(request)

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
