"""SavedModels and Keras files, where TensorFlow is installed.

TensorFlow is not in the environment of `make test-tools`: 1.5 GB more. To run this, make one with
`pip install -e '.[convert-tf]' pytest` and run `pytest tests/learn/test_convert_tf.py` there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

tf = pytest.importorskip("tensorflow", reason="TensorFlow is large: extra convert-tf")

from lipsync_edge.features import FeatureSpec  # noqa: E402
from lipsync_edge.model.card import Card  # noqa: E402
from lipsync_edge.model.tflite import TfliteModel  # noqa: E402
from lipsync_tools import cli  # noqa: E402

RNG = np.random.default_rng(1)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    told = {"features": vars(FeatureSpec()), "axes": ["jawOpen", "mouthClose", "mouthPucker"]}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(told))
    return tmp_path / "spec.yaml"


def convert(capsys: pytest.CaptureFixture[str], model: Path, out: Path, spec: Path) -> Any:
    code = cli.main(["convert", str(model), "-o", str(out), "--features", str(spec), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    report = json.loads(said.out)
    check = report["checks"][0]
    assert check["name"].startswith("streaming = batch")
    assert check["value"] < 1e-5, "against TensorFlow itself"
    card = Card.load(out)
    poses = np.array([row.copy() for row in map(TfliteModel(card).step, card.golden.features)])
    assert np.array_equal(poses, card.golden.poses)
    return card


class Streaming(tf.Module):
    """Features and one memory in; pose and the memory out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = tf.Variable(RNG.normal(0, 0.3, (40, 24)).astype(np.float32))
        self.second = tf.Variable(RNG.normal(0, 0.5, (48, 3)).astype(np.float32))

    @tf.function(
        input_signature=[tf.TensorSpec((1, 40), name="mel"), tf.TensorSpec((1, 24), name="h_in")]
    )
    def step(self, mel: Any, h_in: Any) -> dict[str, Any]:
        h = tf.nn.relu(mel @ self.first)
        return {"pose": tf.sigmoid(tf.concat([h, h_in], 1) @ self.second), "h_out": h}


def test_a_saved_model_with_a_memory(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Streaming()
    tf.saved_model.save(model, str(tmp_path / "m"), signatures={"serving_default": model.step})
    card = convert(capsys, tmp_path / "m", tmp_path / "bundle", spec)
    assert [(s.input, s.of) for s in card.states] == [("h_in", "h_out")]


@pytest.mark.parametrize("name", ["window.keras", "window.h5"])
def test_a_keras_window(
    name: str, spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([
        layers.Input((5, 40)), layers.Conv1D(16, 3, activation="relu"), layers.Flatten(),
        layers.Dense(3, activation="sigmoid"),
    ])  # fmt: skip
    model.save(str(tmp_path / name))
    card = convert(capsys, tmp_path / name, tmp_path / "bundle", spec)
    assert (card.features_taps, card.states) == (5, ())
