"""Real processes and a real Chromium for the tests of the page."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from stage import Stage

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A head and its page, for the tests of one file."""
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A browser; it looks at nothing but these pages."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def routes() -> list[tuple[str, str, bool]]:
    """(method, path, whether it is public) of all that the OpenAPI file describes."""
    places = ("lipsync_edge/web/**/openapi.*", "docs/openapi.*")
    found = [path for place in places for path in ROOT.glob(place)]
    assert len(found) == 1, f"one OpenAPI file, not {found}"
    described = yaml.safe_load(found[0].read_text())  # JSON is YAML
    return [
        (method.upper(), path, operation.get("security") == [])
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]
