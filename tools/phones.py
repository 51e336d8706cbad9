"""Phone times of English recordings: ``python -m lipsync_tools.phones --data DATA -o PHONES.json``.

Forced alignment with PocketSphinx and the words that were spoken: GRID's word times, or the text
beside a recording. A clip that cannot be aligned is left out. What stands in the output already is
not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pocketsphinx
import samplerate
import soundfile
from numpy.typing import NDArray

from lipsync_tools.grid import RATE_HZ, SPEAKERS

VOICES = ("kathleen_en-US",)
Phone = tuple[str, float, float]
# ARPABET without stress, as in the CMU dictionary.
PHONES = (
    *("SIL", "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH"),
    *("UW", "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S"),
    *("SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)


def read_mono(path: Path) -> NDArray[np.float32]:
    """Samples (n,) at 16 kHz in -1..1."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate_hz != RATE_HZ:
        mono = samplerate.resample(mono, RATE_HZ / rate_hz, "sinc_medium")
    return np.asarray(mono, np.float32)


def recordings(data: Path) -> Iterator[tuple[str, Path, str]]:
    """Key, sound and words of everything that can be aligned."""
    for speaker in SPEAKERS:
        for times in sorted((data / "grid/align" / speaker).glob("*.align")):
            words = [line.split()[2] for line in times.read_text().splitlines() if line.strip()]
            text = " ".join(word for word in words if word not in ("sil", "sp"))
            sound = data / "grid/audio" / speaker / f"{times.stem}.flac"
            yield f"{speaker}/{times.stem}", sound, text
    for voice in VOICES:
        for written in sorted((data / "speech" / voice).glob("*.txt")):
            sound = written.with_suffix(".opus")
            if sound.exists():
                yield f"{voice}/{written.stem}", sound, written.read_text()


def align(decoder: pocketsphinx.Decoder, samples: NDArray[np.float32], text: str) -> list[Phone]:
    """Phones with begin and end in seconds. Raises RuntimeError where it does not work out."""
    words = [w for w in re.sub(r"[^a-z' ]", " ", text.lower()).split() if decoder.lookup_word(w)]
    raw = (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
    decoder.set_align_text(" ".join(words))
    for prepare in (lambda: None, decoder.set_alignment):
        prepare()
        decoder.start_utt()
        decoder.process_raw(raw, full_utt=True)
        decoder.end_utt()
    return [
        (phone.name, phone.start / 100, (phone.start + phone.duration) / 100)
        for word in decoder.get_alignment()
        for phone in word
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with grid/ and speech/")
    parser.add_argument("-o", "--out", type=Path, required=True)
    a = parser.parse_args()
    done: dict[str, list[Phone]] = json.loads(a.out.read_text()) if a.out.exists() else {}
    decoder = pocketsphinx.Decoder(samprate=RATE_HZ, bestpath=False, loglevel="FATAL", lm=None)
    todo = [item for item in recordings(a.data) if item[0] not in done]
    for k, (key, sound, text) in enumerate(todo, 1):
        try:
            done[key] = align(decoder, read_mono(sound), text)
        except RuntimeError:
            done[key] = []
            decoder = pocketsphinx.Decoder(
                samprate=RATE_HZ, bestpath=False, loglevel="FATAL", lm=None
            )
        if k % 100 == 0 or k == len(todo):
            print(f"{k}/{len(todo)}  {key}", flush=True)
            part = a.out.with_suffix(".part")
            part.write_text(json.dumps(done))
            os.replace(part, a.out)


if __name__ == "__main__":
    main()
