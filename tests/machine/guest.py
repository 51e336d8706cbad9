"""The guest: a Debian with systemd in a process of its own, and a folder to talk to it.

Its disk is an overlay over the one that was built, so nobody writes to that. Killing the process is
pulling the plug. There is no network and nobody logs in: what the tests ask for is done by
``guest/agent.py``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine.build import Machine

MEMORY = "768M"
CARDS = (
    # These drivers are part of the kernel, so our modprobe.d cannot speak to them; the same words
    # do it here. Beside the card `robot` there is one that stands for the speaker.
    "snd_dummy.index=0 snd_dummy.id=speaker snd_aloop.index=7 snd_aloop.id=robot "
    "snd_aloop.pcm_substreams=1"
)
POLL_S = 0.02
PRIORITY = -15


@dataclass(frozen=True)
class Answer:
    """What a command in the guest said; seconds of the guest's monotonic clock."""

    code: int
    out: str
    err: str
    began_s: float
    ended_s: float


class Guest:
    """One computer with one disk; boots as often as one likes. Use as a context manager."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        """``folder``: for the overlay, the console's text and what is exchanged."""
        self.machine, self.folder = machine, folder
        self.shared = folder / "shared"
        self.boots = 0
        self._asked = 0
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("in", "taken", "out"):
            (self.shared / name).mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Guest:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    @property
    def console(self) -> str:
        """What the kernel and systemd wrote in this boot."""
        return self._console.read_text(errors="replace")

    def boot(self, timeout_s: float = 120.0) -> None:
        """Power on; returns when the agent answers, which need not mean that all has started."""
        self.boots += 1
        (self.shared / "alive").unlink(missing_ok=True)
        self._console = self.folder / f"console-{self.boots}.txt"
        words = [
            str(self.machine.kernel.binary), f"mem={MEMORY}", "seccomp=on",
            f"ubd0={self.folder / 'overlay'},{self.machine.disk}", "root=/dev/ubda", "rw",
            f"hostfs={self.shared}", "con=null", "con0=null,fd:1", "console=tty0",
            "systemd.show_status=0", "quiet", *CARDS.split(),
        ]  # fmt: skip
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=True, env={**os.environ, "TMPDIR": str(self.folder)},
            )  # fmt: skip
        # Its processes wake one another at each system call: on two processors that takes three
        # times as long as on one.
        os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        # It needs little of the processor, but at once: it is a computer with clocks of its own.
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, PRIORITY)
        self._wait_for(self.shared / "alive", timeout_s)

    def cut_power(self) -> None:
        """Pull the plug: no process of the guest does anything any more."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ask(self, request: dict[str, Any]) -> str:
        """Begin something; the name by which :meth:`hear` finds its answer."""
        self._asked += 1
        name = f"{self._asked:05d}"
        part = self.shared / "in" / f".{name}"
        part.write_text(json.dumps(request))
        part.rename(self.shared / "in" / name)
        return name

    def hear(self, name: str, timeout_s: float = 90.0) -> Answer:
        """Its answer. TimeoutError."""
        path = self.shared / "out" / name
        self._wait_for(path, timeout_s)
        return Answer(**json.loads(path.read_text()))

    def run(self, *words: str, user: str = "", timeout_s: float = 60.0) -> Answer:
        """A command, to its end, as root or as somebody else."""
        request = {"run": words, "user": user, "timeout_s": timeout_s}
        return self.hear(self.ask(request), timeout_s + 60)

    def kill(self, unit: str, number: signal.Signals) -> float:
        """A signal for the unit's main process; the moment before, by the guest's clock."""
        answer = self.hear(self.ask({"kill": unit, "signal": int(number)}))
        return answer.began_s

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What `systemctl show` knows of a unit."""
        shown = self.run("systemctl", "show", unit, "-p", ",".join(names)).out
        return dict(line.partition("=")[::2] for line in shown.splitlines())

    def until(self, unit: str, name: str, value: str, timeout_s: float = 60.0) -> None:
        """Wait until a property has a value. TimeoutError with the journal's end."""
        end_s = time.monotonic() + timeout_s
        while self.properties(unit, name)[name] != value:
            if time.monotonic() > end_s:
                journal = self.run("journalctl", "-b", "-u", unit, "-n", "30", "-o", "cat").out
                raise TimeoutError(f"{unit}: {name} is not {value} after {timeout_s} s\n{journal}")

    def _wait_for(self, path: Path, timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while not path.exists():
            if self._process is None or self._process.poll() is not None:
                raise TimeoutError(f"the guest has ended:\n{self.console[-2000:]}")
            if time.monotonic() > end_s:
                raise TimeoutError(f"no {path.name} in {timeout_s} s:\n{self.console[-2000:]}")
            time.sleep(POLL_S)
