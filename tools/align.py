"""When the phones of a recording are said, in any language: the trunk's own ear, and the text.

eSpeak NG tells which phones the text has; the network tells how likely each class of phones is at
each frame; the best path through both (A. Viterbi, 1967) tells when each was said. Silence may
stand between any two phones. Recordings that do not fit their text are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_tools.articulation import NAMES
from lipsync_tools.espeak import Espeak, Voice
from lipsync_tools.spoken import UNKNOWN, numbered

SILENCE = NAMES.index("silence")
LEAST_FIT = -2.3
"""Mean log-probability of a path, in nats a frame, below which a recording is left out."""
LEAST_FRAMES = 3


def classes_of_text(espeak: Espeak, text: str, voice: str) -> list[int]:
    """Class numbers that the text has, in order, without repetitions."""
    _, phones = espeak.say(text, Voice(voice))
    numbers = [n for n, _, _ in numbered(phones) if n not in (UNKNOWN, SILENCE)]
    return [n for k, n in enumerate(numbers) if k == 0 or n != numbers[k - 1]]


def best_path(log_p: NDArray[np.float64], spoken: Sequence[int]) -> tuple[NDArray[np.int8], float]:
    """Class numbers (n,) of the frames, and the path's mean log-probability.

    ``log_p`` (n, n_classes): log-probabilities per frame; ``spoken``: classes in order. A phone
    lasts ``LEAST_FRAMES`` at least; between any two there may be silence.
    """
    states = [SILENCE]
    for number in spoken:
        states += [number] * LEAST_FRAMES + [SILENCE]
    may_stay = np.ones(len(states), bool)
    skips = np.zeros(len(states), bool)  # from two states before: over a silence
    for k in range(1, len(states)):
        within = states[k] != SILENCE and (k - 1) % (LEAST_FRAMES + 1) != LEAST_FRAMES - 1
        may_stay[k] = not within
        skips[k] = k >= 2 and states[k - 1] == SILENCE
    n, m = len(log_p), len(states)
    if n < len(spoken) * LEAST_FRAMES + 1:
        return np.full(n, UNKNOWN, np.int8), -np.inf
    emitted = log_p[:, states]
    score = np.full(m, -np.inf)
    score[:2] = emitted[0, :2]
    came = np.zeros((n, m), np.int8)
    for t in range(1, n):
        stay = np.where(may_stay, score, -np.inf)
        step = np.concatenate([[-np.inf], score[:-1]])
        skip = np.where(skips, np.concatenate([[-np.inf, -np.inf], score[:-2]]), -np.inf)
        ways = np.stack([stay, step, skip])
        came[t] = ways.argmax(axis=0)
        score = ways[came[t], np.arange(m)] + emitted[t]
    k = m - 1 if score[m - 1] >= score[m - 2] else m - 2
    fit = float(score[k]) / n
    path = np.empty(n, np.int8)
    for t in range(n - 1, -1, -1):
        path[t] = states[k]
        k -= int(came[t, k])
    return path, fit
