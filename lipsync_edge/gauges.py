"""Figures for whoever looks at a running head, made anew once a second."""

from __future__ import annotations

import math
import resource
from collections.abc import Mapping
from typing import Any

from lipsync_edge.budget import Budget
from lipsync_edge.telemetry import Telemetry

EVERY_S = 1.0
N_TICKS = 3000
"""Lateness is told of so many ticks: the last minute at 50 Hz."""


class Gauges:
    """For the main thread."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._told: Mapping[str, Any] = {}
        self._next_s = -math.inf
        self._cpu_s, self._at_s = _cpu_s(), math.nan

    def read(self, now_s: float, budget: Budget) -> Mapping[str, Any]:
        """``late_ms``: how late ticks were (p50, p99, max); ``cpu_percent`` of one core;
        ``budget``: the parts of the delay, ms by name; ``needed_ms``: their sum; ``trail_ms``: how
        late the mouth is by plan."""
        if now_s < self._next_s:
            return self._told
        cpu_s = _cpu_s()
        share = (cpu_s - self._cpu_s) / (now_s - self._at_s) if now_s > self._at_s else math.nan
        self._cpu_s, self._at_s, self._next_s = cpu_s, now_s, now_s + EVERY_S
        late = self._telemetry.late_s.percentiles(N_TICKS)
        self._told = {
            "late_ms": {name: round(1e3 * late_s, 3) for name, late_s in late.items()},
            "cpu_percent": round(100 * share, 1) if math.isfinite(share) else None,
            "budget": {item.name: round(item.ms, 2) for item in budget.items},
            "needed_ms": round(budget.needed_ms, 2), "trail_ms": round(budget.trail_ms, 2),
        }  # fmt: skip
        return self._told


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
