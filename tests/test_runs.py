"""Crashes in a row, and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipsync_edge.errors import BoardError, ConfigError, LipsyncError, ModelError
from lipsync_edge.runs import Runs, boot_id
from lipsync_edge.store import Store


def begun(folder: Path | str, boot: str = "today", limit: int = 3) -> Runs:
    runs = Runs(Store(folder), limit, boot)
    runs.begin()
    return runs


def test_three_deaths_in_a_row_and_the_servos_stay_off(tmp_path: Path) -> None:
    for _ in range(3):
        assert not begun(tmp_path).safe_mode
    fourth = begun(tmp_path)
    assert "last 3 runs crashed" in fourth.safe_mode
    assert "reload" in fourth.safe_mode
    fourth.alive(10_000)
    assert begun(tmp_path).safe_mode, "a long run without servos proves nothing"


def test_failures_that_were_noticed_count_and_are_named(tmp_path: Path) -> None:
    for _ in range(3):
        begun(tmp_path).end("mover failed: ValueError: 7", failed=True)
    assert "mover failed: ValueError: 7" in begun(tmp_path).safe_mode


def test_an_end_in_order_forgets_all(tmp_path: Path) -> None:
    for _ in range(4):
        safe = begun(tmp_path)
    assert safe.safe_mode
    safe.end("SIGTERM", failed=False)
    for _ in range(3):
        assert not begun(tmp_path).safe_mode


def test_ten_minutes_of_life_forget_all(tmp_path: Path) -> None:
    for _ in range(5):
        store = Store(tmp_path)
        runs = Runs(store, 3, "today")
        runs.begin()
        assert not runs.safe_mode
        runs.alive(599)
        runs.alive(600)
        store.step(0)
    assert json.loads((tmp_path / "runs.json").read_text())["state"]["crashes"] <= 1


def test_a_pulled_plug_is_no_crash(tmp_path: Path) -> None:
    for day in range(10):
        assert not begun(tmp_path, boot=f"boot {day}").safe_mode
    for _ in range(2):
        begun(tmp_path, boot="boot 9")
    assert begun(tmp_path, boot="boot 9").safe_mode
    assert not begun(tmp_path, boot="boot 10").safe_mode, "off and on again is a new try"


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BoardError("No board."), False),
        (ConfigError(["my.yaml:3: no"]), False),
        (ModelError("The bundle is damaged."), True),
        (LipsyncError("Something."), True),
    ],
)
def test_a_missing_device_is_no_crash(tmp_path: Path, error: LipsyncError, counts: bool) -> None:
    for _ in range(3):
        begun(tmp_path).refuse(error)
    assert bool(begun(tmp_path).safe_mode) == counts


def test_never_means_never_and_no_folder_means_no_memory(tmp_path: Path) -> None:
    for _ in range(10):
        assert not begun(tmp_path, limit=0).safe_mode
        assert not begun("").safe_mode


def test_strange_memories_are_no_crash(tmp_path: Path) -> None:
    for crashes in (-1, "many", None, [], 1e99):
        Store(tmp_path).save("runs", {"boot": "today", "crashes": crashes})
        assert not begun(tmp_path).safe_mode


def test_the_kernel_names_this_boot() -> None:
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
