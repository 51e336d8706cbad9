"""Every error that a maker may see. Each carries one sentence, and where it helps, a remedy."""

from __future__ import annotations


class LipsyncError(Exception):
    """Something failed that the maker can act on; ``str()`` is the whole sentence (exit code 1)."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class UsageError(LipsyncError):
    """A wrong command line (exit code 2)."""

    exit_code = 2


class NeedsRestart(UsageError):
    """A config of which a running head cannot take over some keys."""


class ConfigError(LipsyncError):
    """A config or head profile with problems, all of them at once (exit code 2)."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AudioError(LipsyncError):
    """A sound device or a sound file that cannot be used."""


class DeviceLost(AudioError):
    """A sound device that was there and is gone; the program keeps trying."""


class ModelError(LipsyncError):
    """A model bundle whose contract does not hold."""


class BoardError(LipsyncError):
    """A servo board that does not answer or answers wrongly."""


class MeasurementError(LipsyncError):
    """A calibration that cannot know: too noisy, nothing heard, or results that contradict."""


class GpioError(LipsyncError):
    """A pin of the computer that cannot be used."""


class ControlError(LipsyncError):
    """A control socket that cannot be made, reached, or that refuses."""
