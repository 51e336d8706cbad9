"""How much later than needed the sound goes over the bridge, for callbacks that come late."""

from __future__ import annotations

import math


class Slack:
    """Grows by what was missing when the playing card starved, and is given back in quiet times.

    A computer that was busy once shall not leave the sound late for ever; but each time that too
    little is left, there is a gap to be heard. So it is given back slowly, after a while without
    want, and the while doubles each time that want soon followed: a computer that is always late
    keeps what it needs. Widths and times are seconds.
    """

    LEAST_S, MOST_S = 0.01, 0.08
    STEP_S = 0.005  # the least that one want adds
    EPISODE_S = 0.3  # wants within it have one reason
    HOLD_S, LONGEST_HOLD_S = 60.0, 3600.0  # quiet before anything is given back
    SOON = 10.0  # times that hold: a want within it is put down to the giving back
    BACK_S_PER_S = 2e-4  # 200 ppm: a third of a cent, which nobody hears

    def __init__(self) -> None:
        self.now_s = self.LEAST_S
        self.hold_s = self.HOLD_S
        self._wanted_s = self._last_s = math.nan
        self._before_s = self.LEAST_S
        self._was_given_back = False

    def want(self, now_s: float, missing_s: float) -> None:
        """The card starved for ``missing_s``."""
        if not now_s - self._wanted_s < self.EPISODE_S:
            self._before_s = self.now_s
            self._learn(now_s)
        self.now_s = min(self.now_s + max(missing_s, self.STEP_S), self.MOST_S)
        self._wanted_s = now_s

    def forgive(self, now_s: float) -> None:
        """The card had stopped: what starved a moment ago did not do so for being late."""
        if now_s - self._wanted_s < 2 * self.EPISODE_S:
            self.now_s = self._before_s

    def step(self, now_s: float) -> None:
        """Nothing starves now; call it often."""
        past_s = 0.0 if math.isnan(self._last_s) else min(now_s - self._last_s, 1.0)
        self._last_s = now_s
        if self.now_s > self.LEAST_S and now_s - self._wanted_s > self.hold_s:
            self.now_s = max(self.LEAST_S, self.now_s - past_s * self.BACK_S_PER_S)
            self._was_given_back = True

    def _learn(self, now_s: float) -> None:
        if now_s - self._wanted_s > self.SOON * self.hold_s:
            self.hold_s = self.HOLD_S
        elif self._was_given_back:
            self.hold_s = min(2 * self.hold_s, self.LONGEST_HOLD_S)
        self._was_given_back = False
