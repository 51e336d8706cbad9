"""What systemd/lipsync-edge.service says, as far as the drill does it in systemd's place."""

from __future__ import annotations

import math
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

UNIT = Path(__file__).parents[2] / "systemd" / "lipsync-edge.service"
MANAGER_TIMEOUT_S = (
    90.0  # DefaultTimeoutStartSec=, DefaultTimeoutStopSec= of systemd-system.conf(5)
)
SPAN = re.compile(r"([\d.]+)\s*([a-z]*)")
SECONDS = {
    "": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "min": 60.0,
    "m": 60.0,
    "h": 3600.0,
}
PREFIXES = "@-:+!|"  # of a command, systemd.service(5)


@dataclass(frozen=True)
class Unit:
    """The values that shape how the robot lives, in seconds; commands as words."""

    start: tuple[str, ...]
    stop_post: tuple[tuple[str, ...], ...]
    reload: tuple[str, ...]
    restart: str
    watchdog_s: float
    watchdog_signal: signal.Signals
    restart_s: float
    restart_steps: int
    restart_longest_s: float
    start_timeout_s: float
    stop_timeout_s: float
    abort_timeout_s: float
    no_restart_codes: frozenset[int]
    environment: Mapping[str, str]

    def pause_s(self, n_restarts: int) -> float:
        """Before the next start, after so many; systemd.service(5), RestartSteps=."""
        if not self.restart_steps or self.restart_longest_s <= self.restart_s:
            return self.restart_s
        share = min(n_restarts, self.restart_steps) / self.restart_steps
        return self.restart_s * math.pow(self.restart_longest_s / self.restart_s, share)


def read_unit(path: Path = UNIT) -> Unit:
    """FileNotFoundError where there is none; ValueError where it says what the drill cannot do."""
    values = _values(path.read_text(encoding="utf-8"))

    def last(key: str, default: str = "") -> str:
        return values.get(key, [default])[-1]

    def seconds(key: str, default: float) -> float:
        return span_s(last(key)) if last(key) else default

    if last("Type") != "notify":
        raise ValueError(f"{path}: Type={last('Type')}, and the drill knows notify only")
    stop_timeout_s = seconds("TimeoutStopSec", seconds("TimeoutSec", MANAGER_TIMEOUT_S))
    codes = last("RestartPreventExitStatus").split()
    return Unit(
        start=_words(last("ExecStart")),
        stop_post=tuple(_words(line) for line in values.get("ExecStopPost", []) if line),
        reload=_words(last("ExecReload")),
        restart=last("Restart", "no"),
        watchdog_s=seconds("WatchdogSec", math.inf),
        watchdog_signal=signal.Signals[last("WatchdogSignal", "SIGABRT")],
        restart_s=seconds("RestartSec", 0.1),
        restart_steps=int(last("RestartSteps", "0")),
        restart_longest_s=seconds("RestartMaxDelaySec", 0.0),
        start_timeout_s=seconds("TimeoutStartSec", seconds("TimeoutSec", MANAGER_TIMEOUT_S)),
        stop_timeout_s=stop_timeout_s,
        abort_timeout_s=seconds("TimeoutAbortSec", stop_timeout_s),
        no_restart_codes=frozenset(int(code) for code in codes if code.isdigit()),
        environment=_environment(values.get("Environment", [])),
    )


def span_s(text: str) -> float:
    """Seconds of a time span, systemd.time(7)."""
    if text == "infinity":
        return math.inf
    return sum(float(number) * SECONDS[word] for number, word in SPAN.findall(text))


def placed(command: tuple[str, ...], config: Path, launcher: str = "lipsync_edge") -> list[str]:
    """A command of the unit as it runs here: with this Python, and another config.

    Empty where it is no ``lipsync-edge``: what goes to the pins of a Pi straight away, without our
    drivers, cannot be done here.
    """
    program, *words = command
    if Path(program).name != "lipsync-edge":
        return []
    theirs = [str(config) if word.startswith("/etc/lipsync-edge/") else word for word in words]
    return [sys.executable, "-m", launcher, *theirs]


def _values(text: str) -> dict[str, list[str]]:
    """The assignments of all sections, in order; an empty one forgets those before it."""
    values: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith(("#", ";")):
            continue
        values[key] = [*values.get(key, []), value.strip()] if value.strip() else []
    return {key: found for key, found in values.items() if found}


def _words(line: str) -> tuple[str, ...]:
    return tuple(shlex.split(line.lstrip(PREFIXES)))


def _environment(lines: list[str]) -> dict[str, str]:
    pairs = (word.partition("=") for line in lines for word in shlex.split(line))
    return {name: value for name, _, value in pairs}
