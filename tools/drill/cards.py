"""Cases in which the sound cards fail: at a real sound server."""

from __future__ import annotations

import math

from lipsync_tools.drill.stage import Finding, Stage
from lipsync_tools.soundserver import RATE_HZ

AWAY_S = 3.0


def unplugged(stage: Stage, name: str, rate_hz: int = RATE_HZ) -> Finding:
    """A card goes away and comes back, perhaps at another rate; then all is as before."""
    finding = Finding()
    cards = stage.world.cards
    stage.prepare()
    stage.start()
    at_s = stage.clock.now()
    cards.unplug(name)
    try:
        stage.pause(AWAY_S)
    finally:
        cards.plug(name, rate_hz)
    back_s = stage.clock.now()
    try:
        spoken_s = stage.again(finding, back_s, at_s)
        stage.tell(finding, at_s, spoken_s + 0.3)
        told = [s for s in stage.life(0).statuses if s.startswith("waiting for the sound device")]
        finding.must(bool(told), "the status line did not tell of it")
        finding.must(math.isfinite(spoken_s), "no sound")
        finding.must(spoken_s - back_s < 5.0, "it took longer than 5 s")
        finding.must(stage.restarts == 0, "it was started again")
        stage.finish(finding)
    finally:
        if rate_hz != RATE_HZ:
            cards.unplug(name)
            cards.plug(name)
    return finding
