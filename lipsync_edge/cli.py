"""The command `lipsync-edge`. Exit codes: 0 fine, 1 failed, 2 bad usage or config."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lipsync_edge import __version__, cli_control, config
from lipsync_edge.audio import Source
from lipsync_edge.errors import LipsyncError, UsageError
from lipsync_edge.notify import Notifier
from lipsync_edge.system import hide_library_chatter, peak_rss_mb

SAMPLE = Path(__file__).parent / "samples" / "hello.wav"


class Parser(argparse.ArgumentParser):
    """argparse with our exit code and examples that keep their line breaks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"lipsync-edge: {message}", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every error becomes a sentence on stderr and an exit code."""
    arguments = _parser().parse_args(argv)
    _log_to_stderr()
    try:
        return int(arguments.command(arguments))
    except LipsyncError as error:
        print(f"lipsync-edge: {error}", file=sys.stderr)
        Notifier().status(str(error))  # `systemctl status` shows it
        return error.exit_code
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _log_to_stderr() -> None:
    form = "%(levelname)s: %(message)s"
    logging.basicConfig(format=form, level=logging.getLogger().level, force=True)


def _parser() -> Parser:
    parser = Parser(
        prog="lipsync-edge",
        description=__doc__,
        epilog="Example: lipsync-edge run --play hello.wav",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_render(commands)
    _add_calibrate(commands)
    for name, call, text, example in (
        ("check", _check, "check a config and print its latency budget", "check robot.yaml"),
        ("config", _config, "print the effective config as YAML", "config robot.yaml > full.yaml"),
        ("doctor", _doctor, "look for what keeps the head from talking", "doctor robot.yaml"),
    ):
        command = _command(commands, name, call, text, f"lipsync-edge {example}")
        command.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
        _add_choices(command)
        if name == "config":
            command.add_argument("--defaults", action="store_true", help="print default.yaml")
    _command(
        commands, "devices", _devices, "list sound cards, I2C boards, models and heads",
        "lipsync-edge devices",
    )  # fmt: skip
    cli_control.add(commands, _command)
    detach = _command(
        commands, "detach", _detach, "switch all servo outputs off", "lipsync-edge detach"
    )
    detach.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
    return parser


def _command(commands: Any, name: str, call: Any, text: str, example: str) -> Parser:
    command: Parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"Example: {example}"
    )
    command.set_defaults(command=call, name=name)
    command.add_argument("--json", action="store_true", help="print JSON for a program to read")
    return command


def _add_choices(command: Parser) -> None:
    command.add_argument("--head", metavar="NAME", help="head profile: a shipped name or a path")
    command.add_argument("--model", metavar="DIR", help="model bundle: a shipped name or a path")
    command.add_argument("--lookahead-ms", metavar="N", help="how long sound waits for the mouth")
    command.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="sets",
        help="any option, e.g. --set motion.rate_hz=100",
    )  # fmt: skip


def _add_run(commands: Any) -> None:
    command = _command(
        commands, "run", _run, "make the head talk",
        "lipsync-edge run robot.yaml\n"
        "         espeak-ng --stdout hello | lipsync-edge run --play -",
    )  # fmt: skip
    command.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
    command.add_argument("--play", metavar="FILE", help="sound file to speak, - for standard input")
    _add_raw(command)
    command.add_argument("--for", metavar="S", type=_seconds, default=math.inf, dest="max_s",
                         help="stop after S seconds")  # fmt: skip
    command.add_argument("--ui", choices=("auto", "face", "plain", "none"), default="auto",
                         help="face: draw the mouth; plain: a line a second")  # fmt: skip
    _add_choices(command)


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return value


def _add_render(commands: Any) -> None:
    command = _command(
        commands, "render", _render, "turn a sound file into a table of poses and pulses",
        "lipsync-edge render hello.wav -o hello.csv --head jaw",
    )  # fmt: skip
    command.add_argument("input", metavar="IN.wav", help="sound file, - for standard input")
    command.add_argument("-o", "--output", metavar="OUT.csv", default="-", help="default: stdout")
    command.add_argument("--config", type=Path, metavar="FILE", help="config file (YAML)")
    command.add_argument("--chunk", type=int, default=4096, metavar="N",
                         help="samples read at a time; the result is the same")  # fmt: skip
    command.add_argument("--simulate", action="store_true",
                         help="also where the horns are, and the face they show")  # fmt: skip
    _add_raw(command)
    _add_choices(command)


def _add_calibrate(commands: Any) -> None:
    group: Parser = commands.add_parser(
        "calibrate", help="measure a servo's lag, the sound's latency, a board's oscillator",
        description="Measure what differs from robot to robot; see docs/calibrate.md.",
        epilog="Example: lipsync-edge calibrate lag robot.yaml --servo jaw --write robot.yaml",
    )  # fmt: skip
    parts = group.add_subparsers(title="what", required=True, metavar="WHAT")
    lag = _command(
        parts, "lag", _calibrate_lag, "hear how late speaker and servos are, by the microphone",
        "lipsync-edge calibrate lag robot.yaml --servo jaw",
    )  # fmt: skip
    lag.add_argument("--servo", metavar="NAME", action="append", default=[],
                     help="may be repeated; all: every servo; default: the first")  # fmt: skip
    oscillator = _command(
        parts, "oscillator", _calibrate_oscillator, "find the true frequency of a board's clock",
        "lipsync-edge calibrate oscillator robot.yaml --measured-hz 51.2\n"
        "         lipsync-edge calibrate oscillator robot.yaml --channel 15 --gpio 17",
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
        _add_choices(command)


def _add_raw(command: Parser) -> None:
    command.add_argument("--raw-rate", type=int, default=16_000, metavar="HZ",
                         help="rate of raw PCM on standard input (16-bit, mono)")  # fmt: skip


def _load(arguments: argparse.Namespace, path: Path | None) -> config.Config:
    overrides = []
    if arguments.model is not None:
        overrides.append(("model.bundle", arguments.model))
    if arguments.lookahead_ms is not None:
        overrides.append(("audio.lookahead_ms", arguments.lookahead_ms))
    for item in arguments.sets:
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item}: write it as KEY=VALUE, e.g. --set motion.rate_hz=100.")
        overrides.append((key, value))
    loaded = config.load(path, overrides, head=arguments.head)
    logging.getLogger().setLevel(loaded.log.level.upper())
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return loaded


def _run(arguments: argparse.Namespace) -> int:
    from lipsync_edge.app import Robot
    from lipsync_edge.audio.wav import open_source
    from lipsync_edge.service import socket_path
    from lipsync_edge.view import make_view

    loaded = _load(arguments, arguments.config)
    if loaded.log.level != "debug":
        hide_library_chatter()
        _log_to_stderr()
    waits = loaded.audio.input or socket_path(loaded.service)  # for sound, or to be told
    play = arguments.play or (None if waits else str(SAMPLE))
    source = open_source(play, raw_rate_hz=arguments.raw_rate) if play else None
    view = make_view("none" if arguments.json else arguments.ui, loaded.head)
    robot = Robot(loaded, source, arguments.max_s, lambda: _load(arguments, arguments.config))
    try:
        summary = robot.run(view.draw)
    finally:
        view.close()
    print(json.dumps(summary.as_dict(), indent=2) if arguments.json else summary.text())
    damaged = _tell_damage(source)
    return 1 if summary.failed or damaged else 0


def _render(arguments: argparse.Namespace) -> int:
    from lipsync_edge.audio.wav import open_source
    from lipsync_edge.render import render

    loaded = _load(arguments, arguments.config)
    if arguments.chunk < 1:
        raise UsageError("--chunk: must be 1 or more.")
    source = open_source(arguments.input, raw_rate_hz=arguments.raw_rate)
    n_rows, last_s, complete = render(
        loaded, source, arguments.output, arguments.chunk, simulate=arguments.simulate
    )
    damaged = _tell_damage(source)
    if arguments.json:
        report = {"rows": n_rows, "last_time_s": last_s, "complete": complete,
                  "peak_rss_mb": round(peak_rss_mb(), 1)}  # fmt: skip
        print(json.dumps(report), file=sys.stderr if arguments.output == "-" else sys.stdout)
    if not complete:
        print(f"stopped after {last_s:.2f} s; the rows so far are kept.", file=sys.stderr)
        return 130
    return 1 if damaged else 0


def _tell_damage(source: Source | None) -> bool:
    """Say what was wrong with a sound that came to its end all the same; True if anything was."""
    for warning in source.warnings if source else ():
        print(f"warning: {warning}", file=sys.stderr)
    return bool(source and source.warnings)


def _calibrate_lag(arguments: argparse.Namespace) -> int:
    from lipsync_edge.calibrate import LagPlan, run_lag

    loaded = _load(arguments, arguments.config)
    if loaded.log.level != "debug":
        hide_library_chatter()
        _log_to_stderr()
    plan = LagPlan(
        servos=tuple(arguments.servo),
        n_taps=arguments.taps,
        tap_us=arguments.tap_us,
        max_delay_s=arguments.max_delay_ms / 1e3,
        input_latency_ms=arguments.input_latency_ms,
    )
    report = run_lag(loaded, plan, say=lambda line: print(line, file=sys.stderr))
    return _tell_calibration(arguments, report) or bool(report.refused)


def _calibrate_oscillator(arguments: argparse.Namespace) -> int:
    from lipsync_edge.calibrate import oscillator, run_oscillator

    loaded = _load(arguments, arguments.config)
    measured_hz, channel = arguments.measured_hz, arguments.channel
    if (measured_hz is None) == (channel is None):
        raise UsageError("Give either --measured-hz HZ, or --channel N with or without --gpio PIN.")
    if channel is not None:
        measured_hz = run_oscillator(
            loaded, arguments.board, channel, arguments.seconds, arguments.gpio
        )
        if arguments.gpio is None:
            print(f"channel {channel} is off again; now give --measured-hz what the meter showed.")
            return 0
    return _tell_calibration(arguments, oscillator(loaded, arguments.board, measured_hz))


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


def _check(arguments: argparse.Namespace) -> int:
    from lipsync_edge.build import budget_of, make_model
    from lipsync_edge.clock import MonotonicClock

    loaded = _load(arguments, arguments.config)
    model = make_model(loaded, MonotonicClock())
    budget = budget_of(loaded, model, loaded.audio.rate_hz or 48_000)
    if arguments.json:
        items = {item.name: item.ms for item in budget.items}
        report = {"source": loaded.source, "budget_ms": items, "needed_ms": budget.needed_ms,
                  "lookahead_ms": budget.lookahead_ms, "trail_ms": budget.trail_ms}  # fmt: skip
        print(json.dumps(report, indent=2))
    else:
        n_servos = len(loaded.head.servos)
        print(f"{loaded.source}: fine. Head {loaded.head.name} ({n_servos} servos).")
        print("latency budget\n" + budget.table())
    return 0


def _config(arguments: argparse.Namespace) -> int:
    if arguments.defaults:
        print(config.default_yaml(), end="")
        return 0
    loaded = _load(arguments, arguments.config)
    if arguments.json:
        import yaml

        print(json.dumps(yaml.safe_load(config.dump(loaded)), indent=2))
    else:
        print(config.dump(loaded), end="")
    return 0


def _devices(arguments: argparse.Namespace) -> int:
    from lipsync_edge.doctor import devices, devices_text

    found = devices()
    print(json.dumps(found, indent=2) if arguments.json else devices_text(found))
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from lipsync_edge.doctor import examine

    findings = examine(lambda: _load(arguments, arguments.config))
    if arguments.json:
        print(json.dumps([vars(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(finding.text())
    return 0 if all(finding.ok for finding in findings) else 1


def _detach(arguments: argparse.Namespace) -> int:
    from lipsync_edge.build import disable_outputs, shared_bus
    from lipsync_edge.servos.pca9685 import detach_all

    bus, addresses = None, None  # every board that is found on the computer's own bus
    if arguments.config:
        try:
            settings = config.load(arguments.config)
            addresses = [board.address for board in settings.head.boards]
            bus = shared_bus(settings)
            if trouble := disable_outputs(settings):
                print(f"warning: {trouble}", file=sys.stderr)
        except LipsyncError as error:  # the last thing that may keep outputs on is a typing error
            print(f"warning: {error}\nSwitching off every board instead.", file=sys.stderr)
    off = [f"0x{address:02x}" for address in detach_all(bus, addresses)]
    if arguments.json:
        print(json.dumps({"detached": off}))
    else:
        print(f"outputs off: {', '.join(off) or 'no board found'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
