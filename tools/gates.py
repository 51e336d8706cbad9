"""What is kept of a film, and why not: gates on the face, on the sound, and on both being in step.

Pure numbers in, reasons out. In step: the lips that the film shows are compared with those that a
model expects from the sound, over all delays. Slow changes (a Gaussian mean of 0.3 s) are
taken off both first: they are alike in all sentences, and make the comparison's peak broad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipsync_tools.lips import roll_deg, turned_deg, yaw_deg

Array = NDArray[np.float64]

LAGS_S: Array = np.arange(-60, 61) / 100
"""Delays of the sound after the picture that are compared."""
SLOW_S = 0.3
TONE_STEPS = 10
WEIGHTS = (0.375, 0.375, 0.25)
"""How much inner opening, outer opening and width count in the agreement."""


@dataclass(frozen=True)
class Limits:
    """Everything that decides. Changing one makes another set."""

    least_s: float = 1.0
    longest_s: float = 10.0
    face_share: float = 0.8
    eyes_px: float = 36.0
    yaw_deg: float = 32.0
    turned_deg: float = 45.0
    tilted_deg: float = 40.0
    jump: float = 0.6  # eye distances from one frame to the next
    least_fps: float = 18.0
    level_db: float = -55.0
    music: float = 0.3
    agree: float = 0.3  # correlation under which lips and sound have nothing to do with each other
    sure: float = 0.45  # correlation from which a delay is believed
    in_step_s: float = 0.06
    mended_s: float = 0.2
    near_margin: float = 0.03
    far_margin: float = 0.05
    apart_s: float = 0.1
    other_speaker: float = 0.12


class Reason(NamedTuple):
    """Why something is not kept: the gate's name and a sentence with the figure."""

    gate: str
    told: str


@dataclass(frozen=True)
class Sync:
    """A verdict on the sound's delay: "kept", "mended", "out of sync" or "dubbed". ``late_s``:
    how late the sound is after the picture; ``agreement``: the correlation there; ``rival``: the
    best one elsewhere."""

    verdict: str
    late_s: float
    agreement: float
    rival: float


def face_reasons(
    found: NDArray[np.bool_], eyes_px: float, lm: Array, mat: Array, limits: Limits
) -> list[Reason]:
    """Gates on a followed face: there at all, large, seen from the front, one and the same.

    ``found`` (n,), ``lm`` (n, m, 3) pixels, ``mat`` (n, 4, 4), nan where no face is.
    """
    share = float(found.mean())
    if share < limits.face_share:
        told = f"a face in {share:.0%} of the frames, {limits.face_share:.0%} are needed"
        return [Reason("no face", told)]
    out = []
    if eyes_px < limits.eyes_px:
        out.append(Reason("small face", f"{eyes_px:.0f} pixels from eye to eye, "
                          f"{limits.eyes_px:.0f} are needed"))  # fmt: skip
    yaw = float(np.median(np.abs(yaw_deg(mat[found]))))
    turned = float(np.percentile(turned_deg(mat[found]), 80))
    if yaw > limits.yaw_deg or turned > limits.turned_deg:
        out.append(Reason("profile", f"turned by {max(yaw, turned):.0f} degrees"))
    tilted = float(np.median(np.abs(roll_deg(mat[found]))))
    if tilted > limits.tilted_deg:
        out.append(Reason("tilted", f"the head is tilted by {tilted:.0f} degrees"))
    middle = lm[found].mean(axis=1)[:, :2]
    # A gap of some frames may move a face farther than one does.
    steps = np.linalg.norm(np.diff(middle, axis=0), axis=1) / np.diff(np.flatnonzero(found))
    if len(steps) and float(steps.max()) > limits.jump * eyes_px:
        out.append(Reason("face changes", "the face that is followed jumps: a cut or two people"))
    return out


def level_db(samples: NDArray[np.floating]) -> float:
    """Level of the loudest tenth of a second, in dB under full scale."""
    n = max(1, len(samples) // 1600)
    blocks = np.array_split(np.asarray(samples, np.float64), n)
    loudest = max((float(np.mean(block**2)) for block in blocks if len(block)), default=0.0)
    return 10.0 * float(np.log10(loudest + 1e-12))


def quick(values: Array, rate_hz: float) -> Array:
    """Values (n,) without their slow changes."""
    reach = int(3 * SLOW_S * rate_hz)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (SLOW_S * rate_hz)) ** 2)
    weights = np.convolve(np.ones(len(values)), kernel)[reach : reach + len(values)]
    slow = np.convolve(values, kernel)[reach : reach + len(values)] / weights
    return np.asarray(values - slow)


def agreement(shown: Array, fps: float, times_s: Array, expected: Array) -> Array:
    """Correlation of shown and expected lips at each of ``LAGS_S``, shape (n_lags,).

    ``shown`` (n_frames, 3): inner opening, outer opening, width. ``expected`` (m, 2) at ``times_s``
    (m,), evenly spaced: opening and width, on any scale. Time 0 is the first frame's begin.
    """
    rate_hz = 1.0 / float(times_s[1] - times_s[0])
    seen = [quick(column, fps) for column in shown.T]
    wanted = [quick(column, rate_hz) for column in expected.T]
    at_s = (np.arange(len(shown)) + 0.5) / fps
    out = np.zeros(len(LAGS_S))
    for k, lag_s in enumerate(LAGS_S):
        inside = (at_s + lag_s >= times_s[0]) & (at_s + lag_s <= times_s[-1])
        if inside.sum() >= 0.5 * len(at_s):
            heard = [_standard(np.interp(at_s[inside] + lag_s, times_s, row)) for row in wanted]
            pairs = zip(seen, (heard[0], heard[0], heard[1]), WEIGHTS, strict=True)
            out[k] = sum(w * float(np.mean(_standard(row[inside]) * h)) for row, h, w in pairs)
    return out


def _standard(values: Array) -> Array:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def judge_sync(curve: Array, limits: Limits) -> Sync:
    """A verdict on the agreement at ``LAGS_S``. In doubt a sound is left where it is, or dropped:
    it is moved only when one moderate delay is clearly better than all others."""
    k = int(curve.argmax())
    late_s, best = float(LAGS_S[k]), float(curve[k])
    rival = float(curve[np.abs(LAGS_S - late_s) > limits.apart_s + 1e-9].max())
    here = float(curve[np.abs(LAGS_S) <= limits.in_step_s / 2 + 1e-9].max())
    moderate = abs(late_s) <= limits.mended_s + 1e-9
    margin = limits.near_margin if moderate else limits.far_margin
    sure = best >= limits.sure and best - rival >= limits.far_margin
    if best < limits.agree:
        verdict = "dubbed"
    elif abs(late_s) <= limits.in_step_s + 1e-9 or (best - here < margin and here >= limits.sure):
        verdict = "kept"
    else:
        verdict = "mended" if moderate and sure else "out of sync"
    return Sync(verdict, late_s, best, rival)


def pooled(curves: Sequence[Array], seconds: Sequence[float]) -> Array:
    """The agreement of a whole film: the mean over its clips, long ones counting more."""
    return np.asarray(np.average(np.stack(curves), axis=0, weights=np.asarray(seconds)))


def sync_reasons(own: Sync, film: Sync, n_clips: int, limits: Limits) -> list[Reason]:
    """Gates on a clip's delay, given the verdict on all ``n_clips`` clips of its film."""
    judged = film if n_clips > 1 else own
    agrees = f"correlation {judged.agreement:.2f}, {limits.agree} is needed"
    if judged.verdict == "dubbed":
        return [Reason("dubbed", f"the lips do not follow the sound ({agrees})")]
    if judged.verdict == "out of sync":
        return [_out_of_step(judged, limits)]
    clear = own.agreement >= limits.agree and own.agreement - own.rival >= limits.far_margin
    late_s = film.late_s if film.verdict == "mended" else 0.0
    apart_s = abs(own.late_s - late_s)
    if n_clips > 1 and clear and apart_s > 0.15:
        return [Reason("out of sync", f"the delay is not constant: here {1000 * own.late_s:+.0f} "
                       f"ms, in the whole film {1000 * late_s:+.0f} ms")]  # fmt: skip
    if n_clips > 1 and own.agreement < 0.5 * limits.agree:
        return [Reason("dubbed", f"here the lips do not follow the sound (correlation "
                       f"{own.agreement:.2f})")]  # fmt: skip
    return []


def _out_of_step(sync: Sync, limits: Limits) -> Reason:
    if abs(sync.late_s) <= limits.mended_s or sync.agreement - sync.rival < limits.far_margin:
        return Reason("out of sync", f"no single delay fits (correlation {sync.agreement:.2f} at "
                      f"{1000 * sync.late_s:+.0f} ms, {sync.rival:.2f} elsewhere)")  # fmt: skip
    return Reason("out of sync", f"the sound is {1000 * sync.late_s:+.0f} ms late; up to "
                  f"{1000 * limits.mended_s:.0f} ms can be mended")  # fmt: skip


def music_share(samples: NDArray[np.floating], rate_hz: int = 16000) -> float:
    """0..1: in which share of the pauses at least two tones go on that have lasted 0.2 s.

    A voice's harmonics glide, and stop in pauses; a music's stay. Tones 40 dB under the loudest
    speech do not count: they do no harm.
    """
    step, size = rate_hz // 50, 2048
    n = (len(samples) - size) // step
    if n < 25:
        return 0.0
    starts = np.arange(n)[:, None] * step + np.arange(size)
    spectrum = np.abs(np.fft.rfft(np.asarray(samples, np.float64)[starts] * np.hanning(size)))
    low, high = int(200 * size / rate_hz), int(4000 * size / rate_hz)
    power = spectrum[:, low:high] ** 2 + 1e-12
    around = np.stack([np.roll(power, k, axis=1) for k in (-6, -5, -4, 4, 5, 6)]).mean(axis=0)
    loud = float(np.percentile(power.sum(axis=1), 95))
    lasting = (power > 10.0 * around) & (power > 1e-4 * loud)
    for _ in range(TONE_STEPS):  # still there a step later, within a bin
        near = lasting[:-1] | np.roll(lasting[:-1], 1, axis=1) | np.roll(lasting[:-1], -1, axis=1)
        lasting = lasting[1:] & near
    level = power.sum(axis=1)[TONE_STEPS:]
    pauses = level <= np.percentile(level, 20)
    return float((lasting.sum(axis=1)[pauses] >= 2).mean())
