"""The int8 TFLite model of a bundle, on ``ai_edge_litert`` or, where that is missing, the older
``tflite_runtime``. One thread; states are explicit and live here, in int8 rings.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.resources
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import ModelError
from lipsync_edge.face import axis_range
from lipsync_edge.model.card import CARD_FILE, Card, State, Tensor
from lipsync_edge.model.quantize import Quantization

RUNTIMES = ("ai_edge_litert", "tflite_runtime")
# ai_edge_litert and tflite_runtime round differently; the states carry it on. Seen: 10 of 256 steps
# at most, where closure and speech are steep. A wrong kernel is off by 48 in the mean.
GOLDEN_TOLERANCE_LSB = 16


def bundles_folder() -> Path:
    """Where the shipped bundles are."""
    return Path(str(importlib.resources.files("lipsync_models")))


def list_bundles() -> list[str]:
    """Names of the shipped bundles."""
    return sorted(path.parent.name for path in bundles_folder().glob(f"*/{CARD_FILE}"))


def open_bundle(name_or_path: str) -> Card:
    """The checked card of a shipped bundle, or of the folder at a path. Raises ModelError."""
    names = list_bundles()
    if name_or_path in names:
        return Card.load(bundles_folder() / name_or_path)
    path = Path(name_or_path).expanduser()
    if path.name == CARD_FILE:
        path = path.parent
    if path.is_dir():
        return Card.load(path)
    near = difflib.get_close_matches(name_or_path, names, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Shipped are: {', '.join(names) or 'none'}."
    raise ModelError(f"{name_or_path}: no model bundle has this name or this path.", hint)


class TfliteModel:
    """A :class:`lipsync_edge.model.Model` of a bundle; the bundle's golden has passed."""

    def __init__(self, card: Card, runtime: str = "auto") -> None:
        """Load and prove the model. Raises ModelError."""
        self.name = card.name
        self.spec = card.spec
        self.axes = card.axes
        self.delay_frames = card.delay_frames
        self.runtime, self._interpreter = _make_interpreter(card, runtime)
        indexes = _check_tensors(card, self._interpreter)
        mel, pose = card.inputs[card.features_input], card.outputs[card.pose_output]
        self._mel_index, self._pose_index = indexes[mel.name], indexes[pose.name]
        self._mel_quantization, self._pose_quantization = mel.quantization, pose.quantization
        self._mel = mel.quantization.zeros(mel.shape)
        # A window of feature vectors, the newest last; mostly there is one alone.
        self._window = self._mel.reshape(card.features_taps, -1)
        self._work = np.zeros(self._window.shape[1], np.float32)
        self._pose = np.zeros(len(card.axes), np.float32)
        ranges = np.array([axis_range(axis) for axis in card.axes], np.float32)
        self._low, self._high = ranges[:, 0], ranges[:, 1]
        sources = card.outputs | {mel.name: mel}
        self._rings = [_Ring(sources[s.of], card.inputs[s.input], s, indexes) for s in card.states]
        self._check_golden(card)

    def reset(self) -> None:
        """Back to the state of a stream that has not begun."""
        self._mel.fill(self._mel_quantization.zero_point)
        for ring in self._rings:
            ring.reset()

    def step(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n_mels,) in, axes (n_axes,) out, in an array that the next call reuses."""
        interpreter = self._interpreter
        self._window[:-1] = self._window[1:]
        self._mel_quantization.quantize(features, self._window[-1], self._work)
        interpreter.set_tensor(self._mel_index, self._mel)
        for ring in self._rings:
            interpreter.set_tensor(ring.input_index, ring.read())
        interpreter.invoke()
        for ring in self._rings:
            of_input = ring.source_index == self._mel_index
            ring.write(self._mel if of_input else interpreter.get_tensor(ring.source_index))
        pose = interpreter.get_tensor(self._pose_index)
        self._pose_quantization.dequantize(pose.reshape(-1), self._pose)
        return np.clip(self._pose, self._low, self._high, out=self._pose)

    def _check_golden(self, card: Card) -> None:
        self.reset()
        poses = np.array([self.step(row).copy() for row in card.golden.features])
        self.reset()
        worst = float(np.abs(poses - card.golden.poses).max()) / self._pose_quantization.scale
        if worst > GOLDEN_TOLERANCE_LSB:
            raise ModelError(
                f"{card.path}: on {self.runtime} the model does not move as its maker recorded "
                f"(off by {worst:.0f} steps of the output, {GOLDEN_TOLERANCE_LSB} are allowed).",
                "Use the runtime ai_edge_litert, and the bundle as it was shipped.",
            )


class _Ring:
    """The past of one tensor, in int8; hands out its taps, the oldest first."""

    def __init__(
        self, source: Tensor, state_input: Tensor, state: State, indexes: dict[str, int]
    ) -> None:
        taps, dilation = state.taps, state.dilation
        length = taps * dilation
        self.input_index, self.source_index = indexes[state.input], indexes[state.of]
        self._zero_point = source.quantization.zero_point
        self._past = source.quantization.zeros((length, source.size))
        self._taps = source.quantization.zeros(state_input.shape)
        self._taps_by_row = self._taps.reshape(taps, source.size)
        steps = np.arange(taps) * dilation
        self._order = [(steps + at) % length for at in range(length)]
        self._at = 0

    def reset(self) -> None:
        self._past.fill(self._zero_point)
        self._at = 0

    def read(self) -> NDArray[np.int8]:
        np.take(self._past, self._order[self._at], axis=0, out=self._taps_by_row, mode="clip")
        return self._taps

    def write(self, value: NDArray[np.int8]) -> None:
        self._past[self._at] = value.reshape(-1)
        self._at = (self._at + 1) % len(self._past)


def _make_interpreter(card: Card, runtime: str) -> tuple[str, Any]:
    """The name of the runtime that works and its interpreter, tensors allocated."""
    wanted = RUNTIMES if runtime == "auto" else (runtime,)
    for name in wanted:
        try:
            module = importlib.import_module(f"{name}.interpreter")
        except ImportError:
            continue
        return name, _build(card, name, module)
    raise ModelError(
        f"{' and '.join(wanted)} cannot be imported: nothing here can run the model.",
        "Install it: pip install ai-edge-litert",
    )


def _build(card: Card, name: str, module: Any) -> Any:
    """An import alone proves nothing: tflite_runtime fails only here with NumPy 2."""
    try:
        with _quiet_stderr():
            interpreter = module.Interpreter(model_content=card.content, num_threads=1)
            interpreter.allocate_tensors()
    except (SystemError, AttributeError, ImportError) as error:
        raise ModelError(
            f"{name} is installed but does not work with NumPy {np.__version__} ({error}).",
            "Install ai-edge-litert instead, or: pip install 'numpy<2'",
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{card.path}: {name} refuses the model: {error}.") from error
    return interpreter


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """The runtime's C++ code announces its delegates on file descriptor 2; nobody needs that."""
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _check_tensors(card: Card, interpreter: Any) -> dict[str, int]:
    """Compare the file's tensors with the card's; return their indexes by name.

    The signature gives the names: the order of inputs and outputs differs between converters.
    """
    try:
        runner = interpreter.get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{card.path}: the model has no signature: {error}.") from error
    indexes = {}
    for kind, promised, found in (
        ("input", card.inputs, runner.get_input_details()),
        ("output", card.outputs, runner.get_output_details()),
    ):
        if set(promised) != set(found):
            raise ModelError(
                f"{card.path}: the model's {kind}s are {', '.join(sorted(found))}, the card says "
                f"{', '.join(sorted(promised))}."
            )
        for name, tensor in promised.items():
            _check_tensor(card, kind, tensor, found[name])
            indexes[name] = int(found[name]["index"])
    return indexes


def _check_tensor(card: Card, kind: str, promised: Tensor, found: Any) -> None:
    scale, zero_point = found["quantization"]
    is_int8 = found["dtype"] == np.int8
    seen = f"{np.dtype(found['dtype']).name} {tuple(found['shape'].tolist())}"
    if not is_int8 or tuple(found["shape"].tolist()) != promised.shape:
        raise ModelError(
            f"{card.path}: the {kind} {promised.name} is {seen}, the card says int8 "
            f"{promised.shape}."
        )
    same = np.isclose(scale, promised.quantization.scale, rtol=1e-6, atol=0)
    if not same or zero_point != promised.quantization.zero_point:
        raise ModelError(
            f"{card.path}: the {kind} {promised.name} has {Quantization(scale, zero_point)}, the "
            f"card says {promised.quantization}."
        )
