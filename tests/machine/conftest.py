"""A machine for these tests, and the reasons for which there may be none."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machine.build import CACHE, Machine, machine
from tests.machine.guest import Guest
from tests.machine.speaking import UNIT

Figures = dict[str, dict[str, Any]]
FIGURES: Figures = {}
NEEDED = ("mmdebstrap", "mke2fs", "zstd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them carry the marker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("machine")


def obstacle() -> str:
    """Why no guest can run here; empty where one can."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return "User-Mode Linux runs on x86-64 Linux only"
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} missing: sh tools/system-packages.sh machine"
    return ""


def refusal(found: Machine) -> str:
    """Why the kernel does not run here as a process; empty where it gets as far as its disk."""
    words = ["mem=64M", "seccomp=on", "con=null", "con0=null,fd:1", "console=tty0", "panic=1"]
    try:
        said = subprocess.run(
            [found.kernel.binary, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=60,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"User-Mode Linux does not run here: {error}"
    if "Unable to mount root" in said:
        return ""
    return f"User-Mode Linux does not run here: {said.strip()[-300:]}"


@pytest.fixture(scope="session")
def built() -> Machine:
    """Kernel and disk; a skip where they cannot be used."""
    if why := obstacle():
        pytest.skip(why)
    found = machine()
    if why := refusal(found):
        pytest.skip(why)
    return found


@pytest.fixture
def guest(built: Machine, tmp_path: Path) -> Iterator[Guest]:
    """A computer that was just switched on, and on which the head is ready."""
    with Guest(built, tmp_path) as guest:
        guest.until(UNIT, "ActiveState", "active")
        yield guest


@pytest.fixture(scope="session")
def figures() -> Figures:
    """What was measured, by case; told at the end and kept as ``figures.json`` in the cache."""
    return FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures, as JSON."""
    if FIGURES:
        text = json.dumps(FIGURES, indent=2)
        (CACHE / "figures.json").write_text(text + "\n")
        terminalreporter.section("figures")
        terminalreporter.write_line(text)
