"""Is what was heard the speech, and does it go on? Noise is none, nor a block over and over."""

from __future__ import annotations

import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_tools.drill.sound import BLOCK
from lipsync_tools.soak import lag_ms
from lipsync_tools.soundserver import RATE_HZ

Samples = NDArray[np.float64]
LEAST_PIECES = 3


@dataclass(frozen=True)
class Heard:
    """Pieces of a second: how many had no gap, and at which ms of the speech those are that are
    some of it."""

    whole: int
    places_ms: tuple[float, ...]

    @property
    def wrong(self) -> str:
        """What is not as it should be; empty: nothing. A block that is lost between two others
        tears a piece in two, hence not all of them are asked for."""
        if self.whole < LEAST_PIECES:
            return f"only {self.whole} s were heard without a gap"
        if 2 * len(self.places_ms) < self.whole:
            return f"of {self.whole} s that were heard {len(self.places_ms)} are the speech"
        if len({round(ms / 100) for ms in self.places_ms}) < LEAST_PIECES:
            return "the speech does not go on"
        return ""


def compare(heard: Samples, speech: Samples) -> Heard:
    """``heard`` (n,), second by second, in the ``speech`` (m,) that is spoken over and over."""
    around, places_ms = np.concatenate([speech, speech[: 2 * RATE_HZ]]), []
    pieces = _without_gap(heard)
    for piece in pieces:
        if not math.isnan(place_ms := lag_ms(piece, around)):
            places_ms.append(place_ms)
    return Heard(len(pieces), tuple(places_ms))


def _without_gap(heard: Samples) -> list[Samples]:
    """The pieces of a second in which no block is silent, from the first one on."""
    pieces, begin = [], 0
    while begin + RATE_HZ <= len(heard):
        piece = heard[begin : begin + RATE_HZ]
        silent = np.flatnonzero(~piece.reshape(-1, BLOCK).any(axis=1))
        if silent.size:
            begin += (int(silent[-1]) + 1) * BLOCK
        else:
            pieces.append(piece)
            begin += RATE_HZ
    return pieces


def read(path: Path) -> Samples:
    """The samples (n,) of a mono file."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float64)
