"""The tables and the picture of docs/learning.md, from what ``make ablation`` judged."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

STEPS = {
    "film": "film alone",
    "copies": "+ copies: voices, rooms, noise",
    "trunk": "+ phones of recorded voices",
    "synthetic": "+ synthesised speech, 22 languages",
    "taught": "+ a teacher (self-training)",
}
ENGLISH = "en-us"
Report = dict[str, Any]


def figures(report: Report) -> dict[str, float]:
    """What the table shows of one report of ``lipsync-tools evaluate --stage all --json``."""
    film, languages = report["film"]["systems"]["model"], report["languages"]
    closed = film.get("with_channel", film)
    return {
        "r": film["whole"][0],
        "in speech": film["speech"][0],
        "width": film["speech"][2],
        "closed": closed["closure_recall"],
        "false": closed["closure_false"],
        "rounded": film["rounding_recall"],
        "open at rest": report["rest"]["total"]["robot"],
        "English": languages["languages"][ENGLISH]["closure_recall"],
        "worst": languages["worst_over_english"],
    }


def table(reports: dict[str, Report]) -> str:
    """A Markdown table, one line a report; ``reports``: what it is called -> the report."""
    lines = [
        "| learned from | r | in speech | width | closed / false | rounded | "
        "open in noise and music | English closures | worst language |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        f = figures(report)
        lines.append(
            f"| {name} | {_r(f['r'])} | {_r(f['in speech'])} | {_r(f['width'])} | "
            f"{100 * f['closed']:.0f} / {100 * f['false']:.1f} % | {100 * f['rounded']:.0f} % | "
            f"{100 * f['open at rest']:.1f} % | {100 * f['English']:.0f} % | {f['worst']:.2f} |"
        )
    return "\n".join(lines)


def _r(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1)


def series(folder: Path, kind: str, last: int) -> list[tuple[int, dict[str, float]]]:
    """(amount, figures) of the runs ``KIND-AMOUNT``; ``last``: what "most" stands for."""
    found = [(int(path.stem.split("-")[1]), path) for path in folder.glob(f"{kind}-*.json")]
    found.append((last, folder / "most.json"))
    return [(n, _read(path)) for n, path in sorted(found)]


def _read(path: Path) -> dict[str, float]:
    return figures(json.loads(path.read_text()))


def draw(film: list[Any], voices: list[Any], out: Path) -> None:
    """Two curves: r over minutes of film, closures and r over the number of voices."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    shown = (
        ("r", "r of the opening"), ("in speech", "r in speech"),
        ("English", "closures, English"), ("rounded", "rounding"),
    )  # fmt: skip
    for axes, points, label in (
        (left, film, "clips of 3 s from each of three people (the last: one has 1000)"),
        (right, voices, "voices without film"),
    ):
        for name, told in shown:
            axes.plot([n for n, _ in points], [f[name] for _, f in points], "o-", label=told)
        axes.set_xscale("log")
        axes.set_xticks([n for n, _ in points], [str(n) for n, _ in points])
        axes.minorticks_off()
        axes.set_xlabel(label, fontsize=8)
        axes.grid(alpha=0.3)
    left.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> int:
    """Print the tables; with --draw also the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="RUNS/ablation")
    parser.add_argument("--draw", type=Path, metavar="OUT.png")
    parser.add_argument("--voices", type=int, default=31, help="how many there are in all")
    a = parser.parse_args()
    reports = {told: a.folder / f"{name}.json" for name, told in STEPS.items()}
    print(table({told: json.loads(path.read_text()) for told, path in reports.items()}))
    film, voices = series(a.folder, "clips", 1000), series(a.folder, "voices", a.voices)
    told = {f"{n} clips of each person": f for n, f in film}
    told |= {f"{n} voices": f for n, f in voices}
    told["60 clips of one person"] = _read(a.folder / "faces-1.json")
    for name, found in told.items():
        print(f"{name:<26}" + "  ".join(f"{key} {value:.3f}" for key, value in found.items()))
    if a.draw:
        draw(film, voices, a.draw)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
