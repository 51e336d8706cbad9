"""The cards and the unit that all cases share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lipsync_tools.drill.run import world
from lipsync_tools.drill.stage import World
from lipsync_tools.soundserver import missing


@pytest.fixture(scope="session")
def where() -> Iterator[World]:
    if missing():
        pytest.skip(f"no sound server: {missing()}")
    with world() as found:
        yield found
