"""Cases in which the robot dies, or is made to."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lipsync_edge.engine import Mover
from lipsync_tools.drill import speech
from lipsync_tools.drill.board import Moment
from lipsync_tools.drill.record import NEUTRAL_US, OPEN_US, STILL_S, Outputs, last_pulses
from lipsync_tools.drill.sound import Ear
from lipsync_tools.drill.stage import SEEN_OFF_S, Finding, Stage

TOO_BUSY_S = 0.3  # a computer that has such gaps by itself cannot judge
OWN_GAP_S = 0.25
"""So much more than without a robot is still the computer's: a robot takes a part of it."""


def quiet(stage: Stage) -> Finding:
    """Nothing goes wrong for ten seconds: what the computer alone does to sound and pulses."""
    finding, cards = Finding(), stage.world.cards
    alone_s = _gap_alone(stage)
    stage.prepare()
    stage.start()
    stage.ear.keep()
    at_s = stage.clock.now()
    stage.pause(10.0)
    end_s = stage.clock.now()
    stage.pause(0.3)  # the ear is a little behind
    story = stage.tell(finding, at_s, end_s)
    finding.normal = "does not apply"
    finding.must(math.isinf(story.off_s) and story.held_s < STILL_S, "the mouth stood still")
    gap_s = stage.world.usual_gap_s = stage.gap(finding, at_s, end_s)
    finding.must(alone_s < TOO_BUSY_S, f"a gap of {alone_s:.2f} s without a robot: too busy here")
    finding.must(
        gap_s <= alone_s + OWN_GAP_S, f"a gap of {gap_s:.2f} s, {alone_s:.2f} s without it"
    )
    wrong = speech.compare(stage.ear.kept(), speech.read(cards.speech)).wrong
    finding.must(not wrong, wrong)
    finding.must(finding.log == "nothing", f"the log says {finding.log}")
    stage.finish(finding)
    return finding


def _gap_alone(stage: Stage) -> float:
    """The longest gap in the speech, played for six seconds without a robot."""
    cards, begun_s = stage.world.cards, stage.clock.now()
    with Ear(cards.speaker) as ear, cards.spoken():
        if not stage.wait(lambda: ear.sounds_since(begun_s) < math.inf):
            raise RuntimeError("the speech cannot be heard without a robot either")
        stage.pause(1.0)
        at_s = stage.clock.now()
        stage.pause(6.0)
        gaps = ear.gaps(at_s, stage.clock.now() - 0.3)
    return max((b - a for a, b in gaps), default=0.0)


def stopped(stage: Stage, number: signal.Signals) -> Finding:
    """Asked to end: all in order, outputs off, and nobody starts it again."""
    finding = Finding()
    stage.prepare()
    stage.start()
    at_s = stage.service.send(number)
    stage.wait(lambda: stage.service.over)
    off_s, life = stage.off_s(at_s), stage.life()
    finding.must(stage.is_on_at(at_s), "outputs were off before it: this shows nothing")
    finding.must(off_s < life.ended_s, "outputs were not off at its end")
    finding.must(life.code == 0, f"exit code {life.code}")
    finding.must(stage.restarts == 0, "it was started again")
    gaps = stage.ear.gaps(at_s, life.ended_s + 0.3)
    finding.sound = f"ends {1e3 * (gaps[0][0] - at_s):.0f} ms after" if gaps else "did not end"
    finding.normal = f"ended after {life.ended_s - at_s:.1f} s"
    finding.log = stage.first_line(at_s) or "nothing"
    stage.finish(finding)
    moments = stage.board.moments.copy()
    finding.pulses = parked(finding, moments, at_s, off_s, stage.outputs)
    stage.stays_off(finding, off_s)
    return finding


def parked(
    finding: Finding, moments: Sequence[Moment], at_s: float, off_s: float, outputs: Outputs
) -> str:
    """Where the servos stood when their outputs went off, for the table. The robot gives them
    ``PARK_S`` to get to neutral; a busy computer may take some of that away."""
    last = last_pulses(moments, off_s)
    away_us = outputs.reach_us(last) if last else math.inf
    allowed_us = NEUTRAL_US if off_s - at_s < Mover.PARK_S else OPEN_US
    finding.must(away_us <= allowed_us, f"off {away_us:.0f} us away from neutral")
    place = "neutral" if away_us <= NEUTRAL_US else f"{away_us:.0f} us from neutral"
    return f"to {place}, off after {1e3 * (off_s - at_s):.0f} ms"


def died(stage: Stage, at_s: float, seen_s: float = SEEN_OFF_S) -> Finding:
    """What a death at ``at_s`` leaves: off soon after it, and speaking again without help."""
    finding = Finding()
    stage.wait(lambda: not math.isnan(stage.life(0).ended_s))
    ended_s = stage.life(0).ended_s
    off_s = stage.wait_off_s(at_s)
    after_s = off_s - at_s
    finding.pulses = f"off after {1e3 * after_s:.0f} ms, until the new start"
    finding.must(after_s <= seen_s, f"outputs on for {1e3 * after_s:.0f} ms")
    spoken_s = stage.again(finding, max(off_s, ended_s), at_s)
    stage.off_between(finding, at_s)
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
    ended = not math.isnan(stage.life(0).ended_s)
    if ended:
        on_s = stage.wait_off_s(at_s)
        finding.pulses = f"stood still, off {on_s - at_s:.1f} s after, until the new start"
        finding.must(on_s - at_s <= watchdog_s + SEEN_OFF_S, "off later than the watchdog's time")
        finding.must(stage.life(0).result == "watchdog", f"it ended by {stage.life(0).result}")
    else:
        finding.pulses = f"stood still for {seconds:.0f} s, then went on"
        finding.must(seconds <= watchdog_s, "the watchdog did not see it")
    spoken_s = stage.again(finding, on_s, at_s)
    if ended:
        stage.off_between(finding, at_s)
    finding.must(stage.restarts == int(ended), f"{stage.restarts} new starts, not {int(ended)}")
    stage.gap(finding, at_s, spoken_s + 0.3)
    finding.log = stage.first_line(at_s) or "nothing"
    stage.finish(finding)
    return finding


def feeder_crashed(stage: Stage) -> Finding:
    """The feeder reads a file, so the head has to speak one."""
    return _crash(stage, {"crash": "feeder", "words": ["--play", str(stage.world.cards.speech)]})


def crashed(stage: Stage, thread: str) -> Finding:
    """An error that nobody foresaw in one thread: outputs off, end, new start."""
    return _crash(stage, {"crash": thread})


def _crash(stage: Stage, mischief: dict[str, Any]) -> Finding:
    stage.prepare(mischief=mischief)
    stage.start()
    finding = died(stage, stage.trigger())
    stage.finish(finding)
    return finding
