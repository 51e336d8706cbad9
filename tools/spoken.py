"""Voices without film: recordings and synthesised speech, with the class of phone at every frame.

Three kinds: eSpeak NG in many languages and voices (exact phone times), Flite's recorded English
voices (exact as well), and free recordings whose phones are aligned. What was made is kept in a
folder under a key of all that decided it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lipsync_edge.features import Features, FeatureSpec
from lipsync_tools.articulation import NAMES, class_of_arpabet, class_of_ipa
from lipsync_tools.espeak import Espeak, Phone, Voice
from lipsync_tools.texts import LEARNED, sentences

UNKNOWN = -1
FORMAT = 3  # counts up when the same arguments would make other data

VARIANTS = (
    "", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "klatt",
    "klatt2", "klatt4", "Andrea", "Annie", "Alicia", "Denis", "Diogo", "Gene", "Jacky", "Lee",
    "Mario", "Michael", "Nguyen", "anika", "antonio", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave", "iven", "john", "linda",
    "marcelo", "max", "michel", "miguel", "norbert", "paul", "quincy", "rob", "sandro", "steph",
    "travis", "victor", "zac",
)  # fmt: skip
"""Variants to learn from. ``KEPT_VARIANTS`` are only ever judged."""
KEPT_VARIANTS = ("Alex", "Andy", "Gene2", "Henrique", "Hugo", "Marco", "adam", "pablo", "shelby")
FLITE_VOICES = ("slt", "rms", "awb", "kal16")


@dataclass
class Spoken:
    """One utterance: mel spectra in dB (n, n_mels) as float16, class numbers (n,) as int8."""

    speaker: str
    mel_db: NDArray[np.float16]
    classes: NDArray[np.int8]


def mel_db_of(samples: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float64]:
    """Mel spectra (n_frames, n_mels) of samples, by the robot's own code."""
    features = Features(spec)
    starts = range(0, len(samples) - spec.frame_length + 1, spec.hop_length)
    return np.stack([features.mel_db(samples[s : s + spec.frame_length]) for s in starts])


def classes_at(phones: Sequence[tuple[int, float, float]], n: int, spec: FeatureSpec
               ) -> NDArray[np.int8]:  # fmt: skip
    """Class numbers (n,) at the centres of the feature frames; ``UNKNOWN`` where none is said."""
    times_s = (np.arange(n) * spec.hop_length + spec.frame_length / 2) / spec.sample_rate_hz
    out = np.full(n, UNKNOWN, np.int8)
    for number, begin_s, end_s in phones:
        out[(times_s >= begin_s) & (times_s < end_s)] = number
    return out


def numbered(phones: Sequence[Phone], arpabet: bool = False) -> list[tuple[int, float, float]]:
    """Phones by class number: "" is silence, what has no class is unknown."""
    out = []
    for phone, begin_s, end_s in phones:
        name = class_of_arpabet(phone) if arpabet else class_of_ipa(phone)
        if not phone.strip() and not arpabet:
            name = "silence"
        out.append((UNKNOWN if name is None else NAMES.index(name), begin_s, end_s))
    return out


def _say_language(job: tuple[str, str, int, int, FeatureSpec]) -> list[Spoken]:
    language, locale, n, seed, spec = job
    espeak, rng, out = Espeak(), np.random.default_rng(seed), []
    texts = sentences(locale, 2 * n, seed)
    for k in range(n):
        variant = str(rng.choice(VARIANTS))
        name = f"{language}+{variant}" if variant else language
        voice = Voice(name, int(rng.integers(120, 230)), int(rng.integers(15, 90)),
                      int(rng.integers(25, 85)))  # fmt: skip
        sound, phones = espeak.say(f"{texts[2 * k]} {texts[2 * k + 1]}", voice)
        mel_db = mel_db_of(sound, spec)
        classes = classes_at(numbered(phones), len(mel_db), spec)
        out.append(Spoken(f"espeak/{language}", mel_db.astype(np.float16), classes))
    return out


def _say_flite(job: tuple[str, int, int, FeatureSpec]) -> list[Spoken]:
    import soundfile

    voice, n, seed, spec = job
    out, texts = [], sentences("en_US", 2 * n, seed)
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/said.wav"
        for k in range(n):
            slow = f"{rng.uniform(0.85, 1.25):.2f}"
            told = subprocess.run(
                ["flite", "-voice", voice, "--setf", f"duration_stretch={slow}", "-psdur",
                 "-t", f"{texts[2 * k]} {texts[2 * k + 1]}", "-o", path],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            sound, _ = soundfile.read(path, dtype="float32")
            mel_db = mel_db_of(sound, spec)
            classes = classes_at(_flite_phones(told), len(mel_db), spec)
            out.append(Spoken(f"flite/{voice}", mel_db.astype(np.float16), classes))
    return out


def _flite_phones(told: str) -> list[tuple[int, float, float]]:
    """Flite prints ``phone:end_s``; its "ax" is AH, "pau" silence."""
    out, begin_s = [], 0.0
    for word in told.split():
        name, _, end = word.rpartition(":")
        if not name:
            continue
        phone = {"PAU": "SIL", "AX": "AH", "AXR": "ER"}.get(name.upper(), name.upper())
        known = class_of_arpabet(phone)
        out.append((UNKNOWN if known is None else NAMES.index(known), begin_s, float(end)))
        begin_s = float(end)
    return out


def synthesised(cache: Path, spec: FeatureSpec, per_language: int = 120, per_voice: int = 150,
                jobs: int = 2) -> list[Spoken]:  # fmt: skip
    """Everything that can be said here, from the cache where it was said before."""
    say = [(language, locale, per_language, 7 + k, spec)
           for k, (language, locale) in enumerate(LEARNED.items())]  # fmt: skip
    flite = [(voice, per_voice, 70 + k, spec) for k, voice in enumerate(FLITE_VOICES)]
    out: list[Spoken] = []
    if per_language:
        out += _cached(cache, "espeak", [say, VARIANTS], _say_language, say, jobs)
    if per_voice:
        out += _cached(cache, "flite", [flite], _say_flite, flite, jobs)
    return out


def _cached(cache: Path, name: str, decided: Any, make: Any, todo: Sequence[Any], jobs: int
            ) -> list[Spoken]:  # fmt: skip
    key = hashlib.sha256(json.dumps([FORMAT, NAMES, decided], default=vars).encode()).hexdigest()
    path = cache / f"{name}-{key[:12]}.npz"
    if not path.exists():
        with ProcessPoolExecutor(jobs) as pool:
            bar = tqdm(pool.map(make, todo), name, len(todo), disable=not sys.stderr.isatty())
            write(path, [spoken for made in bar for spoken in made])
    return list(read(path))


def write(path: Path, all_spoken: Sequence[Spoken]) -> None:
    """All utterances in one file; a crash leaves none or the whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npz")  # several runs may make the same
    np.savez(
        part,
        mel_db=np.concatenate([s.mel_db for s in all_spoken]),
        classes=np.concatenate([s.classes for s in all_spoken]),
        ends=np.cumsum([len(s.mel_db) for s in all_spoken]),
        speakers=np.array([s.speaker for s in all_spoken]),
    )
    os.replace(part, path)


def read(path: Path) -> Iterator[Spoken]:
    """What ``write`` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        mel_db, classes = kept["mel_db"], kept["classes"]
        begin = 0
        for end, speaker in zip(kept["ends"].tolist(), kept["speakers"].tolist(), strict=True):
            yield Spoken(speaker, mel_db[begin:end], classes[begin:end])
            begin = end
