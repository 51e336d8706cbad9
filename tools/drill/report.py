"""The table of docs/reliability.md, made from what the drill found."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipsync_tools.drill.cases import Case
from lipsync_tools.drill.stage import Finding

BEGIN, END = "<!-- made by `make drill` -->", "<!-- to here -->"
LONGEST_LOG = 110
PASSED, FAILED, NOT_THERE = "passed", "FAILED", "not there"


@dataclass(frozen=True)
class Result:
    """One case, tried. ``verdict``: one of the three above."""

    case: Case
    verdict: str
    finding: Finding
    seconds: float

    @property
    def line(self) -> str:
        """For a terminal."""
        told = "; ".join(self.finding.wrong) or self.finding.pulses
        return f"{self.verdict:9} {self.case.name:16} {self.seconds:5.1f} s  {told}"

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        told = {"name": self.case.name, "fault": self.case.fault, "expected": self.case.expected}
        return {**told, "verdict": self.verdict, "seconds": round(self.seconds, 1),
                **asdict(self.finding)}  # fmt: skip


def table(results: Sequence[Result]) -> str:
    """A table in Markdown, with a line that counts the verdicts."""
    head = ("fault", "expected", "pulses", "sound", "normal again", "first line of the log", "")
    rows = [_row(head), _row(["---"] * len(head)), *(_row(_cells(result)) for result in results)]
    counts = {v: sum(r.verdict == v for r in results) for v in (PASSED, FAILED, NOT_THERE)}
    said = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    where = f"On {os.cpu_count()} cores of {platform.machine()}, with {os.getloadavg()[2]:.1f} busy"
    return "\n".join([f"{where}. {len(results)} cases: {said}.", "", *rows])


def _cells(result: Result) -> list[str]:
    found = result.finding
    log = found.log if len(found.log) <= LONGEST_LOG else found.log[:LONGEST_LOG].rstrip() + " ..."
    verdict = result.verdict
    if verdict != PASSED:
        verdict += ": " + "; ".join(found.wrong)
    return [
        result.case.fault, result.case.expected, found.pulses, found.sound, found.normal,
        f"`{log}`" if log and log != "nothing" else log, verdict,
    ]  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def write(path: Path, results: Sequence[Result]) -> None:
    """Put the table between the two marks of a document. ValueError where they are missing."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table ({BEGIN} ... {END})")
    path.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")
