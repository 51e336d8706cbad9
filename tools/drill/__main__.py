"""Tries what a head does when things break: `make drill`.

python -m lipsync_tools.drill                     all cases, a line each; a quarter of an hour
python -m lipsync_tools.drill sigkill board-reset  some of them
python -m lipsync_tools.drill --write docs/reliability.md   put the table into the document
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from lipsync_edge.errors import AudioError
from lipsync_tools.drill.cases import all_cases
from lipsync_tools.drill.report import FAILED, Result, write
from lipsync_tools.drill.run import attempt_all, world
from lipsync_tools.drill.unit import UNIT, read_unit
from lipsync_tools.drill.virtual import HOUR_S, Background
from lipsync_tools.soundserver import missing


def main() -> int:
    """0: all passed or not there; 1: one failed; 130: interrupted."""
    arguments = _arguments()
    known = [case.name for case in all_cases(None)]
    if unknown := set(arguments.case) - set(known):
        print(f"no such case: {', '.join(sorted(unknown))}. Known: {', '.join(known)}")
        return 2
    if missing():
        print(f"no sound server: {missing()}", file=sys.stderr)
        return 1
    wanted = arguments.case or known
    if arguments.list:
        print("\n".join(wanted))
        return 0
    return _drill(arguments, wanted)


def _drill(arguments: argparse.Namespace, wanted: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # servers and robot shall end with us
        signal.signal(number, signal.default_int_handler)
    hour = Background("silence", HOUR_S) if "silence" in wanted else None
    out = sys.stderr if arguments.json else sys.stdout

    def tell(result: Result) -> None:
        print(result.line, file=out, flush=True)

    cases = [case for case in all_cases(hour) if case.name in wanted]
    try:
        with world(read_unit(arguments.unit)) as where:
            results = attempt_all(cases, where, tell)
    except AudioError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if hour:
            hour.stop()
    if arguments.json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
    if len(results) < len(cases):
        return 130
    if arguments.write:
        write(arguments.write, results)
    return int(any(result.verdict == FAILED for result in results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lipsync_tools.drill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", nargs="*", help="some cases instead of all")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the document for the table")
    parser.add_argument("--unit", type=Path, default=UNIT, help="whose values the service has")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
