"""`lipsync-tools evaluate --stage motion`: what the servos show, against film."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from lipsync_tools.grid import FOLDS, SPEAKERS

PROJECT_BUNDLE = Path(__file__).parent.parent / "models" / "mouth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--stage", choices=("motion",), required=True, help="what is judged")
    parser.add_argument("--data", type=Path, required=True, help="folder with grid/")
    parser.add_argument("--clips", type=int, default=10, help="clips per speaker")
    parser.add_argument("--model", type=Path, action="append", metavar="DIR",
                          help="bundle; may be repeated, each fold takes one that has not learned "
                          "from its speakers; default: the shipped one")  # fmt: skip
    parser.add_argument("--lookahead-ms", type=float, default=160.0)
    parser.add_argument("--oracle-delay", type=int, default=0, metavar="FRAMES",
                          help="how late the oracle knows a pose, as a model's delay")  # fmt: skip
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="sets",
                          help="any option of the robot, e.g. motion.lead_ms=20")  # fmt: skip
    parser.add_argument("--phones", type=Path, default=Path(".cache/phones.json"),
                          help="phone times, made where they are missing")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.add_argument("--plot", type=Path, metavar="OUT.png",
                          help="also draw which servo speed serves for which figure")  # fmt: skip


def run(a: argparse.Namespace) -> int:
    """Judge, and print the table or JSON."""
    from lipsync_tools.motion_eval import Evaluation, all_systems, speed_sweep
    from lipsync_tools.motion_report import table, verdicts

    sets = tuple(tuple(item.partition("=")[::2]) for item in a.sets)
    evaluation = Evaluation.read(
        a.data, a.clips, a.phones, tuple(map(str, a.model or [PROJECT_BUNDLE])),
        a.lookahead_ms, a.oracle_delay, sets, a.jobs,
    )  # fmt: skip
    systems = all_systems(evaluation)
    report: dict[str, Any] = {
        "lookahead_ms": a.lookahead_ms, "clips_per_speaker": a.clips, "notes": evaluation.notes,
        "folds": [{"learned": learned, "held_out": held} for learned, held in FOLDS],
        "speakers": SPEAKERS,
        "systems": {k: {w: f.as_dict() for w, f in rows.items()} for k, rows in systems.items()},
        "verdicts": verdicts(systems),
    }  # fmt: skip
    if a.plot:
        from lipsync_tools.motion_pictures import draw_speeds

        sweep = speed_sweep(evaluation)
        draw_speeds(sweep, a.plot)
        report["speeds"] = {
            str(speed): {w: f.as_dict() for w, f in rows.items()} for speed, rows in sweep.items()
        }
    if a.json:
        print(json.dumps(_plain(report), indent=1))
    else:
        print("\n".join([*evaluation.notes, "", table(systems), "", *verdicts(systems)]))
    return 0


def _plain(value: Any) -> Any:
    """Numbers with four decimals; null where there is none, since JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
