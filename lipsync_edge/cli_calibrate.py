"""The commands that measure: lag of servos and sound, and a board's oscillator."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lipsync_edge.cli_parts import Parser, add_choices, add_command, load, log_to_stderr
from lipsync_edge.config import Config
from lipsync_edge.errors import ControlError, UsageError
from lipsync_edge.system import hide_library_chatter


def add(commands: Any) -> None:
    """Declare the commands."""
    group: Parser = commands.add_parser(
        "calibrate", help="measure a servo's lag, the sound's latency, a board's oscillator",
        description="Measure what differs from robot to robot; see docs/calibrate.md.",
        epilog="Example: lipsync-edge calibrate lag robot.yaml --servo jaw --write robot.yaml",
    )  # fmt: skip
    parts = group.add_subparsers(title="what", required=True, metavar="WHAT")
    lag = add_command(
        parts, "lag", _calibrate_lag, "hear how late speaker and servos are, by the microphone",
        "lipsync-edge calibrate lag robot.yaml --servo jaw",
    )  # fmt: skip
    lag.add_argument("--servo", metavar="NAME", action="append", default=[],
                     help="may be repeated; all: every servo; default: the first")  # fmt: skip
    oscillator = add_command(
        parts, "oscillator", _calibrate_oscillator, "find the true frequency of a board's clock",
        "lipsync-edge calibrate oscillator robot.yaml --measured-hz 51.2\n"
        "         lipsync-edge calibrate oscillator robot.yaml --channel 15 --gpio 24",
    )  # fmt: skip
    for command, flag, kind, default, text in (
        (lag, "--taps", int, 20, "taps of each servo"),
        (lag, "--tap-us", float, 80.0, "size of a tap, in microseconds"),
        (lag, "--max-delay-ms", float, 1000.0, "how late the speaker may be"),
        (lag, "--input-latency-ms", float, 0.0, "the microphone's own delay, where known"),
        (oscillator, "--board", int, 0, "which of the head's boards"),
        (oscillator, "--measured-hz", float, None, "pulses a second, as a meter shows them"),
        (oscillator, "--channel", int, None, "spare output that gives pulses for a meter or pin"),
        (oscillator, "--gpio", int, None, "the Pi's pin that it is wired to (BCM number)"),
        (oscillator, "--seconds", float, 5.0, "how long the pulses are given"),
    ):
        more = "" if default is None else f"; default: {default:g}"
        command.add_argument(flag, metavar="N", type=kind, default=default, help=text + more)
    for command in (lag, oscillator):
        command.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
        command.add_argument("--write", metavar="FILE", type=Path,
                             help="put the values into this config, showing how")  # fmt: skip
        add_choices(command)


def _calibrate_lag(arguments: argparse.Namespace) -> int:
    from lipsync_edge.calibrate import LagPlan, run_lag

    loaded = load(arguments, arguments.config)
    if loaded.log.level != "debug":
        hide_library_chatter()
        log_to_stderr()
    plan = LagPlan(
        servos=tuple(arguments.servo),
        n_taps=arguments.taps,
        tap_us=arguments.tap_us,
        max_delay_s=arguments.max_delay_ms / 1e3,
        input_latency_ms=arguments.input_latency_ms,
    )
    _refuse_beside_a_head(loaded)
    report = run_lag(loaded, plan, say=lambda line: print(line, file=sys.stderr))
    return _tell_calibration(arguments, report) or bool(report.refused)


def _calibrate_oscillator(arguments: argparse.Namespace) -> int:
    from lipsync_edge.oscillator import oscillator, run_oscillator

    loaded = load(arguments, arguments.config)
    measured_hz, channel = arguments.measured_hz, arguments.channel
    if (measured_hz is None) == (channel is None):
        raise UsageError("Give either --measured-hz HZ, or --channel N with or without --gpio PIN.")
    if channel is not None:
        _refuse_beside_a_head(loaded)
        measured_hz = run_oscillator(
            loaded, arguments.board, channel, arguments.seconds, arguments.gpio
        )
        if arguments.gpio is None:
            print(f"channel {channel} is off again; now give --measured-hz what the meter showed.")
            return 0
    return _tell_calibration(arguments, oscillator(loaded, arguments.board, measured_hz))


def _refuse_beside_a_head(loaded: Config) -> None:
    """UsageError where a head runs, ControlError where nobody knows: both would send pulses to the
    same board."""
    from lipsync_edge.client import Client, default_socket

    simulated = loaded.board.driver in ("simulator", "dummy")
    path = loaded.service.socket or ("" if simulated else default_socket())
    if not path:
        return
    try:
        with Client(path, timeout_s=3.0) as head:
            head.status()
    except ControlError as error:
        if isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            return
        raise
    raise UsageError(
        "A head is running, and has the servos and the sound.",
        "Stop it meanwhile: sudo systemctl stop lipsync-edge (afterwards: sudo systemctl start "
        "lipsync-edge).",
    )


def _tell_calibration(arguments: argparse.Namespace, report: Any) -> int:
    """Print what was measured and, where asked, write it into a config."""
    from lipsync_edge.rewrite import rewrite

    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(report.as_dict(), indent=2) if arguments.json else report.text())
    if arguments.write and not report.changes():
        print("nothing was written.", file=sys.stderr)
    elif arguments.write:
        out = sys.stderr if arguments.json else sys.stdout
        rewrite(arguments.write, report.changes(), show=lambda text: print(text, file=out))
    return 0
