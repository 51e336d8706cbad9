"""A trained model becomes a bundle: float32 to full int8, checked, with card and golden.

Whatever it comes from, a float TFLite file that computes one step is calibrated on streamed sound
and quantised. A bundle is written when every check holds, or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lipsync_edge.errors import ModelError
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.card import Card
from lipsync_tools import convert_checks as checks
from lipsync_tools import int8
from lipsync_tools.convert_card import write_card
from lipsync_tools.convert_checks import Check
from lipsync_tools.convert_sounds import Sounds, golden_features
from lipsync_tools.int8 import Layout, Stream, Tensors

Rows = NDArray[np.float32]
BATCH_FRAMES = 400
"""So many frames show that streaming and the sequence agree."""


@dataclass
class Source:
    """A float model, ready to convert: its file, how to drive it, and what it means.

    ``whole`` computes poses (n, n_axes) of features (n, n_mels) in the framework that the model
    comes from; None where there is none. ``whole_frames``: so many of them, it may be slow.
    """

    kind: str
    file: Path
    layout: Layout
    spec: FeatureSpec
    axes: tuple[str, ...]
    delay_frames: int
    whole: Callable[[Rows], Rows] | None = None
    whole_frames: int = BATCH_FRAMES
    training: dict[str, Any] = field(default_factory=dict)
    licence: str = "not stated"
    attribution: str = "not stated"


@dataclass(frozen=True)
class Wanted:
    """What the bundle shall be called, and how it is made."""

    name: str
    version: str
    golden: Path
    metrics: dict[str, Any] = field(default_factory=dict)
    variants: bool = False
    force: bool = False


@dataclass(frozen=True)
class Result:
    """What came out: all checks, figures per axis, forms side by side, and the card's metrics."""

    checks: list[Check]
    figures: dict[str, Any]

    @property
    def failed(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.ok]


def open_model(path: Path, work: Path, declared: Any) -> Source:
    """A run, or a model trained elsewhere, by what lies at ``path``. Raises ModelError."""
    if not path.exists():
        raise ModelError(f"{path}: there is no such file or folder.")
    if path.suffix == ".pt" or (path / "model.pt").is_file():
        from lipsync_tools.convert_run import open_run

        source: Source = open_run(path, work)
    else:
        from lipsync_tools.foreign import open_foreign

        source = open_foreign(path, work, declared)
    return source


def convert(source: Source, sounds: Sounds, wanted: Wanted, out: Path) -> Result:
    """Make the bundle ``out``. Raises ModelError where a check fails and nothing is forced."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        stream = _opened(source)
        for rows in tqdm(sounds.calibration, "calibrating", unit="sound", disable=None):
            stream.run(rows)
        int8.quantize(source.file, work / "model.tflite", stream.frames, source.layout)
        features = golden_features(wanted.golden, source.spec)
        poses = Stream(work / "model.tflite", source.layout).run(features)
        np.savez_compressed(work / "golden.npz", features=features, poses=poses)
        result = _judge(source, sounds, work, wanted.variants)
        failed = result.failed
        if failed and not wanted.force:
            told = "\n  ".join(check.told() for check in failed)
            raise ModelError(
                f"{out} was not written, {len(failed)} of {len(result.checks)} checks failed:\n"
                f"  {told}\n",
                "Train longer or narrower, give sounds like those of the training (--calibrate), "
                "or write it all the same with --force.",
            )
        figures = result.figures | {"frames_calibrated": len(stream.frames)}
        if failed:
            figures["forced_despite"] = [check.told() for check in failed]
        result = Result(result.checks, figures)
        _finish(source, wanted, work, figures)
        _move(work, out, wanted.variants)
    return result


def _opened(source: Source) -> Stream:
    """The float file's stream, once its shapes are what the layout and the axes say."""
    tensors, layout = Tensors.of(source.file), source.layout
    of = tensors.inputs | tensors.outputs
    fed = [layout.features_input, *(state.input for state in layout.states)]
    for name in (*fed, layout.pose_output, *(s.of for s in layout.states)):
        if name not in of:
            raise ModelError(f"{source.file.name}: there is no {name!r} among {', '.join(of)}.")
    if sorted(fed) != sorted(tensors.inputs):
        raise ModelError(
            f"The inputs are {', '.join(sorted(tensors.inputs))}, but fed are "
            f"{', '.join(sorted(fed))}: every input must be the features or one state."
        )
    sizes = {name: int(np.prod(detail["shape"])) for name, detail in of.items()}
    _expect(layout.features_input, sizes, source.spec.n_mels * layout.features_taps, "the features")
    _expect(layout.pose_output, sizes, len(source.axes), "the axes")
    for s in layout.states:
        width = source.spec.n_mels if s.of == layout.features_input else sizes[s.of]
        _expect(s.input, sizes, s.taps * width, f"{s.taps} taps of {s.of}")
    _check_shapes(of, source)
    return Stream(source.file, layout)


def _check_shapes(of: dict[str, Any], source: Source) -> None:
    """One step at a time, and a window's vectors one after the other."""
    for name, detail in of.items():
        shape = [int(n) for n in detail["shape"]]
        if len(shape) < 2 or shape[0] != 1:
            raise ModelError(f"{name} has the shape {shape}, not [1, ...], one step at a time.")
    shape, n_mels = of[source.layout.features_input]["shape"], source.spec.n_mels
    if shape[-1] not in (n_mels, n_mels * source.layout.features_taps):
        raise ModelError(
            f"{source.layout.features_input} has the shape {shape.tolist()}; the {n_mels} values "
            "of a feature vector must be the last dimension.",
            "Put a transposition into the model before you export it.",
        )


def _expect(name: str, sizes: dict[str, int], wanted: int, of: str) -> None:
    if sizes[name] != wanted:
        raise ModelError(f"{name} has {sizes[name]} values, but {of} are {wanted}.")


def _judge(source: Source, sounds: Sounds, work: Path, variants: bool) -> Result:
    """Run all forms over the sounds that are kept for it."""
    file, axes = work / "model.tflite", source.axes
    exact = _run(source.file, source.layout, sounds.check)
    small = _run(file, source.layout, sounds.check)
    tensors = Tensors.of(file)
    found = _same_as_source(source, sounds.check)
    found += checks.agreement(exact, small, axes)
    found += checks.file_checks(file, tensors, source.layout.states)
    figures: dict[str, Any] = {
        "from": source.kind,
        "sounds": {"files": sounds.n_files, "seconds": sounds.seconds},
        "frames_checked": len(exact),
        "axes": checks.axis_figures(exact, small, axes),
        "closures_differ": checks.decisions_off(exact, small, axes),
        "operations": tensors.operations,
        "macs": tensors.macs,
    }
    if variants:
        figures["variants"] = _variants(source, sounds, work, exact)
    return Result(found, figures)


def _run(file: Path, layout: Layout, sequences: Iterable[Rows]) -> Rows:
    stream = Stream(file, layout)
    return np.concatenate([stream.run(rows) for rows in sequences])


def _same_as_source(source: Source, sequences: list[Rows]) -> list[Check]:
    """The streamed float file against the framework that it comes from."""
    if source.whole is None:
        return []
    rows = sequences[0][: source.whole_frames]
    whole = source.whole(rows)
    off = np.abs(whole - Stream(source.file, source.layout).run(rows)).max()
    return [Check("streaming = batch, largest error", float(off), checks.MAX_STREAM_ERROR)]


def _variants(source: Source, sounds: Sounds, work: Path, exact: Rows) -> dict[str, Any]:
    """Float, dynamic and static int8 side by side; the files go to the folder ``variants``."""
    folder = work / "variants"
    folder.mkdir()
    shutil.copy(source.file, folder / "float.tflite")
    int8.quantize_dynamic(source.file, folder / "dynamic.tflite")
    out = {}
    for file in (folder / "float.tflite", folder / "dynamic.tflite", work / "model.tflite"):
        poses = _run(file, source.layout, sounds.check)
        by_axis = checks.axis_figures(exact, poses, source.axes).values()
        out["int8" if file.stem == "model" else file.stem] = {
            "bytes": file.stat().st_size,
            "mean_error": round(float(np.abs(poses - exact).mean()), 5),
            "max_error": round(float(np.abs(poses - exact).max()), 5),
            "least_r": min((f["r"] for f in by_axis if f["r"] is not None), default=None),
        }
    return out


def _finish(source: Source, wanted: Wanted, work: Path, figures: dict[str, Any]) -> None:
    """Write the card, load the bundle as the robot does, and write the time of a step into it."""
    content = (work / "model.tflite").read_bytes()
    entry = {"file": "model.tflite", "sha256": hashlib.sha256(content).hexdigest()}
    entry |= {"bytes": len(content)}  # type: ignore[dict-item]
    for final in (False, True):
        write_card(work, source, wanted, entry, figures)
        if not final:
            figures["step_us"] = checks.step_us(Card.load(work))


def _move(work: Path, out: Path, variants: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in ("model.tflite", "golden.npz", "card.yaml"):
        (work / name).chmod(0o644)
        shutil.move(str(work / name), out / name)
    if variants:
        shutil.rmtree(out / "variants", ignore_errors=True)
        shutil.move(str(work / "variants"), out / "variants")
