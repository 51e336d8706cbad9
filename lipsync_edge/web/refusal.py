"""What a request is answered when the answer is no: a status, a word, a sentence, a remedy."""

from __future__ import annotations

from typing import Any

from lipsync_edge.errors import ControlError, LipsyncError


class HttpRefused(LipsyncError):
    """A request that is refused with an HTTP status."""

    def __init__(
        self, status: int, code: str, message: str, remedy: str = "", wait_s: float = 0.0
    ) -> None:
        """``code``: a word for programs; ``wait_s``: when to try again, 0 where that is unknown."""
        super().__init__(message, remedy)
        self.status, self.code, self.wait_s = status, code, wait_s


class EngineDown(ControlError):
    """The head does not answer."""


class EngineRefused(ControlError):
    """The head answers no. ``code`` is the control socket's, see docs/control.md."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


_STATUS = {
    **dict.fromkeys(("syntax", "version", "too-long", "unknown", "value", "config"), 400),
    **dict.fromkeys(("off", "busy", "restart", "failed"), 409),
    "stopping": 503,
}


def refusal(error: LipsyncError) -> HttpRefused:
    """How an error of ours is told over HTTP. Pure."""
    if isinstance(error, HttpRefused):
        return error
    if isinstance(error, EngineDown):
        return HttpRefused(503, "engine-down", error.message, error.remedy)
    if isinstance(error, EngineRefused):
        return HttpRefused(_STATUS.get(error.code, 500), error.code, error.message, error.remedy)
    return HttpRefused(500, "failed", error.message, error.remedy)


def as_json(error: HttpRefused) -> dict[str, Any]:
    """The body of the answer. Pure."""
    return {"error": {"code": error.code, "message": error.message, "remedy": error.remedy}}
