"""What the kernel tells about this process: its memory and its age."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn


def peak_rss_mb() -> float:
    """Largest resident set of this process so far, in MB (10^6 bytes); NaN where there is no /proc.

    VmHWM of /proc/PID/status, proc(5): unlike getrusage's it forgets who called exec.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e6


def age_s() -> float:
    """Seconds since this process was started; NaN where there is no /proc.

    Field 22 of /proc/PID/stat, proc(5): start time after boot, in clock ticks.
    """
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return float("nan")
    return uptime_s - int(fields[22 - 3]) / os.sysconf("SC_CLK_TCK")


def hide_library_chatter() -> None:
    """From here on, what C libraries write to standard error is lost; what we write is not.

    ALSA and PortAudio print every underrun and every device that is not there. We count the former
    and name the latter ourselves. Does nothing where standard error was already replaced.
    """
    if sys.stderr is not sys.__stderr__:
        return
    try:
        own = os.fdopen(os.dup(2), "w", buffering=1)
        silent = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # a service without standard error
        return
    os.dup2(silent, 2)
    os.close(silent)
    sys.stderr = own


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Whoever ends the program politely gets the outputs off, as with Ctrl-C. Main thread only."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def restart_self() -> NoReturn:
    """Begin anew with the same arguments, in this process: for systemd nothing has ended."""
    with suppress(OSError, ValueError, AttributeError):  # where there is no standard error
        sys.stdout.flush()
        os.dup2(sys.stderr.fileno(), 2)  # see hide_library_chatter
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def power_off() -> str:
    """Ask systemd to shut the computer down; why it refused, in words, or empty."""
    try:
        done = subprocess.run(
            ["systemctl", "poweroff"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the computer cannot be shut down ({error})"
    reason = done.stderr.strip().splitlines()[:1]
    return f"the computer cannot be shut down ({''.join(reason)})" if done.returncode else ""
