"""The tables of `lipsync-tools evaluate` as text, from its JSON."""

from __future__ import annotations

import math
from typing import Any


def tables(report: dict[str, Any]) -> str:
    """All stages that a report has."""
    parts = []
    if "film" in report:
        parts.append(film_table(report["film"]))
    if "noise" in report:
        parts.append(noise_table(report["noise"]))
    if "rest" in report:
        parts.append(rest_table(report["rest"]))
    if "languages" in report:
        parts.append(language_table(report["languages"]))
    return "\n\n".join(parts)


def _r(values: list[float]) -> str:
    return "".join(f"{value:6.2f}" for value in values)


def _percent(share: float | None) -> str:
    return "    -" if share is None or math.isnan(share) else f"{100 * share:5.1f}"


def film_table(film: dict[str, Any]) -> str:
    """Systems beside each other, then our speakers."""
    lines = ["On speakers that were not learned from:"]
    for fold in film["folds"]:
        told = f" ({fold['told']})" if fold["told"] else ""
        lines.append(f"  {fold['bundle']}: learned {' '.join(fold['learned'])}; "
                     f"judged {' '.join(fold['held_out'])}{told}")  # fmt: skip
    lines.append(
        f"\n{'r: ' + ' '.join(film['measures']):<27}whole clip               inside speech"
        "             offset   MTM  closed false  short  rounded false  jerk"
    )
    for name, row in film["systems"].items():
        lines.append(
            f"{name:<24}{_r(row['whole'])}  {_r(row['speech'])} {row['offset_ms']:+9.0f}"
            f"{row['mtm_ms']:6.0f}   {_percent(row['closure_recall'])} "
            f"{_percent(row['closure_false'])}  {_percent(row['closure_recall_short'])}    "
            f"{_percent(row['rounding_recall'])} {_percent(row['rounding_false'])}"
            f"{row['jerk']:7.0f}"
        )
    for name, why in film["missing"].items():
        lines.append(f"{name:<24}could not run: {why}")
    ours = film["systems"]["model"]
    lines.append("\nr of the inner opening, whole clips and inside speech, by speaker:")
    lines.append(" " * 24 + "".join(f"{speaker:>14}" for speaker in ours["by_speaker"]))
    for name, row in film["systems"].items():
        pairs = [f"{f['whole'][0]:8.2f}{f['speech'][0]:6.2f}" for f in row["by_speaker"].values()]
        lines.append(f"{name:<24}{''.join(pairs)}")
    lines.append("")
    for speaker, found in ours["by_speaker"].items():
        lines.append(
            f"  model, {speaker:<15}{_r(found['whole'])}  {_r(found['speech'])} "
            f"{found['offset_ms']:+9.0f} ms, pitch {found['pitch_hz']:.0f} Hz"
        )
    lines.append(
        "  r of the inner opening by group: "
        + ", ".join(f"{g} {r:.2f}" for g, r in ours["groups"].items())
    )
    if "with_channel" in ours:
        both = ours["with_channel"]
        recall, false = _percent(both["closure_recall"]), _percent(both["closure_false"])
        short = _percent(both.get("closure_recall_short"))
        lines.append(
            f"  closures by opening and mouthClosure together: recall {recall} %, short {short} %, "
            f"false {false} % of {ours['n_closures']}, {ours['n_short']} and {ours['n_opens']}"
        )
    if "by_axes" in ours:
        both = ours["by_axes"]
        recall, false = _percent(both["rounding_recall"]), _percent(both["rounding_false"])
        lines.append(f"  rounding by funnel and pucker: recall {recall} %, false {false} %")
    lines.append(
        f"  closures: onset {ours['onset_ms']:+.0f} ms, release {ours['release_ms']:+.0f} ms "
        f"(medians; p95 {ours['onset_p95_ms']:.0f} and {ours['release_p95_ms']:.0f})"
    )
    if "rest" in ours:
        lines.append(f"  open without words: {_percent(ours['rest']['model'])} % of the time "
                     f"(film {_percent(ours['rest']['film'])} %)")  # fmt: skip
    lines.append("closed, false, short, rounded: %; offset, MTM: ms (+ = mouth late)")
    return "\n".join(lines)


def noise_table(noise: dict[str, Any]) -> str:
    """A line per change of the sound."""
    lines = [f"{'sound':<24}     r  closed  false"]
    for name, row in noise.items():
        lines.append(f"{name:<24}{row['r']:6.2f}   {_percent(row['closure_recall'])}  "
                     f"{_percent(row['closure_false'])}")  # fmt: skip
    return "\n".join(lines)


def rest_table(rest: dict[str, Any]) -> str:
    """Shares of the time in which the mouth is open though nobody speaks."""
    total = rest["total"]
    robot, model = _percent(total["robot"]), _percent(total["model"])
    lines = [
        f"Without speech, {total['minutes']:.0f} minutes: open {robot} % of the time "
        f"(model alone {model} %)"
    ]
    for kind, row in rest["kinds"].items():
        lines.append(f"  {kind:<22}{_percent(row['robot'])}  {_percent(row['model'])}")
    return "\n".join(lines)


def language_table(found: dict[str, Any]) -> str:
    """A line per language."""
    lines = [f"{'language':<14}closed  false  rounded  false  closures"]
    rows = dict(found["languages"])
    rows |= {f"{name} recorded": row for name, row in found.get("recorded", {}).items()}
    for language, row in rows.items():
        told = "" if row["learned"] else "   never learned from"
        lines.append(
            f"{language:<14} {_percent(row['closure_recall'])}  {_percent(row['closure_false'])}"
            f"    {_percent(row['rounding_recall'])}  {_percent(row['rounding_false'])}"
            f"{row['n_closures']:8d}{told}"
        )
    lines.append(f"worst: {found['worst']}, {found['worst_over_english']:.2f} of English")
    return "\n".join(lines)
