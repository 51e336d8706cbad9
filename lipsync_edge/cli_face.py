"""The arguments of `lipsync-edge face`, and what it prints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipsync_edge.config import Config
from lipsync_edge.errors import UsageError

EXAMPLE = """lipsync-edge face hello.wav -o face.mp4
         lipsync-edge face hello.wav -o mouths.png --head jaw --horns
         lipsync-edge face talk.mp4 -o judge.mp4 --beside talk.mp4"""
Load = Callable[[argparse.Namespace, Path | None], Config]


def add_arguments(command: argparse.ArgumentParser, load: Load) -> None:
    """Declare the arguments; ``load`` makes a config of them."""
    command.set_defaults(command=lambda arguments: _face(arguments, load))
    command.add_argument("input", metavar="IN", help="sound file or film, - for standard input")
    command.add_argument("-o", "--output", metavar="OUT", type=Path, required=True,
                         help=".mp4 with sound, .gif, .png (distinct mouths), .svg")  # fmt: skip
    command.add_argument("--config", type=Path, metavar="FILE", help="config file (YAML)")
    command.add_argument("--fps", type=float, default=30.0, metavar="N", help="pictures a second")
    command.add_argument("--size", type=int, default=480, metavar="N",
                         help="width and height of a face, in pixels")  # fmt: skip
    command.add_argument("--horns", action="store_true",
                         help="the face that the head's simulated servos show")  # fmt: skip
    command.add_argument("--at", type=float, metavar="S", help="only the picture of second S")
    command.add_argument("--beside", metavar="MODEL|FILM", help="what to compare the face with")


def _face(arguments: argparse.Namespace, load: Load) -> int:
    from lipsync_edge.facefilm import Order, make

    for name, low, high in (("fps", 1, 120), ("size", 64, 2160)):
        if not low <= getattr(arguments, name) <= high:
            raise UsageError(f"--{name}: must be {low} to {high}.")
    if arguments.size % 2:
        raise UsageError("--size: must be even, as films want it.")
    order = Order(arguments.fps, arguments.size, arguments.horns, arguments.at, arguments.beside)
    report = make(
        load(arguments, arguments.config), arguments.input, arguments.output, order,
        progress=not arguments.json, raw_rate_hz=arguments.raw_rate,
    )  # fmt: skip
    for warning in report["warnings"]:  # type: ignore[attr-defined]
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(report, indent=2) if arguments.json else _text(report))
    return 1 if report["warnings"] else 0


def _text(report: dict[str, Any]) -> str:
    size_kb = report["bytes"] / 1000
    frames = f"{report['frames']} pictures, " if "frames" in report else ""
    return f"{report['output']}: {frames}{size_kb:.0f} kB, of {' and '.join(report['shows'])}."
