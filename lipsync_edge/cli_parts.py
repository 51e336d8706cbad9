"""What all commands share: their parser, the options that choose a config, and loading it."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from lipsync_edge import config
from lipsync_edge.errors import UsageError


class Parser(argparse.ArgumentParser):
    """argparse with our exit code and examples that keep their line breaks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"lipsync-edge: {message}", file=sys.stderr)
        raise SystemExit(2)


def log_to_stderr() -> None:
    """Log as plain lines."""
    form = "%(levelname)s: %(message)s"
    logging.basicConfig(format=form, level=logging.getLogger().level, force=True)


def add_command(commands: Any, name: str, call: Any, text: str, example: str) -> Parser:
    """Declare a command: what it calls, what it does in words, and an example."""
    command: Parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"Example: {example}"
    )
    command.set_defaults(command=call, name=name)
    command.add_argument("--json", action="store_true", help="print JSON for a program to read")
    return command


def add_choices(command: Parser) -> None:
    """The options that stand above a config file."""
    command.add_argument("--head", metavar="NAME", help="head profile: a shipped name or a path")
    command.add_argument("--model", metavar="DIR", help="model bundle: a shipped name or a path")
    command.add_argument("--lookahead-ms", metavar="N", help="how long sound waits for the mouth")
    command.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="sets",
        help="any option, e.g. --set motion.rate_hz=100",
    )  # fmt: skip


def load(arguments: argparse.Namespace, path: Path | None) -> config.Config:
    """The config of a file, or of a pipe, and the command line: its log level holds from now on,
    its warnings are printed."""
    loaded = config.load(path, _overrides(arguments), head=arguments.head, may_be_pipe=True)
    logging.getLogger().setLevel(loaded.log.level.upper())
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return loaded


def reread(
    arguments: argparse.Namespace, path: Path | None, text: str | None = None
) -> config.Config:
    """The same for whoever only looks: nothing is printed, set or waited for. ``text``: see
    :func:`lipsync_edge.config.load`."""
    return config.load(path, _overrides(arguments), head=arguments.head, text=text)


def _overrides(arguments: argparse.Namespace) -> list[tuple[str, str]]:
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
    return overrides


def standard_input() -> BinaryIO:
    """Its bytes. UsageError where it is closed."""
    if sys.stdin is None:
        raise UsageError("standard input is closed.", "Pipe something into it.")
    return sys.stdin.buffer


def seconds(text: str) -> float:
    """A time above 0, for a parser."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return value
