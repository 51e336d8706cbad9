"""How near the look-ahead planner comes to the best that a servo could do.

200 random half-second problems of speech: openings of random size and length, closures of 40 to
90 ms between them, closures weighted as on the robot. For each, the *optimum* knows the whole half
second and is found by sequential quadratic programming (scipy's SLSQP) on the cost and the limits
that ``lipsync_edge.planner`` states; the *planner* sees 160 ms ahead and decides tick by tick. The
figure is the planner's cost over the optimum's. Beside it: what plain commands cost, limited to the
servo's speed and acceleration, which is what a servo makes of them.

    python -m lipsync_tools.plan_optimum [--json] [--problems 200]
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from lipsync_edge.emphasis import CLOSURE_WEIGHT
from lipsync_edge.planner import SMOOTHNESS, Planner
from lipsync_edge.servos.dynamics import PRESETS

Array = NDArray[np.float64]
TICK_S = 0.02
TRAVEL_US = 400.0
N_TICKS = 25
AHEAD = 8


def problem(rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and weights, (N_TICKS + AHEAD,), 0..1 of a jaw's travel."""
    n = 2 * (N_TICKS + AHEAD) + 1
    path, weights = np.zeros(n), np.ones(n)
    at = int(rng.integers(0, 6))
    while at < n:
        length = int(rng.integers(8, 22))
        opening = rng.uniform(0.2, 0.9) * np.sin(np.pi * np.arange(length) / length) ** 1.2
        end = min(n, at + length)
        path[at:end] = np.maximum(path[at:end], opening[: end - at])
        at += length
        if rng.random() < 0.6:
            closed = int(rng.integers(4, 10))
            weights[at : at + closed] = CLOSURE_WEIGHT
            at += closed
    share = np.array([0.25, 0.5, 0.25])
    ticks = np.arange(1, n - 1, 2)[:, None] + np.array([-1, 0, 1])
    total = weights[ticks] @ share
    return (path * weights)[ticks] @ share / total, total


def changes(path: Array, start: float) -> Array:
    """Second differences of a path (n,) that follows rest at ``start``."""
    return np.diff(np.concatenate([[start, start], path]), 2)


def cost(path: Array, targets: Array, weights: Array, start: float) -> float:
    """The planner's cost of a path (n,)."""
    error = float((weights * (path - targets) ** 2).sum())
    return 0.5 * error + 0.5 * SMOOTHNESS * float((changes(path, start) ** 2).sum())


def optimum(targets: Array, weights: Array, start: float, slew: float, accel: float) -> Array:
    """The best path (n,) for one who knows all targets."""
    n = len(targets)
    first = np.eye(n) - np.eye(n, k=-1)
    second = first @ first
    offset = changes(np.zeros(n), start)
    steps = np.vstack([first, -first, second, -second])
    begin = np.zeros(n)
    begin[0] = start
    room = np.concatenate([slew + begin, slew - begin, accel - offset, accel + offset])
    curve = np.diag(weights) + SMOOTHNESS * second.T @ second
    linear = SMOOTHNESS * second.T @ offset - weights * targets
    found = minimize(
        lambda c: 0.5 * c @ curve @ c + linear @ c,
        np.full(n, start),
        jac=lambda c: curve @ c + linear,
        bounds=[(0.0, 1.0)] * n,
        constraints={"type": "ineq", "fun": lambda c: room - steps @ c, "jac": lambda _: -steps},
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-9},
    )
    return np.asarray(found.x)


def planned(targets: Array, weights: Array, slew: float, accel: float) -> Array:
    """What the planner commands, (n_problems, N_TICKS), all problems at once."""
    planner = Planner(targets[:, 0], slew, accel, AHEAD)
    rows = [
        planner.step(targets[:, k : k + AHEAD], weights[:, k : k + AHEAD])
        for k in range(1, N_TICKS + 1)
    ]
    return np.array(rows).T


def chased(targets: Array, slew: float, accel: float) -> Array:
    """Plain commands, as far as speed and acceleration allow, (n_problems, N_TICKS)."""
    planner = Planner(targets[:, 0], slew, accel, 2, rounds=0)
    rows = []
    for k in range(1, N_TICKS + 1):
        planner.move(targets[:, k] - planner.at)
        rows.append(planner.at.copy())
    return np.array(rows).T


def compare(preset: str, n_problems: int, seed: int = 0) -> dict[str, float]:
    """Ratios of cost to the optimum's for one servo on a one-sided jaw of 400 us."""
    rng = np.random.default_rng(seed)
    model = PRESETS[preset]
    slew = model.speed_us_per_s * TICK_S / TRAVEL_US
    accel = model.accel_us_per_s2 * TICK_S**2 / TRAVEL_US
    made = [problem(rng) for _ in range(n_problems)]
    targets, weights = (np.array(part) for part in zip(*made, strict=True))
    window = slice(1, N_TICKS + 1)
    paths = {
        "planner": planned(targets, weights, slew, accel),
        "plain": chased(targets, slew, accel),
    }
    best = [
        cost(optimum(x[window], w[window], x[0], slew, accel), x[window], w[window], x[0])
        for x, w in zip(targets, weights, strict=True)
    ]
    ratios = {
        name: np.array([
            cost(p, x[window], w[window], x[0]) / max(b, 1e-9)
            for p, x, w, b in zip(path, targets, weights, best, strict=True)
        ])
        for name, path in paths.items()
    }  # fmt: skip
    return {
        "median": float(np.median(ratios["planner"])),
        "p90": float(np.percentile(ratios["planner"], 90)),
        "plain_median": float(np.median(ratios["plain"])),
        "plain_p90": float(np.percentile(ratios["plain"], 90)),
    }


def main() -> int:
    """Print the table or JSON."""
    parser = argparse.ArgumentParser(
        prog="plan_optimum", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--problems", type=int, default=200, help="how many (default: 200)")
    arguments = parser.parse_args()
    report: dict[str, Any] = {name: compare(name, arguments.problems) for name in PRESETS}
    if arguments.json:
        print(json.dumps({"problems": arguments.problems, **report}, indent=2))
        return 0
    print(f"cost over the optimum's, {arguments.problems} half-second problems")
    print(f"{'servo':<10}{'planner':>10}{'p90':>8}{'plain':>10}{'p90':>8}")
    for name, row in report.items():
        print(f"{name:<10}{row['median']:>10.3f}{row['p90']:>8.2f}"
              f"{row['plain_median']:>10.2f}{row['plain_p90']:>8.1f}")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
