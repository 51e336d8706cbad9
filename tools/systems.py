"""Whatever makes a mouth of sound, to be judged alike: bundles, baselines, and peers.

A system maps 16 kHz samples to outputs (n_frames, k) that belong to the times of the feature
frames (``targets.frame_times``), 100 a second. One linear map, fitted on the speakers to learn
from, makes lip measures of them, whatever they mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.face import CHANNELS
from lipsync_edge.features import FeatureSpec, batch
from lipsync_edge.model.card import Card
from lipsync_edge.model.tflite import TfliteModel
from lipsync_edge.rest import Rest
from lipsync_tools.grid import Clip
from lipsync_tools.judge import shifted
from lipsync_tools.spoken import mel_db_of

Array = NDArray[np.float64]
Samples = NDArray[np.float32]
LAGS = (-25, -20, -16, -13, -10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10, 13, 16, 20, 25)
"""Delays in frames of 10 ms that a baseline may choose from, on the speakers to learn from; less
than 0: the mouth is put earlier, as a robot may that plays the sound later."""


class Bundle:
    """An int8 bundle, run as the robot runs it, frame by frame; its delay is taken off."""

    def __init__(self, folder: Path) -> None:
        self.card = Card.load(folder)
        self.model = TfliteModel(self.card)
        self.name, self.spec = self.card.name, self.card.spec

    def __call__(self, samples: Samples) -> Array:
        return self._poses(samples)[self.model.delay_frames :]

    def both(self, samples: Samples) -> tuple[Array, Array]:
        """What the model says, and the same with the mouth closed where it says that nobody speaks,
        as the robot closes it."""
        poses, rest = self._poses(samples), Rest(self.model.axes, self.spec.hop_s)
        rested = np.array([rest.step(pose) for pose in poses.astype(np.float32)], np.float64)
        return poses[self.model.delay_frames :], rested[self.model.delay_frames :]

    def _poses(self, samples: Samples) -> Array:
        self.model.reset()
        silence = np.zeros(self.model.delay_frames * self.spec.hop_length, np.float32)
        rows = batch(np.concatenate([samples, silence]), self.spec)
        return np.array([self.model.step(row).copy() for row in rows], np.float64)

    def column(self, name: str) -> int | None:
        """Where an axis or a channel is in the outputs."""
        return self.model.axes.index(name) if name in self.model.axes else None

    @property
    def closure(self) -> int | None:
        """Where the probability of a closure is."""
        return self.column(CHANNELS[0])

    @property
    def learned(self) -> set[str]:
        """Filmed speakers that it learned from."""
        return set(self.card.training.get("speakers", ()))


def envelope(spec: FeatureSpec) -> Callable[[Samples], Array]:
    """Loudness, linear and in dB: what makers use for a jaw."""

    def run(samples: Samples) -> Array:
        starts = range(0, len(samples) - spec.frame_length + 1, spec.hop_length)
        rms = np.array([samples[s : s + spec.frame_length].std() for s in starts], np.float64)
        return np.stack([rms, 20 * np.log10(rms + 1e-4)], axis=1)

    return run


def mel_window(spec: FeatureSpec, reach: int = 16, step: int = 4) -> Callable[[Samples], Array]:
    """Log-mel bands from 160 ms before to 160 ms after: with the linear map, a linear model."""

    def run(samples: Samples) -> Array:
        mel_db = mel_db_of(samples, spec)
        mel_db = (mel_db - mel_db.max() + 60.0).clip(0.0) / 60.0
        mel_db = mel_db - mel_db.mean(axis=0)
        shifts = range(-reach, reach + 1, step)
        return np.concatenate([shifted(mel_db, shift) for shift in shifts], axis=1)

    return run


@dataclass
class System:
    """A way from sound to outputs, its best delay in frames, and a cache of what it said."""

    name: str
    run: Callable[[Samples], Array]
    lag: int = 0
    lags: Sequence[int] = (0,)
    said: dict[str, Array] = field(default_factory=dict, repr=False)

    def __call__(self, clip: Clip) -> Array:
        return np.asarray(shifted(self.raw(clip.samples), self.lag))

    def raw(self, samples: Samples) -> Array:
        """Outputs before the delay; the same sound is not computed twice."""
        key = hashlib.sha1(np.ascontiguousarray(samples).tobytes()).hexdigest()
        if key not in self.said:
            self.said[key] = np.asarray(self.run(samples))
        return self.said[key]


def baselines(names: Sequence[str], spec: FeatureSpec, cache: Path) -> tuple[list[System], Any]:
    """The named baselines, and why some of them cannot run (name -> reason)."""
    from lipsync_tools.peers import PEERS, PeerMissing, peer

    out, missing = [], {}
    for name in names:
        if name == "envelope":
            out.append(System(name, envelope(spec), lags=LAGS))
        elif name == "linear":
            out.append(System(name, mel_window(spec)))
        elif name in PEERS:
            try:
                out.append(System(name, peer(name, spec, cache), lags=LAGS))
            except PeerMissing as error:
                missing[name] = str(error)
    return out, missing
