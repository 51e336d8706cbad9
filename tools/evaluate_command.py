"""`lipsync-tools evaluate`: do bundles follow film, stand noise, rest, speak many languages?"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from lipsync_edge.errors import UsageError

PROJECT_BUNDLE = Path(__file__).parent.parent / "models" / "mouth"
STAGES = ("film", "noise", "rest", "languages")
LIGHT = ("envelope", "linear")
PEERS = ("headaudio", "wawa-lipsync", "pylipsync")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("bundles", type=Path, nargs="*", metavar="BUNDLE",
        help="each is judged on the speakers that it has not learned from; default: the shipped "
        "one")  # fmt: skip
    add("--stage", choices=(*STAGES, "all", "motion"), default="film",
        help="what is judged; all: the first four")  # fmt: skip
    add("--data", "--set", dest="data", type=Path, help="films: a set, or a folder with grid/; "
        "without it the figures in the bundles' cards are printed")  # fmt: skip
    add("--fit", type=Path, metavar="SET", help="films of speakers that the bundles learned from: "
        "map and thresholds are fitted on them; default: those in --data")  # fmt: skip
    add("--clips", type=int, help="clips per speaker; default 60, for motion 10")
    add("--baselines", default=",".join(LIGHT), help="of the film: all, none, or some of "
        f"{', '.join((*LIGHT, *PEERS))}")  # fmt: skip
    add("--rest-sounds", type=Path, nargs="*", default=[], help="recordings without speech")
    add("--ear", type=Path, metavar="RUN", help="a run that learned phones: recorded prompts in "
        "other languages are judged as well, where their packages are installed")  # fmt: skip
    add("--phones", type=Path, default=Path(".cache/phones.json"),
        help="phone times, made where they are missing")  # fmt: skip
    add("--page", type=Path, metavar="OUT.html", help="write a page with tables and curves")
    add("--json", action="store_true", help="print JSON for a program")
    motion = parser.add_argument_group("stage motion: what servos show")
    add = motion.add_argument
    add("--model", type=Path, action="append", default=[], metavar="DIR",
        help="bundle, as BUNDLE")  # fmt: skip
    add("--lookahead-ms", type=float, default=160.0)
    add("--oracle-delay", type=int, default=0, metavar="FRAMES",
        help="how late the oracle knows a pose, as a model's delay")  # fmt: skip
    add("--option", metavar="KEY=VALUE", action="append", default=[], dest="sets",
        help="any option of the robot, e.g. motion.lead_ms=20")  # fmt: skip
    add("--jobs", type=int, default=2, help="processes")
    add("--plot", type=Path, metavar="OUT.png",
        help="also draw which servo speed serves for which figure")  # fmt: skip


def run(a: argparse.Namespace) -> int:
    """Judge, and print the tables or JSON."""
    bundles = [*a.bundles, *a.model] or [PROJECT_BUNDLE]
    if a.stage == "motion":
        return _motion(a, bundles)
    report = _judge(a, bundles) if a.data or a.stage == "rest" else _from_cards(bundles)
    if a.page:
        from lipsync_tools.page import write_page

        write_page(a.page, report, a, bundles)
    if a.json:
        print(json.dumps(plain(report), indent=1))
    else:
        from lipsync_tools.evaluate_text import tables

        print(tables(report))
    return 0


def _judge(a: argparse.Namespace, folders: list[Path]) -> dict[str, Any]:
    from lipsync_tools.systems import Bundle

    stages = STAGES if a.stage == "all" else (a.stage,)
    bundles = [Bundle(folder) for folder in folders]
    report: dict[str, Any] = {}
    if "rest" in stages:
        from lipsync_tools.robustness import rest_stage

        report["rest"] = rest_stage(bundles, a.rest_sounds)
    if stages == ("rest",):
        return report
    from lipsync_tools.evaluate import Films, film_stage

    learned = set().union(*(bundle.learned for bundle in bundles))
    others = Films.read(a.fit, a.phones, a.clips or 60) if a.fit else None
    films = Films.read(a.data, a.phones, a.clips or 60).fitted(learned, others)
    if "film" in stages:
        report["film"] = film_stage(bundles, films, _baselines(a.baselines), Path(".cache/peers"))
    if "noise" in stages:
        from lipsync_tools.robustness import noise_stage

        report["noise"] = noise_stage(bundles, films)
    if "languages" in stages:
        from lipsync_tools.languages import language_stage
        from lipsync_tools.train_command import ear_of

        report["languages"] = language_stage(bundles, films, ear_of(a.ear) if a.ear else None)
    return report


def _baselines(told: str) -> list[str]:
    known = (*LIGHT, *PEERS)
    names = {"all": known, "none": ()}.get(told, tuple(filter(None, told.split(","))))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"--baselines: there is no {', '.join(unknown)}; there are "
                         f"{', '.join(known)}, all and none.")  # fmt: skip
    return list(names)


def _from_cards(folders: list[Path]) -> dict[str, Any]:
    """What the cards keep, without data: only a light environment is needed."""
    from lipsync_edge.model.card import Card

    metrics = Card.load(folders[0]).metrics
    report = {stage: metrics[stage] for stage in STAGES if stage in metrics}
    if not report:
        raise UsageError(f"{folders[0]}: its card has no figures; give films with --data.")
    return report


def plain(value: Any) -> Any:
    """Numbers with three decimals; null where there is none, since JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


def _motion(a: argparse.Namespace, bundles: list[Path]) -> int:
    from lipsync_tools.grid import FOLDS, SPEAKERS
    from lipsync_tools.motion_eval import Evaluation, all_systems, speed_sweep
    from lipsync_tools.motion_report import table, verdicts

    if not a.data:
        raise UsageError("--stage motion needs films: --data FOLDER with grid/.")
    n_clips = a.clips or 10
    sets = tuple(tuple(item.partition("=")[::2]) for item in a.sets)
    evaluation = Evaluation.read(
        a.data, n_clips, a.phones, tuple(map(str, bundles)),
        a.lookahead_ms, a.oracle_delay, sets, a.jobs,
    )  # fmt: skip
    systems = all_systems(evaluation)
    report: dict[str, Any] = {
        "lookahead_ms": a.lookahead_ms, "clips_per_speaker": n_clips, "notes": evaluation.notes,
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
        print(json.dumps(plain(report), indent=1))
    else:
        print("\n".join([*evaluation.notes, "", table(systems), "", *verdicts(systems)]))
    return 0
