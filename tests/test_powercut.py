"""What a cut of the power leaves of state and config; `make drill` does the same 50 times."""

from __future__ import annotations

import os
from pathlib import Path

from lipsync_tools.drill import powercut


def test_state_and_config_survive_cuts_at_random_moments(tmp_path: Path) -> None:
    report = powercut.drill(tmp_path, rounds=5)
    assert report["wrong"] == []
    assert report["writes"] >= 10


def test_the_judge_sees_a_write_that_is_not_flushed(tmp_path: Path) -> None:
    def careless(n: int) -> None:
        part = tmp_path / "part"
        part.write_text(str(n))
        os.replace(part, tmp_path / "state.json")

    def half(n: int) -> None:
        (tmp_path / "state.json").write_text(str(n))

    assert powercut.flushed(half) == ["it does not replace the file in one step"]
    assert powercut.flushed(careless) == [
        "state.json is replaced by a file that is not on the disk yet",
        f"{tmp_path.name}: the new name is not on the disk",
    ]
