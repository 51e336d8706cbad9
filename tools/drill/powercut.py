"""Kills what writes state and config at random moments, and looks at what is left.

A killed process shows what the order of its writes leaves behind; what a disk may forget that lost
its power shows in what was flushed: before a file takes the place of the old one it must be on the
disk, and the folder after that. Both are looked at.

    python -m lipsync_tools.drill.powercut FOLDER [ROUNDS]    prints JSON
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipsync_edge import config
from lipsync_edge.rewrite import rewrite
from lipsync_edge.store import Store

LATEST_S = 0.02  # after the first write; a write takes a millisecond or two
Write = Callable[[int], None]


def write_state(folder: Path, n: int) -> None:
    """State as a head keeps it, with a number."""
    pose = {f"servo_{k}": 1000.0 + k for k in range(16)}
    Store(folder).save("pose", {**pose, "n": n})


def read_state(folder: Path) -> int:
    """The number in it; -1 where nothing can be read."""
    return int((Store(folder).load("pose") or {"n": -1})["n"])


def write_config(folder: Path, n: int) -> None:
    """A config as a calibration rewrites it."""
    change: dict[Any, str] = {("audio", "lookahead_ms"): str(n)}
    rewrite(folder / "config.yaml", change, show=lambda _: None)


def read_config(folder: Path) -> int:
    """The number in it. LipsyncError where it does not load."""
    return round(config.load(folder / "config.yaml").audio.lookahead_ms)


def cut(write: Write, first: int) -> int:
    """Write numbers from ``first`` on in a process of its own, and kill that at a random moment.

    Returns the last number whose write had ended.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            for n in range(first, first + 1_000_000):
                write(n)
                os.write(writer, b"%d\n" % n)
        finally:
            os._exit(1)
    os.close(writer)
    said = os.read(reader, 65536)
    select.select([], [], [], random.uniform(0, LATEST_S))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 65536):
        said += more
    os.close(reader)
    return int(said.split()[-1])


def flushed(write: Write) -> list[str]:
    """What one write leaves to the disk's good will; empty: nothing."""
    wrong, synced = [], {}
    fsync, replace = os.fsync, os.replace

    def noting_fsync(handle: int) -> None:
        synced[os.readlink(f"/proc/self/fd/{handle}")] = os.fstat(handle).st_size
        fsync(handle)

    def noting_replace(source: str | Path, target: str | Path) -> None:
        if synced.get(str(source)) != os.stat(source).st_size:
            wrong.append(f"{Path(target).name} is replaced by a file that is not on the disk yet")
        replace(source, target)
        synced.pop(str(Path(target).parent), None)
        renamed.append(str(Path(target).parent))

    renamed: list[str] = []
    os.fsync, os.replace = noting_fsync, noting_replace  # type: ignore[assignment]
    try:
        write(500)
    finally:
        os.fsync, os.replace = fsync, replace
    if not renamed:
        wrong.append("it does not replace the file in one step")
    wrong += [
        f"{Path(f).name}: the new name is not on the disk" for f in renamed if f not in synced
    ]
    return wrong


def drill(folder: Path, rounds: int) -> dict[str, Any]:
    """All of it; ``wrong`` lists what was lost or half written."""
    (folder / "config.yaml").write_text("audio:\n  lookahead_ms: 1  # how long\n")
    report: dict[str, Any] = {"rounds": rounds, "writes": 0, "wrong": []}
    for kind, write, read in (
        ("state", write_state, read_state),
        ("config", write_config, read_config),
    ):
        last = 1
        for _ in range(rounds):
            sure = cut(lambda n, write=write: write(folder, n % 2000), last)  # type: ignore[misc]
            found = read(folder)
            report["writes"] += sure - last + 1
            if found not in (sure % 2000, (sure + 1) % 2000):
                report["wrong"].append(f"{kind}: {found} where {sure} had been written")
            last = sure + 1
        at_risk = flushed(lambda n, write=write: write(folder, n))  # type: ignore[misc]
        report["wrong"] += [f"{kind}: {text}" for text in at_risk]
    report["wrong"] += [f"{path.name} was left" for path in folder.glob("*.bad")]
    return report


if __name__ == "__main__":
    print(json.dumps(drill(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50)))
