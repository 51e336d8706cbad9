"""What an update of all servos costs on the I2C bus: this project against plain ServoKit.

    python -m lipsync_tools.i2c_traffic [--json]

Both drive the same simulated chips; the bus counts. Bus time is clock periods (START, 9 per byte,
STOP) divided by the clock; the system call per transaction comes on top. Python time is the median
of many updates with the bus's own work taken out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lipsync_edge.servos import BoardSpec, Slot
from lipsync_edge.servos.driver import library
from lipsync_edge.servos.pca9685 import Pca9685Board
from lipsync_edge.servos.registers import Bus, simulated_bus

CLOCKS_KHZ = (100, 400, 1000)
HEADS = {"16 servos, 1 board": (16,), "26 servos, 2 boards": (16, 10)}
N_TIMED = 1000

Update = Callable[[float], None]
"""Moves every servo to 90 degrees (1500 us) plus so many degrees."""


@dataclass(frozen=True)
class Cost:
    """One update of all servos. ``bus_ms`` by bus clock in kHz."""

    head: str
    driver: str
    transactions: int
    n_bytes: int
    bits: int
    bus_ms: dict[int, float]
    python_us: float


def measure() -> list[Cost]:
    """All heads with both drivers."""
    makers = {"plain ServoKit": _plain, "lipsync-edge": _ours}
    return [
        _cost(head, driver, servos, make)
        for head, servos in HEADS.items()
        for driver, make in makers.items()
    ]


def _cost(
    head: str, driver: str, servos: Sequence[int], make: Callable[[Bus, Sequence[int]], Update]
) -> Cost:
    bus = simulated_bus([BoardSpec(0x40 + board) for board in range(len(servos))])
    update = make(bus, servos)
    update(0.0)
    bus.log.clear()
    update(20.0)
    bits = sum(transaction.bits for transaction in bus.log)
    return Cost(
        head=head,
        driver=driver,
        transactions=len(bus.log),
        n_bytes=sum(transaction.n_bytes for transaction in bus.log),
        bits=bits,
        bus_ms={khz: bits / khz for khz in CLOCKS_KHZ},
        python_us=_median_us(bus, update),
    )


def _median_us(bus: Bus, update: Update) -> float:
    bus.writeto = lambda *_, **__: None  # type: ignore[method-assign]
    times_us = []
    for k in range(N_TIMED):
        begin_s = time.perf_counter()
        update(float(k % 2) * 20.0)
        times_us.append((time.perf_counter() - begin_s) * 1e6)
    return statistics.median(times_us)


def _ours(bus: Bus, servos: Sequence[int]) -> Update:
    boards = [BoardSpec(address) for address in bus.chips]
    slots = [Slot(board, channel) for board, n in enumerate(servos) for channel in range(n)]
    board = Pca9685Board(boards, slots, i2c=bus)
    board.open()
    still_us = np.full(len(slots), 1500.0)

    def update(degrees: float) -> None:
        board.write(still_us + degrees * 1500.0 / 180.0)

    return update


def _plain(bus: Bus, servos: Sequence[int]) -> Update:
    servo_kit, _ = library()
    kits = [servo_kit(channels=16, i2c=bus, address=address) for address in bus.chips]
    all_servos = [kit.servo[k] for kit, n in zip(kits, servos, strict=True) for k in range(n)]

    def update(degrees: float) -> None:
        for servo in all_servos:
            servo.angle = 90.0 + degrees

    return update


def table(costs: Sequence[Cost]) -> str:
    """The costs as text, a line each."""
    head = f"{'':20} {'driver':15} {'transactions':>12} {'bytes':>6} {'bits':>6}"
    head += "".join(f" {f'{khz} kHz':>9}" for khz in CLOCKS_KHZ) + f" {'Python':>9}"
    lines = [head]
    for cost in costs:
        line = f"{cost.head:20} {cost.driver:15} {cost.transactions:12} {cost.n_bytes:6}"
        line += f" {cost.bits:6}" + "".join(f" {ms:6.2f} ms" for ms in cost.bus_ms.values())
        lines.append(line + f" {cost.python_us:6.0f} us")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m lipsync_tools.i2c_traffic",
        description="I2C traffic of one update of all servos: this project and plain ServoKit.",
        epilog="example: python -m lipsync_tools.i2c_traffic --json",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json = parser.parse_args(arguments).json
    costs = measure()
    if as_json:
        print(json.dumps([asdict(cost) for cost in costs], indent=2))
    else:
        print(table(costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
