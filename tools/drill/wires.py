"""Cases in which the board or its wires fail, while the robot lives."""

from __future__ import annotations

import math

from lipsync_tools.drill.stage import Finding, Stage

CUT_S = 0.4  # a look of the main thread after the mover has been silent for 0.2 s
WORDS_S = 5.0  # the speech begins anew after so long


def no_answer(stage: Stage, seconds: float, wired: bool = False) -> Finding:
    """Nothing is acknowledged for a while, the chips go on; 0: a single transaction."""
    finding = Finding()
    stage.prepare(wired=wired)
    stage.start()
    if seconds:
        at_s = stage.board.order(lambda bus: bus.nack_for(seconds))
    else:
        at_s = stage.board.order(lambda bus: bus.nack(1))
    stage.pause(seconds)
    spoken_s = stage.again(finding, at_s + seconds + (0.05 if seconds else 0.0), at_s)
    story = stage.tell(finding, at_s, spoken_s + 0.3)
    finding.must(
        stage.gap(finding, at_s, spoken_s + 0.3) < stage.world.sound_gap_s, "the sound had a gap"
    )
    finding.must(stage.restarts == 0, "it was started again")
    if not seconds:
        finding.must(math.isinf(story.off_s), "one refusal switched the mouth off")
    else:
        finding.must(math.isfinite(story.on_s), "it was not set up anew")
        finding.must("does not answer" in finding.log, f"the log says {finding.log}")
    if wired:
        finding.must(story.off_s < CUT_S, f"off after {story.off_s:.1f} s")
    stage.finish(finding)
    return finding


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
    if wired:
        finding.must(story.off_s < CUT_S, f"off after {story.off_s:.1f} s")
    else:
        finding.pulses += ", to the end: nobody can reach them"
        said = " ".join(text for _, text in stage.service.lines)
        finding.must("Cut the" in said, "nobody was told to cut the power")
    finding.must(not stage.outputs.outside(stage.board.moments), "a pulse was outside limits")
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
    if wired:
        late = f"off after {story.off_s:.2f} s"
        finding.must(story.off_s <= CUT_S, late)
    if kernel:
        gap_s = stage.gap(finding, at_s, spoken_s + 0.3)
        finding.must(gap_s < stage.world.sound_gap_s, "the sound had a gap")
        finding.must(stage.restarts == 0, "it was started again")
    stage.finish(finding)
    return finding


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
    stage.tell(finding, at_s, spoken_s + 0.3)
    gap_s = stage.gap(finding, at_s, spoken_s + 0.3)
    finding.must(gap_s < stage.world.sound_gap_s, "the sound had a gap")
    finding.must(spoken_s - back_s < 4.0, "it took longer than 4 s")
    finding.must(stage.restarts == 0, "it was started again")
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
    stage.wait(lambda: stage.travel_us(stage.clock.now() - 1.0) > 0.9 * usual_us)
    finding.normal = f"{stage.clock.now() - good_s:.0f} s after the supply was good again"
    stage.tell(finding, at_s, stage.clock.now())
    finding.pulses = f"went on, widest move {eased_us:.0f} in place of {usual_us:.0f} us"
    finding.must(0.3 < eased_us / usual_us < 0.65, "moves were not about halved")
    finding.must("under-voltage" in finding.log, f"the log says {finding.log}")
    stage.finish(finding)
    return finding
