"""How late the speaker and the servos are, heard through the robot's own microphone.

**The geometry of times.** One duplex stream counts played and recorded samples together: index
``m`` of both belongs to the same callback. Four moments of the real world meet there:

* A sweep is played at index ``p`` and found in the recording at ``p + delay``.
* The driver says that ``p`` is heard at ``heard.time_of(p)`` (``SampleClock``). In truth it is
  heard later by ``output_latency``: what this module is to find.
* The sample that the microphone takes now is the one at the end of the block that the next callback
  brings: ``captured.time_of(r)``. In truth it was taken earlier by ``input_latency``.
* A servo is commanded at ``t`` (monotonic seconds) and its sound begins at recorded index ``r``.

Hence ``captured.time_of(p + delay) - heard.time_of(p) = output_latency + input_latency`` and
``captured.time_of(r) - t = lag + input_latency``. One microphone cannot tell ``input_latency``
apart, but the mouth is in time when ``lag - output_latency`` is right, and there it cancels. Sound
needs 1 ms for 34 cm, which is neglected.

Pure: arrays in, figures out. Times of recordings are sample indexes, lags are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import MeasurementError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SWEEP_S = 0.08
SWEEP_HZ = (800.0, 6000.0)  # what the smallest speaker can play and the cheapest codec lets through
CLEAR = 4.0  # a sweep counts as heard where its peak is so many times the median around
FIRST_S = 0.008  # a reflection may be louder than the direct sound, which came so much before
AGREE_S = 1.5e-3  # delays of single sweeps that differ by less are the same

FRAME_S, HOP_S = 4e-3, 0.5e-3
QUIET_S = 0.2  # the noise floor is taken from so long before a command
LATEST_S = 0.4  # and the sound of the servo is looked for so long after it
BANDS_HZ = (300.0, 8000.0)
N_BANDS = 12
BURST_S = 0.03  # the loudest so many seconds after a command are the servo, at first sight
BEGIN_S = 0.012  # of them, so many tell how loud it is when it begins
N_RUNS = 3  # a tap has as many chances to show the servo
WEAKEST = 0.1
TOGETHER_S = 0.025  # lags differ by the wait for a pulse, and a little
RAMP_S = 5e-3  # a motor needs up to this long to become loud
MAX_RATIO = 30.0  # sound over noise counts for no more: else the first ripple would be the onset

MIN_SHARE = 0.65  # of the sweeps that must agree


# The speaker --------------------------------------------------------------------------------------


def sweep(rate_hz: int) -> Floats:
    """What the speaker plays, (n,), full scale 1: a linear sweep of 80 ms, faded in and out.

    Why no click: at the same peak a sweep carries 400 times the energy (its time times its
    bandwidth), all of it where small speakers and Bluetooth codecs work, and a matched filter
    presses it together to 0.2 ms again. Sources: C. E. Cook, M. Bernfeld, "Radar Signals" (1967).
    """
    n_samples = round(SWEEP_S * rate_hz)
    t_s = np.arange(n_samples) / rate_hz
    low_hz, high_hz = SWEEP_HZ[0], min(SWEEP_HZ[1], 0.42 * rate_hz)
    phase = 2 * np.pi * (low_hz * t_s + (high_hz - low_hz) / (2 * SWEEP_S) * t_s**2)
    fade = np.minimum(1.0, np.minimum(t_s, t_s[::-1]) / 0.008)
    return np.asarray(np.sin(phase) * np.sin(np.pi / 2 * fade) ** 2, np.float64)


@dataclass(frozen=True)
class Delay:
    """From played to recorded sample: seconds, how far single sweeps differ (standard deviation),
    how many agree of how many, and how clear they were (peak over median of the matched filter)."""

    s: float
    spread_s: float
    heard: int
    of: int
    clarity: float


def find_delay(
    recorded: NDArray[np.floating], played_at: NDArray[np.integer], rate_hz: int, max_delay_s: float
) -> Delay:
    """Find sweeps that were played at indexes ``played_at`` (k,) in ``recorded`` (n,).

    Matched filter; the envelopes of all sweeps are averaged, the first peak of at least half the
    highest is the direct sound. MeasurementError where there is no clear and common delay.
    """
    envelopes = _matched(recorded, played_at, rate_hz, max_delay_s)
    medians = np.median(envelopes, axis=1)
    if not (medians > 0).all():
        raise MeasurementError(
            "The microphone delivers digital silence.",
            "Check that it is plugged in, switched on and not muted (alsamixer, F4).",
        )
    # A sweep under which somebody slammed a door must not decide alone.
    stacked = np.minimum(envelopes / medians[:, None], 20 * CLEAR).mean(axis=0)
    peak = _first_peak(stacked, rate_hz)
    clarity = float(stacked[peak])
    near = round(AGREE_S * rate_hz) * 2
    begin = max(0, peak - near)
    tops = begin + envelopes[:, begin : peak + near + 1].argmax(axis=1)
    is_clear = envelopes[np.arange(len(tops)), tops] > CLEAR * medians
    delays_s = tops / rate_hz
    agrees = is_clear & (np.abs(delays_s - np.median(delays_s)) <= AGREE_S)
    if clarity < CLEAR or agrees.mean() < MIN_SHARE:
        raise MeasurementError(
            f"The sweeps from the speaker were not heard clearly ({int(agrees.sum())} of "
            f"{len(tops)}).",
            "Turn the speaker up, bring the microphone nearer, switch noise off; echo cancelling "
            "in the microphone's driver must be off.",
        )
    kept_s = delays_s[agrees]
    return Delay(float(kept_s.mean()), float(kept_s.std()), len(kept_s), len(tops), clarity)


def _matched(
    recorded: NDArray[np.floating], played_at: NDArray[np.integer], rate_hz: int, max_delay_s: float
) -> Floats:
    """Envelopes of the matched filter, (k, n_delays)."""
    pattern = sweep(rate_hz)
    n_delays = round(max_delay_s * rate_hz)
    n_samples = n_delays + len(pattern)
    n_fft = 1 << (n_samples + len(pattern)).bit_length()
    analytic = np.zeros(n_fft)
    analytic[: n_fft // 2] = 2.0
    kernel = analytic * np.conj(np.fft.fft(pattern, n_fft))
    return np.array(
        [
            np.abs(np.fft.ifft(np.fft.fft(_cut(recorded, int(at), n_samples), n_fft) * kernel))[
                :n_delays
            ]
            for at in played_at
        ]
    )


def _first_peak(envelope: Floats, rate_hz: int) -> int:
    """The direct sound: the first local maximum, shortly before the highest, of half its height."""
    top = int(envelope.argmax())
    begin = max(1, top - round(FIRST_S * rate_hz))
    for index in range(begin, top):
        left, here, right = envelope[index - 1 : index + 2]
        if here >= envelope[top] / 2 and here >= left and here >= right and here > CLEAR:
            return index
    return top


def _cut(samples: NDArray[np.floating], begin: int, n_samples: int) -> Floats:
    """(n_samples,) from ``begin``, zeros where there is nothing."""
    out = np.zeros(n_samples)
    part = samples[max(0, begin) : max(0, begin + n_samples)]
    skipped = max(0, -begin)
    out[skipped : skipped + len(part)] = part
    return out


# The servo ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Onsets:
    """When the servo's sound begins after each command, (k,) seconds, NaN where none was heard;
    and how far all of them may be off together, because a motor becomes loud step by step."""

    lags_s: Floats
    doubt_s: float


def find_onsets(
    recorded: NDArray[np.floating], commanded_at: NDArray[np.floating], rate_hz: int
) -> Onsets:
    """Listen to the servo after the commands at ``commanded_at`` (k,), indexes in ``recorded`` (n,)
    with fraction.

    In each band the power before the commands is the noise, and the loudest 30 ms after them, as a
    median over all taps, is the servo. The ratio of the likelihoods of "servo runs" and "noise
    alone" (the power of a band is gamma distributed) is added up over the bands; the stretch with
    the largest sum, of whatever length, is the servo's run: the maximum-likelihood estimate of a
    change point (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954).
    """
    begins = np.floor(commanded_at).astype(np.int64)
    powers, n_bins = _band_powers(recorded, begins, rate_hz)
    if not powers.any():
        return Onsets(np.full(len(begins), np.nan), math.inf)
    quiet = round(QUIET_S / HOP_S)
    noise = _noise(powers[:, : quiet - round(FRAME_S / HOP_S)])
    ratios = powers[:, quiet:] / noise[:, None]
    starts, known = _loudest(ratios, round(BURST_S / HOP_S)), np.ones(len(begins), np.bool_)
    for length_s in (BURST_S, BEGIN_S):  # the second time from where the first has found it
        n_frames = round(length_s / HOP_S)
        servo = _servo_over_noise(powers, noise, quiet + starts, n_frames, known)
        starts, known = _consensus(*_best_runs(_evidence(ratios, servo, n_bins)))
    late_s, doubt_s = _lateness_s(np.median(servo, axis=0), n_bins, rate_hz)
    lags_s = starts * HOP_S - (commanded_at - begins) / rate_hz - late_s
    return Onsets(np.where(known, lags_s, np.nan), doubt_s)


def _lateness_s(servo: Floats, n_bins: Floats, rate_hz: int) -> tuple[float, float]:
    """How late the onset is found, and plus or minus what.

    It is found where the servo has the share ``f`` of its full power at which both likelihoods are
    equal. A motor whose amplitude grows evenly over 0 to ``RAMP_S`` has it after 0 to
    ``RAMP_S * sqrt(f)``; a frame has it before its centre is reached, as it is 4 ms long.
    """
    gain = servo / (1 + servo)
    share = float((n_bins * (np.log1p(servo) - gain)).sum() / (n_bins * servo * gain).sum())
    ramp_s = RAMP_S * math.sqrt(share)
    window = np.hanning(round(FRAME_S * rate_hz) + 2)[1:-1] ** 2
    inside = np.interp(share, np.cumsum(window) / window.sum(), np.linspace(0, 1, len(window)))
    return ramp_s / 2 - (0.5 - float(inside)) * FRAME_S, ramp_s / 2


def _band_powers(
    recorded: NDArray[np.floating], begins: NDArray[np.int64], rate_hz: int
) -> tuple[Floats, Floats]:
    """Power (k, n_frames, n_bands) around each command, and the FFT bins in each band (n_bands,).

    Frame ``f`` is centred ``f * HOP_S - QUIET_S`` after the command.
    """
    length, n_frames = round(FRAME_S * rate_hz), round((QUIET_S + LATEST_S) / HOP_S)
    at = np.rint(np.arange(n_frames) * HOP_S * rate_hz).astype(np.int64)
    window = np.hanning(length + 2)[1:-1]
    first = round(QUIET_S * rate_hz) + length // 2
    bins_hz = np.fft.rfftfreq(2 * length, 1 / rate_hz)
    edges_hz = np.geomspace(BANDS_HZ[0], min(BANDS_HZ[1], 0.45 * rate_hz), N_BANDS + 1)
    member = (bins_hz >= edges_hz[:-1, None]) & (bins_hz < edges_hz[1:, None])
    share = (member / np.maximum(member.sum(axis=1, keepdims=True), 1)).T
    powers = np.empty((len(begins), n_frames, N_BANDS))
    for k, begin in enumerate(begins):
        part = _cut(recorded, int(begin) - first, int(at[-1]) + length)
        frames = np.lib.stride_tricks.sliding_window_view(part, length)[at] * window
        powers[k] = np.abs(np.fft.rfft(frames, 2 * length)) ** 2 @ share
    return powers, member.sum(axis=1) / 2


def _noise(quiet: Floats) -> Floats:
    """Noise floor (k, n_bands): what was there before each command, not far below the usual."""
    each = quiet.mean(axis=1)
    usual = np.median(each, axis=0)
    floor: Floats = np.maximum(each, 0.5 * usual) + 1e-12 * each.max() + 1e-30
    return floor


def _loudest(ratios: Floats, n_frames: int) -> NDArray[np.int64]:
    """Where the loudest ``n_frames`` begin, (k,); ``ratios``: power over noise, by band."""
    level = np.log1p(ratios).sum(axis=2)
    sums = np.cumsum(np.pad(level, ((0, 0), (1, 0))), axis=1)
    return np.asarray((sums[:, n_frames:] - sums[:, :-n_frames]).argmax(axis=1), np.int64)


def _servo_over_noise(
    powers: Floats, noise: Floats, starts: NDArray[np.int64], n_frames: int, known: Flags
) -> Floats:
    """Power of the servo over the noise, (k, n_bands), from ``n_frames`` after ``known`` starts."""
    runs = np.array([p[s : s + n_frames].mean(axis=0) for p, s in zip(powers, starts, strict=True)])
    servo = np.median(np.maximum(runs - noise, 0.0)[known], axis=0)
    return np.minimum(servo / noise, MAX_RATIO)


def _evidence(ratios: Floats, servo: Floats, n_bins: Floats) -> Floats:
    """Log likelihood ratio of each frame, (k, n_frames). One band alone counts for little."""
    gain = servo[:, None] / (1 + servo[:, None])
    each = np.minimum(ratios, 4 * MAX_RATIO) * gain - np.log1p(servo[:, None])
    return np.asarray((each * n_bins).sum(axis=2), np.float64)


def _best_runs(evidence: Floats) -> tuple[NDArray[np.int64], Floats]:
    """First frames and sums (k, N_RUNS) of the stretches of each row with the largest sums, which
    do not overlap (J. Kadane's algorithm, again after what was found is struck out)."""
    left, rows = evidence.copy(), range(len(evidence))
    starts, totals = [], []
    for _ in range(N_RUNS):
        sums = np.cumsum(np.pad(left, ((0, 0), (1, 0))), axis=1)
        rises = sums - np.minimum.accumulate(sums, axis=1)
        ends = rises.argmax(axis=1)
        begins = [int(sums[k, : ends[k] + 1].argmin()) for k in rows]
        starts.append(begins)
        totals.append(rises.max(axis=1))
        for k in rows:
            left[k, begins[k] : ends[k]] = -np.abs(evidence[k]).max()
    return np.array(starts, np.int64).T, np.array(totals).T


def _consensus(starts: NDArray[np.int64], sums: Floats) -> tuple[NDArray[np.int64], Flags]:
    """The start of each row, (k,), that lies within the same 25 ms as those of most rows, and which
    rows have one. Runs much weaker than the row's best do not count."""
    usable = (sums > 0) & (sums >= WEAKEST * sums[:, :1])
    if not usable.any():
        return starts[:, 0], np.zeros(len(starts), np.bool_)
    n_frames = round(TOGETHER_S / HOP_S)
    firsts = np.unique(starts[usable])
    inside = (
        usable & (starts >= firsts[:, None, None]) & (starts < firsts[:, None, None] + n_frames)
    )
    here = inside[inside.any(axis=2).sum(axis=1).argmax()]
    chosen = np.where(here, sums, 0.0).argmax(axis=1)
    return starts[np.arange(len(starts)), chosen], here.any(axis=1)
