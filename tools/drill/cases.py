"""All cases of the drill: what goes wrong, what is expected, and who tries it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from lipsync_tools.drill import asked, cards, deaths, files, virtual, wires
from lipsync_tools.drill.stage import Finding, Stage

ORDERLY = "to neutral, outputs off, exit 0; stays ended"
CRASH = "outputs off within 300 ms and until the new start, which comes by itself"
HELD = "the board holds its last pulses: nobody can reach it; the sound goes on; then set up anew"
STALLED = "the board holds its last pulses; the sound goes on; then goes on by itself"
CUT = "/OE cuts the pulses within 0.4 s; the sound goes on; then set up anew"
WAITS = (
    "waits for it, at rest (neutral within 1.5 s, off after idle_s); goes on within 5 s of its "
    "return"
)


@dataclass(frozen=True)
class Case:
    """``name`` for the command line, ``fault`` and ``expected`` for the table."""

    name: str
    fault: str
    expected: str
    run: Callable[[Stage], Finding]


def all_cases(hour: virtual.Background | None) -> tuple[Case, ...]:
    """The cases in the order of the table. ``hour``: the silence that goes on meanwhile."""

    def silent_hour(stage: Stage) -> Finding:
        return virtual.silent_hour(stage, hour or virtual.Background("silence", virtual.HOUR_S))

    return (*_deaths(), *_wires(), *_rest(silent_hour))


def _deaths() -> tuple[Case, ...]:
    """Nothing, signals and errors."""
    return (
        Case("quiet", "none, for 10 s", "speaks; shows what this computer does by itself",
             deaths.quiet),
        Case("sigterm", "SIGTERM", ORDERLY, lambda s: deaths.stopped(s, signal.SIGTERM)),
        Case("sigint", "SIGINT", ORDERLY, lambda s: deaths.stopped(s, signal.SIGINT)),
        Case("sigkill", "SIGKILL", CRASH, deaths.killed),
        Case("sigsegv", "a crash in C code (SIGSEGV)", CRASH,
             lambda s: deaths.killed(s, signal.SIGSEGV)),
        Case("sigstop", "SIGSTOP for 5 s", "goes on, or off and a new start by the watchdog",
             lambda s: deaths.frozen(s, 5.0)),
        Case("sigstop-long", "SIGSTOP for 15 s", "off and a new start by the watchdog",
             lambda s: deaths.frozen(s, 15.0)),
        *(Case(f"crash-{thread}", f"an error in {what}", CRASH,
               lambda s, thread=thread: deaths.crashed(s, thread))
          for thread, what in (("analyzer", "the analyzer"), ("mover", "the mover"),
                               ("sound", "the audio callback"), ("log", "the log's thread"),
                               ("control", "the control socket's thread"),
                               ("input", "the thread that follows the recording card"),
                               ("speech", "the thread that speaks files"),
                               ("state", "the thread that keeps the state"),
                               ("main", "the main thread"))),
        Case("crash-feeder", "an error in the feeder (a file as source)", CRASH,
             deaths.feeder_crashed),
        Case("crash-recording", "an error in the recording card's callback",
             "the card is opened anew within 5 s; all else goes on", cards.recorder_failed),
        Case("crash-often", "3 crashes in a row",
             "safe mode: servos off, sound and socket up, until a restart by hand",
             asked.crashed_often),
    )  # fmt: skip


def _wires() -> tuple[Case, ...]:
    """The bus, the board, the supply."""
    return (
        Case("nack-once", "I2C: one NACK", "tried again, nothing to be seen",
             wires.one_refused),
        Case("nack-1s", "I2C: no answer for 1 s", HELD, lambda s: wires.no_answer(s, 1.0)),
        Case("nack-10s", "I2C: no answer for 10 s", HELD, lambda s: wires.no_answer(s, 10.0)),
        Case("nack-10s-oe", "the same, /OE wired", CUT, lambda s: wires.no_answer(s, 10.0, True)),
        Case("nack-ever", "I2C: no answer any more, then a stop",
             "says that the servos' power must be cut", lambda s: wires.cut_off(s, False)),
        Case("nack-ever-oe", "the same, /OE wired", "/OE cuts the pulses within 0.4 s",
             lambda s: wires.cut_off(s, True)),
        Case("stall", "I2C: held low for 3 s", STALLED, lambda s: wires.held_low(s, 3.0, False)),
        Case("stall-oe", "the same, /OE wired", CUT, lambda s: wires.held_low(s, 3.0, True)),
        Case("stuck-oe", "I2C: a transaction that takes 12 s, /OE wired",
             "/OE cuts the pulses within 0.4 s; a new start, by itself or by the watchdog",
             lambda s: wires.held_low(s, 12.0, True, kernel=False)),
        Case("board-reset", "the board resets (a dip of its power)",
             "looked at each second: set up anew within 1.5 s; the sound goes on", wires.forgot),
        Case("board-dead", "the board has no power for 2 s",
             "set up anew within 1.5 s of its return; the sound goes on",
             lambda s: wires.forgot(s, 2.0)),
        Case("supply", "under-voltage of the Pi", "moves half as far, until 10 s after it",
             wires.weak_supply),
    )  # fmt: skip


def _rest(silent_hour: Callable[[Stage], Finding]) -> tuple[Case, ...]:
    """The model, the cards, the disk, what is asked."""
    return (
        Case("model-spoiled", "the model's file is overwritten, then cut in half",
             "goes on; a start refuses it in words; speaks when it is whole", files.model_spoiled),
        Case("model-replaced", "another model takes its place",
             "goes on; the next start uses it", files.model_replaced),
        Case("input-gone", "the input card goes and comes back", WAITS,
             lambda s: cards.unplugged(s, "mic")),
        Case("output-gone", "the output card goes and comes back", WAITS,
             lambda s: cards.unplugged(s, "speaker")),
        Case("both-gone", "both cards go; the output comes back, 8 s later the input",
             "waits for both, at rest (neutral within 1.5 s, off after idle_s), and says so; goes "
             "on within 8 s of the second return", cards.both_unplugged),
        Case("input-rate", "the input card comes back and knows 16 kHz alone",
             f"{WAITS}, at that rate", lambda s: cards.slower_input(s, 16_000)),
        Case("output-rate", "the output card comes back and knows 44.1 kHz alone, for a while",
             "a running head plays at one rate: waits, at rest, until the card takes that again",
             lambda s: cards.slower_output(s, 44_100)),
        Case("drift", "input clock +-300 ppm off for 30 min (virtual time)",
             "delay within 1 ms, no click", virtual.drift),
        Case("silence", "silence for an hour (virtual time)",
             "released after idle_s, and stays so; the next word as after 20 s", silent_hour),
        Case("disk-full", "no room for state, then SIGKILL", "one warning; starts and speaks",
             files.disk_full),
        Case("disk-slow", "the disk takes 10 s to write the state",
             "nothing to be seen, but the pose that is held for 4 s", files.disk_slow),
        Case("disk-read-only", "the state's folder becomes read-only, then SIGKILL",
             "one warning; starts and speaks", files.disk_read_only),
        Case("reload-broken", "a config that is no YAML is reloaded, and one beyond a limit",
             "refused by file, line and limit, the old one stays; mended, its limits hold",
             asked.reload_broken),
        Case("clock", "the time of day jumps by +1 h and by -2 h", "nothing to be seen",
             files.clock_stepped),
        Case("power-cut", f"{virtual.N_CUTS} cuts each in writes of state and of config",
             "the old or the new file, whole; flushed in order", virtual.power_cuts),
        Case("flood", "the socket: garbage and 10,000 requests",
             "nothing to be seen; it answers", asked.flooded),
    )  # fmt: skip
