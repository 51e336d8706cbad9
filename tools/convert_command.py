"""`lipsync-tools convert`: a checkpoint or a model trained elsewhere becomes an int8 bundle."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from lipsync_edge.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("model", type=Path, help="folder of a run, its model.pt, or a .onnx, .tflite, .keras, .h5 "
        "file or a SavedModel")  # fmt: skip
    add("-o", "--out", type=Path, required=True, metavar="BUNDLE", help="folder of the bundle")
    add("--calibrate", type=Path, nargs="+", default=[], metavar="SOUNDS",
        help="recordings, folders, sets; of many voices. Default: one sentence")  # fmt: skip
    add("--name", help="default: the folder's name")
    add("--version", default="0.1.0")
    add("--licence", help="of the model, an SPDX name; default: what the run's sources say")
    add("--attribution", help="whom to name, and for what; default: what the run's sources say")
    add("--metrics", type=Path, metavar="FILE", help="JSON of `evaluate`, for the card")
    add("--golden", type=Path, metavar="SOUND", help="recording of the golden; default: a sentence")
    add("--variants", action="store_true", help="also write float and dynamic forms, compare all")
    add("--force", action="store_true", help="write in spite of failed checks, which are recorded")
    add("--json", action="store_true", help="print JSON for a program")
    foreign = parser.add_argument_group("models trained elsewhere")
    foreign.add_argument("--features", type=Path, metavar="SPEC.yaml",
                         help="what the model was trained on, and how it streams")  # fmt: skip
    foreign.add_argument("--axes", help="its outputs in order, with commas: jawOpen,mouthClose,...")
    foreign.add_argument("--delay-frames", type=int, help="how many frames a pose comes late")


def run(a: argparse.Namespace) -> int:
    """Convert, and print the checks or JSON."""
    from lipsync_tools.convert import Wanted, convert, open_model
    from lipsync_tools.convert_sounds import gather, sample_sentence
    from lipsync_tools.declaration import Declared

    name = a.name or a.out.resolve().name
    if not re.fullmatch(r"[\w-]+", name):
        raise UsageError(f"--name {name!r}: letters, digits, _ and - make a name.")
    metrics = _read_json(a.metrics) if a.metrics else {}
    wanted = Wanted(name, a.version, a.golden or sample_sentence(), metrics, a.variants, a.force)
    with tempfile.TemporaryDirectory() as work:
        declared = Declared(a.features, a.axes, a.delay_frames)
        source = open_model(a.model, Path(work), declared)
        source.licence = a.licence or source.licence
        source.attribution = a.attribution or source.attribution
        result = convert(source, gather(a.calibrate, source.spec), wanted, a.out)
    report = {
        "bundle": str(a.out),
        "checks": [check.as_dict() for check in result.checks],
        "figures": result.figures,
    }
    print(json.dumps(report, indent=1) if a.json else _table(report, result))
    return 0


def _read_json(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--metrics {path}: cannot be read ({error}).") from error
    return metrics if isinstance(metrics, dict) else {"evaluation": metrics}


def _table(report: dict[str, Any], result: Any) -> str:
    figures = report["figures"]
    lines = [check.told() for check in result.checks]
    lines.append(f"{'one step, median':34} {figures['step_us']:12g}  us on this machine")
    for name, form in figures.get("variants", {}).items():
        lines.append("{:8} {bytes:8} bytes, mean error {mean_error:.4f}, largest {max_error:.4f}, "
                     "least r {least_r}".format(name, **form))  # fmt: skip
    operations = ", ".join(f"{n} {op}" for op, n in sorted(figures["operations"].items()))
    lines += [f"operations: {operations}", f"{report['bundle']}: written"]
    return "\n".join(lines)
