"""The contract of a model bundle: ``card.yaml``, and what it promises about the files beside it.

A bundle is a folder with ``card.yaml``, the int8 TFLite file and ``golden.npz`` (features in, poses
expected). :meth:`Card.load` checks all that can be checked without an interpreter; a promise that
does not hold is a ModelError that names the line of the card.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge import yamlnodes
from lipsync_edge.face import AXES, CHANNELS
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.cardnodes import CARD_FILE, Node, read_card
from lipsync_edge.model.quantize import Quantization

FORMAT = "lipsync-bundle/1"
SAME_RELEASE = "take the bundle and the program from the same release."
MAX_MODEL_BYTES = 64 * 1024 * 1024
MAX_SIZE = 1_000_000
_KEYS = {
    *("format", "name", "version", "licence", "attribution", "model", "features", "inputs"),
    *("outputs", "features_input", "pose_output", "states", "axes", "delay_frames", "golden"),
    *("training", "metrics", "features_taps"),
}
# What the features' code can compute, beside frame_length <= n_fft and high_hz <= half the rate.
_SPEC_LIMITS: dict[str, tuple[float, float]] = {
    "sample_rate_hz": (8000, 48000),
    "frame_length": (16, 8192),
    "hop_length": (16, 8192),
    "n_fft": (16, 8192),
    "n_mels": (1, 256),
    "low_hz": (0, 24000),
    "high_hz": (0, 24000),
    "preemphasis": (0, 1),
    "range_db": (1, 200),
    "level_floor_db": (-200, 0),
    "level_release_db_per_s": (0, 1000),
    "mean_s": (0.01, 1000),
}
__all__ = ["CARD_FILE", "FORMAT", "Card", "Golden", "State", "Tensor"]


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model: int8, its shape (1, ...) and what its numbers mean."""

    name: str
    shape: tuple[int, ...]
    quantization: Quantization

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class State:
    """A state input: what tensor ``of`` was taps * dilation, ..., 1 * dilation steps ago.

    ``of`` is an output or the features' input; the values are concatenated, the oldest first. Plain
    feedback, as of a recurrent layer, is taps 1, dilation 1. At reset everything is the zero point.
    """

    input: str
    of: str
    taps: int
    dilation: int


@dataclass(frozen=True)
class Golden:
    """Features (n, n_mels) from reset on, and the poses (n, n_axes) that belong to them."""

    features: NDArray[np.float32]
    poses: NDArray[np.float32]


@dataclass(frozen=True)
class Card:
    """A bundle whose files are what they should be. ``content`` is the TFLite file.

    ``features_taps``: how many feature vectors the model takes at once, the oldest first, the
    newest last; 1 unless the model has no states and sees a window instead.
    """

    path: Path
    name: str
    version: str
    licence: str
    attribution: str
    spec: FeatureSpec
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    features_input: str
    pose_output: str
    states: tuple[State, ...]
    axes: tuple[str, ...]
    delay_frames: int
    training: dict[str, Any]
    metrics: dict[str, Any]
    content: bytes
    golden: Golden
    features_taps: int = 1

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Read and check the bundle in ``folder``. Raises ModelError."""
        top = read_card(folder)
        top.only(_KEYS)
        _check_format(top)
        spec = read_spec(top["features"])
        inputs, outputs = _read_tensors(top["inputs"]), _read_tensors(top["outputs"])
        axes = read_axes(top["axes"])
        features_input = top["features_input"].one_of(inputs)
        pose_output = top["pose_output"].one_of(outputs)
        features_taps = read_taps(top)
        wanted, said = spec.n_mels * features_taps, "features.n_mels"
        said += f" times features_taps {features_taps}" if features_taps > 1 else ""
        _check_size(top["features_input"], inputs[features_input], wanted, said)
        _check_size(top["pose_output"], outputs[pose_output], len(axes), "axes")
        sources = outputs | ({features_input: inputs[features_input]} if features_taps == 1 else {})
        states = tuple(_read_state(node, inputs, sources) for node in top["states"].entries())
        _check_fed(top["states"], inputs, [features_input, *(state.input for state in states)])
        return cls(
            path=folder,
            name=top["name"].text(),
            version=top["version"].text(),
            licence=top["licence"].text(),
            attribution=top["attribution"].text(),
            spec=spec,
            inputs=inputs,
            outputs=outputs,
            features_input=features_input,
            pose_output=pose_output,
            states=states,
            axes=axes,
            delay_frames=top["delay_frames"].integer(0, 1000),
            training=top["training"].mapping(),
            metrics=top["metrics"].mapping(),
            content=_read_model(top["model"], folder),
            golden=_read_golden(top["golden"], folder, spec.n_mels, len(axes)),
            features_taps=features_taps,
        )


def _check_format(top: Node) -> None:
    if top["format"].value != FORMAT:
        top["format"].fail(
            f"this program reads {FORMAT}, the card is {top['format'].plain()}: {SAME_RELEASE}"
        )


def read_spec(node: Node, known: Iterable[str] = ("digest",)) -> FeatureSpec:
    """The spec that ``node`` declares, if the robot can compute it; ``known``: other entries.

    The digest must be there where it is among them. Raises ModelError with the line that differs.
    """
    ours = FeatureSpec()
    names = [field.name for field in fields(FeatureSpec)]
    node.only([*names, *known])
    if node["kind"].value != ours.kind:
        node["kind"].fail(
            f"the model was trained on features of the kind {node['kind'].plain()}, this program "
            f"makes {ours.kind}: {SAME_RELEASE}"
        )
    values = {name: _spec_value(node[name], name, getattr(ours, name)) for name in names[1:]}
    _check_spec(node, values)
    spec = FeatureSpec(**values)
    if "digest" in known and node["digest"].value != spec.digest():
        node["digest"].fail(
            f"the model was trained on features {str(node['digest'].plain())[:12]}..., here they "
            f"are {spec.digest()[:12]}...: {SAME_RELEASE}"
        )
    return spec


def _spec_value(node: Node, name: str, default: float) -> Any:
    low, high = _SPEC_LIMITS[name]
    if type(default) is int:
        return node.integer(int(low), int(high))
    if type(node.value) not in (int, float) or not low <= node.value <= high:
        node.fail(f"must be a number from {low:g} to {high:g}, not {node.plain()!r}.")
    return float(node.value)


def _check_spec(node: Node, values: dict[str, Any]) -> None:
    for name, other, limit in (
        ("frame_length", "n_fft", values["n_fft"]),
        ("hop_length", "frame_length", values["frame_length"]),
        ("high_hz", "half of sample_rate_hz", values["sample_rate_hz"] / 2),
    ):
        if values[name] > limit:
            node[name].fail(f"{values[name]:g} is more than {other}, {limit:g}.")
    if values["low_hz"] >= values["high_hz"]:
        node["low_hz"].fail(f"{values['low_hz']:g} is not under high_hz, {values['high_hz']:g}.")


def read_taps(top: Node) -> int:
    """The entry features_taps of ``top``, 1 where it is missing."""
    return top["features_taps"].integer(1, 256) if "features_taps" in top.mapping_nodes() else 1


def _read_tensors(node: Node) -> dict[str, Tensor]:
    return {name: _read_tensor(name, child) for name, child in node.mapping_nodes().items()}


def _read_tensor(name: str, node: Node) -> Tensor:
    node.only(["shape", "dtype", "scale", "zero_point"])
    shape = tuple(item.integer(1, MAX_SIZE) for item in node["shape"].entries())
    if len(shape) < 2 or shape[0] != 1:
        node["shape"].fail(f"must be [1, n], one step at a time, not {list(shape)}.")
    node["dtype"].one_of(["int8"])
    scale = node["scale"].value
    if type(scale) not in (int, float):
        node["scale"].fail("must be a number above 0.")
    zero_point = node["zero_point"].integer(-128, 127)
    try:
        return Tensor(name, shape, Quantization(float(scale), zero_point))
    except ValueError as error:
        node["scale"].fail(f"{error}.")


def read_axes(node: Node) -> tuple[str, ...]:
    """What the model's outputs are: axes of the face and channels. Raises ModelError."""
    axes: list[str] = []
    for item in node.entries():
        axis = item.text()
        if axis not in AXES + CHANNELS:
            hint = yamlnodes.Problems().did_you_mean(axis, AXES + CHANNELS)
            item.fail(f"no axis of the face is called {axis!r}; {hint}")
        if axis in axes:
            item.fail(f"the axis {axis} stands twice.")
        axes.append(axis)
    if not set(axes) - set(CHANNELS):
        node.fail("a model must drive at least one axis of the face.")
    return tuple(axes)


def _check_size(node: Node, tensor: Tensor, size: int, other: str) -> None:
    if tensor.size != size:
        node.fail(f"{tensor.name} has {tensor.size} values, but {other} says {size}.")


def _read_state(node: Node, inputs: dict[str, Tensor], sources: dict[str, Tensor]) -> State:
    node.only(["input", "of", "taps", "dilation"])
    name, of = node["input"].one_of(inputs), node["of"].one_of(sources)
    state = State(name, of, node["taps"].integer(1, 64), node["dilation"].integer(1, 1024))
    wanted = state.taps * sources[of].size
    if inputs[name].size != wanted:
        node.fail(
            f"{name} has {inputs[name].size} values, but {state.taps} taps of {of} are {wanted}."
        )
    if inputs[name].quantization != sources[of].quantization:
        node.fail(
            f"{name} and {of} have different scales ({inputs[name].quantization} and "
            f"{sources[of].quantization}): the state would drift; convert with tied ranges."
        )
    return state


def _check_fed(node: Node, inputs: dict[str, Tensor], fed: list[str]) -> None:
    for name in inputs:
        if fed.count(name) != 1:
            node.fail(f"the input {name} must be fed once, by the features or one state.")


def _beside(node: Node, folder: Path) -> Path:
    name = node.text()
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        node.fail(f"{name!r} must be the name of a file beside the card.")
    path = folder / name
    if not path.is_file():
        node.fail(f"there is no file {path}; install the bundle anew.")
    return path


def _read_model(node: Node, folder: Path) -> bytes:
    node.only(["file", "sha256", "bytes"])
    path = _beside(node["file"], folder)
    size = node["bytes"].integer(1, MAX_MODEL_BYTES)
    with path.open("rb") as file:
        content = file.read(size + 1)
    if len(content) != size:
        node["bytes"].fail(f"{path} does not have {size} bytes: it is damaged, install it anew.")
    digest = hashlib.sha256(content).hexdigest()
    if digest != node["sha256"].value:
        node["sha256"].fail(
            f"{path} is not the file that the card describes (its SHA-256 is {digest[:12]}..., not "
            f"{str(node['sha256'].plain())[:12]}...): it is damaged, install the bundle anew."
        )
    return content


def _read_golden(node: Node, folder: Path, n_mels: int, n_axes: int) -> Golden:
    path = _beside(node, folder)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            features, poses = arrays["features"], arrays["poses"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        node.fail(f"{path} cannot be read ({error}): install the bundle anew.")
    if features.ndim != 2 or features.shape[1] != n_mels or len(features) == 0:
        node.fail(f"{path}: features have the shape {features.shape}, not (n, {n_mels}).")
    if poses.shape != (len(features), n_axes):
        node.fail(f"{path}: poses have the shape {poses.shape}, not ({len(features)}, {n_axes}).")
    for name, values in (("features", features), ("poses", poses)):
        if values.dtype != np.float32 or not np.isfinite(values).all():
            node.fail(f"{path}: {name} must be finite float32 numbers: install the bundle anew.")
    return Golden(features, poses)
