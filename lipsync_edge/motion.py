"""From poses to pulse widths: what each servo is to be told now, given where it has to be soon.

Three ways, chosen by ``motion.planner``:

* ``straight``: the pose that is heard now is written as it is. The horn comes late by its lag.
* ``lag``: the pose that is heard when the horn has followed, ``lag_s`` later.
* ``plan``: that, and every servo starts as early as the poses ahead demand (``planner``), closures
  first (``emphasis``), in the head's own manner (``personality``).

Poses that are not known yet (live mode, or the far end of a short look-ahead) are extrapolated from
the last two hops: the axes go on at a speed that dies away within ``PREDICT_FADE_S``, since mouths
turn round 4 to 8 times a second. What is commanded now may lie ``predict_s`` beyond what is known;
more than that is starvation, and the timeline leads the mouth to rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.emphasis import GAP, ROUND, Emphasis
from lipsync_edge.options import PersonalityOptions
from lipsync_edge.personality import Personality
from lipsync_edge.planner import SMOOTHNESS, Planner, reach
from lipsync_edge.servos.rig import Rig
from lipsync_edge.timeline import Timeline

Array = NDArray[np.float64]
GRID_S = 0.01
PAST_S = 0.16
"""Poses before now that are read too: a closure is one only after an opening."""
MOST_AHEAD = 8
LEAST_AHEAD = 4
PREDICT_FADE_S = 0.04
PREDICT_FROM_S = 0.02
PREDICT_MOST_S = 0.06
TRUST_S = 0.04
"""The weight of an extrapolated pose falls to a third within this time: a plan must not brake for
what nobody knows."""
LEAST_TRUST = 0.001
HALF_SYLLABLE_S = 0.1
"""Mouths open and shut 4 to 8 times a second; a jaw need not be faster than this for one way."""
LEAST_OPENING = 0.5
OPENING = GAP.keys() - ROUND.keys()


@dataclass(frozen=True)
class Step:
    """One tick's wish: widths (n_servos,) in microseconds, the pose (n_axes,) that is to be seen
    now, and whether a pose was missing."""

    widths_us: NDArray[np.float64]
    pose: NDArray[np.float64]
    starved: bool


@dataclass(frozen=True)
class MotionSpec:
    """How to move. ``trail_s``: planned delay of the mouth (live mode); ``horizon_s``: how far
    ahead poses may be known, the others as their options say."""

    planner: str = "plan"
    tick_s: float = 0.02
    horizon_s: float = 0.2
    trail_s: float = 0.0
    lead_s: float = 0.0
    predict_s: float = 0.0


class Motion:
    """Reads the timeline where each servo's horn will be when it has followed the command."""

    def __init__(
        self,
        rig: Rig,
        rate_hz: int,
        spec: MotionSpec | None = None,
        axes: tuple[str, ...] = (),
        personality: PersonalityOptions | None = None,
    ) -> None:
        """``rate_hz``: the stream's rate; ``axes``: what the columns of a pose are."""
        self.rate_hz = rate_hz
        self.names = rig.names
        self.neutral_us = rig.neutral_us
        self.spec = spec or MotionSpec()
        self._rig = rig
        self._personality = Personality(personality or PersonalityOptions(), axes)
        lag_s = np.zeros_like(rig.lag_s) if self.spec.planner == "straight" else rig.lag_s
        # One row a servo, and a last one without lag: what the mouth is meant to show now.
        self._ahead = (np.append(lag_s, 0.0) - self.spec.trail_s) * rate_hz
        self._look = _Look(rig, rate_hz, self.spec, axes, self._personality)

    def step(self, heard_sample: float, timeline: Timeline) -> Step:
        """The widths to command while captured sample ``heard_sample`` is heard."""
        if self.spec.planner == "plan":
            return self._look.step(heard_sample, timeline)
        poses, starved = timeline.at(heard_sample + self._ahead)
        shaped = self._personality.gained(poses)
        return Step(self._rig.widths_us(shaped[:-1]), poses[-1], starved)

    def show(self, pose: Mapping[str, float]) -> Array:
        """The widths (n_servos,) in us on the way to a pose that is held, axes by name."""
        widths_us = self._rig.posed_us(pose)
        return self._look.go(widths_us) if self.spec.planner == "plan" else widths_us

    def unmoved(self, pose: Mapping[str, float]) -> tuple[str, ...]:
        """The axes of a pose that no servo of this head shows."""
        return tuple(axis for axis in pose if not self._rig.moves(axis))

    def take_over(self, other: Motion, widths_us: Array) -> None:
        """Go on where another motion of the same servos is, which stand at ``widths_us`` (n,)."""
        self._look.take_over(other._look, widths_us)

    def sent(self, widths_us: Array) -> None:
        """What really went to the servos, (n_servos,) us: the next plan goes on from there."""
        self._look.planner.sent(self._look.shares(widths_us))


class _Look:
    """The planned way: a grid of poses around now becomes targets for the planner."""

    def __init__(
        self,
        rig: Rig,
        rate_hz: int,
        spec: MotionSpec,
        axes: tuple[str, ...],
        personality: Personality,
    ) -> None:
        self._rig, self._rate_hz, self._spec = rig, rate_hz, spec
        self._personality = personality
        self._emphasis = Emphasis(axes or ("",) * rig.matrix.shape[1], rig.matrix)
        self._travel_us = np.maximum(rig.max_us - rig.min_us, 1.0)
        tick_s = spec.tick_s
        n_ahead = math.ceil(min(spec.horizon_s, 0.25) / tick_s)
        n_ahead = min(max(n_ahead, LEAST_AHEAD), MOST_AHEAD)
        speed = np.minimum(rig.speed_us_per_s, rig.slew_us_per_s)
        self.planner = Planner(
            rest=self.shares(rig.neutral_us),
            slew=speed * tick_s / self._travel_us,
            accel=rig.accel_us_per_s2 * tick_s**2 / self._travel_us,
            ahead=n_ahead,
            dead_band=rig.dead_band_us / self._travel_us,
            smoothness=SMOOTHNESS * personality.options.smoothing,
        )
        self._opening = self._openings(axes)
        # The command of tick k is what the horn shows then and one lag later.
        first_s = rig.lag_s + spec.lead_s - spec.trail_s
        self._need = float(first_s.max()) * rate_hz
        at_s = first_s + np.arange(n_ahead)[:, None] * tick_s  # (ahead, n_servos)
        start = math.floor(min(float(at_s.min()), 0.0) / GRID_S) - round(PAST_S / GRID_S)
        end = math.ceil(float(at_s.max()) / GRID_S) + 2
        self._offsets = np.arange(start, end + 1) * GRID_S * rate_hz
        place = at_s / GRID_S - start
        self._below = np.floor(place).astype(np.int64)
        self._part = place - self._below
        self._servo = np.arange(len(rig.names))
        self._now = -spec.trail_s * rate_hz
        self._time_s = 0.0

    def go(self, widths_us: Array) -> Array:
        """The next step on the way to ``widths_us`` (n_servos,), to stay there."""
        targets = np.repeat(self.shares(widths_us)[:, None], self.planner.ahead, axis=1)
        at = self.planner.step(targets, np.ones_like(targets))
        return np.asarray(self._rig.min_us + at * self._travel_us)

    def take_over(self, other: _Look, widths_us: Array) -> None:
        speed_us_per_s = other.planner.speed * other._travel_us / other._spec.tick_s
        speed = speed_us_per_s * self._spec.tick_s / self._travel_us
        self.planner.take_over(other.planner, self.shares(widths_us), speed)
        self._time_s = other._time_s

    def shares(self, widths_us: Array) -> Array:
        """Pulse widths as shares of the servos' travel, 0..1."""
        return np.asarray((widths_us - self._rig.min_us) / self._travel_us)

    def _openings(self, axes: tuple[str, ...]) -> Array:
        """Factors (n_axes,): a mouth whose jaw is too slow to shut in time opens less far, though
        never less than ``LEAST_OPENING``.

        The jaw must be shut again within the time that it can look ahead, or that a mouth leaves
        it, since a closure may come then. The lips keep step with it.
        """
        gains, plan = np.ones(len(axes)), self.planner
        if "jawOpen" not in axes:
            return gains
        ahead_s = np.maximum(self._spec.horizon_s - self._rig.lag_s, HALF_SYLLABLE_S)
        way = reach(plan.slew, plan.accel, ahead_s / self._spec.tick_s)
        used = np.abs(self._rig.matrix[:, axes.index("jawOpen")])
        range_ = np.abs(self._rig.ends_us[0]) / self._travel_us * np.minimum(used, 1.0)
        jaw = np.clip(way / np.maximum(range_, 1e-9), LEAST_OPENING, 1.0).min(initial=1.0)
        gains[[axis in OPENING for axis in axes]] = jaw
        return gains

    def step(self, heard: float, timeline: Timeline) -> Step:
        poses, trust, starved = self._poses(heard, timeline)
        pose_now = poses[0]
        poses = self._personality.shape(poses[1:], GRID_S)
        self._time_s += self._spec.tick_s
        if np.isfinite(heard):
            self._personality.breathe(poses, self._time_s + self._offsets / self._rate_hz)
        closures = self._emphasis.closures(poses, GRID_S)
        weights = self._emphasis.weights(poses, closures, GRID_S) * trust[:, None]
        shut = self._emphasis.shut(poses, closures, self._personality.options.clear)
        targets = self.shares(self._rig.widths_grid(shut * self._opening))
        at = self.planner.step(*self._ticks(targets, weights))
        widths = self._rig.min_us + at * self._travel_us
        return Step(np.clip(widths, self._rig.min_us, self._rig.max_us), pose_now, starved)

    def _poses(self, heard: float, timeline: Timeline) -> tuple[Array, Array, bool]:
        """The pose of now, then those of the grid (m, n_axes); beyond what is known they are
        extrapolated, and beyond that they stay. Then how far the grid's can be trusted, 0..1, (m,),
        and whether a pose is missing."""
        newest, rate_hz = timeline.newest, self._rate_hz
        predict = self._spec.predict_s * rate_hz
        wanted = np.concatenate([[heard + self._now], heard + self._offsets])
        base = heard + self._need
        late = base - newest if np.isfinite(newest) and np.isfinite(base) else 0.0
        if late > predict:  # starved: let the timeline hold and ease, as of now
            poses, starved = timeline.at(np.minimum(wanted, base))
            return poses, np.ones(len(poses) - 1), starved
        known = np.minimum(wanted, newest) if np.isfinite(newest) else wanted
        before = newest - PREDICT_FROM_S * rate_hz
        poses, starved = timeline.at(np.append(known, before))
        if starved:  # by an old hole, or by one that matters now?
            starved = timeline.at(np.minimum([wanted[0], base], newest))[1]
        trust = np.ones(len(known))
        if np.isfinite(newest) and wanted[-1] > newest:
            unsure_s = np.maximum(wanted - max(newest, base), 0.0) / rate_hz
            trust = np.maximum(np.exp(-unsure_s / TRUST_S), LEAST_TRUST)
            beyond_s = np.clip((wanted - newest) / rate_hz, 0.0, PREDICT_MOST_S)
            fade_s = PREDICT_FADE_S * (1.0 - np.exp(-beyond_s / PREDICT_FADE_S))
            slope = (poses[-2] - poses[-1]) / PREDICT_FROM_S
            poses[:-1] += fade_s[:, None] * slope
            np.clip(poses, -1.0 if poses.min() < 0 else 0.0, 1.0, out=poses)
        return poses[:-1], trust[1:], starved

    def _ticks(self, targets: Array, weights: Array) -> tuple[Array, Array]:
        """Targets and weights on the grid (m, n_servos) to those of the ticks (n_servos, ahead).

        A tick stands for the time half-way to its neighbours. Targets are averaged as they are, not
        by their weights: a closure that pulled at its neighbours would begin early and end late.
        """
        if self._spec.tick_s > 1.5 * GRID_S:
            targets, weights = _blurred(targets), _blurred(weights)
        below, part, servo = self._below, self._part, self._servo
        of_tick, weight = [
            v[below, servo] + part * (v[below + 1, servo] - v[below, servo])
            for v in (targets, weights)
        ]
        return of_tick.T, weight.T


def _blurred(values: Array) -> Array:
    """A quarter, a half, a quarter of three neighbouring rows."""
    out = values.copy()
    out[1:-1] = 0.5 * values[1:-1] + 0.25 * (values[:-2] + values[2:])
    return out
