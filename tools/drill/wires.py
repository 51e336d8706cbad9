"""Cases in which the board or its wires fail, while the robot lives."""

from __future__ import annotations

import math

from lipsync_edge.servos.pca9685 import CHECK_S
from lipsync_edge.supply import EASE_BEYOND_S, READ_S
from lipsync_tools.drill.record import STILL_S
from lipsync_tools.drill.stage import Finding, Stage

CUT_S = 0.4  # a look of the main thread after the mover has been silent for 0.2 s
WORDS_S = 5.0  # the speech begins anew after so long
MOST_LINES = 6
"""A trouble is told at once and after 10 s again, a second one beside it, and the end of each."""
SET_UP_S = CHECK_S + 0.5
"""A look at the board each second finds what it forgot; then its setup, on a busy computer."""
EASED_S = EASE_BEYOND_S - READ_S, EASE_BEYOND_S + READ_S + WORDS_S + 4.0
"""When moves are whole again after the supply is: seen at the next look, grown in a second or two,
and told by the widest move, which comes once in the speech."""


def no_answer(stage: Stage, seconds: float, wired: bool = False) -> Finding:
    """Nothing is acknowledged for a while, the chips go on."""
    finding = Finding()
    stage.prepare(wired=wired)
    stage.start()
    at_s = stage.board.order(lambda bus: bus.nack_for(seconds))
    stage.pause(seconds)
    spoken_s = stage.again(finding, at_s + seconds + 0.05, at_s)
    story = stage.tell(finding, at_s, spoken_s + 0.3)
    _undisturbed(stage, finding, at_s, spoken_s)
    finding.must(stage.is_on_at(at_s), "outputs were off before it: this shows nothing")
    finding.must(math.isfinite(story.on_s), "it was not set up anew")
    finding.must("does not answer" in finding.log, f"the log says {finding.log}")
    if wired:
        finding.must(story.off_s < CUT_S, f"off after {story.off_s:.1f} s")
        stage.stays_off(finding, at_s + story.off_s, at_s + seconds)
    stage.finish(finding)
    return finding


def one_refused(stage: Stage) -> Finding:
    """A single transaction is not acknowledged: tried again, and nobody notices."""
    finding = Finding()
    stage.prepare()
    stage.start()
    at_s = stage.board.order(lambda bus: bus.nack(1))
    stage.pause(2.0)
    stage.again(finding, at_s, at_s)
    story = stage.tell(finding, at_s, stage.clock.now())
    _undisturbed(stage, finding, at_s, stage.clock.now() - 0.3)
    refused = [m for m in stage.board.moments.copy() if m.at_s > at_s and not m.acknowledged]
    finding.must(len(refused) == 1, f"{len(refused)} transactions were refused, not 1")
    finding.must(math.isinf(story.off_s), "one refusal switched the mouth off")
    finding.must(story.held_s < STILL_S, f"the mouth stood still for {story.held_s:.1f} s")
    finding.must(finding.log == "nothing", f"the log says {finding.log}")
    stage.finish(finding)
    return finding


def _undisturbed(stage: Stage, finding: Finding, at_s: float, to_s: float) -> None:
    """Whatever the board does, the sound goes on, so does the program, and it says so in a few
    lines."""
    gap_s = stage.gap(finding, at_s, to_s + 0.3)
    finding.must(gap_s < stage.world.sound_gap_s, "the sound had a gap")
    finding.must(stage.restarts == 0, "it was started again")
    n_lines = len(stage.told(at_s, to_s + 0.3))
    finding.must(n_lines <= MOST_LINES, f"{n_lines} lines in the log")


def cut_off(stage: Stage, wired: bool) -> Finding:
    """The wire is off for good, and then the service is stopped: only /OE reaches the board."""
    finding = Finding()
    stage.prepare(wired=wired)
    stage.start()
    at_s = stage.board.order(lambda bus: bus.nack_for(3600.0))
    stage.pause(3.0)
    stop_s = stage.clock.now()
    stage.service.stop()
    life = stage.life()
    story = stage.tell(finding, at_s, stage.clock.now())
    finding.normal = f"ended {life.ended_s - stop_s:.1f} s after SIGTERM"
    finding.must(stage.is_on_at(at_s), "outputs were off before it: this shows nothing")
    if wired:
        finding.must(story.off_s < CUT_S, f"off after {story.off_s:.1f} s")
        stage.stays_off(finding, at_s + story.off_s)
    else:
        finding.pulses += ", to the end: nobody can reach them"
        said = " ".join(text for _, text in stage.service.lines)
        finding.must("Cut the" in said, "nobody was told to cut the power")
    stage.finish(finding, reachable=wired)
    return finding


def held_low(stage: Stage, seconds: float, wired: bool, kernel: bool = True) -> Finding:
    """Somebody holds the bus low: the kernel gives up after a second each, or never."""
    finding = Finding()
    stage.prepare(wired=wired)
    stage.start()
    at_s = stage.board.hold() if kernel else stage.board.hold(None)
    stage.pause(seconds)
    free_s = stage.board.release()
    spoken_s = stage.again(finding, free_s + 0.1, at_s)
    story = stage.tell(finding, at_s, spoken_s + 0.3)
    finding.must(stage.is_on_at(at_s), "outputs were off before it: this shows nothing")
    if wired:
        late = f"off after {story.off_s:.2f} s"
        finding.must(story.off_s <= CUT_S, late)
        stage.stays_off(finding, at_s + story.off_s, free_s)
    if kernel:
        _undisturbed(stage, finding, at_s, spoken_s)
    else:
        _started_anew(stage, finding)
    stage.finish(finding)
    return finding


def _started_anew(stage: Stage, finding: Finding) -> None:
    """A mover that hangs in the bus for good: the watchdog ends it all, or the robot does itself,
    whoever is first."""
    result = stage.life(0).result
    finding.must(stage.restarts == 1, f"{stage.restarts} new starts, not 1")
    finding.must(result in ("watchdog", "exit-code"), f"its first life ended by {result or 'no'}")
    by = "the watchdog" if result == "watchdog" else "the robot's own end"
    finding.normal += f", after a new start by {by}"


def forgot(stage: Stage, dead_s: float = 0.0) -> Finding:
    """The registers go back to power-on values; or the board has no power for a while."""
    finding = Finding()
    stage.prepare()
    stage.start()
    if dead_s:
        at_s = stage.board.order(lambda bus: bus.kill())
        stage.pause(dead_s)
        back_s = stage.board.order(lambda bus: bus.revive())
    else:
        at_s = back_s = stage.board.order(lambda bus: bus.reset())
    spoken_s = stage.again(finding, back_s, at_s)
    story = stage.tell(finding, at_s, spoken_s + 0.3)
    _undisturbed(stage, finding, at_s, spoken_s)
    finding.must(stage.is_on_at(at_s), "outputs were off before it: this shows nothing")
    pause_s = at_s + story.on_s - back_s
    finding.must(pause_s < SET_UP_S, f"set up {pause_s:.1f} s after it could be")
    finding.must(spoken_s - back_s < 4.0, "it took longer than 4 s")
    stage.finish(finding)
    return finding


def weak_supply(stage: Stage) -> Finding:
    """The kernel tells of under-voltage: the servos move less, until ten seconds after it."""
    finding = Finding()
    root = stage.folder / "sys"
    hwmon = root / "class/hwmon/hwmon0"
    hwmon.mkdir(parents=True)
    (hwmon / "name").write_text("rpi_volt\n")
    alarm = hwmon / "in0_lcrit_alarm"
    alarm.write_text("0\n")
    stage.prepare(mischief={"sys": str(root)})
    stage.start()
    begun_s = stage.clock.now()
    stage.pause(WORDS_S)
    usual_us = stage.travel_us(begun_s)
    at_s = stage.clock.now()
    alarm.write_text("1\n")
    stage.pause(WORDS_S + 3.5)  # it is read every 2 s, and moves shrink in 1 s
    eased_us = stage.travel_us(stage.clock.now() - WORDS_S)
    alarm.write_text("0\n")
    good_s = stage.clock.now()
    whole = stage.wait(lambda: stage.travel_us(stage.clock.now() - 1.0) > 0.9 * usual_us)
    whole_s = stage.clock.now() - good_s
    finding.normal = f"{whole_s:.0f} s after the supply was good again"
    finding.must(whole, "moves never were whole again")
    finding.must(EASED_S[0] < whole_s < EASED_S[1], f"moves were whole after {whole_s:.1f} s")
    stage.tell(finding, at_s, stage.clock.now())
    finding.pulses = f"went on, widest move {eased_us:.0f} in place of {usual_us:.0f} us"
    finding.must(0.3 < eased_us / usual_us < 0.65, "moves were not about halved")
    finding.must("under-voltage" in finding.log, f"the log says {finding.log}")
    stage.finish(finding)
    return finding
