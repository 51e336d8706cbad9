"""A trained network becomes a static int8 TFLite file whose states do not drift.

Two things the stock tools do not do: activation ranges are the true extremes of a streamed
calibration run (not a moving average), and a state's input has the range of its source.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lipsync_edge.model.quantize import Quantization
from lipsync_tools.network import TAPS, Mouth, StreamingMouth

# These only move values: their inputs and outputs must share one range.
MOVERS = {"CONCATENATION", "RESHAPE", "SLICE", "STRIDED_SLICE", "TRANSPOSE"}
Frame = dict[str, NDArray[Any]]


def state_sources(n_layers: int) -> dict[str, str]:
    """State input -> the tensor that it remembers."""
    return {f"taps_{k}": f"act_{k}" if k else "mel" for k in range(n_layers)}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The converters talk a lot."""
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
    logging.disable(logging.NOTSET)


def export_float(mouth: Mouth, row_of_axis: list[int], path: Path) -> None:
    """Write the streaming form as a float TFLite file."""
    import litert_torch

    inputs = {"mel": torch.zeros(1, mouth.widths[0])}
    for k, width in enumerate(mouth.widths):
        inputs[f"taps_{k}"] = torch.zeros(1, (TAPS - 1) * width)
    with quiet():
        model = litert_torch.convert(
            StreamingMouth(mouth, row_of_axis).eval(), sample_kwargs=inputs
        )
        model.export(str(path))


class Stream:
    """Runs a float or int8 file frame by frame, as plainly as can be, to check other ways by.

    ``frames`` records what the file was given.
    """

    def __init__(self, path: Path, mouth: Mouth) -> None:
        # The signature's runner owns nothing: keep the interpreter alive.
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._runner = self._interpreter.get_signature_runner()
        self._sources = state_sources(len(mouth.widths))
        self._dilations = mouth.dilations
        self._widths = mouth.widths
        self._of = self._runner.get_input_details() | self._runner.get_output_details()
        self.frames: list[Frame] = []
        self.reset()

    def _quantization(self, name: str) -> Quantization | None:
        scale, zero_point = self._of[name]["quantization"]
        return Quantization(scale, zero_point) if scale else None

    def reset(self) -> None:
        """All states stand for 0."""
        self._past = []
        for k, (dilation, width) in enumerate(zip(self._dilations, self._widths, strict=True)):
            shape, q = ((TAPS - 1) * dilation, width), self._quantization(f"taps_{k}")
            self._past.append(q.zeros(shape) if q else np.zeros(shape, np.float32))

    def step(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n_mels,) to pose (n_axes,)."""
        q = self._quantization("mel")
        mel = q.quantize(row[None], np.empty((1, len(row)), np.int8)) if q else row[None]
        frame = {"mel": mel}
        for k, (past, dilation) in enumerate(zip(self._past, self._dilations, strict=True)):
            frame[f"taps_{k}"] = past[::dilation].reshape(1, -1)
        out = self._runner(**frame)
        self.frames.append(frame)
        for k, source in enumerate(self._sources.values()):
            newest = mel if source == "mel" else out[source]
            self._past[k] = np.concatenate([self._past[k][1:], newest])
        pose, q = out["pose"][0], self._quantization("pose")
        return q.dequantize(pose, np.empty(len(pose), np.float32)) if q else np.asarray(pose)

    def run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n, n_mels) from reset on; poses (n, n_axes)."""
        self.reset()
        return np.array([self.step(row) for row in rows])


def true_ranges(path: Path, frames: list[Frame], names: set[str]) -> dict[str, tuple[float, float]]:
    """Least and greatest value of every float tensor of ``names`` over all frames."""
    interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    inputs = {
        d["name"].removeprefix("serving_default_").split(":")[0]: d["index"]
        for d in interpreter.get_input_details()
    }
    watched = [
        d
        for d in interpreter.get_tensor_details()
        if d["name"] in names and d["dtype"] == np.float32
    ]
    found: dict[str, tuple[float, float]] = {}
    for frame in frames:
        for name, value in frame.items():
            interpreter.set_tensor(inputs[name], value)
        interpreter.invoke()
        for detail in watched:
            try:
                value = interpreter.get_tensor(detail["index"])
            except ValueError:  # fused away by the delegate
                continue
            if value.size:
                low, high = found.get(detail["name"], (np.inf, -np.inf))
                found[detail["name"]] = (
                    min(low, float(value.min())),
                    max(high, float(value.max())),
                )
    return found


def tie(path: Path, ranges: dict[str, tuple[float, float]], pairs: dict[str, str]) -> None:
    """Give one range to all tensors that the same values pass through; changes ``ranges``."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details()}
    group = {name: name for name in names.values()}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for op in interpreter._get_ops_details():
        if op["op_name"] in MOVERS:
            first, *others = [names[i] for i in (*op["inputs"], *op["outputs"]) if i in names]
            for other in others:
                group[root(other)] = root(first)
    runner = interpreter.get_signature_runner()
    details = runner.get_output_details() | runner.get_input_details()
    for state, source in pairs.items():
        group[root(details[state]["name"])] = root(details[source]["name"])
    members: dict[str, list[str]] = {}
    for name in ranges:
        members.setdefault(root(name), []).append(name)
    for tied in members.values():
        low, high = min(ranges[n][0] for n in tied), max(ranges[n][1] for n in tied)
        ranges.update(dict.fromkeys(tied, (low, high)))


def quantize(path: Path, out: Path, frames: list[Frame], n_layers: int) -> None:
    """Write the int8 form of the float file, calibrated on streamed frames."""
    from ai_edge_quantizer import quantizer, recipe

    with quiet():
        q = quantizer.Quantizer(str(path))
        q.load_quantization_recipe(recipe.static_wi8_ai8())
        found: dict[str, Any] = dict(q.calibrate({"serving_default": frames[:50]}, num_threads=1))
        ranges = true_ranges(path, frames, {name for name, value in found.items() if value})
        tie(path, ranges, state_sources(n_layers))
        for name, (low, high) in ranges.items():
            shape = np.shape(found[name]["min"])
            found[name]["min"] = np.full(shape, low, np.float32)
            found[name]["max"] = np.full(shape, high, np.float32)
        q.quantize(found).export_model(str(out), overwrite=True)


def tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    """Inputs and outputs of a file by name, and how often each operation occurs."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    counts: dict[str, int] = {}
    for op in interpreter._get_ops_details():
        counts[op["op_name"]] = counts.get(op["op_name"], 0) + 1
    return runner.get_input_details(), runner.get_output_details(), counts
