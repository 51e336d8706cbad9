"""What is loaded before the robot's own libraries: built from the C files beside this one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lipsync_tools.drill.stage import NotThere


def built(folder: Path, name: str) -> Path:
    """The library of ``name``.c, put into ``folder``. NotThere without a C compiler."""
    library = folder / f"{name}.so"
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotThere("needs a C compiler (apt install gcc)")
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run((compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"), check=True)
    return library
