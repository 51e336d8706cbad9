"""The traffic tool counts what the data sheet's transactions add up to."""

from __future__ import annotations

import json

import pytest

from lipsync_tools import i2c_traffic


def test_counts_of_both_drivers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(i2c_traffic, "N_TIMED", 3)
    assert i2c_traffic.main(["--json"]) == 0
    costs = json.loads(capsys.readouterr().out)
    counted = {
        (cost["head"][:2], cost["driver"]): (cost["transactions"], cost["n_bytes"], cost["bits"])
        for cost in costs
    }
    # Plain: per servo address, register, 4 bytes = 2 + 9 x 6 bits. Ours: 2 + 9 x (2 + 4 n) a board.
    assert counted == {
        ("16", "plain ServoKit"): (16, 96, 896),
        ("16", "lipsync-edge"): (1, 66, 596),
        ("26", "plain ServoKit"): (26, 156, 1456),
        ("26", "lipsync-edge"): (2, 108, 976),
    }
    assert costs[1]["bus_ms"]["400"] == pytest.approx(1.49)


def test_the_table_has_a_line_per_head_and_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(i2c_traffic, "N_TIMED", 3)
    i2c_traffic.main([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "1.49 ms" in lines[2]
