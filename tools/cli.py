"""What a desktop does for the robot: learn, judge, convert. Exit codes: 0, 1 failed, 2 usage.

Each command is a module with `add_arguments(parser)` and `run(arguments) -> int`, which is imported
only when it is called: they need different packages, and `--help` needs none.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from lipsync_edge.errors import LipsyncError

COMMANDS = {
    "extract": ("extract_command", "make a set of lip movements and sound from films"),
    "forget": ("forget_command", "take a source out of sets, and name the models that saw it"),
    "learn": ("learn_command", "from films of somebody to a bundle that moves as they do"),
    "train": ("train_command", "learn a mouth from sets of films, and from voices without film"),
    "convert": ("convert_command", "make an int8 bundle of a checkpoint or a foreign model"),
    "evaluate": ("evaluate_command", "judge a model, or a stage of the way, against film"),
    "draw": ("draw_command", "draw the pictures of docs/motion.md from real runs"),
}
"""Name -> (module of this package, what it does)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error becomes a sentence on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(arguments.run(arguments))
    except LipsyncError as error:
        print(f"lipsync-tools: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("lipsync-tools: stopped", file=sys.stderr)
        return 130


def _parser(chosen: str) -> argparse.ArgumentParser:
    """The parser of all commands; the arguments of the chosen one alone are known."""
    parser = argparse.ArgumentParser(
        prog="lipsync-tools", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module, told) in COMMANDS.items():
        command = commands.add_parser(name, help=told, description=told)
        if name == chosen:
            loaded = importlib.import_module(f"lipsync_tools.{module}")
            loaded.add_arguments(command)
            command.set_defaults(run=loaded.run)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
