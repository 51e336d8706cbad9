"""The ablation's table says what the reports say."""

from __future__ import annotations

from lipsync_tools.ablation import table


def test_table() -> None:
    model = {
        "whole": [0.71, 0.7, 0.3, 0.6], "speech": [0.72, 0.7, 0.44, 0.6],
        "closure_recall": 0.9, "closure_false": 0.1, "rounding_recall": 0.85,
        "with_channel": {"closure_recall": 0.97, "closure_false": 0.045},
    }  # fmt: skip
    report = {
        "film": {"systems": {"model": model}},
        "rest": {"total": {"robot": 0.014}},
        "languages": {"languages": {"en-us": {"closure_recall": 0.88}}, "worst_over_english": 0.8},
    }
    last = table({"film alone": report}).splitlines()[-1]
    assert last == ("| film alone | .71 | .72 | .44 | 97 / 4.5 % | 85 % | 1.4 % | 88 % | 0.80 |")
    del model["with_channel"]
    assert "| 90 / 10.0 % |" in table({"film alone": report})
