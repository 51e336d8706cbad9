"""The shipped bundle on the older runtime, in an environment that has no other (make
test-tflite-runtime)."""

from __future__ import annotations

import csv
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.model.tflite import TfliteModel, open_bundle

pytestmark = pytest.mark.tflite_runtime


def test_this_environment_has_the_older_runtime_alone() -> None:
    assert find_spec("ai_edge_litert") is None
    assert version("tflite-runtime") == "2.14.0"
    assert int(np.__version__.split(".")[0]) == 1


def test_the_shipped_bundle_passes_its_golden_there() -> None:
    card = open_bundle("mouth")
    model = TfliteModel(card)
    assert model.runtime == "tflite_runtime"
    poses = np.array([model.step(row).copy() for row in card.golden.features])
    model.reset()
    again = np.array([model.step(row).copy() for row in card.golden.features])
    np.testing.assert_array_equal(poses, again)
    # The two runtimes round differently, by at most two steps of int8 a layer.
    assert np.abs(poses - card.golden.poses).mean() < 2 / 256
    for axis, (mine, golden) in enumerate(zip(poses.T, card.golden.poses.T, strict=True)):
        if golden.std() > 0.02:
            assert np.corrcoef(mine, golden)[0, 1] > 0.99, card.axes[axis]


def test_the_command_line_falls_back_to_it(tmp_path: Path) -> None:
    out = tmp_path / "hello.csv"
    assert main(["render", str(SAMPLE), "-o", str(out)]) == 0
    with out.open() as file:
        jaw = [float(row["pose.jawOpen"]) for row in csv.DictReader(file)]
    assert len(jaw) == 350
    assert max(jaw) > 0.4


def test_asking_for_the_other_runtime_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--set", "model.runtime=ai_edge_litert"]) == 1
    assert "ai_edge_litert" in capsys.readouterr().err
