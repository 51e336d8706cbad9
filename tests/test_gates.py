"""What the gates keep, mend and drop; expected values follow from how the input was made."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_tools import films, gates, lips
from lipsync_tools.gates import LAGS_S, Limits

LIMITS = Limits()
FPS = 25.0


def lips_and_sound(late_s: float, noise: float = 0.3, seconds: float = 6.0, seed: int = 1):  # type: ignore[no-untyped-def]
    """Shown lips (n, 3) at 25 fps, and what a sound that comes ``late_s`` after them expects."""
    rng = np.random.default_rng(seed)
    fine = np.arange(-200, int(seconds * 100) + 200) / 100
    tones = [np.sin(2 * np.pi * hz * fine + rng.uniform(0, 6)) for hz in rng.uniform(1.5, 6, 12)]
    opening, width = np.sum(tones[:8], axis=0), np.sum(tones[8:], axis=0)
    frames = (np.arange(int(seconds * FPS)) + 0.5) / FPS
    at = [np.interp(frames, fine, row) for row in (opening, opening, width)]
    shown = np.stack(at, axis=1) + noise * rng.standard_normal((len(frames), 3))
    times = np.arange(-60, int(seconds * 100) + 60) / 100
    expected = [np.interp(times - late_s, fine, row) for row in (opening, width)]
    return shown, times, np.stack(expected, axis=1)


def judged(late_s: float, **options: float) -> gates.Sync:
    shown, times, expected = lips_and_sound(late_s, **options)  # type: ignore[arg-type]
    return gates.judge_sync(gates.agreement(shown, FPS, times, expected), LIMITS)


@pytest.mark.parametrize(
    ("late_ms", "verdict"),
    [(0, "kept"), (33, "kept"), (-40, "kept"), (120, "mended"), (-120, "mended"),
     (180, "mended"), (400, "out of sync"), (-400, "out of sync"), (300, "out of sync")],
)  # fmt: skip
def test_a_delay_is_found_and_judged(late_ms: int, verdict: str) -> None:
    sync = judged(late_ms / 1000)
    assert sync.verdict == verdict
    assert sync.late_s == pytest.approx(late_ms / 1000, abs=0.015)
    assert sync.agreement > 0.8


def test_lips_that_follow_another_sound_are_dubbed_or_dropped() -> None:
    shown, _, _ = lips_and_sound(0.0, seconds=12.0)
    _, times, expected = lips_and_sound(0.0, seconds=12.0, seed=2)
    sync = gates.judge_sync(gates.agreement(shown, FPS, times, expected), LIMITS)
    assert sync.verdict in ("dubbed", "out of sync")


def test_in_doubt_a_sound_is_not_moved() -> None:
    curve = np.where(np.isin(np.round(LAGS_S * 100), (12, -30)), 0.6, 0.1)
    assert gates.judge_sync(curve, LIMITS).verdict == "out of sync"  # two delays fit as well
    curve = np.where(np.round(LAGS_S * 100) == 12, 0.40, 0.1)
    assert gates.judge_sync(curve, LIMITS).verdict == "out of sync"  # none fits well
    curve = np.where(np.round(LAGS_S * 100) == 12, 0.62, 0.1)
    assert gates.judge_sync(curve, LIMITS).verdict == "mended"


def test_a_delay_that_is_not_constant_is_dropped() -> None:
    here, there = judged(0.0), judged(0.19)
    film = gates.Sync("kept", 0.0, 0.8, 0.2)
    assert gates.sync_reasons(here, film, 5, LIMITS) == []
    (reason,) = gates.sync_reasons(there, film, 5, LIMITS)
    assert reason.gate == "out of sync"
    assert "not constant" in reason.told


def test_a_film_counts_more_than_its_clips() -> None:
    lost = gates.Sync("mended", 0.13, 0.3, 0.29)  # of itself it says nothing
    assert gates.sync_reasons(lost, gates.Sync("kept", 0.0, 0.8, 0.2), 5, LIMITS) == []
    (reason,) = gates.sync_reasons(judged(0.0), gates.Sync("dubbed", 0, 0.1, 0.1), 5, LIMITS)
    assert reason.gate == "dubbed"


def turned(axis: str, degrees: float, n: int = 20) -> np.ndarray:
    """Head poses (n, 4, 4) turned about an axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    mats = {"y": [[c, 0, s], [0, 1, 0], [-s, 0, c]], "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]]}  # fmt: skip
    out = np.tile(np.eye(4), (n, 1, 1))
    out[:, :3, :3] = mats[axis]
    return out


def faces(mat: np.ndarray, eyes_px: float = 70.0, shown: float = 1.0, jump: float = 0.0):  # type: ignore[no-untyped-def]
    n = len(mat)
    lm = np.zeros((n, 5, 3))
    lm[n // 2 :, :, 0] += jump * eyes_px
    found = np.arange(n) < shown * n
    return [r.gate for r in gates.face_reasons(found, eyes_px, lm, mat, LIMITS)]


def test_gates_on_the_face() -> None:
    front = turned("y", 5)
    assert faces(front) == []
    assert faces(front, shown=0.5) == ["no face"]
    assert faces(front, eyes_px=20) == ["small face"]
    assert faces(turned("y", 50)) == ["profile"]
    assert faces(turned("x", 60)) == ["profile"]
    assert faces(turned("z", 170)) == ["tilted"]
    assert faces(front, jump=2.0) == ["face changes"]


def test_angles_of_a_head() -> None:
    assert lips.yaw_deg(turned("y", 20))[0] == pytest.approx(20)
    assert lips.roll_deg(turned("z", -30))[0] == pytest.approx(-30)
    assert lips.turned_deg(turned("x", 25) * 3.0)[0] == pytest.approx(25)  # with a scale


def test_turning_the_head_changes_no_measure_that_is_free_of_it() -> None:
    """A solid face, its lips 0.2 eye distances before the eyes, turned and seen from afar."""
    numbers = [33, 133, 362, 263, 168, 6, 0, 13, 14, 17, 2, 61, 291, 1, 152, 178, 402, 81, 311]
    solid = np.random.default_rng(3).normal(0, 20, (len(numbers), 3))  # x right, y up, z nearer
    for k, number in enumerate(numbers):
        if number in (33, 133, 362, 263, 168, 6):
            solid[k, 2] = 0.0
        if number in (0, 13, 14, 17):
            solid[k, 2] = 14.0
    solid[numbers.index(33)], solid[numbers.index(263)] = (-35, 0, 0), (35, 0, 0)
    solid[numbers.index(2), 1], solid[numbers.index(61), 1] = -30, -44
    for axis, degrees in (("y", 0), ("y", 25), ("x", -15), ("z", 20)):
        mat = turned(axis, degrees, 3)
        seen = solid @ mat[0, :3, :3].T * (1, -1, -1) + (180, 144, 0)  # y down, z away
        still = lips.without_pose(np.tile(seen, (3, 1, 1)), numbers, mat)
        measured = lips.measure(np.tile(seen, (3, 1, 1)), numbers, mat)
        eyes = lips.eye_distance(np.tile(seen, (3, 1, 1)), numbers)
        assert np.allclose(still[0] * (1, -1, -1), solid - solid[:1] - (35, 0, 0), atol=1e-6)
        assert measured[0, 6] * eyes == pytest.approx(14.0)
        assert measured[0, 8] * eyes == pytest.approx(-14.0)  # the right corner, under the nose


def test_lasting_tones_are_music_and_gliding_ones_are_not() -> None:
    t = np.arange(4 * 16000) / 16000
    syllables = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 1.5 * t))
    pitch = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 1.3 * t)) / 16000
    voice = syllables * sum(np.sin(k * pitch) / k for k in range(1, 25))
    voice += 0.003 * np.random.default_rng(0).standard_normal(len(t))
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (262.0, 330.0, 392.0, 523.0, 784.0))
    assert gates.music_share(voice) < 0.1
    assert gates.music_share(voice + 0.3 * chord) > 0.9
    assert gates.music_share(voice + 0.001 * chord) < 0.1  # far under the voice


def test_level() -> None:
    sine = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert gates.level_db(sine) == pytest.approx(-23.0, abs=0.1)  # -20 dB, less 3 dB of a sine
    assert gates.level_db(np.zeros(16000)) <= -119


def test_cuts_repeats_rates_and_pieces() -> None:
    change = np.full(100, 1.0)
    change[[30, 70]] = (40.0, 12.0)
    assert films.find_cuts(change) == [30, 70]
    assert films.find_cuts(np.full(100, 30.0)) == []  # restless all the time: no cut
    assert films.find_repeats(np.tile([2.0, 0.1, 0.1, 2.0, 0.1], 20)).mean() == pytest.approx(0.6)
    assert not films.find_repeats(np.r_[np.full(50, 2.0), np.full(50, 0.1)])[55:].any()
    assert [films.constant_rate(f) for f in (23.976, 25, 29.97, 50, 59.94, 120)] == [
        *(24, 25, 30, 25, 30, 30)
    ]
    parts = films.pieces(films.Shot(10, 610, 0.0), 25, 10.0)
    assert parts == [(10, 210), (210, 410), (410, 610)]
