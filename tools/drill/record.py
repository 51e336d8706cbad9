"""What the board's record says: never outside limits, off when, speaking again when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from lipsync_edge.head import Head
from lipsync_tools.drill.board import Moment

ROUNDING_US = 2.5
"""Half a count of 4096 in 20 ms: pulses are whole counts."""
OPEN_US = 60.0
"""So far from neutral, a servo speaks: ten times what noise moves it."""


class Outputs:
    """Which output is which servo, and how far each may go. Outputs without a servo stay off."""

    def __init__(self, head: Head) -> None:
        self._servos = {
            16 * servo.options.board + servo.options.channel: servo.options for servo in head.servos
        }

    def outside(self, moments: Sequence[Moment]) -> list[Moment]:
        """The moments with a pulse that must not be."""
        return [m for m in moments if any(map(self._wrong, range(len(m.pulses_us)), m.pulses_us))]

    def _wrong(self, output: int, us: float) -> bool:
        if math.isnan(us):
            return False
        o = self._servos.get(output)
        return o is None or not o.min_us - ROUNDING_US <= us <= o.max_us + ROUNDING_US

    def speaks(self, moment: Moment) -> bool:
        """Some servo is far from its neutral pulse."""
        return any(
            abs(moment.pulses_us[output] - o.neutral_us - o.trim_us) > OPEN_US
            for output, o in self._servos.items()
        )


def is_off(moment: Moment) -> bool:
    """No output gives a pulse."""
    return all(math.isnan(us) for us in moment.pulses_us)


def first_off_s(moments: Sequence[Moment], from_s: float) -> float:
    """When all outputs were off, at or after a time; infinite: never."""
    before = [m for m in moments if m.at_s <= from_s]
    if not before or is_off(before[-1]):
        return from_s
    return next((m.at_s for m in moments if m.at_s > from_s and is_off(m)), math.inf)


def first_spoken_s(moments: Sequence[Moment], from_s: float, outputs: Outputs) -> float:
    """When a servo first moved away from neutral after a time; infinite: never."""
    return next((m.at_s for m in moments if m.at_s > from_s and outputs.speaks(m)), math.inf)


def longest_still_s(moments: Sequence[Moment], from_s: float, to_s: float) -> float:
    """The longest stretch between two times in which no output changed."""
    times, last = [from_s], None
    for moment in moments:
        if from_s < moment.at_s < to_s and repr(moment.pulses_us) != last:
            times.append(moment.at_s)
            last = repr(moment.pulses_us)
    times.append(to_s)
    return max(b - a for a, b in pairwise(times))
