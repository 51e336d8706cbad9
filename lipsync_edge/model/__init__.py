"""The model edge: one feature vector in, one pose out. Interchangeable: ``tflite``, ``dummy``."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.features import FeatureSpec


class Model(Protocol):
    """A causal streaming model with its states inside."""

    name: str
    spec: FeatureSpec
    axes: tuple[str, ...]
    delay_frames: int

    def step(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take (n_mels,), return (n_axes,) axis values: the pose of the frame that came
        ``delay_frames`` earlier. The array is reused by the next call: copy it to keep it."""

    def reset(self) -> None:
        """Back to the state of a stream that has not begun."""
