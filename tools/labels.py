"""When the phones of a filmed clip are spoken: forced alignment inside the corpus' word times.

``phones.py`` aligns; this module asks it for the clips that are needed, keeps what it found in a
file, and holds each phone to the times of the words.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from lipsync_tools.grid import RATE_HZ, Clip

Phone = tuple[str, float, float]
CLOSED = ("P", "B", "M")
OPEN = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "EY")
ROUND = ("W", "UW", "OW", "UH")
SPREAD = ("IY", "IH", "EY", "EH", "AE", "AY")
SLACK_S = 0.05
"""How far an aligner's word may reach over the corpus' own word times."""


def phone_times(clips: Sequence[Clip], cache: Path | None = None) -> dict[str, list[Phone]]:
    """Phones (name, begin, end in s) per clip, by ``SPEAKER/NAME``; empty where nothing is known.

    ``cache``: a JSON file, such as ``phones.py`` writes, that is read and completed.
    """
    known = json.loads(cache.read_text()) if cache and cache.exists() else {}
    missing = [clip for clip in clips if key(clip) not in known and clip.words]
    if missing:
        known |= _align(missing)
        if cache:
            cache.parent.mkdir(parents=True, exist_ok=True)
            part = cache.with_suffix(".part")
            part.write_text(json.dumps(known))
            os.replace(part, cache)
    return {key(clip): within_words(clip, known.get(key(clip), [])) for clip in clips}


def key(clip: Clip) -> str:
    """The name of a clip over all speakers."""
    return f"{clip.speaker}/{clip.name}"


def _align(clips: Sequence[Clip]) -> dict[str, list[Phone]]:
    import pocketsphinx  # here: a complete cache needs no aligner

    from lipsync_tools.phones import align

    out: dict[str, list[Phone]] = {}
    for clip in clips:
        decoder = pocketsphinx.Decoder(samprate=RATE_HZ, bestpath=False, loglevel="FATAL", lm=None)
        spoken = " ".join(word for _, _, word in clip.words if word not in ("sil", "sp"))
        try:
            out[key(clip)] = align(decoder, clip.samples, spoken)
        except RuntimeError:  # the aligner found no way through
            out[key(clip)] = []
    return out


def within_words(clip: Clip, phones: Sequence[Sequence[object]]) -> list[Phone]:
    """The phones that lie in the clip's words, cut to them (+- ``SLACK_S``).

    A phone whose middle is outside every word is a mistake of the aligner and left out.
    """
    words = [(begin, end) for begin, end, word in clip.words if word not in ("sil", "sp")]
    out: list[Phone] = []
    for name, begin, end in phones:
        begin_s, end_s = float(str(begin)), float(str(end))
        middle = (begin_s + end_s) / 2
        for first, last in words:
            if first - SLACK_S <= middle <= last + SLACK_S:
                cut = max(begin_s, first - SLACK_S), min(end_s, last + SLACK_S)
                out.append((str(name), *cut))
                break
    return out
