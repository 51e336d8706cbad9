"""Cases in which files go wrong: the model, the disk, the clock that dates them."""

from __future__ import annotations

import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lipsync_models
from lipsync_edge.client import Client
from lipsync_edge.store import Store
from lipsync_tools.drill import preload
from lipsync_tools.drill.record import STILL_S
from lipsync_tools.drill.stage import Finding, NotThere, Stage

WATCH_S = 3.0
SLOW_S = 10.0
BUNDLES = Path(next(iter(lipsync_models.__path__)))


def model_spoiled(stage: Stage) -> Finding:
    """The model's file is overwritten while it runs; no start succeeds until it is whole again."""
    finding = Finding()
    model, whole = _own_bundle(stage)
    at_s = stage.clock.now()
    with model.open("r+b") as file:
        file.write(os.urandom(len(whole)))
    stage.pause(WATCH_S)
    model.write_bytes(whole[: len(whole) // 2])
    stage.pause(WATCH_S)
    killed_s = _went_on(stage, finding, at_s)
    stage.wait(lambda: len(stage.service.lives) > 1 and stage.life(1).code is not None)
    finding.must(stage.life(1).code == 1, f"the next start ended with {stage.life(1).code}")
    finding.log = stage.first_line(stage.life(1).begun_s)
    mended_s = stage.clock.now()
    model.write_bytes(whole)
    stage.again(finding, mended_s, mended_s)
    finding.normal += " after it was whole again"
    finding.pulses += ", off while no start succeeds"
    stage.stays_off(finding, stage.off_between(finding, killed_s), mended_s)
    stage.finish(finding)
    return finding


def model_replaced(stage: Stage) -> Finding:
    """Another bundle takes the model's place while it runs: the next start uses that."""
    finding = Finding()
    model, _ = _own_bundle(stage)
    at_s = stage.clock.now()
    other = shutil.copytree(BUNDLES / "mouth-live", stage.folder / "other")
    os.rename(model.parent, stage.folder / "old")
    os.rename(other, model.parent)
    stage.pause(WATCH_S)
    killed_s = _went_on(stage, finding, at_s)
    finding.log = stage.first_line(at_s) or "nothing"
    stage.again(finding, stage.wait_off_s(killed_s), killed_s)
    stage.off_between(finding, killed_s)
    finding.normal += " after a kill, with the new model"
    stage.finish(finding)
    said = " ".join(text for _, text in stage.service.lines)
    finding.must("model mouth-live" in said, "the new start did not use the new model")
    return finding


def _own_bundle(stage: Stage) -> tuple[Path, bytes]:
    """Speak with a bundle of its own; its model's file, and what is in it."""
    folder = shutil.copytree(BUNDLES / "mouth", stage.folder / "bundle")
    stage.prepare({"model": {"bundle": str(folder)}})
    stage.start()
    return folder / "model.tflite", (folder / "model.tflite").read_bytes()


def _went_on(stage: Stage, finding: Finding, from_s: float) -> float:
    """Until now nobody noticed; then kill it. Returns when."""
    story = stage.tell(finding, from_s, stage.clock.now())
    finding.must(math.isinf(story.off_s) and story.held_s < STILL_S, "the mouth stood still")
    gap_s = stage.gap(finding, from_s, stage.clock.now())
    finding.must(gap_s < stage.world.sound_gap_s, "the sound had a gap")
    return stage.service.send(signal.SIGKILL)


def disk_full(stage: Stage) -> Finding:
    """No room where state is kept; killed, it starts and speaks all the same."""
    with _small_disk(stage) as folder:
        stage.prepare()
        stage.start()
        at_s = stage.clock.now()
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError as error:
                message = error.strerror or "full"
        finding = _without_disk(stage, at_s, message)
        filler.unlink()
        return _finish_with_disk(stage, finding)


def disk_read_only(stage: Stage) -> Finding:
    """The folder where state is kept becomes read-only, as a worn card does."""
    with _small_disk(stage) as folder:
        stage.prepare()
        stage.start()
        at_s = stage.clock.now()
        _mount("-o", "remount,ro", str(folder))
        finding = _without_disk(stage, at_s, "Read-only file system")
        _mount("-o", "remount,rw", str(folder))
        return _finish_with_disk(stage, finding)


def disk_slow(stage: Stage) -> Finding:
    """A card that is busy with something else takes seconds to flush: longer than a watchdog."""
    finding = Finding()
    stage.prepare(mischief={"slow_disk_s": SLOW_S})
    stage.start()
    (stage.folder / "now").touch()
    with Client(str(stage.service.runtime / "control.sock")) as head:
        head.pose("open", 4.0)  # what stands still is kept within seconds
    at_s = stage.trigger()
    stage.pause(SLOW_S + 1.0)
    end_s = stage.clock.now()
    story = stage.tell(finding, at_s, end_s - 0.3)
    finding.must(math.isinf(story.off_s), "outputs went off")
    finding.must(stage.spoken_s(end_s - SLOW_S / 2) < math.inf, "it does not move and speak")
    gap_s = stage.gap(finding, at_s, end_s - 0.3)
    finding.must(gap_s < stage.world.sound_gap_s, "the sound had a gap")
    finding.must(finding.log == "nothing", f"the log says {finding.log}")
    finding.must(stage.restarts == 0, "it was started again")
    finding.normal = "at once"
    stage.finish(finding)
    finding.must(Store(stage.service.state).load("pose") is not None, "no pose was kept")
    return finding


def _without_disk(stage: Stage, at_s: float, message: str) -> Finding:
    finding = Finding()
    stage.pause(WATCH_S)
    killed_s = _went_on(stage, finding, at_s)
    stage.again(finding, stage.wait_off_s(killed_s), killed_s)
    stage.off_between(finding, killed_s)
    finding.normal += " after a kill"
    wanted = f"cannot be written ({message})"
    said = [text for _, text in stage.service.lines if wanted in text]
    finding.log = said[0] if said else "nothing"
    finding.must(bool(said), "it did not tell that state cannot be written")
    per_life = math.ceil(len(said) / max(1, len(stage.service.lives)))
    finding.must(per_life <= 1, f"it told so {len(said)} times")
    return finding


def _finish_with_disk(stage: Stage, finding: Finding) -> Finding:
    stage.finish(finding)
    runs = Store(stage.service.state).load("runs")
    finding.must(runs is not None and runs["running"] is False, "its end was not written")
    return finding


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Path]:
    """A file system of 64 kB where the service keeps its state."""
    folder = stage.folder / "state"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=64k", "drill", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(("umount", "-l", str(folder)), check=False)


def _mount(*words: str) -> None:
    """NotThere where this user may not mount."""
    done = subprocess.run(("mount", *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotThere(f"needs the right to mount ({done.stderr.strip()})")


def clock_stepped(stage: Stage) -> Finding:
    """The time of day jumps an hour ahead, then two back, for the robot alone: see stepped.c."""
    finding, step = Finding(), stage.folder / "step"
    library = preload.built(stage.folder, "stepped")
    _set_step(step, 0.0)
    environment = {"LD_PRELOAD": str(library), "DRILL_STEP": str(step)}
    stage.prepare(environment=environment)
    stage.start()
    maps = Path(f"/proc/{stage.life().pid}/maps").read_text()
    finding.must(str(library) in maps, "the robot's clock was not ours to step")
    at_s = stage.clock.now()
    for seconds in (3600.0, -3600.0):
        _set_step(step, seconds)
        shown_s = float(_shown(environment)) - time.time()
        finding.must(abs(shown_s - seconds) < 10.0, f"the clock went {shown_s:.0f} s wrong")
        stage.pause(WATCH_S)
    story = stage.tell(finding, at_s, stage.clock.now())
    finding.must(math.isinf(story.off_s) and story.held_s < STILL_S, "the mouth stood still")
    gap_s = stage.gap(finding, at_s, stage.clock.now())
    finding.must(gap_s < stage.world.sound_gap_s, "the sound had a gap")
    finding.must(finding.log == "nothing", f"the log says {finding.log}")
    finding.must(stage.restarts == 0, "it was started again")
    finding.normal = "at once"
    stage.finish(finding)
    return finding


def _set_step(path: Path, seconds: float) -> None:
    """In place: the robot has the file mapped."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("d", seconds))


def _shown(environment: dict[str, str]) -> str:
    """The time of day that another program sees in this environment, in seconds."""
    command = (sys.executable, "-c", "import time; print(time.time())")
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    ).stdout
