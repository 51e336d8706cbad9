"""Models trained elsewhere: ONNX, TensorFlow and float TFLite become a float TFLite file.

ONNX goes through torch and litert-torch, which the own models need anyway (see onnx_torch.py);
onnx2tf would need two gigabytes more and an older TensorFlow, and its files refused to become int8.
What TensorFlow saved is converted by TensorFlow, which needs an environment of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import ModelError
from lipsync_tools.convert import Source
from lipsync_tools.declaration import Declared
from lipsync_tools.int8 import Layout, Stream, Tensors, quiet

Runner = Callable[..., dict[str, Any]]
KINDS = {".onnx": "onnx", ".tflite": "tflite", ".keras": "keras", ".h5": "keras"}
SLOW_FRAMES = 30
"""What the reference implementations are asked for."""


def open_foreign(path: Path, work: Path, declared: Declared) -> Source:
    """A model that others trained; its float file is written to ``work``. Raises ModelError."""
    kind = "savedmodel" if (path / "saved_model.pb").is_file() else KINDS.get(path.suffix.lower())
    if kind is None:
        raise ModelError(
            f"{path}: nobody knows what kind of model this is.",
            "Known are folders of `lipsync-tools train`, SavedModels, and files that end in "
            f".pt, {', '.join(KINDS)}.",
        )
    spec, axes = declared.spec(), declared.names()
    file = path if kind == "tflite" else work / "float.tflite"
    runner: Runner | None = None
    if kind == "onnx":
        runner = _from_onnx(path, file)
    elif kind != "tflite":
        runner = _from_tensorflow(path, kind, file)
    tensors = Tensors.of(file)
    shapes = [{n: d["shape"] for n, d in of.items()} for of in (tensors.inputs, tensors.outputs)]
    _check_float(path, tensors)
    layout = declared.layout(*shapes)
    return Source(
        kind=kind,
        file=file,
        layout=layout,
        spec=spec,
        axes=axes,
        delay_frames=declared.delay(),
        whole=_whole(file, layout, runner),
        whole_frames=SLOW_FRAMES,
        training={"origin": path.name, "sha256": _digest(path), "kind": kind,
                  "told": "trained elsewhere; its data is not known here"},
    )  # fmt: skip


def _whole(
    file: Path, layout: Layout, runner: Runner | None
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]] | None:
    if runner is None:
        return None
    return lambda rows: Stream(file, layout, runner).run(rows)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_float(path: Path, tensors: Tensors) -> None:
    for name, detail in (tensors.inputs | tensors.outputs).items():
        if detail["dtype"] != np.float32:
            raise ModelError(
                f"{path}: {name} is {np.dtype(detail['dtype']).name}, not float32.",
                "Give the float model: only from that can a good int8 one be made.",
            )


def _from_onnx(path: Path, file: Path) -> Runner:
    """Convert; what ONNX's own reference says is returned, to compare with."""
    onnx, torch = _need("onnx", path), _need("torch", path)
    from google.protobuf.message import Error as FormatError

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except (ValueError, OSError, onnx.checker.ValidationError, FormatError) as error:
        raise ModelError(f"{path}: this is no ONNX model ({error}).") from error
    from onnx.reference import ReferenceEvaluator

    from lipsync_tools.onnx_torch import OnnxModule

    held = {i.name for i in model.graph.initializer}
    inputs = {i.name: _onnx_shape(i) for i in model.graph.input if i.name not in held}
    module = OnnxModule(model).eval()
    samples = {name: torch.zeros(*shape) for name, shape in inputs.items()}
    try:
        with quiet():
            import litert_torch

            litert_torch.convert(module, sample_kwargs=samples).export(str(file))
    except (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError) as error:
        why = str(error).strip().split("\n")[0]
        raise ModelError(f"{path}: an operation of it cannot be converted: {why}") from error
    outputs, reference = [o.name for o in model.graph.output], ReferenceEvaluator(model)
    return lambda **frame: dict(zip(outputs, reference.run(None, frame), strict=True))


def _onnx_shape(value: Any) -> tuple[int, ...]:
    """The shape of an input; what is left open, as the batch often is, becomes 1."""
    return tuple(d.dim_value or 1 for d in value.type.tensor_type.shape.dim)


def _from_tensorflow(path: Path, kind: str, file: Path) -> Runner:
    """Convert; what TensorFlow itself says is returned, to compare with."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet():
            tf = _need("tensorflow", path)
            folder = path if kind == "savedmodel" else _saved(tf, path, file.parent / "saved")
            converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
            file.write_bytes(converter.convert())
            loaded = tf.saved_model.load(str(folder))
            step = loaded.signatures["serving_default"]
    except (ValueError, OSError, TypeError, RuntimeError, KeyError) as error:
        why = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"{path}: TensorFlow cannot convert it: {why}") from error

    def runner(**frame: Any) -> dict[str, Any]:
        assert loaded is not None  # its functions live as long as it does
        out = step(**{name: tf.constant(value) for name, value in frame.items()})
        return {name: value.numpy() for name, value in out.items()}

    return runner


def _saved(tf: Any, path: Path, folder: Path) -> Path:
    """A Keras model as a SavedModel for one step: with an open batch, shapes would be computed."""
    model = tf.keras.models.load_model(str(path), compile=False)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError("a Keras file has one input and one output here; states need a SavedModel")
    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name="features")
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Keras' variables would stay variables, which no quantizer takes.
    frozen = convert_variables_to_constants_v2(
        tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    )
    step = tf.function(lambda features: {"pose": frozen(features)[0]}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": step})
    return folder


def _need(name: str, path: Path) -> Any:
    """A library that only some models need. Raises ModelError."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = "convert-tf" if name == "tensorflow" else "learn"
        raise ModelError(
            f"{path}: to read it, {name} is needed and is not installed here.",
            f"Install it into an environment of its own: pip install 'lipsync-edge[{extra}]'",
        ) from error
