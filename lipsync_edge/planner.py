"""The look-ahead planner: where to command each servo now, so that what comes can still be reached.

Every tick it solves, for all servos at once, a small problem of model-predictive control. For the
commands ``c_1 .. c_K`` of the next K ticks it seeks the least

    1/2 sum_k w_k (c_k - x_k)^2  +  1/2 smoothness sum_k (c_k - 2 c_{k-1} + c_{k-2})^2

within the limits, ``|c_k - c_{k-1}| <= slew`` and ``|c_k - 2 c_{k-1} + c_{k-2}| <= accel``; then it
commands ``c_1``. A large weight ``w`` makes a target come true at the cost of its neighbours: the
move to it begins early, and the opening before it stays smaller.

Method: ADMM (S. Boyd et al., Distributed Optimization and Statistical Learning via the Alternating
Direction Method of Multipliers, 2011, section 5.2, over-relaxed as in 3.4.3) on the stacked
variable (position, step, change of step), whose linear part is the same for all servos and ticks: a
matrix made once. Each tick goes on from the last one's solution, so a few rounds suffice. They
leave a small error, hence the command itself is held to slew, acceleration and limits exactly.

Units: positions are 0..1 of a servo's travel, steps are per tick. A tick moves by one period,
however long the last one really took: after a stall nothing is made up for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
ROUNDS = 10
PENALTY = 1.5
LEAST_WEIGHT = 0.01
"""With more penalty, or targets that pull less, ten rounds a tick may stay short of a target."""
RELAXATION = 1.6
SMOOTHNESS = 0.03
STOP_WITHIN = 0.5
NO_REASON = 0.5
"""A target of less weight, such as a mere guess, is no reason to leave rest."""


class Planner:
    """``n`` servos, ``ahead`` ticks. ``at`` (n,) is where the last command stands."""

    def __init__(
        self,
        rest: ArrayLike,
        slew: ArrayLike,
        accel: ArrayLike,
        ahead: int,
        dead_band: ArrayLike = 0.0,
        smoothness: float = SMOOTHNESS,
        rounds: int = ROUNDS,
    ) -> None:
        """``rest``, ``slew``, ``accel``, ``dead_band``: one or (n,), in travels, travels per tick,
        travels per tick and tick, travels. It begins at ``rest``, standing still."""
        self.rest = np.array(rest, dtype=np.float64, ndmin=1)
        n = self.rest.size
        self.slew = np.maximum(np.broadcast_to(slew, n), 1e-9).astype(np.float64)
        self.accel = np.maximum(np.broadcast_to(accel, n), 1e-9).astype(np.float64)
        self.dead_band = np.broadcast_to(dead_band, n).astype(np.float64)
        self.ahead, self._rounds = ahead, rounds
        self.at, self.speed = self.rest.copy(), np.zeros(n)
        self._gain = PENALTY / (PENALTY + smoothness)
        self._mix, self._offset = _matrices(ahead)
        self._low, self._high = self._bounds(n)
        # [z | h]: the copies that keep the limits, and the sums that they were taken from.
        self._state = np.tile(np.repeat(self.rest[:, None], ahead, 1), (1, 6))
        self._state[:, ahead : 3 * ahead] = self._state[:, 4 * ahead :] = 0.0
        self._pull, self._share = np.zeros((n, 3 * ahead)), np.ones((n, 3 * ahead))
        self._share[:, 2 * ahead :] = self._gain

    def step(self, targets: Array, weights: Array) -> Array:
        """The command now, (n,), for ``targets`` (n, ahead) with ``weights`` (n, ahead).

        Column 0 is what the command of this tick should be. A target that is NaN or infinite
        counts as rest, such a weight as 1.
        """
        targets = np.where(np.isfinite(targets), targets, self.rest[:, None])
        weights = np.where(np.isfinite(weights), weights, 1.0)
        weights = np.minimum(np.maximum(weights, LEAST_WEIGHT), 1e6)
        targets = np.minimum(np.maximum(targets, 0.0), 1.0)
        first = self._first(targets, weights)
        still = self._is_quiet(np.where(weights < NO_REASON, self.at[:, None], targets), first)
        step = np.where(still, 0.0, first - self.at)
        home = (targets == self.rest[:, None]).all(axis=1)
        step = np.where(home & still, self.rest - self.at, step)
        self.move(step)
        return self.at.copy()

    def sent(self, at: Array) -> None:
        """Where the last command really went, (n,), if something behind it had other limits."""
        other = np.isfinite(at) & (np.abs(at - self.at) > 1e-9)
        self.speed = np.where(other, self.speed + at - self.at, self.speed)
        self.speed = np.clip(self.speed, -self.slew, self.slew)
        self.at = np.where(other, np.clip(at, 0.0, 1.0), self.at)

    def take_over(self, other: Planner, at: ArrayLike, speed: ArrayLike) -> None:
        """Go on at ``at`` with ``speed``, (n,), where ``other`` planned for the same servos."""
        self.at = np.clip(np.asarray(at, dtype=np.float64), 0.0, 1.0)
        self.speed = np.clip(np.asarray(speed, dtype=np.float64), -self.slew, self.slew)
        if self._state.shape == other._state.shape:  # where the search begins; any place will do
            self._state = other._state.copy()

    def _first(self, targets: Array, weights: Array) -> Array:
        """The first command of a plan that is good enough; the plan stays for the next tick."""
        k, state = self.ahead, self._state
        np.divide(PENALTY, PENALTY + weights, out=self._share[:, :k])
        np.multiply(1.0 - self._share[:, :k], targets, out=self._pull[:, :k])
        z, h = state[:, : 3 * k], state[:, 3 * k :]
        start = np.stack([self.at, self.speed], axis=1) @ self._offset
        for _ in range(self._rounds):
            np.add(state @ self._mix, start, out=h)
            np.multiply(h, self._share, out=z)
            z += self._pull
            np.maximum(z, self._low, out=z)
            np.minimum(z, self._high, out=z)
        first: Array = np.minimum(np.maximum(z[:, 0], 0.0), 1.0)
        for block in range(0, 6 * k, k):  # the plan, one tick on
            state[:, block : block + k - 1] = state[:, block + 1 : block + k]
        return first

    def _is_quiet(self, targets: Array, first: Array) -> NDArray[np.bool_]:
        """Where nothing worth a move lies ahead, and what moves may come to a stop at once.

        What moves goes on to ``STOP_WITHIN`` of the dead band, so that slow moves are no stairs.
        """
        band = np.where(self.speed != 0.0, STOP_WITHIN * self.dead_band, self.dead_band)
        near = (np.abs(targets - self.at[:, None]) <= band[:, None]).all(axis=1)
        slow = np.abs(self.speed) <= np.minimum(self.accel, self.dead_band)
        settled = np.abs(first - self.at) <= band
        quiet: NDArray[np.bool_] = near & slow & settled
        return quiet

    def move(self, step: Array) -> None:
        """Take a step, after holding it to slew, acceleration, and a stop before the limits."""
        low = np.maximum(self.speed - self.accel, -self.slew)
        high = np.minimum(self.speed + self.accel, self.slew)
        high = np.maximum(np.minimum(high, self._brakable(1.0 - self.at)), low)
        low = np.minimum(np.maximum(low, -self._brakable(self.at)), high)
        self.speed = np.minimum(np.maximum(step, low), high)
        at = np.minimum(np.maximum(self.at + self.speed, 0.0), 1.0)
        self.speed, self.at = at - self.at, at

    def _brakable(self, room: Array) -> Array:
        """The largest step now after which steps that shrink by ``accel`` still end in ``room``.

        A step of ``x`` accelerations goes on for x + (x - 1) + .. + (x - n), n = floor(x).
        """
        units = np.maximum(room, 0.0) / self.accel
        n = np.floor((np.sqrt(1.0 + 8.0 * units) - 1.0) / 2.0)
        largest: Array = self.accel * (units + n * (n + 1.0) / 2.0) / (n + 1.0)
        return largest

    def _bounds(self, n: int) -> tuple[Array, Array]:
        ones = np.ones((n, self.ahead))
        reach = np.hstack([self.slew[:, None] * ones, self.accel[:, None] * ones])
        return np.hstack([0.0 * ones, -reach]), np.hstack([ones, reach])


def reach(slew: Array, accel: Array, ticks: Array) -> Array:
    """How far a servo comes from rest within ``ticks``, all (n,), when it need not stop there."""
    until_full = np.minimum(slew / accel, ticks)
    way: Array = accel * until_full**2 / 2 + slew * (ticks - until_full)
    return way


def _matrices(k: int) -> tuple[Array, Array]:
    """The linear part of a round, for row vectors: ``h' = [z | h] @ mix + [at | speed] @ offset``.

    With A the stack of identity, first and second difference, b what position and speed now add to
    it, and P = A (A'A)^-1 A' the projection on what A can express, a round of ADMM is

        h' = r (P (2 z - h - b) + b) - r z + h ,   z' = prox(h') ,   r the relaxation.
    """
    one = np.eye(k)
    first = one - np.eye(k, k=-1)
    stack = np.vstack([one, first, first @ first])
    project = stack @ np.linalg.solve(stack.T @ stack, stack.T)
    whole = np.eye(3 * k)
    from_z = RELAXATION * (2.0 * project - whole)
    from_h = whole - RELAXATION * project
    begin = np.zeros((3 * k, 2))  # columns: position, speed
    begin[k, 0] = begin[2 * k, 0] = begin[2 * k, 1] = -1.0
    begin[2 * k + 1 : 2 * k + 2, 0] = 1.0
    offset = RELAXATION * (whole - project) @ begin
    return np.hstack([from_z, from_h]).T.copy(), offset.T.copy()
