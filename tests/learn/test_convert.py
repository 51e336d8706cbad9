"""`lipsync-tools convert` on small models: own runs, ONNX, TFLite, and what must be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from lipsync_edge.errors import LipsyncError, ModelError
from lipsync_edge.features import FeatureSpec, batch
from lipsync_edge.model.card import Card
from lipsync_edge.model.tflite import TfliteModel
from lipsync_tools import cli, convert_checks, int8, network
from lipsync_tools.convert_run import attribution_of, licence_of
from lipsync_tools.convert_sounds import gather, sample_sentence
from lipsync_tools.int8 import Stream, Tensors

SPEC = FeatureSpec()
AXES = "jawOpen,mouthPucker,mouthClosure"


def learn(model: Any, forward: Callable[[Any], Any], n_out: int, steps: int = 60) -> None:
    """Let a model follow the loudness of some bands, so that there is something to compare."""
    torch.manual_seed(1)
    torch.set_num_threads(2)
    rows = [r[:300] for r in gather([], SPEC).calibration if len(r) >= 300]
    x = torch.tensor(np.stack(rows))
    bands = torch.stack([x[..., k : k + 8].mean(-1) for k in range(2, 2 + 3 * n_out, 3)], 1)
    smooth = torch.nn.functional.avg_pool1d(bands, 9, 1, 4).transpose(1, 2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        loss = ((forward(x) - torch.sigmoid(12 * smooth)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Plain(torch.nn.Module):
    """A small network with one memory, as others would write it: features and ``h_in``."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(40, 24), torch.nn.Linear(48, 3)

    def forward(self, mel: Any, h_in: Any) -> tuple[Any, Any]:
        h = torch.relu(self.first(mel))
        both = torch.cat([h, h_in.reshape(1, 24)], dim=-1)
        return torch.sigmoid(self.second(both)), h.reshape(1, 1, 24)

    def sequence(self, x: Any) -> Any:
        """The same over (n, frames, 40)."""
        h = torch.relu(self.first(x))
        past = torch.nn.functional.pad(h, (0, 0, 1, 0))[:, :-1]
        return torch.sigmoid(self.second(torch.cat([h, past], dim=-1)))


class Window(torch.nn.Module):
    """A network without a memory that looks at five feature vectors at once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(200, 24), torch.nn.Linear(24, 3)

    def forward(self, window: Any) -> Any:
        return torch.sigmoid(self.second(torch.relu(self.first(window.reshape(-1, 200)))))

    def sequence(self, x: Any) -> Any:
        """The same over (n, frames, 40)."""
        padded = torch.nn.functional.pad(x, (0, 0, 4, 0)).unfold(1, 5, 1).transpose(2, 3)
        return self(padded).reshape(*x.shape[:2], 3)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as `train` leaves it, of a small network."""
    from lipsync_tools import train

    folder = tmp_path_factory.mktemp("run")
    record = {"name": "mine", "licence": "CC0-1.0", "attribution": "recordings of Ada"}
    told = {"speakers": ["ada"], "sources": [record]}
    run = train.Run(
        folder, train.Recipe(channels=32, dilations=(1, 1, 2, 4, 8, 1), steps=1), SPEC, told
    )
    learn(run.mouth, run.mouth, run.mouth.head.out_features)
    run.average.update_parameters(run.mouth)
    run.save()
    return folder


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, path = Plain(), tmp_path_factory.mktemp("onnx") / "plain.onnx"
    learn(model, model.sequence, 3)
    with int8.quiet():
        torch.onnx.export(
            model.eval(), (torch.zeros(1, 40), torch.zeros(1, 1, 24)), path, dynamo=False,
            input_names=["mel", "h_in"], output_names=["pose", "h_out"],
        )  # fmt: skip
    return path


@pytest.fixture(scope="session")
def window_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float TFLite file of a window model."""
    with int8.quiet():
        import litert_torch

        model, path = Window(), tmp_path_factory.mktemp("window") / "window.tflite"
        learn(model, model.sequence, 3)
        samples = {"window": torch.zeros(1, 5, 40)}
        litert_torch.convert(model.eval(), sample_kwargs=samples).export(str(path))
    return path


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({"features": vars(SPEC), "delay_frames": 3}, sort_keys=False))
    return path


def convert(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code = cli.main(["convert", *map(str, words), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return dict(json.loads(said.out))


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.main(["convert", *map(str, words)]) == 1
    return capsys.readouterr().err


def value_of(report: dict[str, Any], name: str) -> float:
    return float(next(c["value"] for c in report["checks"] if c["name"].startswith(name)))


def test_a_run_becomes_a_bundle_that_the_robot_runs(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.json").write_text('{"languages": {"en": 0.9}}')
    out = tmp_path / "mine"
    report = convert(capsys, run_folder, "-o", out, "--variants", "--metrics", tmp_path / "m.json")
    card = Card.load(out)
    poses = np.array([row.copy() for row in map(TfliteModel(card).step, card.golden.features)])
    assert np.array_equal(poses, card.golden.poses)
    assert np.ptp(poses, axis=0).max() > 0.3, "a golden in which nothing moves proves nothing"
    assert (card.name, card.axes[-2:]) == ("mine", ("mouthClosure", "speech"))
    assert card.training["sources"][0]["name"] == "mine"
    assert (card.licence, card.attribution) == ("CC0-1.0", "Learned from recordings of Ada.")
    assert card.metrics["languages"] == {"en": 0.9}
    assert {f.name for f in (out / "variants").iterdir()} == {"float.tflite", "dynamic.tflite"}
    assert all(check["ok"] for check in report["checks"])
    assert value_of(report, "streaming = batch") < 1e-5
    # 32 channels: layer 0 sees 3 * 40, five see 3 * 32, the head 32 for each of 12 outputs.
    assert value_of(report, "multiplications") == 3 * 40 * 32 + 5 * 3 * 32 * 32 + 32 * 12
    forms = report["figures"]["variants"]
    assert forms["float"]["mean_error"] == 0 < forms["int8"]["mean_error"]
    assert forms["float"]["bytes"] > forms["int8"]["bytes"]


def test_the_checkpoint_file_does_as_well_as_its_folder(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    convert(capsys, run_folder / "model.pt", "-o", out, "--name", "called", "--version", "2.0")
    first = Card.load(out)
    assert (first.name, first.version) == ("called", "2.0")
    convert(capsys, run_folder, "-o", tmp_path / "twice")
    assert Card.load(tmp_path / "twice").content == first.content, "the same run, the same bytes"


def test_a_failed_check_writes_nothing_unless_forced(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convert_checks, "MAX_BYTES", 1000)
    out = tmp_path / "big"
    said = refusal(capsys, run_folder, "-o", out)
    assert "checks failed" in said
    assert "bytes" in said
    assert "<= 1000" in said
    assert not out.exists()
    convert(capsys, run_folder, "-o", out, "--force")
    told = Card.load(out).metrics["conversion"]["forced_despite"]
    assert len(told) == 1
    assert told[0].startswith("bytes")


def test_a_network_that_streams_otherwise_is_caught(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the taps of a layer were taken one frame off."""
    trunk = network.Mouth.trunk
    late = lambda self, x: trunk(self, torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1])  # noqa: E731
    monkeypatch.setattr(network.Mouth, "trunk", late)
    assert "streaming = batch" in refusal(capsys, run_folder, "-o", tmp_path / "late")


def test_states_that_are_not_tied_are_caught(
    onnx_file: Path,
    declared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranges = int8.true_ranges

    def apart(*words: Any) -> dict[str, tuple[float, float]]:
        found = ranges(*words)
        name = next(name for name in found if "h_in" in name)
        return found | {name: (0.0, 3 * found[name][1] + 1)}

    monkeypatch.setattr(int8, "true_ranges", apart)
    monkeypatch.setattr(int8, "tie", lambda *_: None)
    said = refusal(capsys, onnx_file, "-o", tmp_path / "b", "--features", declared, "--axes", AXES)
    assert "states of another scale" in said


def test_onnx_with_a_memory(
    onnx_file: Path, declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "other"
    report = convert(capsys, onnx_file, "-o", out, "--features", declared, "--axes", AXES,
                     "--licence", "MIT", "--attribution", "Made by Bob.")  # fmt: skip
    card = Card.load(out)
    assert card.axes == tuple(AXES.split(","))
    assert (card.delay_frames, card.licence, card.attribution) == (3, "MIT", "Made by Bob.")
    (state,) = card.states
    assert (state.input, state.of, state.taps) == ("h_in", "h_out", 1)
    assert card.inputs["h_in"].shape == (1, 1, 24)
    assert value_of(report, "streaming = batch") < 1e-5, "against ONNX's own reference"
    assert value_of(report, "multiplications") == 40 * 24 + 48 * 3
    poses = np.array([row.copy() for row in map(TfliteModel(card).step, card.golden.features)])
    assert np.array_equal(poses, card.golden.poses)


def test_a_window_of_features_is_kept_by_the_robot(
    window_file: Path, declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "window"
    convert(capsys, window_file, "-o", out, "--features", declared, "--axes", AXES,
            "--delay-frames", 2)  # fmt: skip
    card = Card.load(out)
    assert (card.features_taps, card.delay_frames, card.states) == (5, 2, ())
    model, rows = TfliteModel(card), card.golden.features
    poses = np.array([model.step(row).copy() for row in rows])
    assert np.array_equal(poses, card.golden.poses)
    model.reset()
    assert np.array_equal(model.step(rows[0]), poses[0]), "a reset empties the window"


def test_a_window_that_lies_across(
    declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Channels first: its memory has another order than the robot's window."""

    class Across(Window):
        def forward(self, window: Any) -> Any:
            return super().forward(window.transpose(1, 2))

    with int8.quiet():
        import litert_torch

        samples, path = {"window": torch.zeros(1, 40, 5)}, tmp_path / "across.tflite"
        litert_torch.convert(Across().eval(), sample_kwargs=samples).export(str(path))
    said = refusal(capsys, path, "-o", tmp_path / "b", "--features", declared, "--axes", AXES)
    assert "the 40 values of a feature vector must be the last dimension" in said


def test_features_of_other_values(
    window_file: Path, declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared.write_text(declared.read_text().replace("hop_length: 160", "hop_length: 320"))
    out = tmp_path / "slow"
    convert(capsys, window_file, "-o", out, "--features", declared, "--axes", AXES)
    assert Card.load(out).spec.hop_length == 320


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("kind: log-mel-centred/1", "kind: mfcc", "2: features.kind: the model was trained on"),
        ("n_mels: 40", "n_mels: 400", "7: features.n_mels: must be a whole number from 1 to 256"),
        ("n_mels: 40", "n_mel: 40", "7: features.n_mel: there is no such entry; did you mean n_m"),
        ("n_mels: 40", "n_mels: 41", "window has 200 values, but the features are 164"),
        ("mean_s: 1.0", "mean: 1.0", "14: features.mean: there is no such entry"),
    ],
)
def test_features_that_the_robot_cannot_compute(
    window_file: Path, declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    old: str, new: str, sentence: str,
) -> None:  # fmt: skip
    declared.write_text(declared.read_text().replace(old, new))
    said = refusal(capsys, window_file, "-o", tmp_path / "b", "--features", declared,
                   "--axes", AXES)  # fmt: skip
    assert sentence in said


def test_what_a_foreign_model_must_tell(
    window_file: Path, declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = [window_file, "-o", tmp_path / "b"]
    assert "Nobody says what features" in refusal(capsys, *first)
    assert "Nobody says what the outputs" in refusal(capsys, *first, "--features", declared)
    for axes, sentence in (
        ("jawOpen,mouthPucker", "pose_output"),
        ("jawOpen,mouthPukker,speech", "axes: no axis of the face is called 'mouthPukker'; did"),
        ("jawOpen,jawOpen,speech", "the axis jawOpen stands twice"),
    ):
        said = refusal(capsys, *first, "--features", declared, "--axes", axes)
        assert sentence in said or "the axes are 2" in said


def test_files_that_are_no_models(
    declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.onnx", "x.tflite", "x.pt", "x.txt"):
        (tmp_path / name).write_bytes(b"nonsense" * 40)
        said = refusal(capsys, tmp_path / name, "-o", tmp_path / "b", "--features", declared,
                       "--axes", AXES)  # fmt: skip
        assert said.startswith("lipsync-tools: ")
        assert name in said
        assert "Traceback" not in said
    assert "there is no such file" in refusal(capsys, tmp_path / "no.onnx", "-o", tmp_path / "b")


def test_an_int8_model_is_not_a_float_one(
    run_folder: Path, declared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(capsys, run_folder, "-o", tmp_path / "mine")
    said = refusal(capsys, tmp_path / "mine/model.tflite", "-o", tmp_path / "b",
                   "--features", declared, "--axes", AXES)  # fmt: skip
    assert "is int8, not float32" in said


def test_the_float_form_is_the_network(run_folder: Path, tmp_path: Path) -> None:
    """The file's stream against the network over the whole sequence, computed here."""
    from lipsync_tools.convert_run import load, open_run

    source = open_run(run_folder, tmp_path)
    _, _, mouth, _ = load(run_folder)
    rows = gather([], SPEC).check[0]
    with torch.no_grad():
        whole = mouth(torch.tensor(rows)[None])[0].numpy()
    streamed = Stream(source.file, source.layout).run(rows)
    assert np.abs(streamed[:, 0] - whole[:, 0]).max() < 1e-6
    assert np.abs(streamed[:, -2:] - whole[:, -2:]).max() < 1e-6
    assert Tensors.of(source.file).in_float, "the float file computes in float"


def test_sounds_begin_quietly_loudly_and_without_a_voice() -> None:
    sounds = gather([], SPEC)
    peaks = [float(np.ptp(rows)) for rows in sounds.calibration]
    assert min(peaks) < 0.2
    assert max(peaks) > 0.9
    assert all(np.isfinite(rows).all() for rows in (*sounds.calibration, *sounds.check))
    again = gather([sample_sentence().parent], SPEC)
    assert [len(r) for r in again.check] == [len(r) for r in sounds.check]
    with pytest.raises(LipsyncError, match="no such file"):
        gather([Path("/nowhere")], SPEC)


def test_the_golden_is_made_of_the_robots_features(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import soundfile

    hiss = 0.1 * np.random.default_rng(1).standard_normal(32000).astype(np.float32)
    soundfile.write(tmp_path / "hiss.wav", hiss, 16000, subtype="FLOAT")
    convert(capsys, run_folder, "-o", tmp_path / "b", "--golden", tmp_path / "hiss.wav", "--force")
    wanted = batch(np.concatenate([np.zeros(3200, np.float32), hiss]), SPEC)[:200]
    assert np.abs(Card.load(tmp_path / "b").golden.features - wanted).max() < 0.02


@pytest.mark.parametrize(
    ("licences", "wanted"),
    [
        (["CC-BY-4.0", "CC0-1.0", "public domain"], "CC-BY-4.0"),
        (["own", "own"], "own"),
        (["MIT", "CC-BY-4.0"], "CC-BY-4.0, MIT"),
    ],
)
def test_the_licence_follows_from_the_sources(licences: list[str], wanted: str) -> None:
    sources = [{"name": f"s{k}", "licence": x, "may_ship": True} for k, x in enumerate(licences)]
    assert licence_of(sources) == wanted
    closed = {"name": "clips", "licence": "all rights reserved", "may_ship": False}
    assert licence_of([*sources, closed]) == "not to be passed on, because of clips"


def test_everybody_is_named_once() -> None:
    sources = [
        {"name": "a", "from": "home", "attribution": ""},
        {"name": "b", "from": "x", "attribution": "Corpus B"},
        {"name": "c", "from": "y", "attribution": "Corpus B"},
    ]
    assert attribution_of(sources) == "Learned from a (home); Corpus B."


def test_bounds_are_exact() -> None:
    check = convert_checks.Check
    assert check("a", 1.0, 1.0).ok
    assert not check("a", 1.1, 1.0).ok
    assert not check("a", float("nan"), 1.0).ok
    assert not check("a", 0.98, 0.99, least=True).ok
    exact = np.tile(np.linspace(0, 1, 100, dtype=np.float32)[:, None], (1, 2))
    small = exact.copy()
    small[40:60, 0] = 0.0
    found = convert_checks.agreement(exact, small, ("mouthClosure", "jawOpen"))
    assert {c.name for c in found if not c.ok} == {
        "int8: r of mouthClosure",
        "int8: mean error mouthClosure",
        "int8: closures differ (mouthClosure)",
    }


def test_an_unreadable_onnx_says_so(tmp_path: Path, declared: Path) -> None:
    from lipsync_tools.declaration import Declared
    from lipsync_tools.foreign import open_foreign

    pytest.importorskip("onnx")
    (tmp_path / "x.onnx").write_bytes(b"\x08\x01")
    with pytest.raises(ModelError, match=r"x\.onnx"):
        open_foreign(tmp_path / "x.onnx", tmp_path, Declared(declared, AXES))
