"""One HTML page of an evaluation: its tables, and the curves of the worst and the best clips."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_tools.evaluate import Films, Judgement, fold_of, judge_fold
from lipsync_tools.evaluate_text import film_table, language_table, noise_table, rest_table
from lipsync_tools.judge import low_pass
from lipsync_tools.metrics import pearson
from lipsync_tools.systems import Bundle, System

WORST, BEST = 5, 1
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;"
    "color:#222}pre{background:#f5f5f2;padding:1em;overflow-x:auto;font-size:12.5px}"
    "img{max-width:100%}h2{margin-top:2em}"
)


def write_page(out: Path, report: dict[str, Any], a: Any, folders: Sequence[Path]) -> None:
    """Write the page; curves need films (``a.data``)."""
    parts = ["<h1>How well the mouth follows</h1>"]
    tables = (("film", "On film", film_table), ("noise", "Noise, level, rooms", noise_table),
              ("rest", "Nobody speaks", rest_table),
              ("languages", "Languages without film", language_table))  # fmt: skip
    for key, title, table in tables:
        if key in report:
            parts.append(f"<h2>{title}</h2><pre>{html.escape(table(report[key]))}</pre>")
    if a.data:
        parts.append(f"<h2>The worst {WORST} clips, and the best</h2>")
        learned = set().union(*(Bundle(folder).learned for folder in folders))
        others = Films.read(a.fit, a.phones, a.clips or 60) if a.fit else None
        films = Films.read(a.data, a.phones, a.clips or 60).fitted(learned, others)
        parts += [f'<p>{html.escape(told)}</p><img src="data:image/png;base64,{image}">'
                  for told, image in _curves(films, folders)]  # fmt: skip
    text = f'<!doctype html><meta charset="utf-8"><title>Evaluation</title><style>{STYLE}</style>'
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n".join(parts), encoding="utf-8")


def _curves(films: Films, folders: Sequence[Path]) -> list[tuple[str, str]]:
    judged: list[tuple[float, Judgement, str, int]] = []
    for folder in folders:
        bundle = Bundle(folder)
        j = judge_fold(System("model", bundle), fold_of(bundle, films), films, bundle.spec)
        for speaker in j.fold.held_out:
            for k, seen in enumerate(j.seen[speaker]):
                shown, truth = _shown(j, speaker, k), seen.truth.opening
                judged.append((pearson([low_pass(truth)], [low_pass(shown)]), j, speaker, k))
    judged = sorted((x for x in judged if np.isfinite(x[0])), key=lambda x: x[0])
    out = []
    for r, j, speaker, k in judged[:WORST] + judged[-BEST:]:
        clip = films.clips[speaker][k]
        out.append((f"{speaker} {clip.name}: r = {r:.2f}", _draw(films, j, speaker, k)))
    return out


def _shown(j: Judgement, speaker: str, k: int) -> Any:
    seen = j.seen[speaker][k].seen
    return np.append(seen, np.ones((len(seen), 1)), axis=1) @ j.linear[:, 0]


def _draw(films: Films, j: Judgement, speaker: str, k: int) -> str:
    """Film and mouth over time, each in units of its own spread, with the words: PNG as base64."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    clip, truth = films.clips[speaker][k], films.truths[speaker][k]
    figure, axes = plt.subplots(figsize=(10, 2.6), layout="constrained")
    for signal, colour, name in ((truth.opening, "#888", "film"),
                                 (_shown(j, speaker, k), "#c33", "mouth")):  # fmt: skip
        slow = low_pass(signal)
        slow = (slow - slow.mean()) / max(float(slow.std()), 1e-9)
        axes.plot(np.arange(len(slow)) / 100, slow, color=colour, label=name)
    for begin_s, _end_s, word in clip.words:
        if word not in ("sil", "sp"):
            axes.axvline(begin_s, color="#ccc", linewidth=0.5)
            axes.text(begin_s + 0.01, 2.6, word, fontsize=8)
    for begin_s, end_s in truth.closures:
        axes.axvspan(begin_s, end_s, color="#36c", alpha=0.15, linewidth=0)
    axes.set(xlabel="s (blue: p, b, m)", ylabel="opening, standardised", ylim=(-2.5, 3))
    axes.legend(loc="lower right", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()
