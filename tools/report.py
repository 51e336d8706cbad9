"""The report of a set, drawn from its shards alone: ``report.json`` and ``contact.png``."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_tools import shards

FILE, SHEET = "report.json", "contact.png"


def write(folder: Path) -> dict[str, Any]:
    """Write both files of a set; return the report. The same shards give the same bytes."""
    from lipsync_tools import contact_sheet

    told = of_set(folder)
    part = folder / f"{FILE}.part"
    part.write_bytes(shards.json_bytes(told))
    part.replace(folder / FILE)
    part = folder / f"{SHEET}.part"
    part.write_bytes(contact_sheet.draw(folder))
    part.replace(folder / SHEET)
    return told


def of_set(folder: Path) -> dict[str, Any]:
    """What was kept and dropped, and why; each speaker's neutral and range of every measure."""
    films = [shards.read_film(path) for path in shards.shard_paths(folder)]
    reasons, dropped = [], Counter[str]()
    kept = [clip for film in films for clip in film["clips"] if clip["kept"]]
    for film in films:
        rows = [(None, reason) for reason in film["reasons"]]
        rows += [(clip["start_s"], reason) for clip in film["clips"] for reason in clip["reasons"]]
        for start_s, reason in rows:
            name = f"{film['speaker']}/{film['film']}"
            reasons.append({"film": name, "start_s": start_s, **reason})
        dropped.update(r["gate"] for r in film["reasons"])
        dropped.update(c["reasons"][0]["gate"] for c in film["clips"] if not c["kept"])
    return {
        "films": len(films),
        "film_minutes": round(sum(film["duration_s"] for film in films) / 60, 3),
        "clips": len(kept),
        "minutes": round(sum(clip["duration_s"] for clip in kept) / 60, 3),
        "mended": sum(bool(clip["figures"]["sound_moved_ms"]) for clip in kept),
        "dropped": dict(sorted(dropped.items())),
        "reasons": reasons,
        "sources": shards.contents(folder),
        "speakers": speakers(folder),
    }


def speakers(folder: Path) -> dict[str, Any]:
    """By SOURCE/SPEAKER: clips, and of each measure its neutral (median), 3 % and 97 %."""
    measures: dict[str, list[Any]] = {}
    names: list[str] = []
    for path in shards.shard_paths(folder):
        for _, members in shards.read_members(path):
            told = json.loads(members["json"])
            with np.load(io.BytesIO(members["npz"]), allow_pickle=False) as track:
                names = track["measure_names"].tolist()
                of = measures.setdefault(f"{told['source']}/{told['speaker']}", [])
                of.append(track["measures"])
    out = {}
    for speaker, rows in sorted(measures.items()):
        low, neutral, high = np.nanpercentile(np.concatenate(rows), (3, 50, 97), axis=0)
        ranges = {name: [round(float(v), 4) for v in (low[k], neutral[k], high[k])]
                  for k, name in enumerate(names)}  # fmt: skip
        out[speaker] = {"clips": len(rows), "low_neutral_high": ranges}
    return out
