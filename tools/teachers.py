"""Self-training: runs that have learned already tell poses for voices without film.

Several teachers' mean is better than each of them, and what they agree on is worth learning; the
pupil hears other copies of the voice than they did. Films are blended with what they tell a little,
since a tracker at 25 pictures a second errs too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lipsync_edge.features import FeatureSpec
from lipsync_tools.augment import relative
from lipsync_tools.lessons import IS_CLOSED, Columns, Lesson
from lipsync_tools.network import Mouth
from lipsync_tools.targets import TARGETS

AT_ONCE = 128


def poses_of(teachers: Sequence[tuple[Mouth, int]], rows: Tensor) -> Tensor:
    """Mean poses (batch, n, n_targets) of the teachers (network, delay in frames)."""
    told = []
    for mouth, delay in teachers:
        after = rows[:, -1:].expand(-1, delay, -1)
        with torch.no_grad():
            poses = mouth(torch.cat([rows, after], dim=1))[:, delay:, : len(TARGETS)]
        told.append(poses)
    return torch.stack(told).mean(0)


def dress(
    lessons: Sequence[Lesson],
    teachers: Sequence[tuple[Mouth, int]],
    spec: FeatureSpec,
    film: float,
    voices: float,
) -> None:
    """Blend what the teachers tell into the targets, in place: ``film`` of it where there is a
    film, ``voices`` of it elsewhere (the rest is what the phones told). Where a phone says that the
    lips are together, only film knows better."""
    for k in range(0, len(lessons), AT_ONCE):
        some = lessons[k : k + AT_ONCE]
        mel_db = torch.stack([lesson.mel_db for lesson in some]).float()
        begun = torch.full((len(some),), spec.level_floor_db), torch.zeros(len(some))
        rows = relative(mel_db, *begun, spec)
        for lesson, told in zip(some, poses_of(teachers, rows), strict=True):
            share: float | Tensor = film
            if lesson.group != "film":
                closed = IS_CLOSED[lesson.classes.long().clamp_min(0)] & (lesson.classes >= 0)
                share = voices * (~closed[:, None]).float()
            old = lesson.labels[:, Columns.targets].float()
            lesson.labels[:, Columns.targets] = ((1 - share) * old + share * told).half()
