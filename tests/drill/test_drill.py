"""Each fault of the drill as a test. Not in the light suite: `make drill` makes a table of them."""

from __future__ import annotations

import pytest

from lipsync_tools.drill.cases import Case, all_cases
from lipsync_tools.drill.report import NOT_THERE
from lipsync_tools.drill.run import attempt
from lipsync_tools.drill.stage import World

CASES = all_cases(None)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_fault(case: Case, where: World) -> None:
    result = attempt(case, where)
    if result.verdict == NOT_THERE:
        pytest.skip("; ".join(result.finding.wrong))
    assert result.finding.wrong == []
