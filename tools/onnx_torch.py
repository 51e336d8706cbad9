"""An ONNX graph as a torch module, for the operations that small streaming networks are made of.

The libraries that do this compute shapes from tensors, which torch.export cannot follow. Here all
that does not depend on the inputs is folded by ONNX's own reference, and shapes are plain numbers.
Semantics: https://onnx.ai/onnx/operators/. The result is compared with the reference afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_edge.errors import ModelError

Attributes = dict[str, Any]
Operation = Callable[..., Any]


def ints(value: Any) -> list[int]:
    """Numbers of an attribute or of a folded input."""
    return [int(n) for n in np.asarray(value).reshape(-1)]


def gemm(a: Attributes, x: Tensor, w: Tensor, c: Tensor | None = None) -> Tensor:
    x, w = (x.t() if a.get("transA") else x), (w.t() if a.get("transB") else w)
    out = a.get("alpha", 1.0) * (x @ w)
    return out if c is None else out + a.get("beta", 1.0) * c


def conv(a: Attributes, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    n = w.dim() - 2
    x = F.pad(x, padding(a, n))
    one = [1] * n
    call = (F.conv1d, F.conv2d)[n - 1]
    return call(
        x, w, b, ints(a.get("strides", one)), 0, ints(a.get("dilations", one)), a.get("group", 1)
    )


def padding(a: Attributes, n: int) -> list[int]:
    """The pads of an operation over n dimensions as torch wants them: the last one first."""
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotImplementedError(f"auto_pad {a['auto_pad'].decode()}")
    pads = ints(a.get("pads", [0] * (2 * n)))
    return [p for k in reversed(range(n)) for p in (pads[k], pads[k + n])]


def pool(a: Attributes, x: Tensor, kind: str) -> Tensor:
    if any(padding(a, x.dim() - 2)) or a.get("ceil_mode"):
        raise NotImplementedError("padded pooling")
    size = ints(a["kernel_shape"])
    call = getattr(F, f"{kind}_pool{len(size)}d")
    return call(x, size, ints(a.get("strides", [1] * len(size))))


def pad(a: Attributes, x: Tensor, pads: Any = None, value: Any = 0.0, axes: Any = None) -> Tensor:
    if a.get("mode", b"constant") != b"constant":
        raise NotImplementedError(f"Pad with the mode {a['mode'].decode()}")
    pads = ints(a["pads"] if pads is None else pads)
    named = ints(axes) if axes is not None else list(range(x.dim()))
    by_axis = {k % x.dim(): (pads[i], pads[i + len(named)]) for i, k in enumerate(named)}
    flat = [p for k in reversed(range(x.dim())) for p in by_axis.get(k, (0, 0))]
    return F.pad(x, flat, value=float(np.asarray(value).reshape(-1)[0]))


def reshape(a: Attributes, x: Tensor, shape: Any) -> Tensor:
    sizes = ints(shape)
    return x.reshape([x.shape[k] if n == 0 else n for k, n in enumerate(sizes)])


def squeeze(a: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    axes = a.get("axes") if axes is None else axes
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


def unsqueeze(a: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    axes = ints(a["axes"] if axes is None else axes)
    n = x.dim() + len(axes)
    for axis in sorted(k % n for k in axes):
        x = x.unsqueeze(axis)
    return x


def slices(
    a: Attributes, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None,
    steps: Any = None,
) -> Tensor:  # fmt: skip
    begin = ints(a["starts"] if starts is None else starts)
    end = ints(a["ends"] if ends is None else ends)
    axes = a.get("axes") if axes is None else axes
    named = ints(axes) if axes is not None else list(range(len(begin)))
    by = ints(steps) if steps is not None else [1] * len(begin)
    index: list[slice] = [slice(None)] * x.dim()
    for k, axis in enumerate(named):
        if by[k] < 1:
            raise NotImplementedError("Slice backwards")
        index[axis] = slice(begin[k], end[k], by[k])
    return x[tuple(index)]


def split(a: Attributes, x: Tensor, sizes: Any = None) -> Any:
    axis, sizes = a.get("axis", 0), a.get("split") if sizes is None else sizes
    if sizes is not None:
        return torch.split(x, ints(sizes), dim=axis)
    return torch.chunk(x, a.get("num_outputs", 2), dim=axis)


def gather(a: Attributes, x: Tensor, index: Any) -> Tensor:
    axis, picks = a.get("axis", 0), np.asarray(index)
    at = torch.tensor([int(k) % x.shape[axis] for k in picks.reshape(-1)])
    shape = [*x.shape[:axis], *picks.shape, *x.shape[axis % x.dim() + 1 :]]
    return torch.index_select(x, axis, at).reshape(shape)


def reduce(a: Attributes, x: Tensor, axes: Any, call: Operation) -> Tensor:
    axes = a.get("axes") if axes is None else axes
    over = ints(axes) if axes is not None else list(range(x.dim()))
    return call(x, dim=over, keepdim=bool(a.get("keepdims", 1)))


def clip(a: Attributes, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    ends = (low if low is not None else a.get("min"), high if high is not None else a.get("max"))
    return torch.clamp(x, *(None if v is None else float(np.asarray(v)) for v in ends))


def batch_norm(a: Attributes, x: Tensor, w: Tensor, b: Tensor, m: Tensor, v: Tensor) -> Tensor:
    return F.batch_norm(x, m, v, w, b, eps=a.get("epsilon", 1e-5))


def layer_norm(a: Attributes, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    return F.layer_norm(x, x.shape[a.get("axis", -1) :], w, b, a.get("epsilon", 1e-5))


OPERATIONS: dict[str, Operation] = {
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y,
    "Pow": lambda a, x, y: x**y,
    "Max": lambda a, x, y: torch.maximum(x, y),
    "Min": lambda a, x, y: torch.minimum(x, y),
    "MatMul": lambda a, x, y: x @ y,
    "Gemm": gemm,
    "Conv": conv,
    "Relu": lambda a, x: torch.relu(x),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "HardSigmoid": lambda a, x: torch.clamp(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda a, x: F.hardswish(x),
    "Tanh": lambda a, x: torch.tanh(x),
    "Softplus": lambda a, x: F.softplus(x),
    "Softmax": lambda a, x: torch.softmax(x, a.get("axis", -1)),
    "Exp": lambda a, x: torch.exp(x),
    "Sqrt": lambda a, x: torch.sqrt(x),
    "Abs": lambda a, x: torch.abs(x),
    "Neg": lambda a, x: -x,
    "Clip": clip,
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *_: x,
    "Cast": lambda a, x: x,
    "Concat": lambda a, *x: torch.cat(x, dim=a["axis"]),
    "Reshape": reshape,
    "Flatten": lambda a, x: x.reshape(int(np.prod(x.shape[: a.get("axis", 1)])), -1),
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": lambda a, x: x.permute(ints(a.get("perm", range(x.dim())[::-1]))),
    "Slice": slices,
    "Split": split,
    "Gather": gather,
    "Pad": pad,
    "Expand": lambda a, x, shape: x.expand(np.broadcast_shapes(x.shape, ints(shape))),
    "Shape": lambda a, x: np.array(x.shape, np.int64),
    "AveragePool": lambda a, x: pool(a, x, "avg"),
    "MaxPool": lambda a, x: pool(a, x, "max"),
    "GlobalAveragePool": lambda a, x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True),
    "ReduceMean": lambda a, x, axes=None: reduce(a, x, axes, torch.mean),
    "ReduceSum": lambda a, x, axes=None: reduce(a, x, axes, torch.sum),
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
}
# Inputs of these, after the first, say where and how much: they stay numbers.
_NUMBERS = {"Reshape", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "Pad", "Expand", "Clip",
            "ReduceMean", "ReduceSum"}  # fmt: skip


class OnnxModule(nn.Module):
    """The graph of an ONNX model: tensors in and out by the names that they have there."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Raises ModelError where an operation is not among OPERATIONS."""
        super().__init__()
        graph = model.graph
        self._opset = list(model.opset_import)
        self._constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
        self._outputs = [o.name for o in graph.output]
        self._nodes = [node for node in graph.node if not self._fold(node)]
        unknown = sorted({node.op_type for node in self._nodes} - set(OPERATIONS))
        if unknown:
            raise ModelError(
                f"The ONNX model has operations that are not converted: {', '.join(unknown)}.",
                "Export a streaming network of layers like Gemm, Conv and Relu, without loops; "
                "memories as inputs and outputs.",
            )
        used = {name for node in self._nodes for name in node.input} | set(self._outputs)
        self._buffer = {}
        for k, (name, value) in enumerate(sorted(self._constants.items())):
            if name in used and value.dtype == np.float32:
                self._buffer[name] = f"constant_{k}"
                self.register_buffer(f"constant_{k}", torch.tensor(value))

    def _fold(self, node: onnx.NodeProto) -> bool:
        """Whether the node depends on nothing that comes in; then its outputs are constants."""
        if any(name and name not in self._constants for name in node.input):
            return False
        self._constants |= self._reference(node, self._constants)
        return True

    def _reference(self, node: onnx.NodeProto, known: dict[str, Any]) -> dict[str, Any]:
        names = [name for name in node.input if name]
        take = [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in names]
        give = [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in node.output if n]
        alone = onnx.helper.make_model(
            onnx.helper.make_graph([node], "one", take, give), opset_imports=self._opset
        )
        out = ReferenceEvaluator(alone).run(None, {name: np.asarray(known[name]) for name in names})
        return dict(zip((n for n in node.output if n), out, strict=True))

    def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
        """One step: the inputs by name to the outputs by name."""
        values: dict[str, Any] = {**self._constants, **tensors}
        for node in self._nodes:
            given = [self._value(node, k, name, values) for k, name in enumerate(node.input)]
            if not any(isinstance(value, Tensor) for value in given):  # a shape, reckoned with
                values |= self._reference(node, values)
                continue
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            out = OPERATIONS[node.op_type](attributes, *given)
            many = out if isinstance(out, list | tuple) else [out]
            values.update(zip(node.output, many, strict=False))
        return {name: values[name] for name in self._outputs}

    def _value(self, node: onnx.NodeProto, k: int, name: str, values: dict[str, Any]) -> Any:
        if not name:
            return None
        is_number = k > 0 and node.op_type in _NUMBERS
        return getattr(self, self._buffer[name]) if name in self._buffer and not is_number else (
            values[name]
        )  # fmt: skip
