"""What must hold before a model becomes a bundle: each check has a number and its bound."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.model.card import Card, State
from lipsync_edge.model.tflite import TfliteModel
from lipsync_tools.int8 import Tensors

Poses = NDArray[np.float32]

MAX_STREAM_ERROR = 1e-5
MIN_R = 0.99
MAX_MEAN_ERROR = 0.015
MAX_DECISIONS = 0.01
MANY_FRAMES = 10_000
MAX_BYTES = 400_000
MAX_MACS = 2_000_000
FLAT = 0.01
"""An axis whose values have less deviation than this has no shape to correlate."""
CLOSED = {"mouthClosure": 0.5, "jawOpen": 0.1}
"""Where a closure is decided: the channel above 0.5, the opening below a tenth."""


@dataclass(frozen=True)
class Check:
    """A number, its bound, and whether it holds; ``least``: the bound is a lower one."""

    name: str
    value: float
    bound: float
    least: bool = False

    @property
    def ok(self) -> bool:
        """NaN never holds."""
        return self.value >= self.bound if self.least else self.value <= self.bound

    def told(self) -> str:
        """A line for people."""
        sign, mark = (">=" if self.least else "<="), ("ok" if self.ok else "FAILED")
        return f"{self.name:34} {self.value:12.6g}  {sign} {self.bound:<10g} {mark}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON and the card."""
        return asdict(self) | {"value": float(f"{self.value:.6g}"), "ok": self.ok}


def pearson(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Correlation of two signals (n,); NaN where one does not move."""
    x, y = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
    power = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / power if power > 0 else float("nan")


def axis_figures(
    exact: Poses, small: Poses, axes: tuple[str, ...]
) -> dict[str, dict[str, float | None]]:
    """Per axis, r and errors of poses (n, n_axes) against exact ones; r of a flat axis is None."""
    out: dict[str, dict[str, float | None]] = {}
    for k, axis in enumerate(axes):
        a, b = exact[:, k].astype(np.float64), small[:, k].astype(np.float64)
        error = np.abs(a - b)
        out[axis] = {
            "r": round(pearson(a, b), 5) if a.std() >= FLAT else None,
            "mean_error": round(float(error.mean()), 5),
            "p99_error": round(float(np.percentile(error, 99)), 5),
            "max_error": round(float(error.max()), 5),
        }
    return out


def decisions_off(exact: Poses, small: Poses, axes: tuple[str, ...]) -> dict[str, float]:
    """Share of frames in which the closure is decided otherwise, for each of CLOSED."""
    return {
        axis: float(np.mean((exact[:, k] > at) != (small[:, k] > at)))
        for axis, at in CLOSED.items()
        if axis in axes
        for k in [axes.index(axis)]
    }


def most_decisions(n_frames: int) -> float:
    """``MAX_DECISIONS``, and for few frames what chance adds to it (two standard errors)."""
    chance = 2 * (MAX_DECISIONS * (1 - MAX_DECISIONS) / max(n_frames, 1)) ** 0.5
    return MAX_DECISIONS + (chance if n_frames < MANY_FRAMES else 0.0)


def agreement(exact: Poses, small: Poses, axes: tuple[str, ...]) -> list[Check]:
    """int8 against float, over (n, n_axes)."""
    checks = []
    for axis, found in axis_figures(exact, small, axes).items():
        if found["r"] is not None:
            checks.append(Check(f"int8: r of {axis}", found["r"], MIN_R, least=True))
        checks.append(Check(f"int8: mean error {axis}", found["mean_error"] or 0, MAX_MEAN_ERROR))
    for axis, share in decisions_off(exact, small, axes).items():
        checks.append(Check(f"int8: closures differ ({axis})", share, most_decisions(len(exact))))
    return checks


def untied(tensors: Tensors, states: tuple[State, ...]) -> int:
    """How many states have another scale than what they remember."""
    of = tensors.outputs | tensors.inputs
    return sum(of[s.input]["quantization"] != of[s.of]["quantization"] for s in states)


def file_checks(file: Path, tensors: Tensors, states: tuple[State, ...]) -> list[Check]:
    """Size, multiplications, operations and scales of the int8 file."""
    io = (tensors.inputs | tensors.outputs).values()
    which = f" ({', '.join(sorted(set(tensors.in_float)))})" if tensors.in_float else ""
    return [
        Check("states of another scale", untied(tensors, states), 0),
        Check(f"operations in float{which}", len(tensors.in_float), 0),
        Check("inputs and outputs not int8", sum(d["dtype"] != np.int8 for d in io), 0),
        Check("bytes", file.stat().st_size, MAX_BYTES),
        Check("multiplications per hop", tensors.macs, MAX_MACS),
    ]


def step_us(card: Card, n: int = 300) -> float:
    """Median time of a step on this machine, as the robot runs it, in us."""
    model, times = TfliteModel(card), []
    for k in range(n):
        row = card.golden.features[k % len(card.golden.features)]
        begun = time.perf_counter()
        model.step(row)
        times.append(time.perf_counter() - begun)
    return round(1e6 * float(np.median(times)), 1)
