"""Is the head well? What its parts report at one moment, and what follows from that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

FRESH_S = 2.0
"""A sign of life is worth so much: twenty rounds of the analyzer, four of the slowest I2C retry."""
WATCHED = ("analyzer", "mover")  # the feeder may wait for a pipe for as long as it likes
SILENT = 0.02  # an axis moves visibly from here on: half of the smallest pulse step of a jaw


@dataclass(frozen=True)
class Vitals:
    """One moment of the whole program; immutable, for whichever thread wants it.

    ``beat_ages_s``: seconds since each thread's last round; ``sound_age_s``: since the audio
    callback's last block; ``lost``: why there is no sound device, empty where there is one.
    """

    beat_ages_s: Mapping[str, float] = field(default_factory=dict)
    sound_age_s: float = math.inf
    sound_clock: bool = False
    hops: int = 0
    ticks: int = 0
    xruns: int = 0
    late: int = 0
    refused_poses: int = 0
    heard_s: float = 0.0
    lookahead_ms: float = 0.0
    openness: float = 0.0  # the largest axis of the pose, 0..1
    muted: bool = False
    resting: bool = False  # on demand: outputs off until it is told otherwise
    posing: bool = False  # on demand: a pose is held, whatever is heard
    lost: str = ""
    input_lost: str = ""  # why nothing is heard, where another card records than that which plays
    board_ok: bool = True
    board_failures: int = 0
    board_message: str = ""
    safe_mode: str = ""  # why the servos are disabled; empty where they are not
    notes: tuple[str, ...] = ()  # what strains the computer: a weak supply, heat
    hot: tuple[str, ...] = ()  # servos over their heat budget

    @property
    def strained(self) -> bool:
        """Something is wrong that the head goes on with."""
        return bool(self.notes or self.hot)


class Counted:
    """Tells by a counter that should grow for how long it did not."""

    def __init__(self) -> None:
        self._count, self._since_s = -1, math.nan

    def age_s(self, count: int, now_s: float) -> float:
        """Seconds since ``count`` changed, as far as somebody looked."""
        if count != self._count:
            self._count, self._since_s = count, now_s
        return now_s - self._since_s


def flows(vitals: Vitals) -> bool:
    """Whether sound and motion flow, in silence too: that is READY.

    The card asked for blocks, its clock is known, the model saw at least one hop of them and the
    mover ticked by them. Whether a board moved is not asked: a head in safe mode is ready, too.
    """
    return not vitals.lost and vitals.sound_clock and vitals.hops > 0 and vitals.ticks > 0


def stale(vitals: Vitals) -> str:
    """The part without a fresh sign of life; empty where all are well.

    While a lost sound device is waited for, no block can come; the threads beat all the same.
    """
    for name in WATCHED:
        if vitals.beat_ages_s.get(name, 0.0) > FRESH_S:
            return name
    if not vitals.lost and vitals.ticks > 0 and vitals.sound_age_s > FRESH_S:
        return "sound"
    return ""


def status_line(vitals: Vitals) -> str:
    """What a maker wants to know, in one line."""
    if lost := vitals.lost or vitals.input_lost:
        doing = f"waiting for the sound device ({lost})"
    elif not flows(vitals):
        doing = "starting"
    else:
        doing = "speaking" if vitals.openness > SILENT else "silent"
        doing = "holding a pose" if vitals.posing else doing
        doing = "resting" if vitals.resting else doing
        doing += ", muted" if vitals.muted else ""
    parts = [f"SAFE MODE: {vitals.safe_mode}"] if vitals.safe_mode else []
    parts += [doing, f"look-ahead {vitals.lookahead_ms:.0f} ms", f"{vitals.xruns} xruns"]
    if not vitals.safe_mode:
        parts.append("board ok" if vitals.board_ok else f"board: {vitals.board_message}")
    parts += vitals.notes
    if vitals.hot:
        parts.append("too warm: " + " ".join(vitals.hot))
    if dead := stale(vitals):
        parts.append(f"{dead} hangs")
    return ", ".join(parts)


def detail_line(vitals: Vitals) -> str:
    """The same with figures, for the journal at level debug."""
    ages = " ".join(f"{name} {1e3 * age:.0f}" for name, age in sorted(vitals.beat_ages_s.items()))
    return (
        f"{status_line(vitals)}; heard {vitals.heard_s:.1f} s, {vitals.hops} hops, "
        f"{vitals.ticks} ticks, {vitals.late} late, {vitals.refused_poses} refused poses, "
        f"beats (ms) {ages} sound {1e3 * vitals.sound_age_s:.0f}"
    )
