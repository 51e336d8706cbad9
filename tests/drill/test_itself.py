"""The drill itself: on a robot that is broken on purpose its cases must fail (make test-audio)."""

from __future__ import annotations

import signal
from dataclasses import replace

from lipsync_tools.drill import deaths
from lipsync_tools.drill.cases import Case
from lipsync_tools.drill.report import FAILED
from lipsync_tools.drill.run import attempt
from lipsync_tools.drill.stage import Finding, Stage, World


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
