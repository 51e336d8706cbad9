"""`calibrate lag`: play, tap, listen; say what was found.

The mathematics is in ``calibration`` and ``pulses``, the writing of configs in ``rewrite``; this
module drives the devices that the config names. See ``oscillator`` for the board's clock.
"""

from __future__ import annotations

import atexit
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lipsync_edge import calibration, pulses
from lipsync_edge.build import make_board, make_pins, make_stream
from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.config import Config
from lipsync_edge.enabled import EnabledBoard
from lipsync_edge.errors import BoardError, MeasurementError, UsageError
from lipsync_edge.listener import Listener
from lipsync_edge.options import ServoOptions, rules
from lipsync_edge.pulses import Lag
from lipsync_edge.servos import Board
from lipsync_edge.servos.gate import MAX_DT_S, Gate
from lipsync_edge.servos.rig import Rig
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.system import sigterm_as_interrupt
from lipsync_edge.yamledit import Path as Key

Say = Callable[[str], None]
Changes = dict[Key, str]

SETTLE_S = 0.7  # a horn comes to rest
TAP_PAUSE_S = (0.5, 0.75)
MIN_TAP_US = 20.0  # smaller moves drown in a servo's dead band
SAME_DELAY_S = 2e-3
SLOWEST_MS = 150.0


@dataclass(frozen=True)
class LagPlan:
    """How to measure. ``servos``: names; ``input_latency_ms``: of the microphone, where known."""

    servos: tuple[str, ...]
    n_taps: int = 20
    tap_us: float = 80.0
    max_delay_s: float = 1.0
    input_latency_ms: float = 0.0


@dataclass(frozen=True)
class LagReport:
    """What was heard, in milliseconds, and which servos were not understood, with the reason."""

    output_latency_ms: float
    round_trip_ms: float
    lags: dict[str, Lag]
    refused: dict[str, str]
    warnings: tuple[str, ...]

    def changes(self) -> Changes:
        """The values for a config; none where no servo was understood, as they belong together."""
        if not self.lags:
            return {}
        out: Changes = {("audio", "output_latency_ms"): _tenth(self.output_latency_ms)}
        for name, lag in self.lags.items():
            out["servos", name, "lag_ms"] = _tenth(1e3 * lag.s)
        return out

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        servos = {
            name: {
                "lag_ms": round(1e3 * lag.s, 1),
                "plus_minus_ms": round(1e3 * lag.doubt_s, 1),
                "taps": lag.of,
                "agreeing": lag.agreeing,
                "pulse_hz": None if np.isnan(lag.pulse_hz) else round(lag.pulse_hz, 2),
            }
            for name, lag in self.lags.items()
        }
        return {
            "output_latency_ms": round(self.output_latency_ms, 1),
            "round_trip_ms": round(self.round_trip_ms, 1),
            "servos": servos,
            "refused": self.refused,
            "warnings": list(self.warnings),
        }

    def text(self) -> str:
        """For people."""
        lines = [
            f"output_latency_ms  {self.output_latency_ms:6.1f}  what the sound card does not report"
            f" (there and back {self.round_trip_ms:.1f} ms)"
        ]
        for name, lag in self.lags.items():
            lines.append(
                f"lag_ms             {1e3 * lag.s:6.1f}  {name}, +- {1e3 * lag.doubt_s:.1f} ms, "
                f"{lag.agreeing} of {lag.of} taps agree"
            )
        lines += [f"{name}: not measured. {why}" for name, why in self.refused.items()]
        return "\n".join(lines)


def _tenth(value: float) -> str:
    return f"{round(value, 1) + 0.0:g}"


def measure_lag(
    loaded: Config, plan: LagPlan, listener: Listener, board: Board, clock: Clock, say: Say
) -> LagReport:
    """Sweeps, then taps of each servo. ``listener`` is started, ``board`` not opened; it is left
    with all outputs off. Raises MeasurementError, AudioError, BoardError, UsageError.
    """
    rig = Rig(loaded.head, ())
    moves = {name: _tap_widths(rig, rig.names.index(name), plan.tap_us) for name in plan.servos}
    say("listening to the speaker")
    delay = listener.delay(plan.max_delay_s)
    lags: dict[str, Lag] = {}
    refused: dict[str, str] = {}
    unreported_s = [listener.unreported_s()]
    board.open()
    try:
        tapper = _Tapper(rig, board, clock, listener)
        for name, widths_us in moves.items():
            say(f"listening to {name}: {plan.n_taps} taps of {abs(np.ptp(widths_us)):.0f} us")
            try:
                lag = tapper.measure(rig.names.index(name), widths_us, plan, _pulse_hz(loaded, rig))
                again = listener.delay(plan.max_delay_s)
                _check_same(delay, again)
                unreported_s.append(listener.unreported_s())
                lags[name] = _plausible(replace(lag, s=lag.s - plan.input_latency_ms / 1e3))
            except MeasurementError as error:
                refused[name] = str(error)
    finally:
        board.detach()
    output_ms = 1e3 * float(np.median(unreported_s)) - plan.input_latency_ms
    warnings = _warnings(loaded, lags)
    return LagReport(output_ms, 1e3 * delay.s, lags, refused, tuple(warnings))


def _pulse_hz(loaded: Config, rig: Rig) -> float:
    """Rate of the pulses as far as the config knows; calibrated or not."""
    oscillator_hz = loaded.head.boards[rig.slots[0].board].oscillator_hz
    steps = pulses.prescale(oscillator_hz, loaded.board.pwm_hz) + 1
    return oscillator_hz / 4096 / steps


def _tap_widths(rig: Rig, servo: int, tap_us: float) -> tuple[float, float]:
    """Two pulses around neutral, within the limits, so near that one update leads from one to the
    other through the gate. UsageError where there is no room."""
    low_us, high_us = float(rig.min_us[servo]), float(rig.max_us[servo])
    reach_us = float(rig.slew_us_per_s[servo]) * MAX_DT_S
    step_us = min(tap_us, high_us - low_us, reach_us)
    if step_us < MIN_TAP_US:
        raise UsageError(
            f"{rig.names[servo]}: a move of {step_us:.0f} us is too small to be heard.",
            "Its min_us, max_us and slew_us_per_s must allow 20 us at once.",
        )
    top_us = min(high_us, max(low_us + step_us, float(rig.neutral_us[servo]) + step_us / 2))
    return top_us - step_us, top_us


class _Tapper:
    """Commands one servo at a time, through the gate; all others stay off."""

    def __init__(self, rig: Rig, board: Board, clock: Clock, listener: Listener) -> None:
        self._rig, self._board, self._clock, self._listener = rig, board, clock, listener
        self._gate = Gate(rig.min_us, rig.max_us, rig.slew_us_per_s)
        self._last_s = clock.now()

    def measure(
        self, servo: int, widths_us: tuple[float, float], plan: LagPlan, pulse_hz: float
    ) -> Lag:
        """Tap ``plan.n_taps`` times at irregular times and listen."""
        listener, clock = self._listener, self._clock
        for width_us in (float(self._rig.neutral_us[servo]), widths_us[0]):
            self._send(servo, width_us)
            listener.wait(clock.now() + SETTLE_S)
        # Any irregular times do; the same ones each time make a measurement repeatable.
        pauses_s = [random.Random(k).uniform(*TAP_PAUSE_S) for k in range(plan.n_taps)]
        tail_s = calibration.LATEST_S + SETTLE_S + plan.input_latency_ms / 1e3
        begin, recorded = listener.record(sum(pauses_s) + tail_s)
        commanded_s = []
        for k, pause_s in enumerate(pauses_s):
            listener.wait(clock.now() + pause_s)
            commanded_s.append(self._send(servo, widths_us[(k + 1) % 2]))
        heard = listener.finish(begin, recorded)
        self._gate.off()
        self._board.detach()
        at = np.array([listener.captured.sample_at(t_s) for t_s in commanded_s]) - begin
        onsets = calibration.find_onsets(heard, at, listener.rate_hz)
        return pulses.fit_lag(np.array(commanded_s), onsets, pulse_hz)

    def _send(self, servo: int, width_us: float) -> float:
        """Command one pulse; returns when it was sent."""
        now_s = self._clock.now()
        widths_us = np.full(len(self._rig.names), np.nan)
        widths_us[servo] = width_us
        sent_us = self._gate.pass_(widths_us, now_s - self._last_s)
        self._last_s = now_s
        if not self._board.write(sent_us):
            raise BoardError(f"The servo board failed: {self._board.health().message}")
        return self._clock.now()


def _check_same(before: calibration.Delay, after: calibration.Delay) -> None:
    moved_s = abs(after.s - before.s)
    if moved_s > SAME_DELAY_S:
        raise MeasurementError(
            f"The sound's way there and back changed by {1e3 * moved_s:.0f} ms meanwhile.",
            "Speaker and microphone must belong to one device, and nothing else may load the "
            "computer; a larger audio.frames_per_buffer helps.",
        )


def _plausible(lag: Lag) -> Lag:
    rule = rules(ServoOptions)["lag_ms"]
    if not (rule.low or 0) <= 1e3 * lag.s <= (rule.high or 0):
        raise MeasurementError(
            f"The lag comes out as {1e3 * lag.s:.0f} ms, which no servo has.",
            "The microphone's driver delays the sound: give its latency with --input-latency-ms.",
        )
    return lag


def _warnings(loaded: Config, lags: dict[str, Lag]) -> Iterator[str]:
    for name, lag in lags.items():
        if 1e3 * lag.s > SLOWEST_MS:
            yield (
                f"{name} takes {1e3 * lag.s:.0f} ms to start, which is much. If the microphone's "
                "driver delays the sound, output_latency_ms is too large by as much: the mouth is "
                "in time all the same."
            )
    rates_hz = [lag.pulse_hz for lag in lags.values() if not np.isnan(lag.pulse_hz)]
    expected_hz = _pulse_hz(loaded, Rig(loaded.head, ()))
    if rates_hz and abs(np.median(rates_hz) / expected_hz - 1) > 0.01:
        yield (
            f"the pulses seem to come {np.median(rates_hz):.1f} times a second, where "
            f"{expected_hz:.1f} are expected; `lipsync-edge calibrate oscillator` makes sure."
        )


def _check_plan(plan: LagPlan) -> None:
    for name, value, low, high in (
        ("--taps", plan.n_taps, 8, 200),
        ("--tap-us", plan.tap_us, MIN_TAP_US, 400),
        ("--max-delay-ms", 1e3 * plan.max_delay_s, 50, 3000),
        ("--input-latency-ms", plan.input_latency_ms, 0, 2000),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name} {value:g}: allowed is {low:g} to {high:g}.")


def run_lag(loaded: Config, plan: LagPlan, say: Say) -> LagReport:
    """``measure_lag`` on the devices of the config; everything is off and closed afterwards."""
    if not loaded.audio.input:
        raise UsageError(
            "calibrate lag listens through the robot's microphone, and audio.input names none.",
            "Set it to a device that `lipsync-edge devices` lists with inputs.",
        )
    known = [servo.name for servo in loaded.head.servos]
    names = tuple(known) if "all" in plan.servos else plan.servos or (known[0],)
    for name in names:
        if name not in known:
            raise UsageError(f"--servo {name}: the head has no such servo.", ", ".join(known))
    _check_plan(plan)
    clock = MonotonicClock()
    supervisor = Supervisor(clock)
    board = EnabledBoard(make_board(loaded, Rig(loaded.head, ()), clock), make_pins(loaded), clock)
    atexit.register(board.close)
    stream = make_stream(loaded, clock, supervisor.spawn, True)
    try:
        with sigterm_as_interrupt():
            listener = Listener(stream, clock)
            listener.start()
            return measure_lag(loaded, replace(plan, servos=names), listener, board, clock, say)
    finally:
        board.close()
        stream.stop()
        supervisor.stop("done")
        supervisor.join()
