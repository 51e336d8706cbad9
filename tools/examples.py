"""What there is to learn from: mel spectra and labels of films, and of voices without film."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipsync_edge.features import Features, FeatureSpec
from lipsync_tools.grid import MEASURES, read_clips
from lipsync_tools.phones import PHONES, VOICES, Phone, read_mono
from lipsync_tools.targets import (
    TARGETS,
    at_times,
    film_targets,
    frame_times,
    learn_ranges,
    sound_gate,
)

PIECE = 296  # frames of a 3 s clip


@dataclass
class Example:
    """A recording as learned: mel spectra in dB (n, n_mels), labels (n, Columns.total)."""

    speaker: str
    mel_db: Tensor
    labels: Tensor


class Columns:
    """What the columns of the labels mean: targets, measures, phones, and two flags that say
    whether a film and whether phone times are known."""

    targets = slice(0, len(TARGETS))
    measures = slice(targets.stop, targets.stop + len(MEASURES))
    phones = slice(measures.stop, measures.stop + len(PHONES))
    film, heard = phones.stop, phones.stop + 1
    total = phones.stop + 2

    @classmethod
    def silent(cls) -> Tensor:
        """Labels (total,) of a frame in which nobody speaks: at rest, and known to be silence."""
        row = torch.zeros(cls.total)
        row[cls.phones.start + PHONES.index("SIL")] = row[cls.heard] = 1.0
        return row


N_EXTRA = len(MEASURES) + len(PHONES)


def mel_db_of(samples: NDArray[Any], spec: FeatureSpec) -> NDArray[Any]:
    """Mel spectra (n_frames, n_mels) of samples, by the robot's own code."""
    features = Features(spec)
    starts = range(0, len(samples) - spec.frame_length + 1, spec.hop_length)
    return np.stack([features.mel_db(samples[s : s + spec.frame_length]) for s in starts])


def read_examples(
    data: Path, speakers: tuple[str, ...], spec: FeatureSpec, phones: dict[str, list[Phone]]
) -> list[Example]:
    """Everything to learn from, in memory: films, and voices whose phone times are known."""
    out = []
    for speaker in speakers:
        clips = read_clips(data, speaker)
        ranges = learn_ranges(clips)
        centred = [clip.measures - np.median(clip.measures, axis=0) for clip in clips]
        spread = np.concatenate(centred).std(axis=0)
        for clip, measures in zip(clips, centred, strict=True):
            mel_db = mel_db_of(clip.samples, spec)
            times_s = frame_times(len(mel_db), spec)
            gate = sound_gate(clip, mel_db, spec)[:, None]
            labels = phone_labels(phones.get(f"{speaker}/{clip.name}", []), times_s)
            labels[:, Columns.targets] = at_times(clip, film_targets(clip, ranges), times_s) * gate
            labels[:, Columns.measures] = at_times(clip, measures / spread, times_s)
            labels[:, Columns.film] = 1.0
            out.append(Example(speaker, torch.tensor(mel_db).float(), torch.tensor(labels).float()))
        print(f"{speaker}: {len(clips)} clips", flush=True)
    return out + voices_only(data, spec, phones)


def voices_only(data: Path, spec: FeatureSpec, phones: dict[str, list[Phone]]) -> list[Example]:
    """Recordings without film, cut into pieces as long as GRID's clips."""
    out = []
    for key, spoken in phones.items():
        voice, name = key.split("/", 1)
        if voice not in VOICES or not spoken:
            continue
        mel_db = mel_db_of(read_mono(data / "speech" / voice / f"{name}.opus"), spec)
        labels = phone_labels(spoken, frame_times(len(mel_db), spec))
        last = len(mel_db) - PIECE
        for start in sorted({*range(0, last + 1, PIECE), last}) if last >= 0 else ():
            piece = slice(start, start + PIECE)
            out.append(
                Example(
                    voice,
                    torch.tensor(mel_db[piece]).float(),
                    torch.tensor(labels[piece]).float(),
                )
            )
    print(f"{len(out)} pieces of voices without film", flush=True)
    return out


def phone_labels(spoken: list[Phone], times_s: NDArray[Any]) -> NDArray[Any]:
    """Labels (n, Columns.total) that hold phones alone."""
    labels = np.zeros((len(times_s), Columns.total))
    for name, begin_s, end_s in spoken:
        if name in PHONES:
            now = (times_s >= begin_s) & (times_s < end_s)
            labels[now, Columns.phones.start + PHONES.index(name)] = 1.0
            labels[now, Columns.heard] = 1.0
    return labels


class Sampler:
    """Draws clips so that a speaker with many counts more than one with few, but not too much."""

    def __init__(self, all_examples: list[Example], balance: float) -> None:
        counts: dict[str, int] = {}
        for example in all_examples:
            counts[example.speaker] = counts.get(example.speaker, 0) + 1
        weights = torch.tensor([counts[e.speaker] ** -balance for e in all_examples])
        self._examples, self._weights = all_examples, weights

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """n clips, each rolled to begin at a random place of its first half second."""
        picks = torch.multinomial(self._weights, n, replacement=True, generator=rng).tolist()
        chosen = [self._examples[i] for i in picks]
        length = min(len(e.mel_db) for e in chosen) - 40
        starts = torch.randint(41, (n,), generator=rng).tolist()
        return (
            torch.stack([e.mel_db[s : s + length] for e, s in zip(chosen, starts, strict=True)]),
            torch.stack([e.labels[s : s + length] for e, s in zip(chosen, starts, strict=True)]),
        )
