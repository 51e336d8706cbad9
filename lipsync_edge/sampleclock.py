"""Which sample is heard when: sample index to monotonic seconds, from what the callbacks report.

A callback says "sample m is heard at ``now_s + dac_s``". Single reports are off by milliseconds
(callbacks come in bursts, drivers round), and the sound card's crystal runs a little fast or slow.
A Kalman filter of two states, offset and rate, smooths that: a delay-locked loop as in F.
Adriaensen, "Using a DLL to filter time" (Linux Audio Conference 2005), whose bandwidth starts wide
and narrows by itself (Y. Bar-Shalom et al., "Estimation with Applications to Tracking and
Navigation", 2001, ch. 6.2, the clock as a nearly constant velocity model).
"""

from __future__ import annotations

import math


class SampleClock:
    """Maps output sample indexes to monotonic time and back.

    With reports that jitter by 20 ms (uniform) and a card off by up to 200 ppm, the answer is right
    within 4 ms after half a second and within 3 ms after five. An observation moves the answer by
    at most 1 ms (a twentieth of its block where that is more), except right after a (re)start or
    an xrun: so far may it run backwards. One thread observes and asks; any may call :meth:`resync`.
    """

    JITTER_S = 5e-3  # standard deviation of one report
    WANDER_S2_PER_S = (2e-4) ** 2  # random walk of the offset: what no rate explains
    RATE_PRIOR = 100e-6  # sd; crystals are within 200 ppm
    RATE_WANDER2_PER_S = (2e-6) ** 2  # warming up
    MAX_RATE = 500e-6
    OUTLIER_S = 0.03  # a single report counts for no more than this
    LOST_S = 0.1  # reports further off than this, for LOST_FOR_S, mean a new beginning
    LOST_FOR_S = 0.5
    LOOSE_S = 0.02  # what an xrun may have shifted
    MAX_STEP_S = 1e-3
    SETTLE = 16  # observations before steps are limited
    MAX_DAC_S = 2.0

    def __init__(self, rate_hz: int, latency_s: float = 0.02) -> None:
        """``latency_s``: time from callback to sound where the driver's report is not plausible."""
        self.rate_hz = rate_hz
        self.latency_s = latency_s
        self.resyncs = 0
        self.implausible = 0  # reports without a usable DAC time
        self._asked_to_resync = False
        self._count = 0  # observations since the anchor
        self._plausible = True
        self._off_since_s = math.nan

    @property
    def ready(self) -> bool:
        """True from the first observation on."""
        return self._count > 0 and not self._asked_to_resync

    @property
    def drift_ppm(self) -> float:
        """How much faster than its nominal rate the card runs, in parts per million."""
        return -1e6 * self._rate if self._count else 0.0

    def resync(self) -> None:
        """Forget the past; the next observation is a new anchor (a device was opened again)."""
        self._asked_to_resync = True

    def observe(self, at_sample: int, now_s: float, dac_s: float, xrun: bool = False) -> None:
        """Take one callback's report: sample ``at_sample`` is heard ``dac_s`` after ``now_s``.

        ``dac_s`` counts when it lies in 0 (exclusive) to 2 s, else ``latency_s`` stands in for it.
        ``xrun``: samples may have been lost before, so that the past counts for less.
        """
        plausible = 0 < dac_s <= self.MAX_DAC_S
        self.implausible += not plausible
        heard_s = now_s + (dac_s if plausible else self.latency_s)
        if self._count == 0 or self._asked_to_resync:
            self._anchor(at_sample, heard_s)
        elif self._is_lost(at_sample, heard_s, now_s):
            self.resyncs += 1
            self._anchor(at_sample, heard_s)
        else:
            if xrun or plausible != self._plausible:
                self._var_offset += self.LOOSE_S**2
                self._count = 1  # a jump, not jitter: the next SETTLE reports may step freely
            self._update(at_sample, heard_s)
        self._plausible = plausible

    def time_of(self, sample: float) -> float:
        """Monotonic time in seconds at which ``sample`` is heard."""
        return self._heard_s + (sample - self._at_sample) / self.rate_hz * (1 + self._rate)

    def sample_at(self, t_s: float) -> float:
        """Index, with fraction, of the sample that is heard at ``t_s``."""
        return self._at_sample + (t_s - self._heard_s) * self.rate_hz / (1 + self._rate)

    def _anchor(self, at_sample: int, heard_s: float) -> None:
        self._asked_to_resync = False
        self._off_since_s = math.nan
        self._at_sample, self._heard_s, self._rate = at_sample, heard_s, 0.0
        self._var_offset, self._cov, self._var_rate = self.JITTER_S**2, 0.0, self.RATE_PRIOR**2
        self._count = 1

    def _is_lost(self, at_sample: int, heard_s: float, now_s: float) -> bool:
        if abs(heard_s - self.time_of(at_sample)) <= self.LOST_S:
            self._off_since_s = math.nan
            return False
        if math.isnan(self._off_since_s):
            self._off_since_s = now_s
        return now_s - self._off_since_s >= self.LOST_FOR_S

    def _update(self, at_sample: int, heard_s: float) -> None:
        elapsed_s = (at_sample - self._at_sample) / self.rate_hz
        self._predict(at_sample, elapsed_s)
        widest_s = self.OUTLIER_S if self._count >= self.SETTLE else self.LOST_S
        error_s = max(-widest_s, min(widest_s, heard_s - self._heard_s))
        total = self._var_offset + self.JITTER_S**2
        gain, rate_gain = self._var_offset / total, self._cov / total
        if self._count >= self.SETTLE:  # what is not stepped now must not count as known
            limit_s = max(self.MAX_STEP_S, elapsed_s / 20)
            gain = min(gain, limit_s / max(abs(error_s), 1e-9))
        self._heard_s += gain * error_s
        rate = self._rate + rate_gain * error_s
        self._rate = max(-self.MAX_RATE, min(self.MAX_RATE, rate))
        self._var_rate -= rate_gain * self._cov
        self._cov *= 1 - gain
        self._var_offset *= 1 - gain
        self._count += 1

    def _predict(self, at_sample: int, elapsed_s: float) -> None:
        """Move the anchor to ``at_sample``; the offset becomes less sure, as the rate is not."""
        self._heard_s = self.time_of(at_sample)
        self._at_sample = at_sample
        self._var_offset += elapsed_s * (
            2 * self._cov + elapsed_s * self._var_rate + self.WANDER_S2_PER_S
        )
        self._cov += elapsed_s * self._var_rate
        self._var_rate += elapsed_s * self.RATE_WANDER2_PER_S
