"""What a page needs to know of a head beside its status: who its servos are, where they may go."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lipsync_edge import __version__
from lipsync_edge.config import UNNAMED, Config
from lipsync_edge.errors import ConfigError
from lipsync_edge.face import axis_range
from lipsync_edge.head import Servo
from lipsync_edge.loudness import Loudness
from lipsync_edge.options import ServoOptions, rules
from lipsync_edge.telemetry import Snapshot

FIELDS = ("min_us", "neutral_us", "max_us", "trim_us", "invert", "range", "slew_us_per_s", "lag_ms",
          "speed_us_per_s", "accel_us_per_s2", "on_idle", "preset", "channel", "board")  # fmt: skip
ROLES = (
    ("jaw", ("jawOpen",)), ("lip", ("mouthClose", "mouthClosure", "mouthUpperUp", "mouthLowerDown",
    "mouthRollUpper", "mouthRollLower", "mouthPress")), ("corner", ("mouthSmile", "mouthFrown",
    "mouthStretch", "mouthPucker", "mouthFunnel", "mouthDimple")), ("tongue", ("tongueOut",)),
    ("brow", ("brow",)), ("lid", ("eyeBlink", "eyeWide", "eyeSquint")), ("gaze", ("eyeLook",)),
    ("head", ("head",)),
)  # fmt: skip
"""What a servo moves, by the axis with most weight."""


def hard_us(config: Config) -> tuple[float, float]:
    """Which pulses a servo may ever get, us: what a config may set, with a pause after it."""
    rule = rules(ServoOptions)["max_us"]
    assert rule.low is not None
    assert rule.high is not None
    return float(rule.low), min(float(rule.high), 0.95e6 / config.board.pwm_hz)


def describe(
    config: Config, model: str, axes: Sequence[str], poses: Sequence[str]
) -> dict[str, Any]:
    """The head as plain data: widths in us, speeds in us/s, times in ms."""
    return {
        "version": __version__, "head": config.head.name, "model": model, "config": config.source,
        "tick_hz": config.motion.rate_hz, "lookahead_ms": config.audio.lookahead_ms,
        "axes": {axis: list(axis_range(axis)) for axis in axes}, "poses": list(poses),
        "servos": [_servo(servo, hard_us(config)) for servo in config.head.servos],
    }  # fmt: skip


def _servo(servo: Servo, hard: tuple[float, float]) -> dict[str, Any]:
    o = servo.options
    return {
        "name": servo.name, "channel": o.channel, "board": o.board, "type": o.preset,
        "role": _role(servo.mix), "min_us": o.min_us, "neutral_us": o.neutral_us,
        "max_us": o.max_us, "trim_us": o.trim_us, "range": o.range, "invert": o.invert,
        "slew_us_per_s": o.slew_us_per_s, "speed_us_per_s": o.speed_us_per_s, "lag_ms": o.lag_ms,
        "on_idle": o.on_idle, "hard_us": list(hard), "mix": dict(servo.mix),
        # Whatever profile the value came from, here it is overridden.
        "keys": {field: ["servos", servo.name, field] for field in FIELDS},
    }  # fmt: skip


def _role(mix: Mapping[str, float]) -> str:
    axis = max(mix, key=lambda name: abs(mix[name]), default="")
    return next((role for role, heads in ROLES if axis.startswith(heads)), "other")


def motion(shown: Snapshot, loudness: Loudness, rate_hz: int) -> dict[str, Any]:
    """What the mouth does, for a picture: seconds, axes, us (null: off), sound 0..1 (RMS)."""
    heard_s = shown.heard_s
    return {
        "at_s": None if math.isnan(shown.at_s) else round(shown.at_s, 4),
        "heard_s": round(heard_s, 3) if math.isfinite(heard_s) else None,
        "level": round(loudness.at(heard_s * rate_hz), 5),
        "pose": {axis: round(value, 4) for axis, value in shown.pose.items()},
        "widths_us": {
            name: None if math.isnan(us) else round(us, 1) for name, us in shown.widths_us.items()
        },
    }


_PLACE = re.compile(
    r"^(?:(?P<file>.*?):(?P<line>\d+)|[^:]*): (?:(?P<key>[\w.-]+): )?(?P<text>.*)$", re.S
)


def problems_of(error: ConfigError, source: str) -> list[dict[str, Any]]:
    """The sentences of the checker with their lines in ``source`` (from 1; null: the whole file, or
    another one, such as a head profile, which the message names) and keys."""
    return [_problem(sentence, "error", source) for sentence in error.problems]


def warnings_of(config: Config) -> list[dict[str, Any]]:
    """The same of what is allowed but hardly meant."""
    return [_problem(sentence, "warning", config.source) for sentence in config.warnings]


def _problem(sentence: str, severity: str, source: str) -> dict[str, Any]:
    found = _PLACE.match(sentence)
    if not found:
        return {"line": None, "key": "", "message": sentence, "remedy": "", "severity": severity}
    message, _, remedy = found["text"].partition("; ")
    line = int(found["line"]) if found["line"] else None
    if line and found["file"] not in (source, UNNAMED):
        message, line = f"{message} ({PurePath(found['file']).name}, line {line})", None
    return {
        "line": line, "key": found["key"] or "",
        "message": message, "remedy": remedy, "severity": severity,
    }  # fmt: skip
