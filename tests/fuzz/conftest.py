"""Tells at the end how many inputs were tried; too few in the full run is a failure.

What counts are configs and lines for the control socket; state files and floods are told of.
"""

from __future__ import annotations

import pytest
from inputs import BESIDE, COUNTS, SHARE, WANTED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS and SHARE >= 1:
        for name, count in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{count:8d} {name}")
        terminalreporter.write_line(f"{sum(COUNTS.values()):8d} inputs for config and control")
        for name, count in sorted(BESIDE.items()):
            terminalreporter.write_line(f"{count:8d} {name}, beside them")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if SHARE >= 1 and sum(COUNTS.values()) < WANTED and not session.config.option.keyword:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
