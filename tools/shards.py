"""A set of clips on disk: one plain tar per film (WebDataset); same film, same bytes.

A shard per film can be resumed, compared and forgotten alone; tar is what every loader streams.
``SET/shards/KEY.tar`` begins with ``KEY.film.json`` (the film, and every piece of it that was
looked at, with the reasons for what was dropped), then three members per clip that was kept:

``CLIP.json``  where it is from, who speaks, when it begins, what was mended, figures of the gates
``CLIP.npz``   ``lm`` (n, m, 3) landmarks in pixels, ``idx`` (m,), ``bs`` (n, 52) axes, ``names``,
               ``mat`` (n, 4, 4) head poses, ``fps``, ``measures`` (n, k), ``measure_names``
``CLIP.flac``  16 kHz mono; the centre of frame i is (i + 0.5) / fps after the first sample
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError
from lipsync_tools import grid
from lipsync_tools.lips import bridged

FOLDER = "shards"
FILM = ".film.json"
RATE_HZ = 16000
Member = tuple[str, bytes]


def json_bytes(told: Any) -> bytes:
    """JSON with sorted keys, the same for the same content."""
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def npz_bytes(arrays: dict[str, Any]) -> bytes:
    """A compressed npz; NumPy dates its members 1980, so equal arrays give equal bytes."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def flac_bytes(samples: NDArray[np.int16]) -> bytes:
    """FLAC of mono samples at 16 kHz."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def write_tar(path: Path, members: Sequence[Member]) -> None:
    """Write names and contents in this order; a crash leaves no shard or a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)  # no date, no owner
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    part.replace(path)


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a set, in order of names."""
    return sorted((folder / FOLDER).glob("*.tar"))


def read_film(path: Path) -> dict[str, Any]:
    """The film's record of a shard. Raises LipsyncError when it has none."""
    try:
        with tarfile.open(path) as tar:
            first = tar.next()
            file = tar.extractfile(first) if first and first.name.endswith(FILM) else None
            told = json.load(file) if file else None
    except (OSError, tarfile.TarError, ValueError) as error:
        raise LipsyncError(f"{path}: cannot be read ({error}).", _AGAIN) from error
    if not isinstance(told, dict):
        raise LipsyncError(f"{path}: this is no shard of lipsync-tools extract.", _AGAIN)
    return told


_AGAIN = "Remove the file and run extract again."


def read_members(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each clip's stem and its members by ending ("json", "npz", "flac")."""
    with tarfile.open(path) as tar:
        stem, members = "", dict[str, bytes]()
        for info in tar:
            name, _, ending = info.name.partition(".")
            if ending == FILM[1:]:
                continue
            if name != stem and members:
                yield stem, members
                members = {}
            file = tar.extractfile(info)
            stem, members[ending] = name, file.read() if file else b""
        if members:
            yield stem, members


def read_set(folder: Path) -> list[grid.Clip]:
    """All clips of a set, in a fixed order; also of a folder laid out as ``grid`` reads it.

    Speakers keep their names, unless two sources of the set use one name: then SOURCE/SPEAKER.
    Raises LipsyncError where there are none.
    """
    if (folder / "grid/tracks").is_dir():
        speakers = sorted(path.name for path in (folder / "grid/tracks").iterdir())
        return [clip for speaker in speakers for clip in grid.read_clips(folder, speaker)]
    double = _double_names(folder)
    clips = [clip for path in shard_paths(folder) for clip in _read_clips(path, double)]
    if not clips:
        raise LipsyncError(
            f"{folder}: there are no clips in it.", "lipsync-tools extract makes a set of films."
        )
    return clips


def _double_names(folder: Path) -> set[str]:
    """Names of speakers that more than one source uses."""
    of: dict[str, set[str]] = {}
    for path in shard_paths(folder):
        film = read_film(path)
        of.setdefault(film["speaker"], set()).add(film["source"])
    return {speaker for speaker, used in of.items() if len(used) > 1}


def _read_clips(path: Path, double: set[str]) -> Iterator[grid.Clip]:
    import soundfile

    for stem, members in read_members(path):
        told = json.loads(members["json"])
        with np.load(io.BytesIO(members["npz"]), allow_pickle=False) as track:
            columns = [track["measure_names"].tolist().index(name) for name in grid.MEASURES]
            measures = track["measures"][:, columns].astype(np.float64)
            fps = float(track["fps"])
        samples, _ = soundfile.read(io.BytesIO(members["flac"]), dtype="float32")
        speaker = told["speaker"]
        if speaker in double:
            speaker = f"{told['source']}/{speaker}"
        yield grid.Clip(speaker, stem, samples, bridged(measures), fps, [])


def contents(folder: Path) -> dict[str, dict[str, Any]]:
    """By source: speakers (sorted names), clips (a count) and minutes that a set holds."""
    if (folder / "grid/tracks").is_dir():
        names = sorted(path.name for path in (folder / "grid/tracks").iterdir())
        n = sum(1 for _ in (folder / "grid/tracks").glob("*/*.npz"))
        return {"grid": {"speakers": names, "clips": n, "minutes": round(n * 3.0 / 60, 2)}}
    out: dict[str, dict[str, Any]] = {}
    for path in shard_paths(folder):
        film = read_film(path)
        kept = [clip for clip in film["clips"] if clip["kept"]]
        empty: dict[str, Any] = {"speakers": [], "clips": 0, "minutes": 0.0}
        count = out.setdefault(film["source"], empty)
        if kept:
            count["speakers"] = sorted({*count["speakers"], film["speaker"]})
        count["clips"] += len(kept)
        count["minutes"] += sum(clip["duration_s"] for clip in kept) / 60
    for count in out.values():
        count["minutes"] = round(count["minutes"], 2)
    return out
