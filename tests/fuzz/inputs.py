"""How many inputs each fuzz test takes, and how many all took together."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings

SHARE = float(os.environ.get("FUZZ", "0.004"))
"""Of the full number, which `make fuzz` takes."""
WANTED = 100_000
COUNTS: Counter[str] = Counter()
"""Configs that were loaded, lines and pieces that were sent, each made anew: what is wanted."""
BESIDE: Counter[str] = Counter()
"""What was tried beside them: one request over and over, state files."""


def examples(full: int) -> settings:
    """``full`` examples in all of `make fuzz`; few, and always the same, in the light tests."""
    return settings(
        max_examples=max(12, round(full * SHARE)),
        deadline=None,
        database=None,
        derandomize=SHARE < 1,
        suppress_health_check=list(HealthCheck),
    )
