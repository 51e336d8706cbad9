"""What the program knows of its own health: counters and distributions, for whoever shows them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Series:
    """The last ``capacity`` values of a measurement; adding one allocates nothing."""

    def __init__(self, capacity: int = 65536) -> None:
        self._values = np.full(capacity, np.nan, np.float32)  # touched now, so memory never grows
        self.count = 0

    def add(self, value: float) -> None:
        """Append one value; the oldest goes when the series is full."""
        self._values[self.count % len(self._values)] = value
        self.count += 1

    def values(self) -> NDArray[np.float32]:
        """The kept values (n,), in no particular order."""
        return self._values[: min(self.count, len(self._values))]

    def newest(self, n: int) -> NDArray[np.float32]:
        """The last ``n`` values at most, in no particular order."""
        n = min(n, self.count, len(self._values))
        return self._values[np.arange(self.count - n, self.count) % len(self._values)]

    def percentiles(self, n: int = 0) -> dict[str, float]:
        """``p50``, ``p99`` and ``max``, of the last ``n`` values where that is not 0; NaN while
        there is no value."""
        kept = self.newest(n) if n else self.values()
        if not len(kept):
            return dict.fromkeys(("p50", "p99", "max"), float("nan"))
        p50, p99 = np.percentile(kept, (50, 99))
        return {"p50": float(p50), "p99": float(p99), "max": float(kept.max())}


@dataclass
class Telemetry:
    """Counts and series of one run. Each field has one writing thread (named in brackets)."""

    hops: int = 0  # [analyzer] feature vectors that went through the model
    refused_poses: int = 0  # [analyzer] poses with NaN, not used
    gaps: int = 0  # [analyzer] times that the analyzer was overtaken and began anew
    hop_s: Series = field(default_factory=Series)  # [analyzer] time for features and model
    ticks: int = 0  # [mover]
    starved: int = 0  # [mover] ticks without a pose while sound was flowing
    late: int = 0  # [mover] ticks that woke later than half a period
    resyncs: int = 0  # [mover] ticks that were given up after a stall
    bus_failures: int = 0  # [mover] updates that did not reach the board
    late_s: Series = field(default_factory=Series)  # [mover] wake-up minus deadline
    offset_s: Series = field(default_factory=Series)  # [mover] mouth minus sound, + = mouth late
    heard_s: float = 0.0  # [mover] how much has been heard
    ready_s: float = float("nan")  # [main] from the start of the process to sound and motion
    callback_errors: int = 0  # [main] streams that ended since their callback failed
    lost_devices: int = 0  # [main] times that the sound device went away
    lost_inputs: int = 0  # [main] times that the card that only records went away
    input_rate_hz: int = 0  # [main] of that card; 0: there is none
    input_xruns: int = 0  # [input] times that it lost samples
    input_jumps: int = 0  # [input] times that its delay had to be mended at once
    input_ppm: float = float("nan")  # [input] by how much its sound is stretched
    input_delay_s: Series = field(default_factory=lambda: Series(16384))  # [input] one a second


@dataclass(frozen=True)
class Snapshot:
    """What the mouth does now; immutable, so that any thread may keep it."""

    heard_s: float
    pose: dict[str, float]
    widths_us: dict[str, float]
    starved: bool
    at_s: float = float("nan")
    """When the pulses were commanded, by the clock of the program (time.monotonic)."""


@dataclass(frozen=True)
class Scene:
    """What a view gets to draw: the mouth's state and one line of health."""

    snapshot: Snapshot
    health: str
