"""The design of the drawn face for the browser: colours, order and measures, out of Python's own.

python -m lipsync_tools.facedesign        # writes lipsync_edge/web/static/face/design.js

The page draws the face with the formulas of ``drawing``, ``mouth``, ``portrait`` and ``alive`` in
JavaScript. What these formulas work on stands in Python alone and comes over by this tool: the
style of each path, and every public constant of these modules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lipsync_edge import alive, emphasis, mouth, portrait
from lipsync_edge.face import AXES

MODULES: tuple[ModuleType, ...] = (alive, emphasis, mouth, portrait)
OUT = Path(mouth.__file__).parent / "web/static/face/design.js"
HEAD = "// Made by `python -m lipsync_tools.facedesign` from the Python drawing: do not edit.\n\n"


def plain(value: Any) -> Any:
    """A constant as JSON has it: arrays and tuples as lists. TypeError for anything else."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    raise TypeError(f"{value!r} is no constant of the design")


def constants(module: ModuleType) -> dict[str, Any]:
    """The public constants of a module by name."""
    return {
        name: plain(value)
        for name, value in sorted(vars(module).items())
        if name.isupper() and not name.startswith("_")
    }


def design() -> dict[str, Any]:
    """All of it: ``styles`` in drawing order, and each module's constants."""
    styles = [
        {"name": p.name, "fill": p.fill, "stroke": p.stroke, "width": p.width, "alpha": p.alpha}
        for p in portrait.draw({})
    ]
    told = {module.__name__.rpartition(".")[2]: constants(module) for module in MODULES}
    return {"styles": styles, "axes": list(AXES), **told}


def text() -> str:
    """The JavaScript module: one export for each part."""
    parts = [f"export const {name} = {_lines(part)};\n" for name, part in design().items()]
    return HEAD + "\n".join(parts)


def _lines(part: Any) -> str:
    """JSON, one entry a line where the part has entries."""
    if isinstance(part, dict):
        rows = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in part.items()]
        return "\n".join(["{", *rows, "}"])
    if isinstance(part, list) and part and isinstance(part[0], dict):
        return "\n".join(["[", *(f"  {json.dumps(row)}," for row in part), "]"])
    return json.dumps(part)


def main() -> int:
    """Write it where the page has it."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text(), encoding="ascii")
    print(OUT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
