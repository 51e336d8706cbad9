"""What there is to learn from, as mel spectra with labels: films, and voices without film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipsync_edge.features import FeatureSpec
from lipsync_tools.articulation import CLOSED, NAMES, ROUNDED
from lipsync_tools.grid import MEASURES, Clip
from lipsync_tools.labels import Phone, within_words
from lipsync_tools.spoken import UNKNOWN, Spoken, classes_at, mel_db_of, numbered
from lipsync_tools.targets import (
    TARGETS,
    at_times,
    film_targets,
    frame_times,
    learn_ranges,
    sound_gate,
)

PIECE = 296  # frames of a 3 s clip: everything is cut to it
SILENCE = NAMES.index("silence")
IS_CLOSED = torch.tensor([name in CLOSED for name in NAMES])
IS_ROUND = torch.tensor([name in ROUNDED for name in NAMES])


class Columns:
    """What the columns of a label mean: targets, measures, how much the film is believed (0: there
    is none), whether the phone is known, and one column per class of phones."""

    targets = slice(0, len(TARGETS))
    measures = slice(targets.stop, targets.stop + len(MEASURES))
    film, heard = measures.stop, measures.stop + 1
    kept = heard + 1
    classes = slice(kept, kept + len(NAMES))
    total = classes.stop

    @classmethod
    def silent(cls) -> Tensor:
        """Labels (total,) of a frame in which nobody speaks: known to be silence."""
        row = torch.zeros(cls.total)
        row[cls.classes.start + SILENCE] = row[cls.heard] = 1.0
        return row


N_EXTRA = len(MEASURES) + len(NAMES)


@dataclass
class Lesson:
    """A piece of speech: mel spectra in dB (n, n_mels), labels (n, Columns.kept) and class numbers
    (n,), UNKNOWN where the phone is not known; all in half precision, there are many."""

    group: str
    speaker: str
    mel_db: Tensor
    labels: Tensor
    classes: Tensor


def film_lessons(
    clips: Sequence[Clip], spec: FeatureSpec, phones: dict[str, list[Phone]]
) -> list[Lesson]:
    """The films of one speaker. ``phones``: times by ``SPEAKER/CLIP``, as far as they are known."""
    ranges = learn_ranges(list(clips))
    centred = [clip.measures - np.median(clip.measures, axis=0) for clip in clips]
    spread = np.concatenate(centred).std(axis=0).clip(1e-6)
    out = []
    for clip, measures in zip(clips, centred, strict=True):
        mel_db = mel_db_of(clip.samples, spec)
        times_s = frame_times(len(mel_db), spec)
        labels = np.zeros((len(mel_db), Columns.kept), np.float32)
        gate = sound_gate(clip, mel_db, spec)[:, None]
        shown = film_targets(clip, ranges)
        labels[:, Columns.targets] = at_times(clip, shown, times_s) * gate
        labels[:, Columns.measures] = at_times(clip, measures / spread, times_s)
        labels[:, Columns.film] = 1.0
        said = phones.get(f"{clip.speaker}/{clip.name}", [])
        said = within_words(clip, said) if clip.words else said
        classes = classes_at(numbered(said, arpabet=True), len(mel_db), spec)
        if clip.words and said:
            _mark_silence(classes, clip, times_s)
        out += _pieces("film", clip.speaker, mel_db, labels, classes)
    return out


def _mark_silence(classes: NDArray[np.int8], clip: Clip, times_s: NDArray[np.float64]) -> None:
    """Outside the words nobody speaks: 0.1 s away from them, silence is known."""
    begin_s, end_s = clip.speech_s
    classes[(times_s < begin_s - 0.1) | (times_s > end_s + 0.1)] = SILENCE


def spoken_lessons(group: str, spoken: Sequence[Spoken]) -> list[Lesson]:
    """Voices without film, cut into pieces; what is shorter than a piece is left out."""
    empty = {n: np.zeros((n, Columns.kept), np.float32) for n in {len(s.mel_db) for s in spoken}}
    return [
        lesson
        for s in spoken
        for lesson in _pieces(group, s.speaker, s.mel_db, empty[len(s.mel_db)], s.classes)
    ]


def _pieces(
    group: str, speaker: str, mel_db: NDArray, labels: NDArray, classes: NDArray[np.int8]
) -> list[Lesson]:
    labels = labels.copy()
    labels[:, Columns.heard] = classes != UNKNOWN
    last = len(mel_db) - PIECE
    if last < 0:
        if len(mel_db) < PIECE * 2 // 3:
            return []
        more = ((0, -last), (0, 0))  # a clip that is a bit short: its end stays
        mel_db, labels = np.pad(mel_db, more, "edge"), np.pad(labels, more, "edge")
        classes, last = np.pad(classes, more[0], "edge"), 0
    return [
        Lesson(
            group,
            speaker,
            torch.tensor(np.asarray(mel_db[k : k + PIECE], np.float16)),
            torch.tensor(labels[k : k + PIECE], dtype=torch.float16),
            torch.tensor(classes[k : k + PIECE]),
        )
        for k in sorted({*range(0, last + 1, PIECE), last})
    ]


class Sampler:
    """Draws lessons: first the group by its share, then speakers, so that one with many lessons
    counts more than one with few, but not too much (``balance`` 1: every speaker the same)."""

    def __init__(self, lessons: Sequence[Lesson], shares: dict[str, float], balance: float) -> None:
        self._groups = []
        for group, share in shares.items():
            mine = [lesson for lesson in lessons if lesson.group == group]
            if mine and share > 0:
                counts: dict[str, int] = {}
                for lesson in mine:
                    counts[lesson.speaker] = counts.get(lesson.speaker, 0) + 1
                weights = torch.tensor([counts[lesson.speaker] ** -balance for lesson in mine])
                self._groups.append((share, mine, weights))
        if not self._groups:
            raise ValueError("there is nothing to learn from")

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mel spectra (n, frames, n_mels) and labels (n, frames, Columns.total), each rolled to
        begin at a random place of its first 0.4 s."""
        shares = torch.tensor([share for share, _, _ in self._groups])
        which = torch.multinomial(shares, n, replacement=True, generator=rng)
        mel_db, labels = [], []
        for g, (_, lessons, weights) in enumerate(self._groups):
            count = int((which == g).sum())
            if not count:
                continue
            picks = torch.multinomial(weights, count, replacement=True, generator=rng).tolist()
            starts = torch.randint(41, (count,), generator=rng).tolist()
            for pick, start in zip(picks, starts, strict=True):
                cut = slice(start, start + PIECE - 40)
                lesson = lessons[pick]
                classes = lesson.classes[cut].long()
                one_hot = torch.nn.functional.one_hot(classes.clamp_min(0), len(NAMES))
                known = (classes >= 0)[:, None]
                mel_db.append(lesson.mel_db[cut].float())
                labels.append(torch.cat([lesson.labels[cut].float(), one_hot * known], dim=1))
        return torch.stack(mel_db), torch.stack(labels)
