"""How often one address may ask, and how many connections there may be. Pure; time is given."""

from __future__ import annotations

from collections import Counter, OrderedDict

PER_S, AT_ONCE = 40.0, 400.0
"""A page is some 25 files, and five people may sit behind one address."""
MOST_ADDRESSES = 512
MOST_CONNECTIONS, MOST_PER_ADDRESS = 96, 64


class Pace:
    """A bucket of requests per address."""

    def __init__(self, per_s: float = PER_S, at_once: float = AT_ONCE) -> None:
        self._per_s, self._at_once = per_s, at_once
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def ask(self, address: str, now_s: float, cost: float = 1.0) -> float:
        """0: go on, it is counted. Else seconds to wait; nothing is counted."""
        left, at_s = self._buckets.pop(address, (self._at_once, now_s))
        left = min(self._at_once, left + (now_s - at_s) * self._per_s)
        wait_s = max(0.0, (cost - left) / self._per_s)
        self._buckets[address] = (left if wait_s else left - cost, now_s)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)  # who asked longest ago
        return wait_s


class Crowd:
    """Counts connections, in all and by address."""

    def __init__(
        self, most: int = MOST_CONNECTIONS, most_per_address: int = MOST_PER_ADDRESS
    ) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether there is room for one more of ``address``; then it is counted."""
        room = self._by_address.total() < self._most
        room = room and self._by_address[address] < self._most_per_address
        if room:
            self._by_address[address] += 1
        return room

    def leave(self, address: str) -> None:
        """One that entered is gone."""
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
