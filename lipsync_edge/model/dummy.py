"""A model without a file, which misbehaves on command: for trying things out, and for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import ModelError
from lipsync_edge.faults import Fault, parse_faults
from lipsync_edge.features import FeatureSpec

MODEL_FAULTS: Mapping[str, str] = {
    "slow": "the next step takes so many seconds longer, 0.05 where none is given",
    "nan": "poses of NaN for so many seconds, 0.1 where none is given",
    "shape": "one axis too many for so many seconds, for good where none is given",
}
"""What the dummy model can do wrong; its time is counted in hops since reset."""


class DummyModel:
    """``jawOpen`` follows the mean of the features, every other axis stays 0."""

    def __init__(
        self,
        axes: tuple[str, ...] = ("jawOpen",),
        faults: str = "",
        sleep: Callable[[float], None] | None = None,
        spec: FeatureSpec | None = None,
        delay_frames: int = 0,
    ) -> None:
        """``faults``: e.g. ``slow@2:0.05 nan@3:1 shape@4``; ``sleep`` waits for a slow step.

        Raises ModelError for a fault that does not exist.
        """
        self.name = "dummy"
        self.spec = spec or FeatureSpec()
        self.axes = axes
        self.delay_frames = delay_frames
        try:
            self._faults = parse_faults(faults, MODEL_FAULTS)
        except ValueError as error:
            raise ModelError(f"model.faults: {error}") from error
        self._sleep = sleep
        self._pose = np.zeros(len(axes), np.float32)
        self._wrong = np.zeros(len(axes) + 1, np.float32)
        self._hops = 0
        self._slept: set[Fault] = set()

    def reset(self) -> None:
        """Back to the first hop; the faults come anew."""
        self._hops = 0
        self._slept.clear()

    def step(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n_mels,) in, axis values (n_axes,) out, faults permitting."""
        elapsed_s = self._hops * self.spec.hop_s
        self._hops += 1
        self._pose.fill(0.0)
        if "jawOpen" in self.axes:
            self._pose[self.axes.index("jawOpen")] = np.clip(features.mean(), 0.0, 1.0)
        for fault in self._faults:
            if fault.kind == "slow" and elapsed_s >= fault.start_s:
                self._be_slow(fault)
            if fault.kind == "nan" and fault.active(elapsed_s, lasting_s=0.1):
                self._pose.fill(np.nan)
            if fault.kind == "shape" and fault.active(elapsed_s):
                return self._wrong
        return self._pose

    def _be_slow(self, fault: Fault) -> None:
        if fault not in self._slept and self._sleep is not None:
            self._sleep(0.05 if fault.argument is None else fault.argument)
        self._slept.add(fault)
