"""The interpreter behind a bundle, and the dummy model."""

from __future__ import annotations

import dataclasses
import sys
import types
import wave
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samplerate

from lipsync_edge.errors import ModelError
from lipsync_edge.features import Features, FeatureSpec, batch
from lipsync_edge.model import Model
from lipsync_edge.model.card import Card
from lipsync_edge.model.dummy import DummyModel
from lipsync_edge.model.quantize import Quantization
from lipsync_edge.model.tflite import TfliteModel, open_bundle

CARD = open_bundle("mouth")


@pytest.fixture(scope="module")
def model() -> TfliteModel:
    return TfliteModel(CARD)


def poses_of(model: Model, rows: np.ndarray) -> np.ndarray:
    model.reset()
    return np.array([model.step(row).copy() for row in rows])


def sample_sentence() -> np.ndarray:
    """The shipped sentence, 16 kHz, its peak at -13 dB."""
    with wave.open(str(resources.files("lipsync_edge") / "samples/hello.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
    samples = samplerate.resample(samples, 16000 / rate_hz, "sinc_fastest").astype(np.float32)
    return np.asarray(samples * np.float32(10 ** (-13 / 20) / np.abs(samples).max()))


def test_the_model_says_what_the_card_says(model: TfliteModel) -> None:
    assert (model.name, model.axes, model.spec) == ("mouth", CARD.axes, FeatureSpec())
    assert model.delay_frames == CARD.delay_frames


def test_the_golden_comes_out(model: TfliteModel) -> None:
    """The golden was made by the converter's environment with a stream of its own."""
    off_lsb = np.abs(poses_of(model, CARD.golden.features) - CARD.golden.poses) * 256
    assert off_lsb.max() <= 2
    assert CARD.golden.poses[:, 0].max() > 0.4, "a golden in which nothing moves proves nothing"


def test_states_follow_the_card_step_by_step(model: TfliteModel) -> None:
    """Against a history that is kept as a plain list of all values ever seen."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=CARD.content, num_threads=1)
    runner = interpreter.get_signature_runner()
    mel = CARD.inputs["mel"]
    history: dict[str, list[np.ndarray]] = {state.of: [] for state in CARD.states}
    expected = []
    for row in CARD.golden.features[:40]:
        q = mel.quantization.quantize(row[None], np.zeros(mel.shape, np.int8))
        fed = {"mel": q}
        for state in CARD.states:
            past, size = history[state.of], (CARD.outputs | {"mel": mel})[state.of].size
            rest = np.full((1, size), CARD.inputs[state.input].quantization.zero_point, np.int8)
            back = [t * state.dilation for t in range(state.taps, 0, -1)]
            fed[state.input] = np.hstack([past[-b] if b <= len(past) else rest for b in back])
        out = runner(**fed)
        for name, past in history.items():
            past.append(q if name == "mel" else out[name].copy())
        expected.append(out["pose"][0].copy())
    got = poses_of(model, CARD.golden.features[:40])
    quantization = CARD.outputs["pose"].quantization
    wanted = quantization.dequantize(np.array(expected), np.zeros(got.shape, np.float32))
    assert np.array_equal(got, wanted)


def test_reset_brings_the_same_poses_again(model: TfliteModel) -> None:
    first = poses_of(model, CARD.golden.features)
    poses_of(model, np.random.default_rng(1).random((50, 40)).astype(np.float32))
    assert np.array_equal(poses_of(model, CARD.golden.features), first)


def test_poses_stay_in_range_whatever_comes(model: TfliteModel) -> None:
    rng = np.random.default_rng(2)
    rows = (10 ** rng.uniform(-3, 6, (200, 40)) * rng.choice([-1, 1], (200, 40))).astype(np.float32)
    rows[50:60] = np.nan
    poses = poses_of(model, rows)
    assert np.isfinite(poses).all()
    assert poses.min() >= 0.0
    assert poses.max() <= 1.0


def test_the_mouth_moves_with_speech_and_rests_in_silence(model: TfliteModel) -> None:
    jaw = CARD.axes.index("jawOpen")
    spoken = poses_of(model, batch(sample_sentence()))[:, jaw]
    assert spoken.max() - spoken.min() > 0.5
    rng = np.random.default_rng(3)
    hiss = (10 ** (-70 / 20) * rng.standard_normal(5 * 16000)).astype(np.float32)
    for quiet in (np.zeros(3 * 16000, np.float32), hiss):
        assert poses_of(model, batch(quiet))[50:].max() < 0.1


@pytest.mark.parametrize(("gain_db", "mean", "p95"), [(-30, 0.03, 0.1), (12, 0.01, 0.04)])
def test_a_whisper_and_a_shout_give_the_same_mouth(
    model: TfliteModel, gain_db: float, mean: float, p95: float
) -> None:
    """The stated tolerance of the level: mean and 95th percentile of the difference, all axes."""
    voice = sample_sentence()
    normal = poses_of(model, batch(voice))
    other = poses_of(model, batch(voice * np.float32(10 ** (gain_db / 20))))
    off = np.abs(normal - other)
    assert off.mean() < mean
    assert np.percentile(off, 95) < p95


def test_streamed_features_and_model_do_not_depend_on_chunks(model: TfliteModel) -> None:
    voice = sample_sentence()[:16000]
    whole = poses_of(model, batch(voice))
    features, rows = Features(), []
    for at in range(0, len(voice), 333):
        rows += [row for _, row in features.push(voice[at : at + 333])]
    assert np.array_equal(poses_of(model, np.array(rows)), whole)


def changed(**changes: Any) -> Card:
    return dataclasses.replace(CARD, **changes)


def test_a_golden_of_another_model_is_refused() -> None:
    poses = CARD.golden.poses.copy()
    poses[100, 0] += 0.2 if poses[100, 0] < 0.5 else -0.2
    with pytest.raises(ModelError, match="does not move as its maker recorded"):
        TfliteModel(changed(golden=dataclasses.replace(CARD.golden, poses=poses)))


def test_a_card_with_other_scales_than_the_file() -> None:
    tensor = CARD.inputs["taps_2"]
    other = dataclasses.replace(tensor, quantization=Quantization(0.5, -128))
    with pytest.raises(ModelError, match=r"the input taps_2 has .* card says .*0.5"):
        TfliteModel(changed(inputs=CARD.inputs | {"taps_2": other}))


def test_a_card_with_other_shapes_than_the_file() -> None:
    other = dataclasses.replace(CARD.outputs["act_1"], shape=(1, 7))
    with pytest.raises(ModelError, match=r"the output act_1 is int8 .* card says int8 \(1, 7\)"):
        TfliteModel(changed(outputs=CARD.outputs | {"act_1": other}))


def test_a_card_with_other_names_than_the_file() -> None:
    outputs = {("mouth" if k == "pose" else k): v for k, v in CARD.outputs.items()}
    with pytest.raises(ModelError, match="the model's outputs are"):
        TfliteModel(changed(outputs=outputs))


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, CARD.content[:5000]])
def test_a_file_that_is_no_model(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"refuses the model|has no signature"):
        TfliteModel(changed(content=content))


def test_a_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", None)
    with pytest.raises(ModelError, match="pip install ai-edge-litert"):
        TfliteModel(CARD)


def test_tflite_runtime_with_numpy_2_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be imported, and fails when an interpreter is made (facts of release 2.14.0)."""

    def broken(**_: Any) -> None:
        raise SystemError("CreateWrapperFromFile returned a result with an exception set")

    package, module = types.ModuleType("tflite_runtime"), types.ModuleType("interpreter")
    module.Interpreter = broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    with pytest.raises(ModelError, match="numpy<2"):
        TfliteModel(CARD, runtime="tflite_runtime")


def test_loading_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    TfliteModel(CARD)
    assert capfd.readouterr().err == ""


ROW = np.full(40, 0.25, np.float32)


def test_the_dummy_opens_its_jaw_with_the_level() -> None:
    model: Model = DummyModel(axes=("mouthClose", "jawOpen"))
    assert model.step(ROW).tolist() == [0.0, 0.25]
    assert model.step(2 * ROW).tolist() == [0.0, 0.5]


def test_the_dummy_misbehaves_on_command() -> None:
    slept: list[float] = []
    model = DummyModel(faults="slow@0.02:0.5 nan@0.04:0.02 shape@0.08", sleep=slept.append)
    sizes, numbers = [], []
    for _ in range(10):
        pose = model.step(ROW)
        sizes.append(len(pose))
        numbers.append(bool(np.isfinite(pose).all()))
    assert slept == [0.5]
    assert sizes == [1] * 8 + [2] * 2
    assert numbers == [True] * 4 + [False] * 2 + [True] * 4


def test_the_dummys_faults_come_again_after_reset() -> None:
    slept: list[float] = []
    model = DummyModel(faults="slow@0", sleep=slept.append)
    for _ in range(2):
        model.step(ROW)
        model.step(ROW)
        model.reset()
    assert slept == [0.05, 0.05]


def test_the_dummy_knows_its_faults() -> None:
    with pytest.raises(ModelError, match="did you mean 'slow'"):
        DummyModel(faults="slwo@1")


def test_the_bundle_in_a_folder_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model bundle has this name or this path"):
        open_bundle(str(tmp_path / "nothing"))
