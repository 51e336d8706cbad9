"""A private sound server for the tests in this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lipsync_tools.soundserver import SoundServer, missing


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    """A fresh server for the session; skips the tests where none can be started."""
    if missing():
        pytest.skip(f"no sound server: {missing()}")
    with SoundServer(tmp_path_factory.mktemp("sound")) as server:
        before = dict(os.environ)
        os.environ.update(server.environment)
        yield server
        os.environ.clear()
        os.environ.update(before)
