"""Poses for voices without film: how filmed mouths move through phones, learned from the films.

A small network sees which class of phone is said now, before and after (0.35 s to both sides), and
tells the poses that the filmed speakers make there. Where phones are known but no film is, its
poses are what there is to learn. So a voice in any language teaches the mouth, as far as filmed
mouths have said such phones: learned coarticulation, no rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lipsync_tools.articulation import NAMES
from lipsync_tools.lessons import IS_CLOSED, SILENCE, Columns, Lesson, Sampler
from lipsync_tools.network import Mouth
from lipsync_tools.targets import FADE_S, TARGETS

AHEAD_FRAMES = 17
STEPS, BATCH, RATE = 400, 24, 2e-3
AT_ONCE = 128
OPEN_ROWS = [list(TARGETS).index(name) for name in ("open", "funnel", "lower", "upper")]


def one_hot(classes: Tensor) -> Tensor:
    """(…, n) class numbers to (…, n, n_classes); unknown is all 0."""
    hot = torch.nn.functional.one_hot(classes.long().clamp_min(0), len(NAMES)).float()
    return hot * (classes >= 0)[..., None]


def learn(lessons: Sequence[Lesson], seed: int, balance: float) -> Mouth | None:
    """The network, from the films whose phones are known; None where there are none."""
    told = [x for x in lessons if x.group == "film" and bool((x.classes >= 0).any())]
    if not told:
        return None
    torch.manual_seed(seed)
    mouth = Mouth(len(NAMES), len(TARGETS), 1, 96, (1, 1, 2, 4, 8, 1), 0.25)
    optimizer = torch.optim.AdamW(mouth.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS + 1)
    sampler = Sampler(told, {"film": 1.0}, balance)
    rng = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        _, labels = sampler.draw(BATCH, rng)
        with torch.autocast("cpu", torch.bfloat16):
            found = mouth(labels[..., Columns.classes])[:, AHEAD_FRAMES:].float()
        labels = labels[:, : labels.shape[1] - AHEAD_FRAMES]
        error = ((found - labels[..., Columns.targets]) ** 2).mean(-1)
        known = labels[..., Columns.heard]
        loss = (error * known).sum() / known.sum().clamp_min(1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return mouth.eval()


def near_speech(hot: Tensor) -> Tensor:
    """(n, frames): 1 in speech, fading to 0 in silence as ``targets.sound_gate`` does."""
    speaking = 1.0 - hot[..., SILENCE]
    gate, frames = speaking.clone(), round(1.5 * FADE_S * 100)
    for k in range(1, frames + 1):
        level = min(1.0, 1.5 - k / 100 / FADE_S)
        gate[:, k:] = torch.maximum(gate[:, k:], level * speaking[:, :-k])
        gate[:, :-k] = torch.maximum(gate[:, :-k], level * speaking[:, k:])
    return gate


def dress(lessons: Sequence[Lesson], mouth: Mouth, believed: float) -> None:
    """Give poses to the lessons without film, in place; ``believed``: their weight against film.

    In a p, b or m the lips are together, which a film at 25 pictures a second shows blurred.
    """
    todo = [lesson for lesson in lessons if lesson.group != "film"]
    for k in range(0, len(todo), AT_ONCE):
        some = todo[k : k + AT_ONCE]
        hot = one_hot(torch.stack([lesson.classes for lesson in some]))
        after = hot[:, -1:].expand(-1, AHEAD_FRAMES, -1)
        with torch.no_grad():
            poses = mouth(torch.cat([hot, after], dim=1))[:, AHEAD_FRAMES:]
        closed = hot[..., IS_CLOSED].sum(-1) > 0
        for row in OPEN_ROWS:
            poses[..., row][closed] = 0.0
        poses *= near_speech(hot)[..., None]
        for lesson, told in zip(some, poses, strict=True):
            lesson.labels[:, Columns.targets] = told.half()
            lesson.labels[:, Columns.film] = believed * (lesson.classes >= 0)
