"""Where the data is; tests that need it are skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with grid/ and speech/ (LIPSYNC_DATA)."""
    folder = Path(os.environ.get("LIPSYNC_DATA", "../shared/data"))
    if not (folder / "grid/tracks").is_dir():
        pytest.skip(f"no filmed speakers at {folder}: set LIPSYNC_DATA (docs/learning.md)")
    return folder


@pytest.fixture(autouse=True)
def _no_orchestra(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Playing twenty minutes of music takes a minute: only the tests of the rest hear it."""
    if "evaluate" not in request.module.__name__:
        monkeypatch.setattr("lipsync_tools.orchestra.is_there", lambda: False)
