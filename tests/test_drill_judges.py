"""What the drill's verdicts are made of, on records that nobody's robot made."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lipsync_edge import config
from lipsync_tools.drill import asked, cards, deaths, launch, record, speech, virtual, wires
from lipsync_tools.drill.board import Moment
from lipsync_tools.drill.cases import Case
from lipsync_tools.drill.report import BEGIN, END, FAILED, NOT_THERE, Result, table, write
from lipsync_tools.drill.run import attempt
from lipsync_tools.drill.service import Life
from lipsync_tools.drill.stage import Finding, Stage, World
from lipsync_tools.soundserver import RATE_HZ

OFF = (math.nan,) * 16
HEAD = config.load(None, [], head="jaw").head
JAW = HEAD.servos[0].options
OPEN, CLOSED = JAW.max_us, JAW.neutral_us


def moment(at_s: float, us: float = math.nan, acknowledged: bool = True) -> Moment:
    return Moment(at_s, acknowledged, (*OFF[: JAW.channel], us, *OFF[JAW.channel + 1 :]))


def world(folder: Path) -> World:
    return World(None, None, folder)  # type: ignore[arg-type]


class Scene(Stage):
    """A stage whose play is over: what was recorded is given."""

    def __init__(self, folder: Path, *moments: Moment, lives: tuple[Life, ...] = ()) -> None:
        super().__init__(world(folder), "scene")
        self.outputs = record.Outputs(HEAD)
        self.board: Any = SimpleNamespace(moments=list(moments))
        lives = lives or (Life(1, 0.0, ended_s=5.0, code=0, result="success"),)
        self.service: Any = SimpleNamespace(lives=list(lives), lines=[], stop=lambda: None)

    def found(self, judge: Any, *given: Any) -> list[str]:
        finding = Finding()
        judge(finding, *given)
        return finding.wrong


SPOKE = moment(1.0, OPEN), moment(1.9, OPEN - 50)
DIED, ANEW = Life(1, 0.0, ended_s=2.1), Life(2, 3.0)


def test_off_has_to_last_until_the_next_start(tmp_path: Path) -> None:
    for name, more, expected in (
        ("good", [moment(2.1), moment(3.5, CLOSED)], ""),
        ("again", [moment(2.1), moment(2.4, OPEN), moment(2.5), moment(3.5)], "0.30 s after"),
        ("never", [moment(3.5, OPEN)], "not off before the next start"),
    ):
        (tmp_path / name).mkdir()
        scene = Scene(tmp_path / name, *SPOKE, *more, lives=(DIED, ANEW))
        wrong = scene.found(scene.off_between, 2.0)
        assert (expected in " ".join(wrong)) if expected else not wrong, (name, wrong)


def test_a_fault_while_nothing_moves_shows_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, *SPOKE, moment(1.95), moment(2.1), lives=(DIED, ANEW))
    assert scene.found(scene.off_between, 2.0) == ["outputs were off before it: this shows nothing"]


def test_after_an_end_all_is_off_and_nobody_left_a_traceback(tmp_path: Path) -> None:
    scene = Scene(tmp_path, *SPOKE, moment(4.0))
    assert scene.found(scene.finish) == []
    scene.service.lines.append((1.0, "Traceback (most recent call last):"))
    assert scene.found(scene.finish) == ["an error that nobody foresaw"]
    scene._crashes = True
    assert scene.found(scene.finish) == []
    scene.board.moments.append(moment(4.5, CLOSED))
    assert scene.found(scene.finish) == ["outputs are on after its end"]
    assert scene.found(scene.finish, False) == [], "who cannot reach the board cannot be blamed"


@pytest.mark.parametrize(
    ("last_us", "off_s", "told"),
    [
        (CLOSED + 2, 2.1, ""),
        (CLOSED + 200, 2.1, "off 200 us away from neutral"),
        (CLOSED + 40, 2.1, "off 40 us away from neutral"),
        (CLOSED + 40, 2.6, ""),  # its time to get there was up
        (CLOSED + 200, 2.6, "off 200 us away from neutral"),
    ],
)
def test_to_neutral_is_looked_at(last_us: float, off_s: float, told: str) -> None:
    moments, finding = [*SPOKE, moment(2.05, last_us), moment(off_s)], Finding()
    text = deaths.parked(finding, moments, 2.0, off_s, record.Outputs(HEAD))
    assert finding.wrong == ([told] if told else [])
    place = "neutral" if last_us - CLOSED <= 10 else f"{last_us - CLOSED:.0f} us from neutral"
    assert text == f"to {place}, off after {1e3 * (off_s - 2.0):.0f} ms"


def test_a_head_whose_card_is_away_rests_all_the_time(tmp_path: Path) -> None:
    rests = [*SPOKE, moment(3.0, CLOSED), moment(7.0)]
    for name, more, expected in (
        ("good", [], []),
        ("moves", [moment(4.0, CLOSED + 90), moment(4.1, CLOSED)], "90 us away"),
        ("wakes", [moment(8.0, CLOSED)], "pulses again 1.00 s"),
    ):
        (tmp_path / name).mkdir()
        moments = sorted([*rests, *more], key=lambda m: m.at_s)
        scene = Scene(tmp_path / name, *moments)
        wrong = Finding()
        cards._must_rest(scene, wrong, 2.0, 3.5, 10.0)
        assert (expected in " ".join(wrong.wrong)) if expected else not wrong.wrong, name
    held = Scene(tmp_path, *SPOKE, moment(3.0, CLOSED))
    wrong = Finding()
    cards._must_rest(held, wrong, 2.0, 3.5, 10.0)
    assert wrong.wrong == ["servos were not let go"]


@pytest.mark.parametrize(
    ("result", "lives", "n_wrong"),
    [("watchdog", 2, 0), ("exit-code", 2, 0), ("success", 2, 1), ("", 1, 2), ("watchdog", 3, 1)],
)
def test_a_mover_that_hangs_ends_in_one_new_start(
    tmp_path: Path, result: str, lives: int, n_wrong: int
) -> None:
    scene = Scene(tmp_path, *SPOKE, lives=(Life(1, 0.0, result=result), *[ANEW] * (lives - 1)))
    finding = Finding()
    wires._started_anew(scene, finding)
    assert len(finding.wrong) == n_wrong, finding.wrong


def test_a_lasting_trouble_is_told_in_a_few_lines(tmp_path: Path) -> None:
    scene = Scene(tmp_path, *SPOKE)
    scene.ear = SimpleNamespace(gaps=lambda a, b: [])  # type: ignore[assignment]
    scene.service.lines = [(2.0 + k / 10, "WARNING: servo board: dead") for k in range(7)]
    scene.service.lines += [(2.0, "INFO: nothing of interest")] * 9
    finding = Finding()
    wires._undisturbed(scene, finding, 2.0, 9.0)
    assert finding.wrong == ["7 lines in the log"]
    assert scene.told(2.05, 2.35) == ["WARNING: servo board: dead"] * 3


def hour(**more: Any) -> dict[str, Any]:
    return {
        "idle_s": 5.0, "off_after_s": 4.9, "spoke_again_after_s": 0.5, "rss_mb": 80.0, "gaps": 0,
        "pulses_in_silence": 0, "outside": 0, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        ({"off_after_s": 6.5}, ["off 6.5 s after the last word, not 6 s"]),
        ({"off_after_s": None}, ["off inf s after the last word, not 6 s"]),
        ({"spoke_again_after_s": None}, ["the next word came inf ms later"]),
        ({"pulses_in_silence": 3}, ["pulses in silence"]),
    ],
)
def test_what_an_hour_of_silence_must_do(more: dict[str, Any], told: list[str]) -> None:
    assert virtual.judge_silence(hour(**more), hour()).wrong == told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        ({"true_delays_ms": [18.0, 28.0]}, ["delay moved 10.0 ms"]),
        ({"delay_span_ms": 1.2, "jumps": 2}, ["delay moved 1.2 ms", "2 times by a jump"]),
        ({"click": 1500.0, "lost": 7, "underruns": 1}, ["1500 LSB", "wait 1 times", "7 samples"]),
    ],
)
def test_what_two_clocks_may_do(more: dict[str, Any], told: list[str]) -> None:
    good = {
        "seconds": 1799, "delay_span_ms": 0.8, "true_delays_ms": [18.2, 18.9], "click": 3.4,
        "jumps": 0, "underruns": 0, "lost": 0,
    }  # fmt: skip
    wrong = virtual.judge_drift({**good, **more})
    assert len(wrong) == len(told)
    assert all(part in text for part, text in zip(told, wrong, strict=True))


def test_a_case_that_breaks_costs_itself_alone(tmp_path: Path) -> None:
    def broken(stage: Stage) -> Finding:
        raise KeyError(stage.folder.name)

    result = attempt(Case("x", "", "", broken), world(tmp_path))
    assert (result.verdict, result.finding.wrong) == (FAILED, ["KeyError: 'x'"])


def test_a_socket_that_takes_nothing_ends_the_flood(tmp_path: Path) -> None:
    rounds = iter([True, True, False, False])
    assert asked._garbage(tmp_path / "nobody", lambda: next(rounds)) == 0
    rounds = iter([True, True, False, True, False])
    assert asked._requests(tmp_path / "nobody", lambda: next(rounds)) == 0


def test_mischief_waits_for_its_trigger_and_happens_once(tmp_path: Path) -> None:
    trigger, once = tmp_path / "now", tmp_path / "done"
    step = launch.failing(lambda x: x + 1, trigger, once)
    assert [step(1), step(2)] == [2, 3]
    trigger.touch()
    with pytest.raises(launch.Mischief):
        step(3)
    assert float(once.read_text()) > 0
    assert step(4) == 5


def voice(seconds: float) -> np.ndarray:
    """Noise that gets louder and softer, as speech does."""
    n = int(seconds * RATE_HZ)
    loud = 3000 * (1 + np.sin(2 * np.pi * np.arange(n) / RATE_HZ * 3))
    return np.rint(np.random.default_rng(3).normal(size=n) * loud + 1)


def test_what_is_heard_has_to_be_the_speech() -> None:
    said = voice(6.0)
    late = np.concatenate([said[RATE_HZ // 3 :], said[: RATE_HZ // 2]])
    assert speech.compare(late, said).wrong == ""
    noise = np.random.default_rng(4).normal(size=5 * RATE_HZ) * 3000
    assert speech.compare(noise, said).wrong == "of 5 s that were heard 0 are the speech"
    again = np.tile(said[:RATE_HZ], 5)
    assert speech.compare(again, said).wrong == "the speech does not go on"
    stutter = np.tile(said[:1024], 5 * RATE_HZ // 1024 + 1)[: 5 * RATE_HZ]
    assert speech.compare(stutter, said).wrong
    torn = late.copy()
    for second in (0, 2, 4):
        torn[second * RATE_HZ + 4800 : second * RATE_HZ + 7200] = 0
    assert speech.compare(torn, said).wrong == "", "there are whole seconds between gaps"
    for second in range(6):
        torn[second * RATE_HZ + 4800 : second * RATE_HZ + 7200] = 0
    assert speech.compare(torn, said).wrong == "only 1 s were heard without a gap"


def test_the_record_tells_what_was_given_last_and_farthest() -> None:
    moments = [*SPOKE, moment(2.0, CLOSED + 30), moment(2.2)]
    outputs = record.Outputs(HEAD)
    assert record.is_on_at(moments, 2.0)
    assert not record.is_on_at(moments, 1.0)
    assert not record.is_on_at(moments, 2.3)
    assert record.last_pulses(moments, 2.2) == moments[2]
    assert record.last_pulses(moments, 1.0) is None
    assert record.first_on_s(moments, 1.95, 2.1) == 2.0
    assert record.first_on_s(moments, 2.2) == math.inf
    assert record.farthest_us(moments, 2.1, 2.3, outputs) == pytest.approx(30)
    assert record.farthest_us(moments, 2.25, 2.3, outputs) == 0.0
    assert record.farthest_us([], 2.25, 2.3, outputs) == 0.0


def test_a_stop_that_leaves_the_mouth_open_fails(tmp_path: Path) -> None:
    """Through the case itself, with the robot's part played by a record."""

    class Played(Scene):
        def prepare(self, *_: Any, **__: Any) -> None: ...

        def start(self) -> None: ...

    life = Life(1, 0.0, ended_s=2.3, code=0)
    scene = Played(tmp_path, *SPOKE, moment(2.1), lives=(life,))
    scene.ear = SimpleNamespace(gaps=lambda a, b: [(2.1, b)])  # type: ignore[assignment]
    scene.service.over = True
    scene.service.send = lambda number: 2.0
    assert deaths.stopped(scene, signal.SIGTERM).wrong == [
        f"off {OPEN - 50 - CLOSED:.0f} us away from neutral"
    ]


def test_what_is_not_there_is_not_called_passed(tmp_path: Path) -> None:
    case = Case("x", "a fault", "nothing", lambda _: Finding())
    results = [
        Result(case, NOT_THERE, Finding(wrong=["a tool"]), 0.0),
        Result(case, FAILED, Finding(pulses="on | off", wrong=["too late"]), 0.0),
    ]
    assert table(results).splitlines()[0].endswith("2 cases: 1 FAILED, 1 not there.")
    document = tmp_path / "doc.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(document, results)
    lines = document.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert lines[-3].endswith("| FAILED: too late |")
    assert "| on / off |" in lines[-3]
