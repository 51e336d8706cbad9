"""What the page does while the head is down: that is when doctor and config are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stage import Stage

from lipsync_tools.webstage import until


@pytest.fixture
def alone(stage: Stage) -> Iterator[Stage]:
    """A page whose head is gone."""
    stage.head.end()
    until(lambda: stage.page.get("/api/v1/hello")["engine"] == "down", word="a page that knows")
    yield stage
    stage.head.__enter__()


@pytest.fixture
def window(alone: Stage, chromium: Any) -> Iterator[Any]:
    asker = alone.asker()
    name, _, value = asker.cookie.partition("=")
    context = chromium.new_context(viewport={"width": 1000, "height": 800})
    context.add_cookies([{"name": name, "value": value, "url": alone.page.address}])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    assert complaints == []
    context.close()


def test_the_doctor_finds_the_head_gone(window: Any, alone: Stage) -> None:
    window.goto(f"{alone.page.address}/#doctor")
    rows = window.locator(".check-row")
    rows.first.wait_for()
    assert "head" in rows.first.inner_text()
    assert "sudo systemctl start lipsync-edge" in rows.first.inner_text()
    assert rows.count() > 3


def test_a_config_is_checked_saved_and_undone(window: Any, alone: Stage) -> None:
    path: Path = alone.config
    before = path.read_text()
    window.goto(f"{alone.page.address}/#config")
    text = window.locator("textarea").first
    until(lambda: text.input_value() == before, word="the text")
    text.fill(before.replace("max_us:   1780", "max_su:   1780"))
    window.get_by_text("max_su").last.wait_for()
    line = before[: before.index("max_us")].count("\n") + 1
    window.locator(f'[data-line="{line}"][data-severity="error"]').wait_for()
    assert not window.get_by_role("button", name="Save", exact=True).is_enabled()
    text.fill(before.replace("1780", "1760"))
    until(lambda: window.get_by_role("button", name="Save", exact=True).is_enabled())
    window.get_by_role("button", name="Save", exact=True).click()
    window.get_by_text("The head takes it when it starts").wait_for()
    assert path.read_text() == before.replace("1780", "1760")
    window.get_by_role("button", name="Undo the last save").click()
    until(lambda: path.read_text() == before, word="the text before")
