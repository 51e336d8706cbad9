"""What the servo board was told, read from the kernel's record, against the table of `render`.

A line of the record: nanoseconds of the guest's clock, address, r or w, result, number of bytes,
the first eight of them in hex (see kernel/i2c-pca9685-sim.c). One servo, on channel 0.

Two ticks that run at another phase of the sound cannot give the same numbers, only the same curve.
So a recorded pulse agrees with the table where it lies between the least and the greatest pulse of
the tick it belongs to and its two neighbours, a count of the chip more or less allowed. The moment
at which the sound began is not known outside; it is the one at which most pulses agree.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LED0, ALL_OFF_H, PRE_SCALE, FULL_OFF = 0x06, 0xFD, 0xFE, 0x10
OSCILLATOR_HZ = 25e6  # data sheet, section 7.3.5
OFF = 0
"""In place of a count: no pulse."""


@dataclass(frozen=True)
class Entry:
    """A message on the bus. ``result`` 0: acknowledged, else -errno."""

    at_s: float
    address: int
    write: bool
    result: int
    length: int
    data: bytes


@dataclass(frozen=True)
class Agreement:
    """How a recording compares with a table: shares of its ticks, counts, the sound's begin."""

    begin_s: float
    n_ticks: int
    apart: tuple[int, ...]  # counts by which ticks are off whose pulse does not agree, most first

    @property
    def n_apart(self) -> int:
        """Ticks whose pulse does not agree."""
        return len(self.apart)

    def worst(self, excused: int = 0) -> int:
        """Counts by which the worst tick is off, but for so many that have an excuse."""
        return max(self.apart[excused:], default=0)


def entries(text: str) -> list[Entry]:
    """The record, oldest first."""
    found = []
    for line in text.splitlines():
        ns, address, kind, result, length, *data = line.split()
        found.append(Entry(
            int(ns) / 1e9, int(address, 16), kind == "w", int(result), int(length),
            bytes.fromhex(data[0]) if data else b"",
        ))  # fmt: skip
    return found


def pulses(record: Iterable[Entry]) -> list[tuple[float, int]]:
    """Each change of channel 0: when, and its count, OFF: none. ValueError for a longer burst."""
    changes: list[tuple[float, int]] = []
    for entry in record:
        if not entry.write or entry.result or entry.length < 2:
            continue
        if entry.data[0] == LED0:
            if entry.length != 5:
                raise ValueError(f"{entry.length} bytes: this head has one servo")
            low, high = entry.data[3:5]
            changes.append((entry.at_s, OFF if high & FULL_OFF else low | high << 8))
        elif entry.data[0] == ALL_OFF_H and entry.data[1] & FULL_OFF:
            changes.append((entry.at_s, OFF))
    return changes


def us_per_count(record: Iterable[Entry]) -> float:
    """By the prescaler that was set, data sheet section 7.3.5."""
    set_to = [e.data[1] for e in record if e.write and e.length == 2 and e.data[0] == PRE_SCALE]
    return (set_to[-1] + 1) / OSCILLATOR_HZ * 1e6


def table(text: str) -> tuple[list[float], list[float]]:
    """Times in s and widths in us of the one servo, from `render`."""
    rows = list(csv.DictReader(text.splitlines()))
    name = next(key for key in rows[0] if key.startswith("width_us."))
    return [float(row["time_s"]) for row in rows], [float(row[name]) for row in rows]


def agreement(
    changes: Sequence[tuple[float, int]], times_s: Sequence[float], counts: Sequence[int],
    begin_s: float, spread_s: float, step_s: float = 0.002,
) -> Agreement:  # fmt: skip
    """The best one for a sound that began within ``spread_s`` after ``begin_s``."""
    tries = [begin_s + step * step_s for step in range(round(spread_s / step_s) + 1)]
    return min(
        (_compare(changes, times_s, counts, at_s) for at_s in tries),
        key=lambda found: (found.n_apart, found.worst()),
    )


def _compare(
    changes: Sequence[tuple[float, int]], times_s: Sequence[float], counts: Sequence[int],
    begin_s: float,
) -> Agreement:  # fmt: skip
    half_s = (times_s[1] - times_s[0]) / 2
    apart, at = [], 0
    for tick, time_s in enumerate(times_s):
        while at + 1 < len(changes) and changes[at + 1][0] <= begin_s + time_s + half_s:
            at += 1
        near = counts[max(0, tick - 1) : tick + 2]
        count = changes[at][1]
        off = max(min(near) - 1 - count, count - max(near) - 1, 0)
        apart += [off] if off else []
    return Agreement(begin_s, len(times_s), tuple(sorted(apart, reverse=True)))


def is_on_at(changes: Sequence[tuple[float, int]], at_s: float) -> bool:
    """Whether the output gave pulses then."""
    before = [count for when_s, count in changes if when_s <= at_s]
    return bool(before) and before[-1] != OFF


def silent_after(
    changes: Sequence[tuple[float, int]], at_s: float, until_s: float = math.inf
) -> float:
    """Seconds from then until the output is off for good, as far as ``until_s``; 0: it was all the
    time; infinity: at the end it is not."""
    if not (is_on_at(changes, at_s) or any(at_s < w < until_s and n for w, n in changes)):
        return 0.0
    between = [(w, count) for w, count in changes if at_s < w < until_s]
    on = [k for k, (_, count) in enumerate(between) if count != OFF]
    last = on[-1] + 1 if on else 0  # off since this change
    return between[last][0] - at_s if last < len(between) else math.inf
