"""Runs the goldens of bundles on this machine: ``python tools/golden_check.py BUNDLE...``.

Prints a JSON list. Stands alone, so that a Python of another processor can run it.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_edge.model.card import Card
from lipsync_edge.model.tflite import TfliteModel


def golden_of(bundle: Path) -> dict[str, Any]:
    """How the bundle's poses compare with its golden, to the bit."""
    card = Card.load(bundle)
    model = TfliteModel(card, "ai_edge_litert")
    poses = np.array([model.step(row).copy() for row in card.golden.features])
    off = np.abs(poses - card.golden.poses)
    return {
        "bundle": str(bundle),
        "machine": platform.machine(),
        "runtime": f"ai-edge-litert {version('ai-edge-litert')}",
        "frames": len(poses),
        "moved": float(np.ptp(poses, axis=0).max()),
        "frames_off": int((off > 0).any(axis=1).sum()),
        "worst_steps": float(off.max()) / card.outputs[card.pose_output].quantization.scale,
    }


if __name__ == "__main__":
    print(json.dumps([golden_of(Path(word)) for word in sys.argv[1:]]))
