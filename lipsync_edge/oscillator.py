"""`calibrate oscillator`: pulses for a meter, or for a pin that counts them."""

from __future__ import annotations

import atexit
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lipsync_edge import pulses
from lipsync_edge.build import make_board, make_pins
from lipsync_edge.calibrate import Changes
from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.config import Config
from lipsync_edge.enabled import EnabledBoard
from lipsync_edge.errors import BoardError, UsageError
from lipsync_edge.gpio import EdgeListener
from lipsync_edge.head import Servo
from lipsync_edge.options import BoardSpec, ServoOptions, rules
from lipsync_edge.servos import Board
from lipsync_edge.servos.rig import Rig
from lipsync_edge.system import sigterm_as_interrupt


@dataclass(frozen=True)
class OscillatorReport:
    """The oscillator of one board, from the rate of its pulses."""

    board: int
    measured_hz: float
    oscillator_hz: int
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        return {**vars(self), "warnings": list(self.warnings)}

    def text(self) -> str:
        """For people."""
        off = 100 * (self.oscillator_hz / 25e6 - 1)
        return (
            f"oscillator_hz  {self.oscillator_hz}  board {self.board}, {off:+.1f} % off 25 MHz "
            f"(pulses at {self.measured_hz:.3f} Hz)"
        )

    def changes(self) -> Changes:
        """The values for a config."""
        return {("boards", self.board, "oscillator_hz"): str(self.oscillator_hz)}


USUAL_HZ = (23_000_000, 27_000_000)


def oscillator(loaded: Config, board: int, measured_hz: float) -> OscillatorReport:
    """From pulses that were measured ``measured_hz`` times a second while this program drove them.

    UsageError where there is no such board, or no oscillator can be so far off.
    """
    spec = _board(loaded, board)
    true_hz = pulses.true_oscillator_hz(measured_hz, spec.oscillator_hz, loaded.board.pwm_hz)
    rule = rules(type(spec))["oscillator_hz"]
    if not (rule.low or 0) <= true_hz <= (rule.high or 0):
        raise UsageError(
            f"Pulses at {measured_hz:g} Hz mean an oscillator of {true_hz / 1e6:.1f} MHz, which no "
            "PCA9685 has.",
            f"Near {loaded.board.pwm_hz:g} Hz is right (board.pwm_hz). Read the meter again, in Hz;"
            " the board must have been set up by this program, with this config.",
        )
    warnings: tuple[str, ...] = ()
    if not USUAL_HZ[0] <= true_hz <= USUAL_HZ[1]:
        warnings = (
            f"{true_hz / 1e6:.1f} MHz is unusual (23 to 27 MHz); measure again with another meter.",
        )
    return OscillatorReport(board, measured_hz, round(true_hz), warnings)


def _board(loaded: Config, board: int) -> BoardSpec:
    if not 0 <= board < len(loaded.head.boards):
        n_boards = len(loaded.head.boards)
        raise UsageError(f"--board {board}: the head has {n_boards}, counted from 0.")
    return loaded.head.boards[board]


def spare_channel(loaded: Config, board: int, channel: int) -> Config:
    """The config with a head of one output: ``channel`` of ``board``, at 1500 us, nothing else.

    UsageError where a servo of the head is plugged in there.
    """
    _board(loaded, board)
    taken = {s.options.channel: s.name for s in loaded.head.servos if s.options.board == board}
    if channel in taken:
        free = [str(c) for c in range(16) if c not in taken]
        raise UsageError(
            f"--channel {channel}: {taken[channel]} is plugged in there; a spare one is needed.",
            f"Free on board {board}: {', '.join(free) or 'none'}.",
        )
    if not 0 <= channel <= 15:
        raise UsageError(f"--channel {channel}: a board has the channels 0 to 15.")
    probe = Servo("probe", ServoOptions(channel=channel, board=board), {})
    return replace(loaded, head=replace(loaded.head, servos=(probe,)))


def pulse_rate_hz(
    board: Board, clock: Clock, seconds: float, pin: int | None, gpio: Any = None
) -> float:
    """Give pulses of 1500 us on the only servo of ``board`` for some seconds, and listen to ``pin``
    (None: a meter listens; returns NaN). All outputs are off before and after.
    """
    try:
        board.open()
        if not board.write(np.array([1500.0])):
            raise BoardError(f"The servo board failed: {board.health().message}")
        if pin is None:
            clock.sleep_until(clock.now() + seconds)
            return float("nan")
        with EdgeListener(pin, clock.now, gpio) as listener:
            clock.sleep_until(clock.now() + seconds)
        return pulses.edge_rate_hz(np.array(listener.times_s))
    finally:
        board.close()


def run_oscillator(
    loaded: Config, board: int, channel: int, seconds: float, pin: int | None, gpio: Any = None
) -> float:
    """``pulse_rate_hz`` on the devices of the config."""
    if not 1 <= seconds <= 3600:
        raise UsageError(f"--seconds {seconds:g}: allowed is 1 to 3600.")
    wired = {n: k for k, n in asdict(loaded.gpio).items() if isinstance(n, int) and n >= 0}
    if pin in wired:
        raise UsageError(f"--gpio {pin}: that pin is gpio.{wired[pin]} of the config.",
                         "Wire the channel to a free one, GPIO 24 say.")  # fmt: skip
    probing, clock = spare_channel(loaded, board, channel), MonotonicClock()
    device = EnabledBoard(
        make_board(probing, Rig(probing.head, ()), clock), make_pins(loaded), clock
    )
    atexit.register(device.close)
    with sigterm_as_interrupt():
        return pulse_rate_hz(device, clock, seconds, pin, gpio)
