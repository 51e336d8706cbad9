"""Cases in which somebody asks too much of the head, or it has crashed too often."""

from __future__ import annotations

import json
import math
import random
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lipsync_edge import config
from lipsync_edge.client import Client
from lipsync_edge.errors import ControlError
from lipsync_tools.drill.record import STILL_S, Outputs, first_on_s
from lipsync_tools.drill.stage import SEEN_OFF_S, Finding, Stage

N_REQUESTS = 10_000
N_GARBAGE = 300  # lines, of up to 4 kB
FLOOD_S = 60.0
"""So long it is tried to send all of them; a socket that takes nothing ends the flood."""
LESS_US = 1500.0
"""A new limit of the jaw: a quarter of its way."""
SLEWED_S = 1.0  # by then it is there


def reload_broken(stage: Stage) -> Finding:
    """A config that is no YAML and one beyond a limit are reloaded: refused in words; mended, it is
    taken over, as the pulses show."""
    finding = Finding()
    stage.prepare()
    stage.start()
    begun_s = stage.clock.now()
    good = stage.config.read_text()
    place = f"{stage.config}:{good.count(chr(10)) + 1}: "
    at_s = stage.clock.now()
    stage.config.write_text(good + "motion: {rate_hz: fast\n")
    refused = _reload(stage)
    stage.pause(2.0)
    stage.config.write_text(good + "motion: {idle_s: -1}\n")
    beyond = _reload(stage)
    stage.pause(2.0)
    stage.config.write_text(good + f"servos: {{jaw: {{max_us: {LESS_US:.0f}}}}}\n")
    taken_s = stage.clock.now()
    accepted = _reload(stage)
    stage.pause(SLEWED_S + 3.0)
    end_s = stage.clock.now()
    stage.pause(0.3)  # the ear is a little behind
    story = stage.tell(finding, at_s, end_s)
    finding.log = f"answer: {beyond.splitlines()[0]}" if beyond else "nothing"
    finding.must(str(stage.config) in refused, f"the answer to the mistake was {refused!r}")
    told = beyond.startswith(f"{place}motion.idle_s: -1 ") and "0.5 to 3600 s" in beyond
    finding.must(told, f"the answer to a value beyond its limit was {beyond!r}")
    finding.must(not accepted, f"the mended config was refused: {accepted}")
    _must_move_less(stage, finding, begun_s, taken_s)
    finding.must(math.isinf(story.off_s) and story.held_s < STILL_S, "the mouth stood still")
    finding.must(stage.gap(finding, at_s, end_s) < stage.world.small_gap_s, "the sound had a gap")
    finding.must(stage.restarts == 0, "it was started again")
    finding.normal = "at once, with the old config"
    stage.finish(finding)
    return finding


def _must_move_less(stage: Stage, finding: Finding, begun_s: float, taken_s: float) -> None:
    """The new limit of the jaw holds since it was taken, and did not before."""
    with Client(str(_socket(stage))) as head:
        (jaw,) = (servo for servo in head.describe()["servos"] if servo["name"] == "jaw")
    finding.must(jaw["max_us"] == LESS_US, f"it says that the jaw goes up to {jaw['max_us']} us")
    less, moments = Outputs(config.load(stage.config).head), stage.board.moments.copy()
    before = [m for m in moments if begun_s < m.at_s < taken_s]
    after = [m for m in moments if m.at_s > taken_s + SLEWED_S]
    finding.must(bool(less.outside(before)), "the jaw never went so far: this shows nothing")
    finding.must(bool(after) and not less.outside(after), "the jaw goes on beyond its new limit")


def _reload(stage: Stage) -> str:
    """Why it was refused; empty: it was not."""
    try:
        with Client(str(_socket(stage))) as head:
            head.reload()
    except ControlError as error:
        return str(error)
    return ""


def _socket(stage: Stage) -> Path:
    return stage.service.runtime / "control.sock"


def flooded(stage: Stage) -> Finding:
    """Garbage, and 10,000 requests as fast as they go, half of them over many connections."""
    finding = Finding()
    stage.prepare()
    stage.start()
    before_kb = _rss_kb(stage.life().pid)
    at_s = stage.clock.now()
    goes_on = _until(stage, FLOOD_S)
    n_sent = _garbage(_socket(stage), goes_on) + _requests(_socket(stage), goes_on)
    answered_s = _asked(stage)
    end_s = stage.clock.now()
    story = stage.tell(finding, at_s, end_s)
    grown_kb = _rss_kb(stage.life().pid) - before_kb
    finding.normal = f"answers {1e3 * answered_s:.0f} ms after the flood of {end_s - at_s:.1f} s"
    finding.must(n_sent >= N_REQUESTS + N_GARBAGE, f"only {n_sent} lines could be sent")
    finding.must(answered_s < 2.0, "it does not answer any more")
    finding.must(math.isinf(story.off_s) and story.held_s < STILL_S, "the mouth stood still")
    finding.must(stage.gap(finding, at_s, end_s) < stage.world.sound_gap_s, "the sound had a gap")
    finding.must(grown_kb < 8192, f"its memory grew by {grown_kb} kB")
    finding.must(stage.restarts == 0, "it was started again")
    stage.finish(finding)
    return finding


def _until(stage: Stage, seconds: float) -> Callable[[], bool]:
    """Says for so long that there is time."""
    end_s = stage.clock.now() + seconds
    return lambda: stage.clock.now() < end_s


def _garbage(path: Path, goes_on: Callable[[], bool]) -> int:
    """Lines that are no requests, and one that never ends; how many were sent."""
    dice, sent = random.Random(5), 0
    while sent < N_GARBAGE and goes_on():
        with suppress(OSError), _connected(path) as connection:
            while sent < N_GARBAGE:
                line = dice.randbytes(dice.randrange(1, 4096)).replace(b"\n", b"?")
                connection.sendall(line + b"\n")
                sent += 1
    with suppress(OSError), _connected(path) as connection:
        connection.sendall(b"?" * 1_000_000)
    return sent


def _requests(path: Path, goes_on: Callable[[], bool]) -> int:
    """Requests that are right: half of them, 50 at a time, are left unread by who sent them; the
    others fill a connection until it takes no more. How many were sent."""
    line, sent = json.dumps({"v": 1, "cmd": "status"}).encode() + b"\n", 0
    while sent < N_REQUESTS // 2 and goes_on():
        with suppress(OSError), _connected(path) as connection:
            connection.sendall(line * 50)
            sent += 50
    connections = []
    while sent < N_REQUESTS and goes_on():
        with suppress(OSError):
            connections.append(_connected(path))
            for _ in range(N_REQUESTS // 20):
                connections[-1].sendall(line)
                sent += 1
    for connection in connections:
        connection.close()
    return sent


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(0.2)
    connection.connect(str(path))
    return connection


def _asked(stage: Stage) -> float:
    """Seconds until it answers a question again; infinite: it does not."""
    begun_s = stage.clock.now()

    def answers() -> bool:
        with suppress(ControlError, OSError), Client(str(_socket(stage)), 2.0) as head:
            return bool(head.status())
        return False

    return stage.clock.now() - begun_s if stage.wait(answers, 10.0) else math.inf


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def crashed_often(stage: Stage) -> Finding:
    """Three crashes in a row: the fourth start speaks without servos; a restart ends that."""
    finding = Finding()
    stage.prepare()
    stage.start()
    at_s = killed_s = stage.service.send(signal.SIGKILL)
    for n in (2, 3):
        _await_ready(stage, n)
        finding.must(_await_pulses(stage), "servos did not wake before it was killed again")
        killed_s = stage.service.send(signal.SIGKILL)
    _await_ready(stage, 4)
    life = stage.life()
    stage.wait(lambda: stage.ear.sounds_since(life.ready_s) < math.inf)
    stage.pause(2.0)
    finding.must(stage.ear.sounds_since(life.ready_s) < math.inf, "no sound in safe mode")
    told = [text for text in life.statuses if text.startswith("SAFE MODE")]
    finding.must(bool(told), "the status line does not tell of safe mode")
    with Client(str(_socket(stage))) as head:
        finding.must(bool(head.status()), "the control socket does not answer")
    again_s = stage.clock.now()
    stage.service.stop()
    stage.service.start()
    stage.again(finding, again_s, again_s)
    stage.tell(finding, at_s, life.ready_s)
    off_s = stage.off_s(killed_s)
    finding.must(off_s - killed_s <= SEEN_OFF_S, f"off {off_s - killed_s:.2f} s after a death")
    stage.stays_off(finding, off_s, stage.life().begun_s)
    off_ms = 1e3 * (off_s - killed_s)
    finding.pulses = f"off {off_ms:.0f} ms after the third death, until the restart by hand"
    finding.log = next((t for s, t in stage.service.lines if "safe mode" in t), "nothing")
    finding.sound = f"there again {life.ready_s - life.begun_s:.1f} s after the fourth start"
    finding.normal += " after a restart by hand"
    stage.finish(finding)
    return finding


def _await_ready(stage: Stage, n_lives: int) -> None:
    stage.wait(lambda: len(stage.service.lives) == n_lives and not math.isnan(stage.life().ready_s))


def _await_pulses(stage: Stage) -> bool:
    """Until the last start has woken its servos; False where it does not."""
    begun_s = stage.life().begun_s
    came = stage.wait(lambda: first_on_s(stage.board.moments.copy(), begun_s) < math.inf)
    stage.pause(0.5)
    return came
