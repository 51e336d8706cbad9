"""A hobby servo as it really moves: from commanded pulses to where the horn is.

    command -> waits for the next PWM frame -> dead time -> dead band -> motor -> backlash -> horn

The motor follows the pulse as a position loop with a limited speed and acceleration: it wants the
speed ``error / response_s``, at most ``speed``, at most what it can still brake from
(``sqrt(2 accel error)``), and it changes its speed by ``accel`` at most. Positions are pulse widths
in us: where the horn stands is the pulse that would hold it there.

Sources. Speed without load and stall torque are the makers' data sheets; 180 degrees are 1900 us
(500 to 2400 us, SG90), so 60 degrees are 633 us. Under load a DC motor's speed falls in a straight
line to zero at the stall torque, so a load of ``0.5 kg cm`` (a lip's skin) or ``3 kg cm`` (a jaw
with its skin) takes the share ``load / stall``. Dead time, ramp, backlash are in no data sheet:
they are plausible values for servos of this class, whose sum gives the 45 to 75 ms by which mouths
driven without look-ahead are seen to trail. Measure yours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
US_PER_60_DEG = 1900 / 3


@dataclass(frozen=True)
class ServoModel:
    """One kind of servo. Widths in us, times in seconds."""

    name: str
    no_load_us_per_s: float
    """Speed without load."""
    load_share: float
    """Load over stall torque, 0..1: the share of the speed that it takes."""
    ramp_s: float
    """Time from rest to full speed."""
    response_s: float
    """Time constant of the position loop: how closely the horn follows a moving pulse."""
    dead_time_s: float
    """From the end of a pulse to the motor's answer."""
    dead_band_us: float
    """An error that leaves the motor off."""
    backlash_us: float
    """Play between motor and horn."""

    @property
    def speed_us_per_s(self) -> float:
        """Speed of the horn under its load."""
        return self.no_load_us_per_s * (1.0 - self.load_share)

    @property
    def accel_us_per_s2(self) -> float:
        """Largest change of speed."""
        return self.speed_us_per_s / self.ramp_s

    def lag_s(self, pwm_hz: float = 50.0) -> float:
        """How far the horn trails a moving pulse on average.

        Half a period until the next frame, half a period because a pulse holds its width for one,
        the dead time, the loop's time constant, and what it takes to gain speed.
        """
        return 1.0 / pwm_hz + self.dead_time_s + self.response_s + self.ramp_s / 4


PRESETS: dict[str, ServoModel] = {
    # Tower Pro SG90: 0.1 s / 60 deg and 1.8 kg cm at 4.8 V, dead band 10 us; plastic gears.
    "sg90": ServoModel("sg90", US_PER_60_DEG / 0.10, 0.5 / 1.8, 0.030, 0.010, 0.020, 10.0, 6.0),
    # Tower Pro MG90S: 0.1 s / 60 deg and 2.2 kg cm at 4.8 V, dead band 5 us; metal gears.
    "mg90s": ServoModel("mg90s", US_PER_60_DEG / 0.10, 0.5 / 2.2, 0.030, 0.008, 0.015, 5.0, 4.0),
    # A digital micro servo such as Tower Pro MG92B: 0.08 s / 60 deg and 3.5 kg cm at 6 V. Its
    # controller runs at 300 Hz or more, hence the short answer and the narrow dead band.
    "digital": ServoModel(
        "digital", US_PER_60_DEG / 0.08, 0.5 / 3.5, 0.020, 0.005, 0.008, 2.0, 3.0
    ),
    # Tower Pro MG996R: 0.17 s / 60 deg and 9.4 kg cm at 4.8 V, dead band 5 us. The load leaves
    # 240 degrees a second.
    "jaw": ServoModel("jaw", US_PER_60_DEG / 0.17, 3.0 / 9.4, 0.050, 0.012, 0.025, 5.0, 8.0),
}


class Dynamics:
    """``n`` servos, simulated in steps of one millisecond. Pure and deterministic."""

    STEP_S = 1e-3

    def __init__(
        self,
        models: Sequence[ServoModel],
        start_us: ArrayLike,
        pwm_hz: float = 50.0,
        phase_s: ArrayLike = 0.0,
    ) -> None:
        """``start_us`` (n,): where the horns stand at time 0; ``phase_s``, one or (n,): when after
        that the first PWM frame begins (0 to a period). To simulate the same head at several
        phases at once, list its servos several times.
        """
        self._speed = np.array([m.speed_us_per_s for m in models])
        self._accel = np.array([m.accel_us_per_s2 for m in models])
        self._gain = 1.0 / np.array([m.response_s for m in models])
        self._dead_band = np.array([m.dead_band_us for m in models])
        self._play = np.array([m.backlash_us for m in models]) / 2
        self._rows = np.arange(len(models))
        self._dead_steps = np.array([round(m.dead_time_s / self.STEP_S) for m in models])
        self._ring = np.full((int(self._dead_steps.max(initial=0)) + 1, len(models)), np.nan)
        self._period, self._phase = 1.0 / pwm_hz, np.broadcast_to(phase_s, self._rows.shape)
        self._latched = np.full(len(models), np.nan)
        self._frame = np.full(len(models), -1)
        self._motor = np.array(np.broadcast_to(start_us, self._rows.shape), dtype=np.float64)
        self._horn, self._v = self._motor.copy(), np.zeros(len(models))
        self._steps, self._begun = 0, 0.0

    def step(self, command_us: ArrayLike, dt_s: float) -> Array:
        """Hold ``command_us`` (n,) for ``dt_s`` seconds; returns the horns (n,) at its end, in us.

        NaN: no pulse, the motor stops where it is. Fractions of a millisecond are carried over.
        """
        command = np.asarray(command_us, dtype=np.float64)
        self._begun += dt_s
        while (self._steps + 0.5) * self.STEP_S <= self._begun:
            self._advance(command)
        return self._horn.copy()

    def run(self, commands_us: ArrayLike, tick_s: float) -> Array:
        """A whole sequence (n_ticks, n), each held for ``tick_s``; returns the horns at every
        millisecond, (n_ms, n): row 0 is the end of the first millisecond."""
        rows: list[Array] = []
        for command in np.asarray(commands_us, dtype=np.float64):
            self._begun += tick_s
            while (self._steps + 0.5) * self.STEP_S <= self._begun:
                self._advance(command)
                rows.append(self._horn)
        return np.array(rows).reshape(len(rows), len(self._rows))

    def _advance(self, command: Array) -> None:
        self._latch(command)
        target = self._delayed()
        error = np.where(np.isnan(target), 0.0, target - self._motor)
        away = np.abs(error)
        wanted = np.minimum(np.sqrt(2.0 * self._accel * away), self._gain * away)
        wanted = np.where(away > self._dead_band, np.minimum(wanted, self._speed), 0.0)
        reach = self._accel * self.STEP_S
        change = np.copysign(wanted, error) - self._v
        self._v = self._v + np.minimum(np.maximum(change, -reach), reach)
        self._motor = self._motor + self._v * self.STEP_S
        self._horn = np.minimum(
            np.maximum(self._horn, self._motor - self._play), self._motor + self._play
        )

    def _latch(self, command: Array) -> None:
        """A board puts a new width out when a PWM frame begins, not before."""
        frame = np.floor((self._steps * self.STEP_S - self._phase) / self._period + 1e-9)
        begins = frame > self._frame
        self._frame = np.maximum(frame, self._frame).astype(np.int64)
        self._latched = np.where(begins, command, self._latched)

    def _delayed(self) -> Array:
        slot = self._steps % len(self._ring)
        self._ring[slot] = self._latched
        self._steps += 1
        delayed: Array = self._ring[(slot - self._dead_steps) % len(self._ring), self._rows]
        return delayed
