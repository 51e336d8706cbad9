"""What steady pulses tell: the mean lag behind taps that waited for them, and the oscillator.

A servo learns of a command with the next pulse, 0 to 20 ms later. The lag that counts is the mean
one. As the pulses come at a steady rate, ``fit_lag`` finds their rate and phase from the lags of
all taps, which tells the mean far better than the average of some taps.

Pure: seconds and hertz in, seconds and hertz out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.calibration import HOP_S, Onsets
from lipsync_edge.errors import MeasurementError

Floats = NDArray[np.float64]

OUTLIER_S = 4e-3  # a tap that is further off than this does not count
SIGMA_S = (0.5e-3, 2e-3)  # a single onset is uncertain by so much, at least and at most
OSCILLATOR_SPREAD = 0.085  # of uncalibrated boards: 23 to 27 MHz
MIN_SHARE = 0.65  # of the taps that must agree
UNLIKE = 3  # so many more taps must agree with one explanation than with another
MAX_DOUBT_S = 3e-3


@dataclass(frozen=True)
class Lag:
    """Mean time from a command to the sound of the motion: seconds, its 95 % interval (plus or
    minus), how many of how many taps agree, and the pulses' rate as it was heard (NaN where the
    servo does not wait for pulses)."""

    s: float
    doubt_s: float
    agreeing: int
    of: int
    pulse_hz: float


def fit_lag(commanded_s: NDArray[np.floating], onsets: Onsets, pwm_hz: float) -> Lag:
    """The lag behind single ones; ``commanded_s`` (k,): when the commands were sent.

    Two explanations are tried: every tap took equally long; or each waited for the next pulse, of
    unknown phase and a rate within 8.5 % of ``pwm_hz``. The commands must come at irregular
    intervals, else the second explains anything. MeasurementError where fewer than 65 % of the
    taps agree with the better one, or where the mean is not known to 3 ms.
    """
    heard = np.isfinite(onsets.lags_s)
    n_heard, n_all = int(heard.sum()), len(heard)
    if n_heard < max(6, MIN_SHARE * n_all):
        raise MeasurementError(
            f"The servo was heard in {n_heard} of {n_all} taps only.",
            "Is it plugged in and powered? Bring the microphone nearer, make the room quieter, "
            "or let it make larger moves with --tap-us.",
        )
    t_s = np.asarray(commanded_s[heard], np.float64)
    y_s = onsets.lags_s[heard]
    steady = _fit_steady(y_s, n_all)
    waiting = _fit_waiting(t_s, y_s, n_all, pwm_hz)
    best, other = sorted((steady, waiting), key=lambda lag: -lag.agreeing)
    if best.agreeing < max(6, MIN_SHARE * n_all):
        raise MeasurementError(
            f"The taps contradict each other: {best.agreeing} of {n_all} agree.",
            "Make the room quieter and bring the microphone nearer to the servo.",
        )
    if best.agreeing < other.agreeing + UNLIKE and abs(best.s - other.s) > OUTLIER_S / 2:
        raise MeasurementError(
            f"The taps can be read in two ways, {1e3 * best.s:.0f} ms and {1e3 * other.s:.0f} ms.",
            "Use more taps (--taps 32), and bring the microphone nearer to the servo.",
        )
    best = replace(best, doubt_s=best.doubt_s + onsets.doubt_s)
    if best.doubt_s > MAX_DOUBT_S:
        raise MeasurementError(
            f"The lag is known to plus or minus {1e3 * best.doubt_s:.1f} ms only.",
            "Use more taps (--taps 32), or make the room quieter.",
        )
    return best


def _fit_steady(y_s: Floats, n_all: int) -> Lag:
    """All lags are one."""
    middle_s = float(np.median(y_s))
    agrees = np.abs(y_s - middle_s) <= OUTLIER_S
    if not agrees.any():  # the median of an even number may lie far from all
        return Lag(middle_s, math.inf, 0, n_all, math.nan)
    kept_s = y_s[agrees]
    mean_s = float(kept_s.mean())
    return Lag(mean_s, _doubt_s(kept_s - mean_s, 1), len(kept_s), n_all, math.nan)


def _fit_waiting(t_s: Floats, y_s: Floats, n_all: int, pwm_hz: float) -> Lag:
    """Lag = a fixed part + the wait for the next pulse: all rates and phases on a grid.

    The mean is averaged over the grid by likelihood, because phases between the same two commands
    explain the taps equally well.
    """
    t_s = t_s - t_s.min()
    step_hz = 0.15 / max(1.0, float(t_s.max()))
    n_rates = math.ceil(OSCILLATOR_SPREAD * pwm_hz / step_hz)
    rates_hz = pwm_hz + step_hz * np.arange(-n_rates, n_rates + 1)
    phases = np.arange(0, 1, 1 / 40)
    cycles = rates_hz[:, None] * t_s
    waits_s = ((phases[:, None] - cycles[:, None]) % 1.0) / rates_hz[:, None, None]
    fixed_s = np.median(y_s - waits_s, axis=2, keepdims=True)
    errors_s = y_s - waits_s - fixed_s
    kept = np.abs(errors_s) <= OUTLIER_S
    fixed_s = fixed_s[:, :, 0] + (errors_s * kept).sum(axis=2) / np.maximum(kept.sum(axis=2), 1)
    errors_s = np.minimum(np.abs(y_s - waits_s - fixed_s[:, :, None]), OUTLIER_S)
    cost = (errors_s**2).sum(axis=2)
    sigma_s = min(SIGMA_S[1], max(SIGMA_S[0], math.sqrt(float(cost.min()) / len(y_s))))
    weights = np.exp((cost.min() - cost) / (2 * sigma_s**2))
    weights /= weights.sum()
    means_s = fixed_s + 0.5 / rates_hz[:, None]
    mean_s = float((weights * means_s).sum())
    phase_doubt_s = 1.96 * math.sqrt(float((weights * (means_s - mean_s) ** 2).sum()))
    best = np.unravel_index(int(cost.argmin()), cost.shape)
    agrees = errors_s[best] < OUTLIER_S
    tap_doubt_s = _doubt_s(errors_s[best][agrees], 3)
    doubt_s = math.hypot(phase_doubt_s, tap_doubt_s)
    return Lag(mean_s, doubt_s, int(agrees.sum()), n_all, float(rates_hz[best[0]]))


def _doubt_s(errors_s: Floats, n_fitted: int) -> float:
    """Half of the 95 % interval of a mean, at least half a hop."""
    free = len(errors_s) - n_fitted
    if free < 2:
        return math.inf
    scatter_s = math.sqrt(float((errors_s**2).sum()) / free)
    student = 1.96 + 2.6 / free  # within 2 % of the 97.5 % quantile of t from 5 degrees on
    return max(HOP_S / 2, student * scatter_s / math.sqrt(len(errors_s)))


# The oscillator -----------------------------------------------------------------------------------


def prescale(oscillator_hz: float, pwm_hz: float) -> int:
    """What the driver writes to PRE_SCALE: NXP PCA9685 data sheet, rev. 4, section 7.3.5."""
    return int(oscillator_hz / 4096 / pwm_hz + 0.5) - 1


def true_oscillator_hz(measured_hz: float, assumed_hz: float, pwm_hz: float) -> float:
    """The oscillator behind pulses that come ``measured_hz`` times a second, from a board that was
    set to ``pwm_hz`` under the belief of ``assumed_hz``: measured x 4096 x (PRE_SCALE + 1).
    """
    return measured_hz * 4096 * (prescale(assumed_hz, pwm_hz) + 1)


def edge_rate_hz(edges_s: NDArray[np.floating]) -> float:
    """Rate of a steady pulse from the times (k,) at which its rising edges were noticed.

    A straight line through the times (Theil-Sen would not gain: notices are late, rarely early);
    edges that were missed are skipped over. MeasurementError where the edges are not regular.
    """
    if len(edges_s) < 20:
        raise MeasurementError(
            f"Only {len(edges_s)} edges came.",
            "Check the wire from the channel's signal pin to the GPIO, and the ground between "
            "board and computer; --gpio takes BCM numbers.",
        )
    steps_s = np.diff(edges_s)
    period_s = float(np.median(steps_s))
    numbers = np.cumsum(np.concatenate(([0.0], np.rint(steps_s / period_s))))
    period_s, start_s = np.polyfit(numbers, edges_s, 1)
    errors_s = edges_s - (start_s + period_s * numbers)
    if np.median(np.abs(errors_s)) > 0.1 * period_s or len(edges_s) < 0.8 * numbers[-1]:
        raise MeasurementError(
            "The edges do not come regularly.",
            "Use a short wire with its own ground, away from the motors; stop other programs that "
            "use the board or the pin.",
        )
    return float(1 / period_s)
