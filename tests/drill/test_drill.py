"""Each fault of the drill as a test. Not in the light suite: `make drill` makes a table of them.

First, the drill itself: on a robot that is broken on purpose its cases must fail.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from lipsync_tools.drill import deaths
from lipsync_tools.drill.cases import Case, all_cases
from lipsync_tools.drill.report import BEGIN, END, FAILED, NOT_THERE, Result, table, write
from lipsync_tools.drill.run import attempt
from lipsync_tools.drill.stage import Finding, Stage, World

CASES = all_cases(None)


def test_it_sees_when_nobody_switches_off(where: World) -> None:
    def killed(stage: Stage) -> Finding:
        return deaths.killed(stage, signal.SIGKILL, {"unguarded": True})

    careless = replace(where, unit=replace(where.unit, stop_post=()))
    result = attempt(Case("careless", "", "", killed), careless)
    assert result.verdict == FAILED
    assert any(text.startswith("outputs on for") for text in result.finding.wrong)


def test_it_sees_pulses_outside_limits(where: World) -> None:
    def quiet(stage: Stage) -> Finding:
        finding = Finding()
        stage.prepare(mischief={"wild": True})
        stage.start()
        stage.finish(finding)
        return finding

    result = attempt(Case("wild", "", "", quiet), where)
    assert result.verdict == FAILED
    assert any("outside limits" in text for text in result.finding.wrong)


def test_what_is_not_there_is_not_called_passed(tmp_path: Path) -> None:
    case = Case("x", "a fault", "nothing", lambda _: Finding())
    results = [
        Result(case, NOT_THERE, Finding(wrong=["a tool"]), 0.0),
        Result(case, FAILED, Finding(pulses="on | off", wrong=["too late"]), 0.0),
    ]
    assert table(results).splitlines()[0].endswith("2 cases: 1 FAILED, 1 not there.")
    document = tmp_path / "doc.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(document, results)
    lines = document.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert lines[-3].endswith("| FAILED: too late |")
    assert "| on / off |" in lines[-3]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_fault(case: Case, where: World) -> None:
    result = attempt(case, where)
    if result.verdict == NOT_THERE:
        pytest.skip("; ".join(result.finding.wrong))
    assert result.finding.wrong == []
