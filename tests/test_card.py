"""A bundle whose contract does not hold is refused with a sentence that names the card's line."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync_edge.errors import ModelError
from lipsync_edge.face import CHANNELS
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.card import Card
from lipsync_edge.model.tflite import bundles_folder, list_bundles, open_bundle

MOUTH = bundles_folder() / "mouth"
N_AXES = len(open_bundle("mouth").axes)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MOUTH, tmp_path / "mouth"))


def edit(bundle: Path, old: str, new: str) -> int:
    """Replace text in the card, which must be there; return its line."""
    card = bundle / "card.yaml"
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def line_of(bundle: Path, start: str) -> int:
    lines = (bundle / "card.yaml").read_text().splitlines()
    return next(k for k, line in enumerate(lines, 1) if line.strip().startswith(start))


def refusal(bundle: Path) -> str:
    with pytest.raises(ModelError) as caught:
        Card.load(bundle)
    return str(caught.value)


def test_the_shipped_bundles_hold() -> None:
    assert "mouth" in list_bundles()
    for name in list_bundles():
        card = open_bundle(name)
        assert card.name == name
        assert card.spec == FeatureSpec()
        assert len(card.content) <= 400_000
        assert card.delay_frames <= 6
        assert "Cooke" in card.attribution
        assert "jawOpen" in card.axes


def test_a_path_works_like_a_name(bundle: Path) -> None:
    assert open_bundle(str(bundle)).content == open_bundle("mouth").content
    assert open_bundle(str(bundle / "card.yaml")).path == bundle


def test_an_unknown_bundle_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match="Did you mean mouth"):
        open_bundle("mouht")


def test_a_folder_without_a_card(tmp_path: Path) -> None:
    assert "has no card.yaml" in refusal(tmp_path)


@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_one_byte_flipped(bundle: Path, where: float) -> None:
    model = bundle / "model.tflite"
    content = bytearray(model.read_bytes())
    content[int(where * len(content)) if where > 0 else int(where)] ^= 0x01
    model.write_bytes(content)
    said = refusal(bundle)
    assert said.startswith(f"{bundle}/card.yaml:{line_of(bundle, 'sha256:')}: model.sha256:")
    assert "damaged" in said


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + b"\0", lambda c: b""])
def test_another_length(bundle: Path, change: Callable[[bytes], bytes]) -> None:
    model = bundle / "model.tflite"
    model.write_bytes(change(model.read_bytes()))
    assert f"card.yaml:{line_of(bundle, 'bytes:')}: model.bytes:" in refusal(bundle)


@pytest.mark.parametrize(
    ("file", "entry", "key"),
    [("model.tflite", "file:", "model.file"), ("golden.npz", "golden:", "golden")],
)
def test_a_missing_file(bundle: Path, file: str, entry: str, key: str) -> None:
    (bundle / file).unlink()
    said = refusal(bundle)
    assert f"card.yaml:{line_of(bundle, entry)}: {key}: there is no file" in said
    assert file in said


def test_a_file_elsewhere_is_refused(bundle: Path) -> None:
    edit(bundle, "file: model.tflite", "file: ../model.tflite")
    assert "must be the name of a file beside the card" in refusal(bundle)


def respec(bundle: Path, **changes: Any) -> int:
    """Declare other features, with their own digest; return the line of the last one."""
    spec, line = FeatureSpec(), 0
    for name, value in changes.items():
        line = edit(bundle, f"{name}: {getattr(spec, name)}", f"{name}: {value}")
    edit(bundle, spec.digest(), dataclasses.replace(spec, **changes).digest())
    return line


def test_features_of_another_kind_are_refused(bundle: Path) -> None:
    line = edit(bundle, "log-mel-centred/1", "mfcc")
    said = refusal(bundle)
    assert f"card.yaml:{line}: features.kind:" in said
    assert "mfcc, this program makes log-mel-centred/1" in said


def test_other_values_of_the_features_are_computed(bundle: Path) -> None:
    respec(bundle, hop_length=200, mean_s=2.0, high_hz=7000.0)
    spec = Card.load(bundle).spec
    assert (spec.hop_length, spec.mean_s, spec.high_hz, spec.n_mels) == (200, 2.0, 7000.0, 40)


def test_other_features_must_fit_the_model(bundle: Path) -> None:
    respec(bundle, n_mels=48)
    assert "mel has 40 values, but features.n_mels says 48" in refusal(bundle)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_mels": 0}, "n_mels: must be a whole number from 1 to 256, not 0"),
        ({"n_mels": 40.5}, "n_mels: must be a whole number"),
        ({"frame_length": 600}, "frame_length: 600 is more than n_fft, 512"),
        ({"hop_length": 500}, "hop_length: 500 is more than frame_length, 400"),
        ({"high_hz": 8001.0}, "high_hz: 8001 is more than half of sample_rate_hz, 8000"),
        ({"high_hz": 80.0}, "low_hz: 80 is not under high_hz, 80"),
        ({"mean_s": 0.0}, "mean_s: must be a number from 0.01 to 1000, not 0.0"),
        ({"mean_s": ".nan"}, "mean_s: must be a number"),
    ],
)
def test_features_that_cannot_be(bundle: Path, changes: dict[str, Any], sentence: str) -> None:
    line = respec(bundle, **changes)
    said = refusal(bundle)
    assert f"features.{sentence}" in said
    assert f"card.yaml:{line}: " in said or "low_hz" in sentence


def test_another_feature_digest(bundle: Path) -> None:
    line = edit(bundle, FeatureSpec().digest()[:6], "000000")
    assert f"card.yaml:{line}: features.digest:" in refusal(bundle)


def test_another_format(bundle: Path) -> None:
    line = edit(bundle, "lipsync-bundle/1", "lipsync-bundle/2")
    said = refusal(bundle)
    assert f"card.yaml:{line}: format:" in said
    assert "lipsync-bundle/1, the card is lipsync-bundle/2" in said


def test_an_unknown_axis(bundle: Path) -> None:
    edit(bundle, "jawOpen", "jawopen")
    said = refusal(bundle)
    assert "card.yaml:" in said
    assert "did you mean jawOpen?" in said


def test_channels_stand_beside_the_axes(bundle: Path) -> None:
    assert Card.load(bundle).axes[-2:] == CHANNELS == ("mouthClosure", "speech")


def test_channels_alone_are_no_face(bundle: Path) -> None:
    card = (bundle / "card.yaml").read_text()
    begin, end = card.index("axes: ["), card.index("delay_frames")
    (bundle / "card.yaml").write_text(f"{card[:begin]}axes: [speech]\n{card[end:]}")
    edit(bundle, f"pose: {{shape: [1, {N_AXES}]", "pose: {shape: [1, 1]")
    assert "must drive at least one axis of the face" in refusal(bundle)


def test_an_axis_twice(bundle: Path) -> None:
    edit(bundle, "mouthClose", "jawOpen")
    assert "stands twice" in refusal(bundle)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("mel: {shape: [1, 40]", "mel: {shape: [1, 41]", "has 41 values, but features.n_mels"),
        ("mel: {shape: [1, 40]", "mel: {shape: [40]", "must be [1, n]"),
        ("taps_0: {shape: [1, 80]", "taps_0: {shape: [2, 40]", "must be [1, n]"),
        (
            "features_input: mel",
            "features_taps: 2\nfeatures_input: mel",
            "mel has 40 values, but features.n_mels times features_taps 2 says 80",
        ),
        (f"pose: {{shape: [1, {N_AXES}]", "pose: {shape: [1, 7]", "has 7 values, but axes says"),
        ("taps: 2", "taps: 3", "but 3 taps of mel are 120"),
        ("taps: 2", "taps: 0", "must be a whole number from 1 to 64"),
        ("dtype: int8", "dtype: float32", "'float32' is not there"),
        ("delay_frames: ", "delay_frames: -", "must be a whole number"),
        ("of: act_1", "of: act_9", "'act_9' is not there; did you mean"),
        ("input: taps_1", "input: taps_0", "taps_0 has"),
        ("pose_output: pose", "pose_output: act_1", f"but axes says {N_AXES}"),
        ("name: mouth", "name: 5", "name: must be a text"),
        ("licence: ", "licens: ", "did you mean licence?"),
        ("delay_frames: ", "", "not valid YAML"),
        ("version: ", "name: ", "stands twice"),
    ],
)
def test_shapes_and_entries(bundle: Path, old: str, new: str, sentence: str) -> None:
    edit(bundle, old, new)
    assert sentence in refusal(bundle)


def test_an_input_that_nobody_feeds(bundle: Path) -> None:
    lines = (bundle / "card.yaml").read_text().splitlines(keepends=True)
    (bundle / "card.yaml").write_text("".join(x for x in lines if "input: taps_3" not in x))
    assert "the input taps_3 must be fed once" in refusal(bundle)


def test_state_scales_that_are_not_tied(bundle: Path) -> None:
    card = (bundle / "card.yaml").read_text().splitlines()
    k = next(k for k, line in enumerate(card) if line.strip().startswith("taps_3:"))
    head, _, tail = card[k].partition("scale: ")
    card[k] = f"{head}scale: 0.0123, {tail.partition(', ')[2]}"
    (bundle / "card.yaml").write_text("\n".join(card))
    said = refusal(bundle)
    assert f"card.yaml:{line_of(bundle, '- {input: taps_3')}: states[3]:" in said
    assert "different scales" in said
    assert "0.0123" in said


@pytest.mark.parametrize(
    "text",
    ["", "just words", "- a\n- b\n", "a: [}", "\t", "\x00\x01", "format: *x", "a: " + "[" * 5000],
)
def test_garbage_in_place_of_the_card(bundle: Path, text: str) -> None:
    (bundle / "card.yaml").write_text(text)
    assert f"{bundle}/card.yaml:1: " in refusal(bundle)


def golden(**changes: np.ndarray) -> dict[str, np.ndarray]:
    with np.load(MOUTH / "golden.npz") as arrays:
        return {"features": arrays["features"], "poses": arrays["poses"]} | changes


def test_a_golden_with_nan(bundle: Path) -> None:
    poses = golden()["poses"]
    poses[3, 0] = np.nan
    np.savez(bundle / "golden.npz", **golden(poses=poses))
    said = refusal(bundle)
    assert f"card.yaml:{line_of(bundle, 'golden:')}: golden:" in said
    assert "poses must be finite" in said


def test_a_golden_of_other_shapes(bundle: Path) -> None:
    np.savez(bundle / "golden.npz", **golden(poses=golden()["poses"][:-1]))
    assert "poses have the shape" in refusal(bundle)
    np.savez(bundle / "golden.npz", **golden(features=golden()["features"][:, :-1]))
    assert "features have the shape" in refusal(bundle)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04" + bytes(100)])
def test_a_golden_that_is_none(bundle: Path, content: bytes) -> None:
    (bundle / "golden.npz").write_bytes(content)
    assert "golden.npz cannot be read" in refusal(bundle)


def test_a_golden_with_one_byte_flipped(bundle: Path) -> None:
    content = bytearray((bundle / "golden.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (bundle / "golden.npz").write_bytes(content)
    assert "golden.npz cannot be read" in refusal(bundle)
