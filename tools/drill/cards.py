"""Cases in which the sound cards fail: at a real sound server."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from lipsync_tools.drill import preload, record
from lipsync_tools.drill.stage import Finding, Stage
from lipsync_tools.soundserver import RATE_HZ

AWAY_S = 8.0  # longer than idle_s, after which a head at rest lets its servos go
REST_S = 1.5
"""By then the last sound was heard, its pose held and eased to neutral (330 ms by default)."""
RETURN_S = 5.0
REOPENED_S = 8.0
"""The same where the sound server is there already: else it takes two seconds of its own first."""
WAITING = "waiting for the sound device"


def unplugged(stage: Stage, name: str) -> Finding:
    """A card goes away and comes back; then all is as before."""
    stage.prepare()
    return _away(stage, name)


def both_unplugged(stage: Stage) -> Finding:
    """Both cards go, as with a hub; the playing one comes back, the other one long after it."""
    finding, cards = Finding(), stage.world.cards
    stage.prepare()
    stage.start()
    at_s = stage.clock.now()
    cards.unplug("mic")
    cards.unplug("speaker")
    gone_s = stage.clock.now()
    try:
        stage.pause(3.0)
        cards.plug("speaker")
        stage.pause(AWAY_S)
        told = stage.life(0).statuses[-1]
        finding.must(told.startswith(WAITING), f"its status is: {told}")
    finally:
        plug_s = stage.clock.now()
        cards.plug("mic")
    _must_rest(stage, finding, at_s, gone_s + REST_S, plug_s)
    _must_return(stage, finding, at_s, stage.clock.now(), REOPENED_S)
    stage.finish(finding)
    return finding


def slower_input(stage: Stage, rate_hz: int) -> Finding:
    """The recording card comes back and knows one rate, another one: it is opened at that."""
    rates = _one_rate(stage)
    cards = stage.world.cards
    try:
        finding = _away(stage, "mic", rate_hz, lambda: _limit(rates, "mic", rate_hz))
    finally:
        cards.unplug("mic")
        cards.plug("mic")
    return finding


def slower_output(stage: Stage, rate_hz: int) -> Finding:
    """The playing card comes back and knows one rate, another one: not while a head runs."""
    rates = _one_rate(stage)
    finding, cards = Finding(), stage.world.cards
    stage.start()
    at_s = stage.clock.now()
    _limit(rates, "speaker", rate_hz)
    cards.unplug("speaker")
    try:
        cards.plug("speaker", rate_hz)
        there_s = stage.clock.now()
        stage.pause(AWAY_S)
        able_s = stage.clock.now()
        _must_rest(stage, finding, at_s, there_s + REST_S, able_s)
        finding.must(math.isinf(stage.ear.sounds_since(there_s)), "it speaks at a rate not its own")
        finding.must(stage.life().statuses[-1].startswith(WAITING), "its status is another one")
        (rates / "speaker").unlink()
        _must_return(stage, finding, at_s, able_s, REOPENED_S)
        stage.finish(finding)
    finally:
        cards.unplug("speaker")
        cards.plug("speaker")
    return finding


def recorder_failed(stage: Stage) -> Finding:
    """An error in the callback of the recording card: it is opened anew, all else goes on."""
    finding = Finding()
    stage.prepare(mischief={"crash": "recording"})
    stage.start()
    at_s = stage.trigger()
    # It is not opened before retry_s; until then what was recorded before is still spoken.
    _must_return(stage, finding, at_s, at_s + 1.0)
    told = " ".join(stage.life(0).statuses)
    finding.must(f"{WAITING} (the audio callback failed" in told, "the status did not tell why")
    stage.finish(finding)
    return finding


def _away(
    stage: Stage, name: str, rate_hz: int = RATE_HZ, meanwhile: Callable[[], None] | None = None
) -> Finding:
    """Unplug a card while it speaks; ``meanwhile`` happens before it is plugged in again."""
    finding, cards = Finding(), stage.world.cards
    stage.start()
    at_s = stage.clock.now()
    cards.unplug(name)
    gone_s = stage.clock.now()
    try:
        stage.pause(AWAY_S)
        if meanwhile:
            meanwhile()
    finally:
        plug_s = stage.clock.now()
        cards.plug(name, rate_hz)
    _must_rest(stage, finding, at_s, gone_s + REST_S, plug_s)
    _must_return(stage, finding, at_s, stage.clock.now())
    if rate_hz != RATE_HZ:
        taken = cards.mic.run("pactl", "list", "short", "source-outputs").splitlines()
        wanted = f" 1ch {rate_hz}Hz"
        ours = [line for line in taken if "protocol-native" in line and wanted in line]
        finding.must(bool(ours), f"nobody records with {rate_hz} Hz: {taken}")
    stage.finish(finding)
    return finding


def _must_rest(stage: Stage, finding: Finding, at_s: float, rest_s: float, to_s: float) -> None:
    """At neutral from a moment on, then off, as long as the card is away."""
    moments = stage.board.moments.copy()
    finding.must(stage.is_on_at(at_s), "outputs were off before it: this shows nothing")
    far_us = record.farthest_us(moments, rest_s, to_s, stage.outputs)
    finding.must(far_us <= record.NEUTRAL_US, f"a servo was {far_us:.0f} us away from neutral")
    off_s = stage.off_s(at_s)
    finding.must(off_s < to_s, "servos were not let go")
    stage.stays_off(finding, off_s, to_s)


def _must_return(
    stage: Stage, finding: Finding, at_s: float, back_s: float, within_s: float = RETURN_S
) -> None:
    """The card can be opened since ``back_s``: the same program speaks again soon."""
    spoken_s = stage.again(finding, back_s, at_s)
    stage.tell(finding, at_s, spoken_s + 0.3)
    told = [s for s in stage.life(0).statuses if s.startswith(WAITING)]
    finding.must(bool(told), "the status line did not tell of it")
    finding.must(spoken_s - back_s < within_s, f"it took longer than {within_s:.0f} s")
    finding.must(stage.restarts == 0, "it was started again")


def _one_rate(stage: Stage) -> Path:
    """Prepare a robot whose cards can be limited to one rate, see onerate.c; the folder for it."""
    rates = stage.folder / "rates"
    rates.mkdir()
    library = preload.built(stage.folder, "onerate")
    stage.prepare(environment={"LD_PRELOAD": str(library), "DRILL_RATES": str(rates)})
    return rates


def _limit(rates: Path, name: str, rate_hz: int) -> None:
    (rates / name).write_text(f"{rate_hz}\n")
