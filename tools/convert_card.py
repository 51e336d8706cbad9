"""Writes the card of a bundle, with short lists and tensors on one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from lipsync_edge.model.card import CARD_FILE, FORMAT
from lipsync_tools.int8 import Tensors

if TYPE_CHECKING:
    from lipsync_tools.convert import Source, Wanted


class _CardDumper(yaml.SafeDumper):
    """Lists of plain values stand on one line."""


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


def plain(value: Any) -> Any:
    """The value in types that YAML and JSON know."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def write_card(
    folder: Path, source: Source, wanted: Wanted, model: dict[str, Any], figures: dict[str, Any]
) -> None:
    """Write ``folder``/card.yaml for the files that lie there."""
    tensors, spec, layout = Tensors.of(folder / "model.tflite"), source.spec, source.layout
    card = {
        "format": FORMAT,
        "name": wanted.name,
        "version": wanted.version,
        "licence": source.licence,
        "attribution": source.attribution,
        "model": model,
        "features": {**vars(spec), "digest": spec.digest()},
        "inputs": {key: tensor_entry(d) for key, d in sorted(tensors.inputs.items())},
        "outputs": {key: tensor_entry(d) for key, d in sorted(tensors.outputs.items())},
        "features_input": layout.features_input,
    }
    if layout.features_taps > 1:
        card["features_taps"] = layout.features_taps
    card |= {
        "pose_output": layout.pose_output,
        "states": [_Line(vars(state)) for state in layout.states],
        "axes": list(source.axes),
        "delay_frames": source.delay_frames,
        "golden": "golden.npz",
        "training": plain(source.training),
        "metrics": {"conversion": plain(figures)} | plain(wanted.metrics),
    }
    text = yaml.dump(card, Dumper=_CardDumper, sort_keys=False, width=100, allow_unicode=True)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
