"""Makes a bundle of a run: ``python -m lipsync_tools.convert_first RUN -o BUNDLE ...``.

Converts RUN/model.pt to int8, checks it against the float network, records the golden and writes
the card. ``--metrics`` puts the figures of ``evaluate_first --json`` into the card.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import samplerate
import soundfile
import torch
import yaml
from numpy.typing import NDArray

from lipsync_edge.features import FeatureSpec, batch
from lipsync_edge.model.card import CARD_FILE, FORMAT, Card
from lipsync_edge.model.tflite import TfliteModel
from lipsync_tools import augment, int8
from lipsync_tools.examples import Example, Sampler, mel_db_of
from lipsync_tools.grid import read_clips
from lipsync_tools.network import TAPS, Mouth
from lipsync_tools.targets import AXES, MEASURES_TOLD, ROW_OF_AXIS, TARGETS
from lipsync_tools.train_first import Recipe, load_run

ATTRIBUTION = (
    "Learned from the Grid Audio-Visual Speech Corpus (M. Cooke, J. Barker, S. Cunningham, "
    "X. Shao, An audio-visual corpus for speech perception and automatic speech recognition, "
    "JASA 120, 2006), "
    "CC BY 4.0 by the authors' deposit, Zenodo record 3625687 (that page itself was not seen). "
    "Phone times of it and of the voice kathleen (en-US, CC0 1.0, Rhasspy) helped to learn."
)
GOLDEN_FRAMES = 200


def calibration(data: Path, recipe: Recipe, spec: FeatureSpec) -> NDArray[np.float32]:
    """Feature sequences (32, n_frames, n_mels) of many voices, levels and noises, silence too."""
    rng = torch.Generator().manual_seed(7)
    torch.manual_seed(7)
    found = [
        Example(speaker, torch.tensor(mel_db).float(), torch.zeros(len(mel_db), 1))
        for speaker in recipe.speakers
        for mel_db in [mel_db_of(clip.samples, spec) for clip in read_clips(data, speaker, 8)]
    ]
    mel_db, labels = Sampler(found, recipe.balance).draw(32, rng)
    copier = augment.Copier(recipe.voices, spec, recipe.n_frames)
    x, _ = copier.copies(mel_db, labels, labels[0, 0], rng)
    return np.asarray(x.numpy())


def golden_features(sound: Path, spec: FeatureSpec) -> NDArray[np.float32]:
    """Features (GOLDEN_FRAMES, n_mels) of a recording's beginning, after a bit of silence."""
    samples, rate_hz = soundfile.read(sound, dtype="float32", always_2d=True)
    mono = samplerate.resample(samples.mean(axis=1), spec.sample_rate_hz / rate_hz, "sinc_best")
    silence = np.zeros(spec.sample_rate_hz // 5, np.float32)
    return batch(np.concatenate([silence, mono.astype(np.float32)]), spec)[:GOLDEN_FRAMES]


class _CardDumper(yaml.SafeDumper):
    """Writes short lists and tensors on one line."""


class _Line(dict[str, Any]):
    """A mapping on one line."""


_CardDumper.add_representer(
    _Line,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True),
)
_CardDumper.add_representer(
    list,
    lambda dumper, data: dumper.represent_sequence(
        "tag:yaml.org,2002:seq",
        data,
        flow_style=not any(isinstance(x, dict) for x in data),
    ),
)


def tensor_entry(detail: dict[str, Any]) -> dict[str, Any]:
    """A tensor as the card describes it."""
    scale, zero_point = detail["quantization"]
    return _Line(
        shape=[int(n) for n in detail["shape"]],
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )


def compare(
    mouth: Mouth, float_file: Path, int8_file: Path, rows: NDArray[np.float32]
) -> dict[str, Any]:
    """How far the float file strays from the network, and the int8 file from the float one."""
    with torch.no_grad():
        whole = mouth(torch.tensor(rows)[None])[0].numpy()[:, ROW_OF_AXIS]
    streamed = int8.Stream(float_file, mouth).run(rows)
    small = int8.Stream(int8_file, mouth).run(rows)
    error = np.abs(small - streamed)
    return {
        "float_stream_vs_sequence_max": round(float(np.abs(streamed - whole).max()), 7),
        "int8_vs_float_mean": round(float(error.mean()), 4),
        "int8_vs_float_p99": round(float(np.percentile(error, 99)), 4),
        "int8_vs_float_max": round(float(error.max()), 4),
        "int8_vs_float_mean_by_axis": {
            axis: round(float(e), 4) for axis, e in zip(AXES, error.mean(axis=0), strict=True)
        },
    }


def write_card(folder: Path, run: Path, name: str, version: str, metrics: dict[str, Any]) -> None:
    """Write ``folder``/card.yaml for the files that lie there."""
    recipe, spec, mouth, steps = load_run(run)
    content = (folder / "model.tflite").read_bytes()
    inputs, outputs, _ = int8.tensors(folder / "model.tflite")
    card = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "licence": "CC-BY-4.0",
        "attribution": ATTRIBUTION,
        "model": {
            "file": "model.tflite",
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        },
        "features": {**vars(spec), "digest": spec.digest()},
        "inputs": {key: tensor_entry(detail) for key, detail in sorted(inputs.items())},
        "outputs": {key: tensor_entry(detail) for key, detail in sorted(outputs.items())},
        "features_input": "mel",
        "pose_output": "pose",
        "states": [
            _Line(input=state, of=source, taps=TAPS - 1, dilation=dilation)
            for (state, source), dilation in zip(
                int8.state_sources(len(mouth.widths)).items(),
                mouth.dilations,
                strict=True,
            )
        ],
        "axes": list(AXES),
        "delay_frames": recipe.delay_frames,
        "golden": "golden.npz",
        "training": {
            "data": f"films of GRID ({len(recipe.speakers)} speakers), sound of kathleen",
            "speakers": list(recipe.speakers),
            "labels": MEASURES_TOLD,
            "steps": steps,
            "recipe": dataclasses.asdict(recipe),
            "parameters": sum(p.numel() for n, p in mouth.named_parameters() if "extra" not in n),
            "tools": f"torch {torch.__version__}, litert-torch, ai-edge-quantizer (static int8)",
        },
        "metrics": metrics,
    }
    text = yaml.dump(card, Dumper=_CardDumper, sort_keys=False, width=100, allow_unicode=True)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def convert(
    run: Path,
    out: Path,
    data: Path,
    golden: Path,
    metrics: dict[str, Any],
    name: str,
    version: str,
) -> None:
    """Make the bundle ``out`` of the run, and load it once."""
    recipe, spec, mouth, _ = load_run(run)
    out.mkdir(parents=True, exist_ok=True)
    calibrating = calibration(data, recipe, spec)
    features = golden_features(golden, spec)
    with tempfile.TemporaryDirectory() as work:
        float_file, int8_file = Path(work) / "float.tflite", out / "model.tflite"
        int8.export_float(mouth, ROW_OF_AXIS, float_file)
        stream = int8.Stream(float_file, mouth)
        for rows in calibrating:
            stream.run(rows)
        int8.quantize(float_file, int8_file, stream.frames, len(mouth.widths))
        checks = compare(mouth, float_file, int8_file, features)
        poses = int8.Stream(int8_file, mouth).run(features)
    np.savez_compressed(out / "golden.npz", features=features, poses=poses)
    checks["operations"] = int8.tensors(int8_file)[2]
    write_card(out, run, name, version, {"conversion": checks} | metrics)
    TfliteModel(Card.load(out))
    int8_file.chmod(0o644)
    print(json.dumps(checks, indent=1))
    print(f"{out}: {int8_file.stat().st_size} bytes, {len(AXES)} axes from {len(TARGETS)} targets")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train_first wrote")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with grid/, to calibrate on"
    )
    parser.add_argument("--golden", type=Path, help="free recording for the golden (kathleen)")
    parser.add_argument("--metrics", type=Path, help="what evaluate_first --json printed")
    parser.add_argument("--name", default="mouth")
    parser.add_argument("--version", default="0.1.0")
    a = parser.parse_args()
    metrics = json.loads(a.metrics.read_text()) if a.metrics else {}
    golden = a.golden or min((a.data / "speech/kathleen_en-US").glob("*.opus"))
    convert(a.run, a.out, a.data, golden, metrics, a.name, a.version)


if __name__ == "__main__":
    main()
