"""Free recordings with transcripts, as lessons: which there are, and when their phones are said.

Expected below the data folder: ``speech/VOICE_LANGUAGE/`` with ``metadata*.csv`` (``name|text``)
or one ``NAME.txt`` beside each ``NAME.opus``. English is aligned by PocketSphinx (``phones.py``),
other languages by a run that has learned phones already (``align.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lipsync_edge.features import Features, FeatureSpec
from lipsync_tools.align import LEAST_FIT, best_path, classes_of_text
from lipsync_tools.espeak import Espeak
from lipsync_tools.labels import Phone
from lipsync_tools.phones import read_mono
from lipsync_tools.spoken import Spoken, classes_at, mel_db_of, numbered

SOUNDS = (".opus", ".flac", ".wav", ".ogg")
ESPEAK_NAMES = {"nl-BE": "nl", "en-US": "en-us"}

Ear = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""From features (n, n_mels) to log-probabilities of the classes (n, n_classes)."""


@dataclass(frozen=True)
class Recording:
    """A sound file, who speaks, in which language (as eSpeak NG names it), and the words."""

    voice: str
    language: str
    path: Path
    text: str


def recordings(data: Path) -> Iterator[Recording]:
    """Everything below ``data``/speech that has a transcript."""
    for folder in sorted(p for p in (data / "speech").glob("*_*") if p.is_dir()):
        tag = folder.name.rpartition("_")[2]
        language = ESPEAK_NAMES.get(tag, tag)
        texts = _texts(folder)
        for path in sorted(p for p in folder.iterdir() if p.suffix in SOUNDS):
            if path.stem in texts:
                yield Recording(folder.name, language, path, texts[path.stem])


def _texts(folder: Path) -> dict[str, str]:
    found = {path.stem: path.read_text("utf-8").strip() for path in folder.glob("*.txt")}
    for table in sorted(folder.glob("metadata*.csv")):
        for line in table.read_text("utf-8").splitlines():
            name, _, text = line.partition("|")
            found.setdefault(name, text.rpartition("|")[2])
    return found


def english(data: Path, phones: dict[str, list[Phone]], spec: FeatureSpec) -> list[Spoken]:
    """Recordings whose phone times are in ``phones`` (by ``VOICE/NAME``)."""
    out = []
    for recording in recordings(data):
        said = phones.get(f"{recording.voice}/{recording.path.stem}")
        if said:
            mel_db = mel_db_of(read_mono(recording.path), spec)
            classes = classes_at(numbered(said, arpabet=True), len(mel_db), spec)
            out.append(Spoken(recording.voice, mel_db.astype(np.float16), classes))
    return out


def aligned(data: Path, ear: Ear, spec: FeatureSpec, without: set[str]) -> list[Spoken]:
    """All other recordings (``without``: keys ``VOICE/NAME`` to leave out), aligned by an ear."""
    espeak, out, refused = Espeak(), [], 0
    todo = [r for r in recordings(data) if f"{r.voice}/{r.path.stem}" not in without]
    for r in tqdm(todo, "aligning", disable=not sys.stderr.isatty()):
        mel_db = mel_db_of(read_mono(r.path), spec)
        features = Features(spec)
        rows = np.array([features.relative(row) for row in mel_db], np.float32)
        path, fit = best_path(ear(rows), classes_of_text(espeak, r.text, r.language))
        if fit < LEAST_FIT:
            refused += 1
            continue
        out.append(Spoken(r.voice, mel_db.astype(np.float16), path))
    print(f"aligned {len(out)} recordings; {refused} do not fit their text", flush=True)
    return out
