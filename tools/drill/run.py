"""Tries cases one after another, and judges."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lipsync_edge.clock import MonotonicClock
from lipsync_tools.drill.cases import Case
from lipsync_tools.drill.report import FAILED, NOT_THERE, PASSED, Result
from lipsync_tools.drill.sound import Cards
from lipsync_tools.drill.stage import Finding, NotThere, Stage, World
from lipsync_tools.drill.unit import Unit, read_unit


@contextmanager
def world(unit: Unit | None = None) -> Iterator[World]:
    """The cards and the unit. AudioError, FileNotFoundError where they are not there."""
    with ExitStack() as exits:
        name = exits.enter_context(tempfile.TemporaryDirectory(prefix="drill-"))
        folder = Path(name)
        cards = exits.enter_context(Cards(folder / "sound"))
        yield World(cards, unit or read_unit(), folder)


def attempt(case: Case, where: World) -> Result:
    """Try one case on a stage of its own."""
    clock = MonotonicClock()
    begun_s = clock.now()
    try:
        with Stage(where, case.name) as stage:
            finding = case.run(stage)
        finding.log = finding.log.replace(str(stage.folder), "~")
        verdict = FAILED if finding.wrong else PASSED
    except NotThere as missing:
        finding, verdict = Finding(wrong=[str(missing)]), NOT_THERE
    except Exception as error:  # noqa: BLE001  (one broken case may not cost the whole table)
        finding, verdict = Finding(wrong=[f"{type(error).__name__}: {error}"]), FAILED
    return Result(case, verdict, finding, clock.now() - begun_s)


def attempt_all(
    cases: Sequence[Case], where: World, tell: Callable[[Result], None]
) -> list[Result]:
    """Try them all; ``tell`` gets each result. Ctrl-C ends it with what there is."""
    results: list[Result] = []
    try:
        for case in cases:
            results.append(attempt(case, where))
            tell(results[-1])
    except KeyboardInterrupt:
        pass
    return results
