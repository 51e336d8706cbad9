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
from typing import Any, NoReturn

import numpy as np
import yaml
from numpy.typing import NDArray

from lipsync_edge import yamlnodes
from lipsync_edge.errors import ModelError
from lipsync_edge.face import AXES
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.quantize import Quantization

FORMAT = "lipsync-bundle/1"
CARD_FILE = "card.yaml"
SAME_RELEASE = "take the bundle and the program from the same release."
MAX_MODEL_BYTES = 64 * 1024 * 1024
MAX_SIZE = 1_000_000
_KEYS = {
    *("format", "name", "version", "licence", "attribution", "model", "features", "inputs"),
    *("outputs", "features_input", "pose_output", "states", "axes", "delay_frames", "golden"),
    *("training", "metrics"),
}


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model: int8, its shape and what its numbers mean."""

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
    feedback is taps 1, dilation 1. At reset everything is the zero point.
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
    """A bundle whose files are what they should be. ``content`` is the TFLite file."""

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

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Read and check the bundle in ``folder``. Raises ModelError."""
        top = _read(folder)
        top.only(_KEYS)
        _check_format(top)
        spec = _read_spec(top["features"])
        inputs, outputs = _read_tensors(top["inputs"]), _read_tensors(top["outputs"])
        axes = _read_axes(top["axes"])
        features_input = top["features_input"].one_of(inputs)
        pose_output = top["pose_output"].one_of(outputs)
        _check_size(top["features_input"], inputs[features_input], spec.n_mels, "features.n_mels")
        _check_size(top["pose_output"], outputs[pose_output], len(axes), "axes")
        sources = outputs | {features_input: inputs[features_input]}
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
        )


@dataclass(frozen=True)
class _Node:
    """A value of the card and where it stands."""

    source: str
    line: int
    key: str
    value: Any

    def fail(self, sentence: str) -> NoReturn:
        raise ModelError(f"{self.source}:{self.line}: {self.key}: {sentence}")

    def __getitem__(self, key: str) -> _Node:
        if key not in self.mapping_nodes():
            self.fail(f"{key!r} is missing here.")
        node: _Node = self.value[key]
        return node

    def only(self, known: Iterable[str]) -> None:
        for key, node in self.mapping_nodes().items():
            if key not in known:
                hint = yamlnodes.Problems().did_you_mean(key, known)
                node.fail(f"a card has no such entry; {hint}")

    def mapping_nodes(self) -> dict[str, _Node]:
        if not isinstance(self.value, dict):
            self.fail("must be a list of `key: value` lines.")
        return self.value

    def entries(self) -> list[_Node]:
        if not isinstance(self.value, list):
            self.fail("must be a list.")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            self.fail("must be a text.")
        return self.value

    def integer(self, low: int, high: int) -> int:
        if type(self.value) is not int or not low <= self.value <= high:
            shown = yamlnodes.shorten(repr(self.plain()))
            self.fail(f"must be a whole number from {low} to {high}, not {shown}.")
        return self.value

    def one_of(self, known: Iterable[str]) -> str:
        if self.value not in list(known):
            hint = yamlnodes.Problems().did_you_mean(str(self.plain()), known)
            self.fail(f"{yamlnodes.shorten(str(self.plain()))!r} is not there; {hint}")
        return str(self.value)

    def plain(self) -> Any:
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def mapping(self) -> dict[str, Any]:
        self.mapping_nodes()
        plain: dict[str, Any] = self.plain()
        return plain


def _read(folder: Path) -> _Node:
    path = folder / CARD_FILE
    if not path.is_file():
        raise ModelError(
            f"{folder}: this is no model bundle, it has no {CARD_FILE}.",
            "Give the folder of a bundle, with card.yaml, the model and golden.npz in it.",
        )
    problems = yamlnodes.Problems()
    node = yamlnodes.read(path, problems)
    if problems.lines:
        raise ModelError(problems.lines[0])
    if node is None:
        raise ModelError(f"{path}:1: the card is empty.", "Install the bundle anew.")
    return _convert(node, str(path), "card")


def _convert(node: yaml.Node, source: str, key: str) -> _Node:
    line = node.start_mark.line + 1 if node.start_mark else 1
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = {}
        for name_node, child in node.value:
            name = str(name_node.value)
            if name in value:
                raise ModelError(f"{source}:{name_node.start_mark.line + 1}: {name}: stands twice.")
            value[name] = _convert(child, source, name if key == "card" else f"{key}.{name}")
    elif isinstance(node, yaml.SequenceNode):
        value = [_convert(child, source, f"{key}[{i}]") for i, child in enumerate(node.value)]
    else:
        value = _scalar(node, f"{source}:{line}: {key}")
    return _Node(source, line, key, value)


def _scalar(node: yaml.Node, place: str) -> Any:
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ModelError(f"{place}: {node.value!r} cannot be read.") from error


def _check_format(top: _Node) -> None:
    if top["format"].value != FORMAT:
        top["format"].fail(
            f"this program reads {FORMAT}, the card is {top['format'].plain()}: {SAME_RELEASE}"
        )


def _read_spec(node: _Node) -> FeatureSpec:
    """The card's feature spec must be what this program computes, or be computable by it."""
    ours = FeatureSpec()
    known = [field.name for field in fields(FeatureSpec)]
    node.only([*known, "digest"])
    values = {name: node[name].plain() for name in known}
    for name in known:
        default = getattr(ours, name)
        if values[name] != default or isinstance(values[name], str) != isinstance(default, str):
            node[name].fail(
                f"the model was trained on features with {name} {values[name]}, this program makes "
                f"them with {default}: {SAME_RELEASE}"
            )
    if node["digest"].value != ours.digest():
        node["digest"].fail(
            f"the model was trained on features {str(node['digest'].plain())[:12]}..., here they "
            f"are {ours.digest()[:12]}...: {SAME_RELEASE}"
        )
    return ours


def _read_tensors(node: _Node) -> dict[str, Tensor]:
    return {name: _read_tensor(name, child) for name, child in node.mapping_nodes().items()}


def _read_tensor(name: str, node: _Node) -> Tensor:
    node.only(["shape", "dtype", "scale", "zero_point"])
    shape = tuple(item.integer(1, MAX_SIZE) for item in node["shape"].entries())
    if len(shape) != 2 or shape[0] != 1:
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


def _read_axes(node: _Node) -> tuple[str, ...]:
    axes = []
    for item in node.entries():
        axis = item.text()
        if axis not in AXES:
            hint = yamlnodes.Problems().did_you_mean(axis, AXES)
            item.fail(f"no axis of the face is called {axis!r}; {hint}")
        if axis in axes:
            item.fail(f"the axis {axis} stands twice.")
        axes.append(axis)
    if not axes:
        node.fail("a model must drive at least one axis.")
    return tuple(axes)


def _check_size(node: _Node, tensor: Tensor, size: int, other: str) -> None:
    if tensor.size != size:
        node.fail(f"{tensor.name} has {tensor.size} values, but {other} says {size}.")


def _read_state(node: _Node, inputs: dict[str, Tensor], sources: dict[str, Tensor]) -> State:
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


def _check_fed(node: _Node, inputs: dict[str, Tensor], fed: list[str]) -> None:
    for name in inputs:
        if fed.count(name) != 1:
            node.fail(f"the input {name} must be fed once, by the features or one state.")


def _beside(node: _Node, folder: Path) -> Path:
    name = node.text()
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        node.fail(f"{name!r} must be the name of a file beside the card.")
    path = folder / name
    if not path.is_file():
        node.fail(f"there is no file {path}; install the bundle anew.")
    return path


def _read_model(node: _Node, folder: Path) -> bytes:
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


def _read_golden(node: _Node, folder: Path, n_mels: int, n_axes: int) -> Golden:
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
