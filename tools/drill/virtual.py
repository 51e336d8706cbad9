"""Cases that need no robot in real time: an hour of silence, two clocks that differ, cuts of power.

They run as processes of their own, beside the others, and print JSON.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

from lipsync_tools.drill.drift import CARDS
from lipsync_tools.drill.stage import Finding, NotThere, Stage

HOUR_S, SHORT_S = 3600, 20
TICK_S = 0.02
REST_S = 1.0  # the last word is heard after the look-ahead, then the mouth eases to neutral
N_CUTS = 50
DRIFT_PPM = 300.0
CLICK = 20.0
"""LSB of 16 bits: rounding alone makes 4; a sample that is lost or said twice makes 1500."""


class Background:
    """A module of the drill that works while other cases run. It begins when it is made."""

    def __init__(self, module: str, *words: object) -> None:
        self._process = subprocess.Popen(
            ("nice", sys.executable, "-m", f"lipsync_tools.drill.{module}", *map(str, words)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def result(self, stage: Stage) -> dict[str, Any]:
        """What it printed. RuntimeError where it failed or takes more than ten minutes."""
        if not stage.wait(lambda: self._process.poll() is not None, 600.0):
            self.stop()
        out, err = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError((err.strip().splitlines() or ["it was stopped"])[-1])
        return dict(json.loads(out))

    def stop(self) -> None:
        """End it, where it goes on."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def silent_hour(stage: Stage, hour: Background) -> Finding:
    """An hour of digital silence: servos released, nothing grows, the next word as after 20 s."""
    short = Background("silence", SHORT_S).result(stage)
    return judge_silence(hour.result(stage), short)


def judge_silence(found: dict[str, Any], short: dict[str, Any]) -> Finding:
    """What ``silence`` printed of the hour, beside what it did of some seconds; null: never."""
    finding = Finding()
    off_s, again_s, usual_s = (
        math.inf if told is None else float(told)
        for told in (
            found["off_after_s"], found["spoke_again_after_s"], short["spoke_again_after_s"]
        )
    )  # fmt: skip
    late_s = again_s - usual_s if math.isfinite(usual_s) else math.inf
    grown_mb = found["rss_mb"] - short["rss_mb"]
    finding.pulses = f"off {off_s:.1f} s after the last word, none for an hour"
    finding.sound = f"{found['gaps']} gaps"
    finding.normal = f"{1e3 * late_s:.0f} ms later than after {SHORT_S} s of silence"
    finding.log = f"memory grew by {grown_mb:.1f} MB (the record of the pulses is in it)"
    latest_s = found["idle_s"] + REST_S
    finding.must(off_s <= latest_s, f"off {off_s:.1f} s after the last word, not {latest_s:.0f} s")
    finding.must(found["pulses_in_silence"] == 0, "pulses in silence")
    finding.must(found["outside"] == 0, "pulses outside limits")
    finding.must(found["gaps"] == 0, "the analyzer missed samples")
    finding.must(abs(late_s) < 2 * TICK_S, f"the next word came {1e3 * late_s:.0f} ms later")
    finding.must(grown_mb < 5.0, f"memory grew by {grown_mb:.1f} MB")
    return finding


def power_cuts(stage: Stage) -> Finding:
    """Fifty cuts at random moments while state is written, fifty while a config is."""
    finding = Finding()
    found = Background("powercut", stage.folder, N_CUTS).result(stage)
    finding.pulses = "does not apply"
    finding.sound = "does not apply"
    finding.normal = f"{found['writes']} writes, none lost, none half written"
    finding.log = "nothing"
    finding.wrong += found["wrong"]
    finding.must(found["rounds"] == N_CUTS, "not all cuts were made")
    return finding


def drift(stage: Stage) -> Finding:
    """The microphone's clock is 300 ppm off the speaker's for half an hour, fast and slow."""
    if not CARDS.exists():
        raise NotThere("adaptive resampling between two cards")
    finding = Finding()
    runs = [Background("drift", ppm) for ppm in (DRIFT_PPM, -DRIFT_PPM)]
    told = []
    for found in [run.result(stage) for run in runs]:
        finding.wrong += judge_drift(found)
        told.append(
            f"{found['ppm']:+.0f} ppm: delay within {found['delay_span_ms']:.2f} ms, worst click "
            f"{found['click']:.0f} LSB, noise {found['purity_db']:.0f} dB"
        )
    finding.sound = "; ".join(told)
    finding.pulses, finding.normal, finding.log = "does not apply", "at once", "nothing"
    return finding


def judge_drift(found: dict[str, Any]) -> list[str]:
    """What is wrong with what ``drift`` printed."""
    first_ms, last_ms = found["true_delays_ms"]
    moved_ms = max(found["delay_span_ms"], abs(last_ms - first_ms))
    verdicts = (
        (found["seconds"] >= 1790, "it was not heard to the end"),
        (moved_ms < 1.0, f"delay moved {moved_ms:.1f} ms"),
        (found["click"] < CLICK, f"a click of {found['click']:.0f} LSB"),
        (not found["jumps"], f"the delay was mended {found['jumps']} times by a jump"),
        (not found["underruns"], f"the speaker had to wait {found['underruns']} times"),
        (not found["lost"], f"{found['lost']} samples were lost"),
    )
    return [text for holds, text in verdicts if not holds]
