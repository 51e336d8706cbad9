"""Does to the robot what systemd does by a unit of Type=notify, see systemd.service(5).

Start, readiness, watchdog, stop (SIGTERM, then SIGKILL), ExecStopPost, restart with its
pauses. One thread per service; the tests in the booted machine show that systemd does the same.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lipsync_edge.clock import MonotonicClock
from lipsync_tools.drill.unit import Unit, placed

POLL_S = 0.02


@dataclass
class Life:
    """One run of the robot, from start to end; times are monotonic seconds, NaN: did not happen."""

    pid: int
    begun_s: float
    ready_s: float = math.nan
    ended_s: float = math.nan
    code: int | None = None  # as of subprocess: negative for a signal
    result: str = ""  # as of $SERVICE_RESULT
    post_s: float = math.nan  # when the last ExecStopPost had ended
    statuses: list[str] = field(default_factory=list)
    watchdog_s: float = math.nan  # as it asked for it
    stopping: bool = False  # by its own word: from then on no watchdog watches it


class Service:
    """The robot under a manager. Use as a context manager; :meth:`start` begins it."""

    def __init__(
        self, unit: Unit, config: Path, folder: Path, environment: dict[str, str], launcher: str
    ) -> None:
        """``folder``: for state, runtime files and sockets; ``launcher``: the module that starts
        the robot, ``lipsync_edge`` itself unless somebody has prepared mischief."""
        self.unit, self.launcher = unit, launcher
        self.lives: list[Life] = []
        self.lines: list[tuple[float, str]] = []
        """What it wrote, with the time of each line."""
        self.state, self.runtime = folder / "state", folder / "run"
        self._config = config
        self._environment = dict(environment)
        self._clock = MonotonicClock()
        self._asked = threading.Event()
        self._over = threading.Event()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.setblocking(False)
        self._process: subprocess.Popen[str] | None = None

    # ---- for the drill

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()
        self._notify.close()

    def start(self) -> None:
        """As `systemctl start`, without waiting."""
        self._asked.clear()
        self._over.clear()
        for folder in (self.state, self.runtime):
            folder.mkdir(exist_ok=True)
        self._begin()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """As `systemctl stop`; returns when it is done."""
        self._asked.set()
        self._over.wait(self.unit.stop_timeout_s + 30)

    def send(self, number: signal.Signals, life: int = -1) -> float:
        """Send a signal to the robot; returns the time just before."""
        at_s = self._clock.now()
        os.kill(self.lives[life].pid, number)
        return at_s

    @property
    def over(self) -> bool:
        """It ended, and will not be started again."""
        return self._over.is_set()

    # ---- the manager's thread

    def _run(self) -> None:
        try:
            while True:
                life = self._attend()
                self._stop_post(life)
                if self._asked.is_set() or not self._restarts(life):
                    return
                if self._asked.wait(self.unit.pause_s(len(self.lives) - 1)):
                    return
                self._begin()
        finally:
            self._over.set()

    def _begin(self) -> None:
        watchdog = {}
        if math.isfinite(self.unit.watchdog_s):
            watchdog = {"WATCHDOG_USEC": str(round(self.unit.watchdog_s * 1e6))}
        command = placed(self.unit.start, self._config, self.launcher)
        begun_s = self._clock.now()
        self._process = subprocess.Popen(
            command, env=self._surroundings() | watchdog, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self.lives.append(Life(self._process.pid, begun_s))
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _surroundings(self) -> dict[str, str]:
        own = {
            "NOTIFY_SOCKET": self._notify.getsockname(),
            "STATE_DIRECTORY": str(self.state),
            "RUNTIME_DIRECTORY": str(self.runtime),
        }
        return {**os.environ, **self.unit.environment, **self._environment, **own}

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout, suppress(ValueError):
            for line in process.stdout:
                self.lines.append((self._clock.now(), line.rstrip()))

    def _attend(self) -> Life:
        """Until the process has ended: hear it, watch over it."""
        life, process = self.lives[-1], self._process
        assert process is not None
        due_s, result = life.begun_s + self.unit.start_timeout_s, ""
        stopping = False
        handle = os.pidfd_open(process.pid)
        try:
            while not select.select([handle], [], [], 0)[0]:
                select.select([handle, self._notify.fileno()], [], [], POLL_S)
                if (fed_s := self._hear(life)) and not stopping:
                    asked_s = life.watchdog_s
                    due_s = fed_s + (self.unit.watchdog_s if math.isnan(asked_s) else asked_s)
                now_s = self._clock.now()
                if life.stopping and not stopping and not result:
                    stopping, due_s = True, now_s + self.unit.stop_timeout_s
                elif self._asked.is_set() and not stopping:
                    stopping, due_s = True, now_s + self.unit.stop_timeout_s
                    self._kill(signal.SIGTERM)
                elif now_s >= due_s and not result and not stopping:
                    result = "timeout" if math.isnan(life.ready_s) else "watchdog"
                    due_s = now_s + self.unit.abort_timeout_s
                    self._kill(signal.SIGTERM if result == "timeout" else self.unit.watchdog_signal)
                elif now_s >= due_s:
                    result = result or "timeout"
                    self._kill(signal.SIGKILL)
        finally:
            os.close(handle)
        life.ended_s = self._clock.now()
        life.code = process.wait()
        life.result = result or _result(life.code, stopping)
        self._hear(life)
        self._kill(signal.SIGTERM)  # what it left in its control group
        return life

    def _hear(self, life: Life) -> float:
        """Read what the robot says; the time of the last food for the watchdog, or 0."""
        fed_s = 0.0
        with suppress(BlockingIOError):
            while True:
                said = self._notify.recv(4096).decode(errors="replace")
                now_s = self._clock.now()
                for word in said.splitlines():
                    if word == "READY=1":
                        life.ready_s = now_s if math.isnan(life.ready_s) else life.ready_s
                        fed_s = now_s
                    elif word == "WATCHDOG=1" and not math.isnan(life.ready_s):
                        fed_s = now_s
                    elif word.startswith("WATCHDOG_USEC="):
                        life.watchdog_s = int(word.partition("=")[2]) / 1e6
                        fed_s = now_s
                    elif word == "STOPPING=1":
                        life.stopping = True
                    elif word.startswith("STATUS="):
                        life.statuses.append(word.removeprefix("STATUS="))
        return fed_s

    def _kill(self, number: signal.Signals) -> None:
        """systemd sends SIGCONT after all but SIGKILL, so that a stopped process may obey."""
        with suppress(ProcessLookupError):
            os.killpg(self.lives[-1].pid, number)
            if number != signal.SIGKILL:
                os.killpg(self.lives[-1].pid, signal.SIGCONT)

    def _stop_post(self, life: Life) -> None:
        result = {"SERVICE_RESULT": life.result}
        commands = (placed(command, self._config) for command in self.unit.stop_post)
        for command in filter(None, commands):
            try:
                done = subprocess.run(
                    command, env=self._surroundings() | result, text=True,
                    errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, check=False, timeout=self.unit.stop_timeout_s,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                self.lines.append((self._clock.now(), "(detach) took too long and was killed"))
            else:
                said = done.stdout.splitlines()
                self.lines += [(self._clock.now(), f"(detach) {line}") for line in said]
        life.post_s = self._clock.now()

    def _restarts(self, life: Life) -> bool:
        if life.code in self.unit.no_restart_codes:
            return False
        return self.unit.restart == "always" or (
            self.unit.restart == "on-failure" and life.result != "success"
        )


def _result(code: int, stopping: bool) -> str:
    """What systemd makes of an exit status; SIGHUP, SIGINT, SIGTERM and SIGPIPE are clean ends."""
    clean = (0, -signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM, -signal.SIGPIPE)
    if code in clean:
        return "success"
    return "exit-code" if code > 0 else "signal"
