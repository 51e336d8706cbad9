"""What a model trained elsewhere is: declared in a file with the words of a card.

    features: {kind: log-mel-centred/1, sample_rate_hz: 16000, ...}   # as in any card.yaml
    axes: [jawOpen, mouthClose]       # the outputs in order, names of ARKit, or --axes
    delay_frames: 4                   # how late a pose comes, or --delay-frames
    features_input: mel               # these four where the names do not tell
    pose_output: pose
    features_taps: 1                  # feature vectors per step, of a model that sees a window
    states: [{input: h_in, of: h_out, taps: 1, dilation: 1}]

States are found by their names where none are declared: an input ``x_in`` remembers the output
``x_out``; ``x`` remembers ``x_out``, and ``taps_k`` is never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_edge.errors import ModelError
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.card import State, read_axes, read_spec, read_taps
from lipsync_edge.model.cardnodes import Node, read_nodes
from lipsync_tools.int8 import Layout

KEYS = ("features", "axes", "delay_frames", "features_input", "pose_output", "features_taps",
        "states")  # fmt: skip


@dataclass(frozen=True)
class Declared:
    """What the command line says about a foreign model."""

    file: Path | None = None
    axes: str | None = None
    delay_frames: int | None = None

    def top(self) -> Node:
        """The entries of the file. Raises ModelError."""
        if self.file is None:
            raise ModelError(
                "Nobody says what features this model was trained on.",
                "Write them into a file and give it: --features SPEC.yaml; the entry `features` "
                "of any card.yaml shows how.",
            )
        if not self.file.is_file():
            raise ModelError(f"{self.file}: there is no such file.")
        top = read_nodes(self.file, "spec")
        if "features" in top.mapping_nodes():
            top.only(KEYS)
            return top
        return Node(top.source, top.line, "spec", {"features": top})

    def spec(self) -> FeatureSpec:
        """The features, if the robot can compute them. Raises ModelError with the line."""
        features = self.top()["features"]
        has_digest = "digest" in features.mapping_nodes()
        return read_spec(features, ("digest",) if has_digest else ())

    def names(self) -> tuple[str, ...]:
        """The axes in order. Raises ModelError."""
        top = self.top()
        if self.axes is not None:
            items = [Node("--axes", k, "axes", name) for k, name in enumerate(self._split(), 1)]
            return read_axes(Node("--axes", 1, "axes", items))
        if "axes" not in top.mapping_nodes():
            raise ModelError(
                "Nobody says what the outputs of this model are.",
                "Name them in order, in the spec file (axes: [...]) or by --axes jawOpen,...",
            )
        return read_axes(top["axes"])

    def _split(self) -> list[str]:
        return [name.strip() for name in (self.axes or "").split(",")]

    def delay(self) -> int:
        """How many frames a pose comes late. Raises ModelError."""
        top = self.top()
        if self.delay_frames is not None:
            return self.delay_frames
        return top["delay_frames"].integer(0, 1000) if "delay_frames" in top.value else 0

    def layout(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> Layout:
        """How the file is driven, whose tensors have these shapes. Raises ModelError."""
        top, n_mels, n_axes = self.top(), self.spec().n_mels, len(self.names())
        if "states" in top.value:
            states = tuple(_state(node, inputs) for node in top["states"].entries())
        else:
            states = _guess_states(inputs, outputs)
        fed, kept = {s.input for s in states}, {s.of for s in states}
        taps = read_taps(top)
        mel = _one(top, "features_input", set(inputs) - fed, inputs, n_mels * taps)
        pose = _one(top, "pose_output", set(outputs) - kept, outputs, n_axes)
        if "features_taps" not in top.value:
            taps = max(1, int(np.prod(inputs[mel])) // n_mels)
        return Layout(mel, pose, states, taps)


def _state(node: Node, inputs: dict[str, Any]) -> State:
    node.only(["input", "of", "taps", "dilation"])
    return State(
        node["input"].one_of(inputs),
        node["of"].text(),
        node["taps"].integer(1, 64) if "taps" in node.value else 1,
        node["dilation"].integer(1, 1024) if "dilation" in node.value else 1,
    )


def _guess_states(inputs: dict[str, Any], outputs: dict[str, Any]) -> tuple[State, ...]:
    """Pairs ``x_in`` and ``x_out``, or ``x`` and ``x_out``, of one size."""
    found = []
    for name in sorted(inputs):
        of = f"{name.removesuffix('_in')}_out"
        if of in outputs and np.prod(inputs[name]) == np.prod(outputs[of]):
            found.append(State(name, of, 1, 1))
    return tuple(found)


def _one(top: Node, key: str, left: set[str], shapes: dict[str, Any], size: int) -> str:
    """The tensor that ``key`` names, else the only one that is left, or the only one that fits."""
    if key in top.value:
        return str(top[key].one_of(shapes))
    fitting = {name for name in left if int(np.prod(shapes[name])) == size}
    for names in (left, fitting):
        if len(names) == 1:
            return next(iter(names))
    raise ModelError(
        f"Which of {', '.join(sorted(left)) or 'no tensor'} is the {key}? None or several fit.",
        f"Say it in the spec file, {key}: NAME; and declare the states there, if there are any.",
    )
