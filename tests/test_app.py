"""The whole program in real time on the null sink, while each edge misbehaves."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_edge import config
from lipsync_edge.app import Robot
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE
from lipsync_edge.engine import Mover
from lipsync_edge.servos import registers
from lipsync_edge.summary import Summary
from lipsync_edge.telemetry import Scene


class Stage:
    """Runs a robot for a while and keeps what it showed and the bus that it moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scenes: list[Scene] = []
        self.buses: list[registers.Bus] = []
        make = registers.simulated_bus

        def watched(*args: object, **kwargs: object) -> registers.Bus:
            self.buses.append(make(*args, **kwargs))  # type: ignore[arg-type]
            return self.buses[-1]

        monkeypatch.setattr(registers, "simulated_bus", watched)

    def run(self, seconds: float, **options: str) -> Summary:
        overrides = [("audio.driver", "dummy"), ("board.driver", "simulator")]
        overrides += [(key.replace("__", "."), value) for key, value in options.items()]
        settings = config.load(None, overrides, head="jaw")
        robot = Robot(settings, open_source(str(SAMPLE)), seconds)
        summary = robot.run(self.scenes.append)
        for chip in self.buses[0].chips.values():
            assert np.isnan(chip.pulses_us()).all(), "outputs end off, whatever happened"
        return summary


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_a_reloaded_mover_begins_with_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [("audio.driver", "dummy"), ("board.driver", "simulator"), ("model.runtime", "dummy")]
    robot = Robot(config.load(None, options, head="jaw"), None)
    robot.actions.rest(True)
    robot.actions.show({"jawOpen": 0.5})
    robot._attendant._care.ease = 0.25
    begun: list[tuple[object, ...]] = []

    def swap(mover: Mover, *_: float) -> None:
        assert mover.care
        begun.append((mover.care.resting, mover.care.ease, mover.shown))

    monkeypatch.setattr(robot._pacer, "swap", swap)
    robot._move_by(config.load(None, [*options, ("motion.idle_s", "9")], head="jaw"))
    assert begun == [(True, 0.25, {"jawOpen": 0.5})]


@pytest.mark.slow
def test_a_lost_device_is_reopened_and_the_mouth_rests_meanwhile(stage: Stage) -> None:
    summary = stage.run(4.0, audio__faults="end@1.5", audio__retry_s="1.0")
    assert summary.sound["lost"] >= 1
    lost = [s for s in stage.scenes if "lost" in s.health]
    assert lost, "the picture says so"
    assert not summary.failed


def test_a_dead_board_degrades_and_recovers(stage: Stage) -> None:
    summary = stage.run(4.0, board__faults="dead@1:0.8")
    assert summary.board["failures"] >= 1
    assert summary.board["writes"] > 20
    assert not summary.failed
    assert stage.scenes[-1].health.endswith("board ok")


def test_nan_from_the_model_moves_nothing_wrongly(stage: Stage) -> None:
    summary = stage.run(2.0, model__runtime="dummy", model__faults="nan@0.5:0.5")
    assert summary.analyzer["refused_poses"] == pytest.approx(50, abs=3)
    assert not summary.failed


def test_a_model_of_the_wrong_shape_stops_with_a_sentence(stage: Stage) -> None:
    summary = stage.run(5.0, model__runtime="dummy", model__faults="shape@0.5")
    assert summary.failed
    assert "returned 2 values for 1 axes" in summary.reason


@pytest.mark.slow
def test_a_slow_model_starves_and_goes_on(stage: Stage) -> None:
    summary = stage.run(3.0, model__runtime="dummy", model__faults="slow@1:0.6")
    assert summary.mover["starved"] > 5
    assert summary.analyzer["hops"] > 200
    assert not summary.failed


def test_a_board_that_is_not_there_keeps_the_sound_from_starting(stage: Stage) -> None:
    from lipsync_edge.errors import BoardError

    with pytest.raises(BoardError):
        stage.run(2.0, board__faults="dead@0")
    assert not stage.scenes


def test_a_stuck_nack_is_told_and_fails(stage: Stage) -> None:
    """Nobody may read 'outputs off' where that could not be done."""
    overrides = [("audio.driver", "dummy"), ("board.driver", "simulator")]
    settings = config.load(None, [*overrides, ("board.faults", "nack@1:1000")], head="jaw")
    robot = Robot(settings, open_source(str(SAMPLE)), 2.0)
    summary = robot.run(stage.scenes.append)
    assert summary.failed
    assert "OUTPUTS MAY STILL BE ON" in summary.text()
    assert not summary.board["silenced"]


def test_a_sound_that_does_not_start_wakes_no_servo(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipsync_edge.audio.dummy import NullStream
    from lipsync_edge.errors import AudioError

    def refuse(*_: object) -> None:
        raise AudioError("The card does not start.")

    monkeypatch.setattr(NullStream, "start", refuse)
    with pytest.raises(AudioError):
        stage.run(2.0)
    for transaction in stage.buses[0].log:
        assert len(transaction.written) <= 5, "no burst of pulses, only set-up and all-off"


@pytest.mark.slow
def test_a_file_is_played_even_where_a_microphone_is_configured(stage: Stage) -> None:
    summary = stage.run(20.0, audio__input="mic")
    assert summary.reason == "the end of the sound"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_end_it_in_order(stage: Stage, name: str) -> None:
    import os
    import signal

    def kill_at_five(scene: Scene) -> None:
        stage.scenes.append(scene)
        if len(stage.scenes) == 5:
            os.kill(os.getpid(), getattr(signal, name))

    settings = config.load(
        None, [("audio.driver", "dummy"), ("board.driver", "simulator")], head="jaw"
    )
    summary = Robot(settings, open_source(str(SAMPLE)), 20.0).run(kill_at_five)
    assert summary.reason == {"SIGINT": "Ctrl-C"}.get(name, name)
    assert summary.board["silenced"]
    for chip in stage.buses[0].chips.values():
        assert np.isnan(chip.pulses_us()).all()


@pytest.mark.slow
def test_the_stated_time_holds_while_the_device_is_away(stage: Stage) -> None:
    summary = stage.run(3.0, audio__faults="end@0.5", audio__retry_s="30")
    assert summary.reason == "ran for 3 s"
