"""Each ONNX operation that is converted, against ONNX's own reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator

from lipsync_edge.errors import ModelError
from lipsync_tools.onnx_torch import OPERATIONS, OnnxModule

RNG = np.random.default_rng(5)


def f(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def i(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


# operation, shape of the input, constants, attributes
CASES: list[tuple[str, tuple[int, ...], list[np.ndarray | None], dict[str, Any]]] = [
    *((op, (2, 3), [], {}) for op in ("Relu", "Sigmoid", "Tanh", "Softplus", "Exp", "Abs", "Neg")),
    *((op, (2, 3), [], {}) for op in ("HardSwish", "HardSigmoid", "Elu", "Identity", "Dropout")),
    *((op, (2, 3), [f(3)], {}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    ("LeakyRelu", (2, 3), [], {"alpha": 0.2}),
    ("HardSigmoid", (2, 3), [], {"alpha": 0.4, "beta": 0.3}),
    ("Pow", (2, 3), [np.float32(2)], {}),
    ("Clip", (2, 3), [np.float32(-0.5), np.float32(0.4)], {}),
    ("Clip", (2, 3), [None, np.float32(0.4)], {}),
    ("Softmax", (2, 3), [], {"axis": 0}),
    ("Cast", (2, 3), [], {"to": onnx.TensorProto.FLOAT}),
    ("MatMul", (2, 3), [f(3, 4)], {}),
    ("Gemm", (2, 3), [f(4, 3), f(4)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", (3, 2), [f(3, 4)], {"transA": 1}),
    ("Conv", (1, 4, 9), [f(6, 4, 3), f(6)], {"pads": [2, 0], "dilations": [1], "strides": [2]}),
    ("Conv", (1, 4, 9), [f(4, 1, 3)], {"group": 4, "dilations": [2]}),
    ("Conv", (1, 2, 6, 5), [f(3, 2, 3, 2)], {"pads": [1, 0, 2, 1]}),
    ("Concat", (2, 3), [f(2, 2)], {"axis": 1}),
    ("Concat", (2, 3), [f(1, 3)], {"axis": -2}),
    ("Reshape", (2, 6), [i(0, -1, 3)], {}),
    ("Flatten", (2, 3, 4), [], {"axis": 1}),
    ("Flatten", (2, 3, 4), [], {"axis": 2}),
    ("Squeeze", (1, 3, 1), [i(2)], {}),
    ("Squeeze", (1, 3, 1), [], {}),
    ("Unsqueeze", (2, 3), [i(0, -1)], {}),
    ("Transpose", (2, 3, 4), [], {"perm": [1, 2, 0]}),
    ("Transpose", (2, 3, 4), [], {}),
    ("Slice", (4, 5), [i(1, -2), i(9, 5)], {}),
    ("Slice", (4, 6), [i(0), i(-1), i(-1), i(2)], {}),
    ("Split", (2, 6), [i(2, 4)], {"axis": 1}),
    ("Split", (2, 6), [], {"axis": 1, "num_outputs": 2}),
    ("Gather", (4, 5), [np.array([[0, -1], [2, 2]])], {"axis": 1}),
    ("Gather", (4, 5), [np.array(2)], {"axis": 0}),
    ("Pad", (2, 3), [i(0, 2, 0, 1)], {}),
    ("Pad", (2, 3), [i(2, 1), np.float32(0.5), i(-1)], {}),
    ("Expand", (1, 3), [i(2, 1)], {}),
    ("AveragePool", (1, 2, 6), [], {"kernel_shape": [2], "strides": [2]}),
    ("MaxPool", (1, 2, 6, 4), [], {"kernel_shape": [3, 2]}),
    ("GlobalAveragePool", (1, 2, 6), [], {}),
    ("ReduceMean", (2, 3, 4), [i(-1)], {"keepdims": 0}),
    ("ReduceSum", (2, 3, 4), [], {}),
    ("BatchNormalization", (1, 3, 4), [f(3), f(3), f(3), np.abs(f(3))], {"epsilon": 1e-3}),
    ("LayerNormalization", (2, 3, 4), [f(4), f(4)], {"axis": -1}),
    ("Sqrt", (2, 3), [], {}),
]


def model_of(op: str, shape: tuple[int, ...], constants: list[Any], attributes: dict[str, Any],
             opset: int) -> onnx.ModelProto:  # fmt: skip
    names = ["" if c is None else f"c{k}" for k, c in enumerate(constants)]
    outputs = ["y", "z"] if op == "Split" else ["y"]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *names], outputs, **attributes)],
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(y, onnx.TensorProto.FLOAT, None) for y in outputs],
        [onnx.numpy_helper.from_array(np.asarray(c), n)
         for n, c in zip(names, constants, strict=True) if n],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


@pytest.mark.parametrize(
    ("op", "shape", "constants", "attributes"),
    CASES,
    ids=[f"{c[0]}{k}" for k, c in enumerate(CASES)],
)
def test_operation(op: str, shape: tuple[int, ...], constants: list[Any],
                   attributes: dict[str, Any]) -> None:  # fmt: skip
    model = model_of(op, shape, constants, attributes, 18)
    x = np.abs(f(*shape)) if op == "Sqrt" else f(*shape)
    wanted = ReferenceEvaluator(model).run(None, {"x": x})
    got = OnnxModule(model)(x=torch.tensor(x))
    for name, value in zip([o.name for o in model.graph.output], wanted, strict=True):
        assert got[name].shape == value.shape
        assert np.abs(got[name].numpy() - value).max() < 1e-5


def test_every_operation_has_a_case() -> None:
    assert set(OPERATIONS) - {"Shape"} == {case[0] for case in CASES}


def test_shapes_are_reckoned_with_numbers() -> None:
    """x.reshape(x.shape[0], -1), as exporters write it: Shape, Gather, Unsqueeze, Concat."""
    make = helper.make_node
    nodes = [
        make("Shape", ["x"], ["s"]),
        make("Gather", ["s", "zero"], ["n"], axis=0),
        make("Unsqueeze", ["n", "zeros"], ["n1"]),
        make("Concat", ["n1", "rest"], ["to"], axis=0),
        make("Reshape", ["x", "to"], ["y"]),
    ]
    constants = {"zero": np.array(0), "zeros": i(0), "rest": i(-1)}
    graph = helper.make_graph(
        nodes,
        "reshape",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 2, 3))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 6))],
        [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    module = OnnxModule(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    x = torch.tensor(f(1, 2, 3))
    assert torch.equal(module(x=x)["y"], x.reshape(1, 6))
    assert torch.export.export(module, (), {"x": x}).module()(x=x)["y"].shape == (1, 6)


def test_unknown_operations_are_named() -> None:
    with pytest.raises(ModelError, match=r"not converted: Loop\b"):
        OnnxModule(model_of("Loop", (1,), [], {}, 18))


@pytest.mark.parametrize(
    ("op", "shape", "constants", "attributes", "said"),
    [
        ("Conv", (1, 4, 9), [f(6, 4, 3)], {"auto_pad": "SAME_UPPER"}, "auto_pad SAME_UPPER"),
        ("Pad", (2, 3), [i(0, 2, 0, 1)], {"mode": "reflect"}, "mode reflect"),
        ("Slice", (4, 5), [i(3), i(0), i(0), i(-1)], {}, "backwards"),
        ("MaxPool", (1, 2, 6), [], {"kernel_shape": [3], "pads": [1, 1]}, "padded pooling"),
    ],
)
def test_what_is_not_done(op: str, shape: tuple[int, ...], constants: list[Any],
                          attributes: dict[str, Any], said: str) -> None:  # fmt: skip
    with pytest.raises(NotImplementedError, match=said):
        OnnxModule(model_of(op, shape, constants, attributes, 17))(x=torch.tensor(f(*shape)))
