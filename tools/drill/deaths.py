"""Cases in which the robot dies, or is made to."""

from __future__ import annotations

import math
import signal
from contextlib import suppress
from typing import Any

from lipsync_tools.drill.record import STILL_S
from lipsync_tools.drill.stage import SEEN_OFF_S, Finding, Stage


def quiet(stage: Stage) -> Finding:
    """Nothing goes wrong for ten seconds: what the computer alone does to sound and pulses."""
    finding = Finding()
    stage.prepare()
    stage.start()
    at_s = stage.clock.now()
    stage.pause(10.0)
    story = stage.tell(finding, at_s, stage.clock.now())
    finding.normal = "does not apply"
    finding.must(math.isinf(story.off_s) and story.held_s < STILL_S, "the mouth stood still")
    stage.world.usual_gap_s = stage.gap(finding, at_s, stage.clock.now())
    finding.must(stage.world.usual_gap_s < 1.0, "too much else goes on here to judge")
    finding.must(finding.log == "nothing", f"the log says {finding.log}")
    stage.finish(finding)
    return finding


def stopped(stage: Stage, number: signal.Signals) -> Finding:
    """Asked to end: all in order, outputs off, and nobody starts it again."""
    finding = Finding()
    stage.prepare()
    stage.start()
    at_s = stage.service.send(number)
    stage.wait(lambda: stage.service.over)
    off_s, life = stage.off_s(at_s), stage.life()
    finding.pulses = f"to neutral, off after {1e3 * (off_s - at_s):.0f} ms"
    finding.must(off_s < life.ended_s, "outputs were not off at its end")
    finding.must(life.code == 0, f"exit code {life.code}")
    finding.must(stage.restarts == 0, "it was started again")
    gaps = stage.ear.gaps(at_s, life.ended_s + 0.3)
    finding.sound = f"ends {1e3 * (gaps[0][0] - at_s):.0f} ms after" if gaps else "did not end"
    finding.normal = f"ended after {life.ended_s - at_s:.1f} s"
    finding.log = stage.first_line(at_s) or "nothing"
    stage.finish(finding)
    return finding


def died(stage: Stage, at_s: float, seen_s: float = SEEN_OFF_S) -> Finding:
    """What a death at ``at_s`` leaves: off soon after it, and speaking again without help."""
    finding = Finding()
    stage.wait(lambda: not math.isnan(stage.life(0).ended_s))
    ended_s = stage.life(0).ended_s
    stage.wait(lambda: stage.off_s(at_s) < math.inf)
    off_s = stage.off_s(at_s)
    after_s = off_s - at_s
    finding.pulses = f"off after {1e3 * after_s:.0f} ms"
    finding.must(after_s <= seen_s, f"outputs on for {1e3 * after_s:.0f} ms")
    spoken_s = stage.again(finding, max(off_s, ended_s), at_s)
    stage.gap(finding, at_s, spoken_s + 0.3)
    finding.log = stage.first_line(at_s) or "nothing"
    finding.must(stage.restarts == 1, f"{stage.restarts} new starts, not 1")
    return finding


def killed(
    stage: Stage,
    number: signal.Signals = signal.SIGKILL,
    mischief: dict[str, Any] | None = None,
) -> Finding:
    """Nothing of ours runs after it but the guardian and ExecStopPost."""
    stage.prepare(mischief=mischief)
    stage.start()
    finding = died(stage, stage.service.send(number))
    stage.finish(finding)
    return finding


def frozen(stage: Stage, seconds: float) -> Finding:
    """SIGSTOP, and SIGCONT later: within the watchdog's time all goes on, after it a new start."""
    finding = Finding()
    stage.prepare()
    stage.start()
    at_s = stage.service.send(signal.SIGSTOP)
    watchdog_s = stage.service.unit.watchdog_s
    stage.pause(seconds)
    on_s = stage.clock.now()
    if math.isnan(stage.life(0).ended_s):
        with suppress(ProcessLookupError):  # the watchdog was quicker by a hair
            on_s = stage.service.send(signal.SIGCONT, life=0)
        stage.pause(0.5)
    if math.isnan(stage.life(0).ended_s):
        finding.pulses = f"stood still for {seconds:.0f} s, then went on"
        finding.must(seconds <= watchdog_s, "the watchdog did not see it")
    else:
        on_s = stage.wait_off_s(at_s)
        finding.pulses = f"stood still, off {on_s - at_s:.1f} s after"
        finding.must(on_s - at_s <= watchdog_s + SEEN_OFF_S, "off later than the watchdog's time")
    spoken_s = stage.again(finding, on_s, at_s)
    stage.gap(finding, at_s, spoken_s + 0.3)
    finding.log = stage.first_line(at_s) or "nothing"
    stage.finish(finding)
    return finding


def feeder_crashed(stage: Stage) -> Finding:
    """The feeder reads a file, so the head has to speak one."""
    words = ["--play", str(stage.world.cards.speech)]
    stage.prepare(mischief={"crash": "feeder", "after_s": 3.5, "words": words})
    return _crash(stage)


def crashed(stage: Stage, thread: str) -> Finding:
    """An error that nobody foresaw in one thread: outputs off, end, new start."""
    stage.prepare(mischief={"crash": thread, "after_s": 4.0})
    return _crash(stage)


def _crash(stage: Stage) -> Finding:
    stage.start()
    done = stage.folder / "done"
    stage.wait(lambda: done.exists() and bool(done.read_text()))
    at_s = float(done.read_text())
    finding = died(stage, at_s)
    stage.finish(finding)
    return finding
