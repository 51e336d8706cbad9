"""The best path through known likelihoods is the one that they were made of."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_tools.align import LEAST_FIT, SILENCE, best_path
from lipsync_tools.spoken import UNKNOWN

SPOKEN = [1, 17, 3, 19, 2, 20]
RUNS = [(SILENCE, 20), (1, 8), (17, 10), (3, 5), (SILENCE, 7), (19, 12), (2, 6), (20, 9),
        (SILENCE, 15)]  # fmt: skip


def said() -> np.ndarray:
    return np.repeat([number for number, _ in RUNS], [length for _, length in RUNS])


def heard(classes: np.ndarray, noise: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    log_p = np.full((len(classes), 22), np.log(0.02))
    log_p[np.arange(len(classes)), classes] = np.log(0.5)
    return log_p + rng.normal(0, noise, log_p.shape)


def test_finds_the_times_in_noise() -> None:
    path, fit = best_path(heard(said(), 0.5), SPOKEN)
    assert (path != said()).mean() < 0.03
    assert fit > LEAST_FIT


def test_another_text_does_not_fit() -> None:
    _, fit = best_path(heard(said(), 0.0), [5, 6, 7, 8, 9, 10])
    assert fit < LEAST_FIT


@pytest.mark.parametrize("n", [1, 5, 18])
def test_a_sound_too_short_for_its_text_is_refused(n: int) -> None:
    path, fit = best_path(heard(said()[:n], 0.0), SPOKEN)
    assert fit == -np.inf
    assert (path == UNKNOWN).all()
