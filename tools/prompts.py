"""Recorded speech that nothing has learned from, in languages without film: spoken prompts.

The packages ``asterisk-core-sounds-LL-wav`` bring the sound (8 kHz, as a telephone carries it), the
packages ``asterisk-core-sounds-LL`` the words. An ear (a run that learned phones) tells when each
class of phones is said.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.features import Features, FeatureSpec
from lipsync_tools.align import LEAST_FIT, best_path, classes_of_text
from lipsync_tools.articulation import NAMES
from lipsync_tools.espeak import Espeak
from lipsync_tools.spoken import UNKNOWN, mel_db_of
from lipsync_tools.targets import frame_times

if TYPE_CHECKING:
    from lipsync_tools.recordings import Ear

SOUNDS = Path("/usr/share/asterisk/sounds")
TEXTS = Path("/usr/share/doc")
LANGUAGES = {"it": "it", "ru": "ru", "es": "es", "fr": "fr", "en": "en-us"}
"""As the packages and as eSpeak NG call them."""
LONGEST = 120
SHORTEST = 20
Said = tuple[NDArray[np.float32], list[tuple[str, float, float]]]


def texts_of(table: str) -> Iterator[tuple[str, str]]:
    """Names and words of a package's list; no lines with signs that do not tell what is said."""
    for line in table.splitlines():
        name, colon, words = line.lstrip("\ufeff").partition(":")
        words = words.strip()
        if (
            colon
            and SHORTEST <= len(words) <= LONGEST
            and not re.search(r"[\[\](){}<>:;?\d]", words)
        ):
            yield name.strip(), words


def prompts(language: str) -> list[tuple[Path, str]]:
    """Sound files of a language and their words; nothing where the packages are missing."""
    listed = TEXTS / f"asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz"
    if not listed.exists():
        return []
    table = gzip.decompress(listed.read_bytes()).decode("utf-8", "replace")
    files = [(SOUNDS / language / f"{name}.wav", words) for name, words in texts_of(table)]
    return [(path, words) for path, words in files if path.exists()]


def aligned(language: str, ear: Ear, spec: FeatureSpec, most: int) -> list[Said]:
    """Sounds and (class, begin, end in s) of at most ``most`` prompts that fit their words."""
    from lipsync_tools.phones import read_mono

    espeak, features, out = Espeak(), Features(spec), []
    found = prompts(language)
    for k in np.linspace(0, len(found) - 1, min(most, len(found))).astype(int):
        path, words = found[k]
        sound = read_mono(path)
        rows = np.array([features.relative(row) for row in mel_db_of(sound, spec)], np.float32)
        spoken = classes_of_text(espeak, words, LANGUAGES[language])
        numbers, fit = best_path(ear(rows), spoken)
        if fit >= LEAST_FIT:
            out.append((sound, spans(numbers, spec)))
    return out


def spans(numbers: NDArray[Any], spec: FeatureSpec) -> list[tuple[str, float, float]]:
    """Runs of one class (n,) per frame, as (class, begin, end in s); silence is left out."""
    edges = np.flatnonzero(np.diff(numbers)) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(numbers))
    times_s, half_s = frame_times(len(numbers), spec), spec.hop_s / 2
    return [
        (NAMES[numbers[a]], float(times_s[a] - half_s), float(times_s[b - 1] + half_s))
        for a, b in zip(starts, ends, strict=True)
        if numbers[a] not in (UNKNOWN, NAMES.index("silence"))
    ]
