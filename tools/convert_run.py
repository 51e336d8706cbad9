"""A trained run as something to convert: the one place that knows the training's modules."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_edge.errors import ModelError
from lipsync_edge.features import FeatureSpec
from lipsync_edge.model.card import State
from lipsync_tools import targets
from lipsync_tools.convert import Source
from lipsync_tools.int8 import Layout, quiet
from lipsync_tools.network import TAPS, Mouth, StreamingMouth

GRID = (
    "Learned from the Grid Audio-Visual Speech Corpus (M. Cooke, J. Barker, S. Cunningham, "
    "X. Shao, An audio-visual corpus for speech perception and automatic speech recognition, "
    "JASA 120, 2006), "
    "CC BY 4.0 by the authors' deposit, Zenodo record 3625687 (that page itself was not seen). "
    "Phone times of it and of the voice kathleen (en-US, CC0 1.0, Rhasspy) helped to learn."
)
"""The attribution of runs that keep no record of their sources."""
ASKS_NOTHING = {"CC0", "CC0-1.0", "PUBLIC-DOMAIN", "PDM", "PDM-1.0", "PDDL", "PDDL-1.0", "OWN"}


def load(path: Path) -> tuple[Any, FeatureSpec, Mouth, dict[str, Any]]:
    """The recipe, the features, the network, and what else the run of a folder or file keeps:
    ``step``, ``speakers``, ``sources``. Raises ModelError."""
    file = path / "model.pt" if path.is_dir() else path
    try:
        from lipsync_tools.train import load_run

        found: tuple[Any, FeatureSpec, Mouth, dict[str, Any]] = load_run(file)
        return found
    except (OSError, KeyError, TypeError, RuntimeError, ValueError, pickle.PickleError) as error:
        why = str(error).split("\n")[0][:120]
        raise ModelError(
            f"{path}: this is no checkpoint of `lipsync-tools train` ({why}).",
            "Give the folder that it wrote, or an .onnx, .tflite, .keras or SavedModel.",
        ) from error


def open_run(path: Path, work: Path) -> Source:
    """The run of a folder or of its model.pt; its float file is written to ``work``.

    Raises ModelError.
    """
    recipe, spec, mouth, kept = load(path)
    has_channels = mouth.head.out_features > len(targets.TARGETS)
    axes = targets.OUTPUTS if has_channels else targets.AXES
    rows = targets.ROW_OF_OUTPUT if has_channels else targets.ROW_OF_AXIS
    sources = list(kept.get("sources") or [])
    file = work / "float.tflite"
    export_float(mouth, rows, file)
    return Source(
        kind="run",
        file=file,
        layout=layout_of(mouth),
        spec=spec,
        axes=axes,
        delay_frames=recipe.delay_frames,
        whole=lambda features: _sequence(mouth, features)[:, rows],
        training=_training(recipe, mouth, kept),
        licence=licence_of(sources) or "CC-BY-4.0",
        attribution=attribution_of(sources) or GRID,
    )


def layout_of(mouth: Mouth) -> Layout:
    """The taps of a network: layer 0 remembers the features, layer k what layer k - 1 gave."""
    return Layout(
        states=tuple(
            State(f"taps_{k}", f"act_{k}" if k else "mel", TAPS - 1, dilation)
            for k, dilation in enumerate(mouth.dilations)
        )
    )


def export_float(mouth: Mouth, rows: list[int], path: Path) -> None:
    """Write the streaming form as a float TFLite file; ``rows``: the target of each output."""
    with quiet():
        import litert_torch

    inputs = {"mel": torch.zeros(1, mouth.widths[0])}
    for k, width in enumerate(mouth.widths):
        inputs[f"taps_{k}"] = torch.zeros(1, (TAPS - 1) * width)
    with quiet():
        streaming = StreamingMouth(mouth, rows).eval()
        litert_torch.convert(streaming, sample_kwargs=inputs).export(str(path))


def _sequence(mouth: Mouth, features: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.asarray(mouth(torch.tensor(features)[None])[0].numpy())


def _training(recipe: Any, mouth: Mouth, kept: dict[str, Any]) -> dict[str, Any]:
    return {
        **{key: kept[key] for key in sorted(kept) if key != "step"},
        "labels": targets.MEASURES_TOLD,
        "steps": kept.get("step"),
        "recipe": dataclasses.asdict(recipe),
        "parameters": sum(p.numel() for n, p in mouth.named_parameters() if "extra" not in n),
        "tools": f"torch {torch.__version__}, litert-torch, ai-edge-quantizer (static int8)",
    }


def licence_of(sources: list[dict[str, Any]]) -> str:
    """What the records of the sources allow: those that ask for something, or that it must stay.

    A record's ``may_ship`` says whether a model that saw it may be passed on.
    """
    kept = [str(s["name"]) for s in sources if not s.get("may_ship", True)]
    if kept:
        return f"not to be passed on, because of {', '.join(kept)}"
    told = {str(s.get("licence", "not stated")) for s in sources}
    asking = {text for text in told if text.upper().replace(" ", "-") not in ASKS_NOTHING}
    return ", ".join(sorted(asking or told))


def attribution_of(sources: list[dict[str, Any]]) -> str:
    """Whom the sources name, each once."""
    told = [s.get("attribution") or f"{s.get('name')} ({s.get('from')})" for s in sources]
    return f"Learned from {'; '.join(dict.fromkeys(map(str, told)))}." if told else ""
