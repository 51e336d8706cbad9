"""What must be known of the servos after a restart: where their horns stand, how warm they are.

Else a head that is started anew would let a hot motor get as hot again on top, and a horn jump.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.store import Store

POSE, WARMTH = "pose", "warmth"
Array = NDArray[np.float64]


def last_pose(store: Store) -> Mapping[str, float]:
    """The pulses, us by servo, that the horns got last before an earlier end."""
    saved = store.load(POSE) or {}
    return {n: float(us) for n, us in saved.items() if _is_number(us)}


def pose_state(names: Sequence[str], us: Array) -> dict[str, float]:
    """The same for the store, from pulses (n,) us, NaN: unknown."""
    pairs = zip(names, us.tolist(), strict=True)
    return {name: round(value, 1) for name, value in pairs if math.isfinite(value)}


def last_warmth(store: Store, names: Sequence[str], now_s: float, boot: str) -> tuple[Array, float]:
    """How warm winding and case were, (2, n) K above the room, and how many seconds ago.

    ``boot``: what tells this boot of the computer from others; in another one nobody knows how long
    it was off, so nothing has cooled since.
    """
    saved = store.load(WARMTH) or {}
    kelvin, at_s = saved.get("kelvin"), saved.get("at_s", math.nan)
    warm = np.zeros((2, len(names)))
    for k, name in enumerate(names):
        pair = kelvin.get(name) if isinstance(kelvin, dict) else None
        if isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)):
            warm[:, k] = pair
    same = boot and saved.get("boot") == boot and _is_number(at_s)
    return warm, max(0.0, now_s - float(at_s)) if same else 0.0


def warmth_state(names: Sequence[str], warm_k: Array, now_s: float, boot: str) -> dict[str, object]:
    """The same for the store."""
    kelvin = dict(zip(names, warm_k.T.round(2).tolist(), strict=True))
    return {"boot": boot, "at_s": round(now_s, 3), "kelvin": kelvin}


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e9
