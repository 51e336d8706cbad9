"""What the board's record says: never outside limits, off when, speaking again when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lipsync_edge.head import Head
from lipsync_tools.drill.board import Moment

ROUNDING_US = 2.5
"""Half a count of 4096 in 20 ms: pulses are whole counts."""
STILL_S = 0.3  # speech without pauses moves some servo more often
OPEN_US = 60.0
"""So far from neutral, a servo speaks: ten times what noise moves it."""
NEUTRAL_US = 10.0
"""So near to neutral, nobody sees a difference: the dead band of a servo."""


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
        return self.reach_us(moment) > OPEN_US

    def reach_us(self, moment: Moment) -> float:
        """How far from its neutral pulse the servo is that is farthest from it."""
        away = (
            abs(moment.pulses_us[output] - o.neutral_us - o.trim_us)
            for output, o in self._servos.items()
        )
        return max((us for us in away if not math.isnan(us)), default=0.0)


def is_off(moment: Moment) -> bool:
    """No output gives a pulse."""
    return all(math.isnan(us) for us in moment.pulses_us)


def first_off_s(moments: Sequence[Moment], from_s: float) -> float:
    """When all outputs were off, at or after a time; infinite: never."""
    before = [m for m in moments if m.at_s <= from_s]
    if not before or is_off(before[-1]):
        return from_s
    return next((m.at_s for m in moments if m.at_s > from_s and is_off(m)), math.inf)


def is_on_at(moments: Sequence[Moment], at_s: float) -> bool:
    """Whether some output gave a pulse just before a time."""
    before = _last_before(moments, at_s)
    return before is not None and not is_off(before)


def first_on_s(moments: Sequence[Moment], from_s: float, to_s: float = math.inf) -> float:
    """When a pulse came after a time at which all were off, before another; infinite: none did."""
    on = (m.at_s for m in moments if from_s < m.at_s < to_s and not is_off(m))
    return next(on, math.inf)


def last_pulses(moments: Sequence[Moment], off_s: float) -> Moment | None:
    """What the outputs gave last before all of them were off at ``off_s``."""
    on = [m for m in moments if m.at_s < off_s and not is_off(m)]
    return on[-1] if on else None


def farthest_us(moments: Sequence[Moment], from_s: float, to_s: float, outputs: Outputs) -> float:
    """How far from neutral a servo was at or between two times; off is no way from it."""
    begin = _last_before(moments, from_s)
    between = [m for m in moments if from_s <= m.at_s <= to_s]
    return max((outputs.reach_us(m) for m in [*([begin] if begin else []), *between]), default=0.0)


def _last_before(moments: Sequence[Moment], at_s: float) -> Moment | None:
    before = [m for m in moments if m.at_s < at_s]
    return before[-1] if before else None


def first_spoken_s(moments: Sequence[Moment], from_s: float, outputs: Outputs) -> float:
    """When a servo first moved away from neutral after a time; infinite: never."""
    return next((m.at_s for m in moments if m.at_s > from_s and outputs.speaks(m)), math.inf)


def is_unforeseen(line: str) -> bool:
    """Whether a line of the log begins what Python tells of an error that nobody caught."""
    return "Traceback (most recent call last)" in line or "Exception in thread" in line


def longest_still_s(moments: Sequence[Moment], from_s: float, to_s: float) -> float:
    """The longest stretch between two times in which no output changed."""
    times, last = [from_s], None
    for moment in moments:
        if from_s < moment.at_s < to_s and repr(moment.pulses_us) != last:
            times.append(moment.at_s)
            last = repr(moment.pulses_us)
    times.append(to_s)
    return max(b - a for a, b in pairwise(times))


@dataclass(frozen=True)
class Story:
    """What the pulses did between two times; seconds after the first, infinite: did not happen."""

    off_s: float
    on_s: float  # again, after they were off
    held_s: float  # the longest stretch with unchanged pulses, before they were off

    @property
    def text(self) -> str:
        """For a table."""
        held = f"stood still for {self.held_s:.1f} s" if self.held_s > STILL_S else "went on"
        if math.isinf(self.off_s):
            return held
        begun = f"{held}, " if self.held_s > STILL_S else ""
        again = "" if math.isinf(self.on_s) else f", on again after {self.on_s:.1f} s"
        after = f"{1e3 * self.off_s:.0f} ms" if self.off_s < 1 else f"{self.off_s:.1f} s"
        return f"{begun}off after {after}{again}"


def story(moments: Sequence[Moment], from_s: float, to_s: float) -> Story:
    """What happened between two times."""
    off_s = first_off_s(moments, from_s)
    off_s = math.inf if off_s > to_s else off_s
    on = (m.at_s for m in moments if off_s < m.at_s <= to_s and not is_off(m))
    held_s = longest_still_s(moments, from_s, min(off_s, to_s))
    return Story(off_s - from_s, next(on, math.inf) - from_s, held_s)
