"""What the tests of extract share: filmed speakers, and runs of the command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

RECORD = ("--name", "grid", "--from", "Zenodo record 3625687", "--licence", "CC-BY-4.0")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with grid/ (LIPSYNC_DATA)."""
    folder = Path(os.environ.get("LIPSYNC_DATA", "../shared/data")).resolve()
    if not (folder / "grid/video").is_dir():
        pytest.skip(f"no films at {folder}/grid/video: set LIPSYNC_DATA (docs/data.md)")
    return folder


def ffmpeg(*words: object) -> None:
    """Make a film."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, words)], check=True)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a set."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
