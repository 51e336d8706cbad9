"""A float streaming file becomes a static int8 one whose states do not drift.

Two things the stock tools do not do: activation ranges are the true extremes of a streamed
calibration run (not a moving average), and a state's input has the range of its source.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import ModelError
from lipsync_edge.model.card import State
from lipsync_edge.model.quantize import Quantization

# These only move values: their inputs and outputs must share one range.
MOVERS = {
    *("CONCATENATION", "RESHAPE", "SLICE", "STRIDED_SLICE", "TRANSPOSE", "SPLIT", "SPLIT_V"),
    *("GATHER", "PACK", "UNPACK", "EXPAND_DIMS", "SQUEEZE", "PAD", "MAX_POOL_2D"),
}
PROBE = 20
"""Frames for the stock calibration, which only tells what there is to calibrate."""
Frame = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """How a file is driven frame by frame: a card's words without the numbers."""

    features_input: str = "mel"
    pose_output: str = "pose"
    states: tuple[State, ...] = ()
    features_taps: int = 1


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The converters talk a lot, in Python and in C++."""
    logging.disable(logging.WARNING)
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with (
            open(os.devnull, "wb") as nowhere,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        logging.disable(logging.NOTSET)


def open_file(path: Path, **options: Any) -> Any:
    """An interpreter without a delegate, its tensors allocated. Raises ModelError."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            str(path), num_threads=1, experimental_op_resolver_type=plain, **options
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: this is no TFLite file that runs here ({error}).") from error
    return interpreter


def signature_of(interpreter: Any, path: Path) -> str:
    """The key of the one signature that is there to run. Raises ModelError."""
    keys = list(interpreter.get_signature_list())
    for key in ("serving_default", *(keys if len(keys) == 1 else ())):
        if key in keys:
            return str(key)
    raise ModelError(
        f"{path}: the file has {len(keys)} signatures and none is serving_default, so its inputs "
        "and outputs have no names.",
        "Convert it anew from the SavedModel or ONNX file; both are understood here.",
    )


@dataclass(frozen=True)
class Tensors:
    """What a file holds: inputs and outputs by name as the interpreter describes them, how often
    each operation occurs, its multiplications per step, and operations that compute in float."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    operations: dict[str, int]
    macs: int
    in_float: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> Tensors:
        """Look into a file."""
        interpreter = open_file(path)
        runner = interpreter.get_signature_runner(signature_of(interpreter, path))
        known = {d["index"]: d for d in interpreter.get_tensor_details()}
        counts: dict[str, int] = {}
        macs, in_float = 0, []
        for op in interpreter._get_ops_details():
            name, out = op["op_name"], [known[i] for i in op["outputs"] if i in known]
            counts[name] = counts.get(name, 0) + 1
            macs += _macs(name, [known.get(i) for i in op["inputs"]], out)
            if any(np.issubdtype(d["dtype"], np.floating) for d in out):
                in_float.append(name)
        return cls(
            runner.get_input_details(), runner.get_output_details(), counts, macs, tuple(in_float)
        )


def _macs(name: str, inputs: list[Any], outputs: list[Any]) -> int:
    """Multiplications of one operation, from its shapes."""
    if not outputs:
        return 0
    size = int(np.prod(outputs[0]["shape"]))
    if name in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"):
        weights = inputs[1]["shape"]  # (out, in), (out, h, w, in), (1, h, w, out)
        return size * int(np.prod(weights[1:3] if name.startswith("DEPTH") else weights[1:]))
    if name == "BATCH_MATMUL":
        return size * int(inputs[0]["shape"][-1])
    if name == "TRANSPOSE_CONV":
        return int(np.prod(inputs[2]["shape"])) * int(np.prod(inputs[1]["shape"][:3]))
    return 0


class Stream:
    """Runs a float or int8 file frame by frame, as plainly as can be, to check other ways by.

    ``frames`` records what the file was given. Another ``runner``, called with the same tensors by
    name, shows what the framework says that the file came from.
    """

    def __init__(self, path: Path, layout: Layout, runner: Any = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # The signature's runner owns nothing: keep the interpreter alive.
        with quiet():  # it announces its delegate
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        own = self._interpreter.get_signature_runner(signature_of(self._interpreter, path))
        self._runner, self._layout = runner or own, layout
        self._of = own.get_input_details() | own.get_output_details()
        self.frames: list[Frame] = []
        self.reset()

    def _zeros(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        q = self._quantization(name)
        return q.zeros(shape) if q else np.zeros(shape, np.float32)

    def _quantization(self, name: str) -> Quantization | None:
        scale, zero_point = self._of[name]["quantization"]
        return Quantization(scale, zero_point) if scale else None

    def reset(self) -> None:
        """All states stand for 0."""
        layout = self._layout
        shape = tuple(int(n) for n in self._of[layout.features_input]["shape"])
        self._window = self._zeros(layout.features_input, shape).reshape(layout.features_taps, -1)
        self._past = []
        for s in layout.states:
            width = int(np.prod(self._of[s.input]["shape"])) // s.taps
            self._past.append(self._zeros(s.input, (s.taps * s.dilation, width)))

    def step(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n_mels,) to pose (n_axes,)."""
        layout = self._layout
        q = self._quantization(layout.features_input)
        new = q.quantize(row[None], np.empty((1, len(row)), np.int8)) if q else row[None]
        self._window = np.concatenate([self._window[1:], new])
        shaped = self._of[layout.features_input]["shape"]
        frame = {layout.features_input: self._window.reshape(shaped)}
        for s, past in zip(layout.states, self._past, strict=True):
            frame[s.input] = past[:: s.dilation].reshape(self._of[s.input]["shape"])
        out = self._runner(**frame)
        self.frames.append(frame)
        for k, s in enumerate(layout.states):
            newest = new if s.of == layout.features_input else out[s.of]
            self._past[k] = np.concatenate([self._past[k][1:], newest.reshape(1, -1)])
        pose, q = out[layout.pose_output].reshape(-1), self._quantization(layout.pose_output)
        return q.dequantize(pose, np.empty(len(pose), np.float32)) if q else np.asarray(pose)

    def run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n, n_mels) from reset on; poses (n, n_axes)."""
        self.reset()
        return np.array([self.step(row) for row in rows])


def true_ranges(path: Path, frames: list[Frame], names: set[str]) -> dict[str, tuple[float, float]]:
    """Least and greatest value of every float tensor of ``names`` over all frames."""
    interpreter = open_file(path, experimental_preserve_all_tensors=True)
    runner = interpreter.get_signature_runner(signature_of(interpreter, path))
    inputs = {name: d["index"] for name, d in runner.get_input_details().items()}
    del runner  # it would hold what invoke() wants to itself
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
            value = interpreter.get_tensor(detail["index"])
            if value.size:
                low, high = found.get(detail["name"], (np.inf, -np.inf))
                ends = min(low, float(value.min())), max(high, float(value.max()))
                found[detail["name"]] = ends
    return found


def tie(path: Path, ranges: dict[str, tuple[float, float]], layout: Layout) -> None:
    """Give one range to all tensors that the same values pass through; changes ``ranges``."""
    interpreter = open_file(path)
    details = interpreter.get_tensor_details()
    # Whole numbers, such as the bounds of a slice, may be shared by operations that are strangers.
    names = {d["index"]: d["name"] for d in details if d["dtype"] == np.float32}
    group = {name: name for name in names.values()}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for op in interpreter._get_ops_details():
        if op["op_name"] in MOVERS:
            moved = [names[i] for i in (*op["inputs"], *op["outputs"]) if i in names]
            for other in moved[1:]:
                group[root(other)] = root(moved[0])
    runner = interpreter.get_signature_runner(signature_of(interpreter, path))
    of = runner.get_output_details() | runner.get_input_details()
    for state in layout.states:
        group[root(of[state.input]["name"])] = root(of[state.of]["name"])
    members: dict[str, list[str]] = {}
    for name in ranges:
        members.setdefault(root(name), []).append(name)
    for tied in members.values():
        low, high = min(ranges[n][0] for n in tied), max(ranges[n][1] for n in tied)
        ranges.update(dict.fromkeys(tied, (low, high)))


def quantize(path: Path, out: Path, frames: list[Frame], layout: Layout) -> None:
    """Write the int8 form of the float file, calibrated on streamed frames."""
    from ai_edge_quantizer import quantizer, recipe

    with quiet():
        q = quantizer.Quantizer(str(path))
        q.load_quantization_recipe(recipe.static_wi8_ai8())
        probe = {signature_of(open_file(path), path): frames[:PROBE]}
        try:
            found: dict[str, Any] = dict(q.calibrate(probe, num_threads=1))
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"{path.name}: it cannot be calibrated: {error}.") from error
        ranges = true_ranges(path, frames, {name for name, value in found.items() if value})
        tie(path, ranges, layout)
        for name, (low, high) in ranges.items():
            shape = np.shape(found[name]["min"])
            found[name]["min"] = np.full(shape, low, np.float32)
            found[name]["max"] = np.full(shape, high, np.float32)
        q.quantize(found).export_model(str(out), overwrite=True)


def quantize_dynamic(path: Path, out: Path) -> None:
    """Write a form with int8 weights that computes in float, for comparison."""
    from ai_edge_quantizer import quantizer, recipe

    with quiet():
        q = quantizer.Quantizer(str(path))
        q.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        q.quantize().export_model(str(out), overwrite=True)
