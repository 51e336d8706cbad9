"""The weights of a shipped int8 bundle as a network's, to go on learning from them.

An int8 weight is its number times its channel's scale: what is lost is half a step, about 0.3 % of
a channel's largest weight, which the first learning steps make up for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torch import Tensor

from lipsync_edge.errors import LipsyncError
from lipsync_edge.model.card import Card
from lipsync_tools.targets import OUTPUTS, ROW_OF_OUTPUT


def bundle_weights(folder: Path) -> dict[str, Tensor]:
    """State of ``network.Mouth`` but for its extra head: layers.k.weight, head.weight, biases."""
    card = Card.load(folder)
    if tuple(card.axes) != OUTPUTS:
        raise LipsyncError(
            f"{folder}: its axes are not those of these tools; cannot start from it."
        )
    interpreter = Interpreter(model_content=card.content, num_threads=1)
    interpreter.allocate_tensors()
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    layers = [
        tuple(_real(interpreter, details[index]) for index in op["inputs"][1:3])
        for op in interpreter._get_ops_details()
        if op["op_name"] == "FULLY_CONNECTED"
    ]
    found: dict[str, Tensor] = {}
    for k, (weight, bias) in enumerate(layers[:-1]):
        found |= {f"layers.{k}.weight": _tensor(weight), f"layers.{k}.bias": _tensor(bias)}
    first = [ROW_OF_OUTPUT.index(row) for row in range(max(ROW_OF_OUTPUT) + 1)]
    weight, bias = layers[-1]
    return found | {"head.weight": _tensor(weight[first]), "head.bias": _tensor(bias[first])}


def _real(interpreter: Any, detail: dict[str, Any]) -> NDArray[np.float64]:
    stored = interpreter.get_tensor(detail["index"]).astype(np.float64)
    told = detail["quantization_parameters"]
    scales, axis = told["scales"], told["quantized_dimension"]
    if not len(scales):
        return np.asarray(stored)
    shape = [1] * stored.ndim
    shape[axis] = len(scales)
    return np.asarray(stored * scales.reshape(shape))


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.tensor(np.ascontiguousarray(values)).float()
