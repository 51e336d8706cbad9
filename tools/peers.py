"""Live lip sync programs that others made, run on the same sounds, each as its own users run it.

They are installed when they are asked for, into a cache, and never become part of this project:
HeadAudio and wawa-lipsync from npm (they need Node, Debian package ``nodejs`` and ``npm``),
pylipsync from PyPI in an environment of its own, since it wants librosa.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError
from lipsync_edge.features import FeatureSpec
from lipsync_tools.targets import frame_times

PEERS = ("headaudio", "wawa-lipsync", "pylipsync")
SCRIPTS = Path(__file__).parent / "peer_scripts"
PYLIPSYNC = "pylipsync==0.2.1"


class PeerMissing(LipsyncError):
    """A peer that cannot be installed or run here, and why."""


def peer(
    name: str, spec: FeatureSpec, cache: Path
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """A system (see ``systems``): the peer's outputs at the times of the feature frames.

    Raises PeerMissing. What it said of a sound is kept in ``cache``.
    """
    cache = cache.resolve()
    command, rate_hz = _python(cache) if name == "pylipsync" else _node(name, cache)

    def run(samples: NDArray[np.float32]) -> NDArray[np.float64]:
        key = hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()[:20]
        kept = cache / name / f"{key}.npy"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part.npy")
            np.save(part, _ask(name, command, samples, rate_hz))
            part.replace(kept)
        said = np.load(kept)
        n = 1 + (len(samples) - spec.frame_length) // spec.hop_length
        return held(said, frame_times(n, spec))

    return run


def held(said: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (time, values) of what was said, in order, at ``times_s`` (n,): the last one counts."""
    at = np.searchsorted(said[:, 0], times_s, side="right") - 1
    return np.where(at[:, None] < 0, 0.0, said[np.maximum(at, 0), 1:])


def _ask(
    name: str, command: list[str], samples: NDArray[np.float32], rate_hz: int
) -> NDArray[np.float64]:
    if rate_hz != 16000:
        import samplerate

        samples = samplerate.resample(samples, rate_hz / 16000, "sinc_fastest")
    done = subprocess.run(
        command, input=np.asarray(samples, "<f4").tobytes(), capture_output=True, check=False
    )
    if done.returncode:
        raise LipsyncError(f"{name} failed: {done.stderr.decode(errors='replace')[-300:]}")
    rows: Any = json.loads(done.stdout.splitlines()[-1])
    width = max((len(row) for row in rows), default=16)
    return np.array(rows or [[0.0] * width], np.float64)


def _node(name: str, cache: Path) -> tuple[list[str], int]:
    """Node, the peer's script beside its packages, and the sample rate that it wants."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise PeerMissing(f"{program} is not installed (apt-get install nodejs npm)")
    for path in SCRIPTS.iterdir():
        if path.suffix in (".mjs", ".json"):
            cache.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, cache / path.name)
    if not (cache / "node_modules/wawa-lipsync").is_dir():
        done = subprocess.run(["npm", "install", "--silent"], cwd=cache, capture_output=True,
                              check=False)  # fmt: skip
        if done.returncode:
            raise PeerMissing(f"npm install failed: {done.stderr.decode()[-200:]}")
    script = ["node", str(cache / f"{name}.mjs")]
    if name == "headaudio":
        where = cache / "node_modules/@met4citizen/headaudio/"
        return [*script, f"{where.as_uri()}/"], 16000
    return script, 48000


def _python(cache: Path) -> tuple[list[str], int]:
    home = cache / "pylipsync-env"
    python = home / "bin/python"
    if not (home / ".installed").exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(home)], check=False)
        pip = [str(python), "-m", "pip", "install", "--quiet", PYLIPSYNC]
        if made.returncode or subprocess.run(pip, check=False, capture_output=True).returncode:
            raise PeerMissing(f"{PYLIPSYNC} could not be installed")
        (home / ".installed").touch()
    return [str(python), str(SCRIPTS / "pylipsync_peer.py")], 16000
