"""The command `lipsync-edge`. Exit codes: 0 fine, 1 failed, 2 bad usage or config."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipsync_edge import __version__, cli_calibrate, cli_control, config
from lipsync_edge.audio import Source
from lipsync_edge.cli_parts import (
    Parser,
    add_choices,
    add_command,
    load,
    log_to_stderr,
    reread,
    seconds,
    standard_input,
)
from lipsync_edge.errors import ConfigError, ControlError, LipsyncError, UsageError
from lipsync_edge.notify import Notifier
from lipsync_edge.system import hide_library_chatter, peak_rss_mb

DETACH_S = 1.0  # a head that hangs is not waited for longer
SAMPLE = Path(__file__).parent / "samples" / "hello.wav"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every error becomes a sentence on stderr and an exit code."""
    arguments = _parser().parse_args(argv)
    log_to_stderr()
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
    _add_face(commands)
    cli_calibrate.add(commands)
    for name, call, text, example in (
        ("check", _check, "check a config and print its latency budget", "check robot.yaml"),
        ("config", _config, "print the effective config as YAML", "config robot.yaml > full.yaml"),
        ("doctor", _doctor, "look for what keeps the head from talking", "doctor robot.yaml"),
    ):
        command = add_command(commands, name, call, text, f"lipsync-edge {example}")
        command.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
        add_choices(command)
        if name == "check":
            command.add_argument("--text", action="store_true", help="take the file's content from "
                                 "standard input, and look for mistakes alone")  # fmt: skip
        if name == "config":
            command.add_argument("--defaults", action="store_true", help="print default.yaml")
    add_command(
        commands, "devices", _devices, "list sound cards, I2C boards, models and heads",
        "lipsync-edge devices",
    )  # fmt: skip
    cli_control.add(commands)
    detach = add_command(
        commands, "detach", _detach, "switch all servo outputs off", "lipsync-edge detach"
    )
    detach.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
    return parser


def _add_run(commands: Any) -> None:
    command = add_command(
        commands, "run", _run, "make the head talk",
        "lipsync-edge run robot.yaml\n"
        "         espeak-ng --stdout hello | lipsync-edge run --play -",
    )  # fmt: skip
    command.add_argument("config", nargs="?", type=Path, help="config file (YAML)")
    command.add_argument("--play", metavar="FILE", help="sound file to speak, - for standard input")
    _add_raw(command)
    command.add_argument("--for", metavar="S", type=seconds, default=math.inf, dest="max_s",
                         help="stop after S seconds")  # fmt: skip
    command.add_argument("--ui", choices=("auto", "face", "plain", "none"), default="auto",
                         help="face: draw the mouth; plain: a line a second")  # fmt: skip
    add_choices(command)


def _add_render(commands: Any) -> None:
    command = add_command(
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
    add_choices(command)


def _add_face(commands: Any) -> None:
    from lipsync_edge import cli_face

    command = add_command(
        commands, "face", _render, "draw a face that speaks a sound, as a film or a picture",
        cli_face.EXAMPLE,
    )  # fmt: skip
    cli_face.add_arguments(command, load)
    _add_raw(command)
    add_choices(command)


def _add_raw(command: Parser) -> None:
    command.add_argument("--raw-rate", type=int, default=16_000, metavar="HZ",
                         help="rate of raw PCM on standard input (16-bit, mono)")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from lipsync_edge.app import Robot
    from lipsync_edge.audio.wav import open_source
    from lipsync_edge.service import socket_path
    from lipsync_edge.view import make_view

    loaded = load(arguments, arguments.config)
    if loaded.log.level != "debug":
        hide_library_chatter()
        log_to_stderr()
    waits = loaded.audio.input or socket_path(loaded.service)  # for sound, or to be told
    play = arguments.play or (None if waits else str(SAMPLE))
    source = open_source(play, raw_rate_hz=arguments.raw_rate) if play else None
    view = make_view("none" if arguments.json else arguments.ui, loaded.head)
    robot = Robot(
        loaded, source, arguments.max_s, lambda text: reread(arguments, arguments.config, text)
    )
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

    loaded = load(arguments, arguments.config)
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


def _check(arguments: argparse.Namespace) -> int:
    from lipsync_edge.build import budget_of, make_model
    from lipsync_edge.clock import MonotonicClock

    if arguments.text:
        return _check_text(arguments)
    loaded = load(arguments, arguments.config)
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


def _check_text(arguments: argparse.Namespace) -> int:
    from lipsync_edge.about import problems_of, warnings_of
    from lipsync_edge.yamlnodes import MAX_BYTES, too_large

    data = standard_input().read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise ConfigError([f"{arguments.config or config.UNNAMED}: {too_large()}"])
        text = data.decode("utf-8", "replace")
        problems = warnings_of(reread(arguments, arguments.config, text))
    except ConfigError as error:
        if not arguments.json:
            raise
        problems = problems_of(error, str(arguments.config or ""))
    if arguments.json:
        print(json.dumps({"problems": problems}))
    return 2 if any(problem["severity"] == "error" for problem in problems) else 0


def _config(arguments: argparse.Namespace) -> int:
    if arguments.defaults:
        print(config.default_yaml(), end="")
        return 0
    loaded = load(arguments, arguments.config)
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

    findings = examine(lambda: load(arguments, arguments.config))
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
    settings = None
    if arguments.config:
        try:
            settings = config.load(arguments.config)
            addresses = [board.address for board in settings.head.boards]
            bus = shared_bus(settings)
        except LipsyncError as error:  # the last thing that may keep outputs on is a typing error
            print(f"warning: {error}\nSwitching off every board instead.", file=sys.stderr)
    told = _tell_to_detach(settings.service.socket if settings else "")
    # The pins of a head that runs are its own: RPi.GPIO would take them away without a word.
    if settings and not told and (trouble := disable_outputs(settings)):
        print(f"warning: {trouble}", file=sys.stderr)
    try:
        off = [f"0x{address:02x}" for address in detach_all(bus, addresses)]
    except LipsyncError:
        if not told:
            raise
        off = []  # the head has boards of another kind, and did it
    if arguments.json:
        print(json.dumps({"detached": off, "head": told}))
        return 0
    if off or not told:
        print(f"outputs off: {', '.join(off) or 'no board found'}")
    if told:
        print("The head that runs switched its outputs off, until `lipsync-edge wake`.")
    return 0


def _tell_to_detach(socket: str) -> bool:
    """A head that runs would switch them on again; whether one does, and obeyed."""
    from lipsync_edge.client import Client

    try:
        with Client(socket, timeout_s=DETACH_S) as head:
            head.detach()
    except ControlError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
