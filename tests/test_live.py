"""A recording card of its own, beside the one that plays: opened, followed, lost, opened again."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from typing import Any

import numpy as np
import pytest

from lipsync_edge import config, sound
from lipsync_edge.app import Robot
from lipsync_edge.audio import Samples, Stream
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.dummy import NullMicrophone, NullStream, syllables
from lipsync_edge.audio.probe import RecordingDevice
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import two_cards
from lipsync_edge.clock import Bell, MonotonicClock, VirtualClock
from lipsync_edge.errors import AudioError
from lipsync_edge.live import Live
from lipsync_edge.options import AudioOptions
from lipsync_edge.realtime import Realtime
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Telemetry

STEP_S = 0.002


class Pair:
    """A null microphone and a null sink in virtual time, joined."""

    def __init__(self, faults: str, rate_hz: int = 48_000) -> None:
        options = AudioOptions(frames_per_buffer=480, faults=faults)
        self.clock, self.telemetry = VirtualClock(), Telemetry()
        self.blocks: list[Samples] = []
        self.sink = NullStream(
            options,
            self.clock,
            rate_hz=rate_hz,
            sink=lambda block: self.blocks.append(block.copy()),
        )
        ring = Ring(2 * rate_hz)
        self._heard = False
        self.card = NullMicrophone(
            options, self.clock, rate_hz=rate_hz, microphone=self._microphone
        )
        self.live = Live(
            self.card, ring, rate_hz, self.clock, self.telemetry, Realtime(False, 0), 0.5
        )
        self.courier = BlockCourier(Ring(rate_hz), Bell(), 0, ring, live=True)
        self.sink.start(self.courier)
        self.live.start(self.courier)
        self.lost: list[float] = []

    def run(self, until_s: float) -> None:
        while self.clock.now() < until_s - STEP_S / 2:
            now_s = self.clock.now() + STEP_S
            self.sink.pump(now_s)
            stream = self.live.stream
            if isinstance(stream, NullStream):
                stream.pump(now_s)
            if self._heard:  # else it would wait for a block, in real time
                self._heard = False
                self.live.follow()
            self.clock.sleep_until(now_s)
            self.live.step(False)
            if self.live.lost:
                self.lost.append(now_s)

    def _microphone(self, at_sample: int, n_samples: int, rate_hz: int) -> Samples:
        self._heard = True
        return syllables(at_sample, n_samples, rate_hz)

    def talks(self, from_s: float, to_s: float) -> bool:
        """Whether every quarter of a second, which holds one syllable, holds a sound."""
        starts = np.arange(from_s, to_s - 0.25, 0.25)
        return all(self.loud(start, start + 0.25) > 0.3 for start in starts)

    def loud(self, from_s: float, to_s: float) -> float:
        """Share of the blocks played between two times that hold a sound."""
        blocks = self.blocks[int(from_s * 100) : int(to_s * 100)]
        return float(np.mean([bool(np.abs(block.astype(int)).max() > 500) for block in blocks]))


def test_it_is_played_and_the_drift_is_found() -> None:
    pair = Pair("input-drift@0:250")
    pair.run(30.0)
    assert pair.loud(0.0, 0.4) == 0
    assert pair.talks(1.0, 30.0)
    assert pair.telemetry.input_ppm == pytest.approx(-250, abs=60)
    assert pair.telemetry.input_delay_s.count == pytest.approx(29, abs=1)
    assert pair.telemetry.input_jumps == 0
    assert pair.courier.underruns == 0


def test_a_microphone_goes_and_comes_back_while_the_sink_plays_on() -> None:
    pair = Pair("input-end@5:3")
    pair.run(12.0)
    assert pair.telemetry.lost_inputs == 1
    assert pair.lost[0] == pytest.approx(5.0, abs=0.02)
    assert pair.lost[-1] == pytest.approx(8.0, abs=0.51), "tried again every half second"
    assert pair.talks(1.0, 5.0)
    assert pair.loud(5.1, 7.9) == 0, "silence in between"
    assert pair.talks(9.5, 12.0)
    assert len(pair.blocks) == pytest.approx(1200, abs=3), "no gap in the sink's clock"
    assert pair.live.lost == ""


def test_a_microphone_that_comes_back_at_another_rate() -> None:
    pair = Pair("input-rate@5:16000")
    pair.run(4.0)
    before_s = pair.telemetry.input_delay_s.values().mean()
    assert pair.telemetry.input_rate_hz == 48_000
    pair.run(12.0)
    assert pair.telemetry.input_rate_hz == 16_000
    assert pair.talks(8.0, 12.0)
    assert pair.telemetry.lost_inputs == 1
    block_s = 480 / 16_000 - 480 / 48_000
    after_s = pair.telemetry.input_delay_s.values()[-3:].mean()
    assert after_s - before_s == pytest.approx(block_s, abs=0.006), "its blocks last longer"


def test_where_the_playing_card_is_away_the_other_is_closed_too() -> None:
    pair = Pair("")
    pair.run(2.0)
    pair.live.step(True)
    assert pair.live.stream is None
    assert pair.telemetry.lost_inputs == 0
    pair.live.step(False)
    assert pair.live.stream is not None
    assert pair.live.lost == ""


class OldList:
    """A card that was plugged in after PortAudio made its list: only another process sees it."""

    def __init__(self, card: NullMicrophone) -> None:
        self._card = card
        self.is_listed = self.is_there = False

    def open(self) -> NullStream:
        if not self.is_listed:
            raise AudioError("no sound device that can record is called 'mic'.")
        return self._card.open()

    def ready(self) -> bool:
        return self.is_there

    def cancel(self) -> None:
        pass


def test_one_that_is_missing_after_the_other_came_back_is_told() -> None:
    pair = Pair("")
    pair.run(2.0)
    away = OldList(pair.card)
    pair.live._device = away
    pair.live.step(True)
    assert not pair.live.lost, "the other one is lost, and that is told"
    pair.run(4.0)
    assert pair.live.lost
    assert not pair.live.wants_new_list, "it is not there at all"
    away.is_there = True
    pair.run(5.0)
    assert pair.live.wants_new_list
    away.is_there = False
    pair.run(6.0)
    assert not pair.live.wants_new_list, "no gap for one that went again"
    away.is_there = away.is_listed = True
    pair.run(8.0)
    assert (pair.live.lost, pair.live.wants_new_list) == ("", False)
    assert pair.talks(7.2, 8.0)


def test_what_goes_for_good_is_asked_for_again_and_again() -> None:
    pair = Pair("input-end@1")
    pair.run(5.0)
    assert pair.telemetry.lost_inputs == 1
    assert pair.live.lost
    with pytest.raises(AudioError, match="null microphone is away"):
        pair.card.open()


def test_speech_from_elsewhere_takes_its_place_and_it_goes_on_unshifted() -> None:
    pair = Pair("")
    pair.run(3.0)
    pair.courier.spoken, pair.courier.speaking = Ring(100), True
    pair.run(5.0)
    assert pair.loud(3.1, 4.9) == 0
    pair.courier.speaking = False
    pair.run(7.0)
    assert pair.talks(5.1, 7.0)
    assert pair.telemetry.input_jumps == 0, "what was recorded meanwhile is gone, as it should"


@pytest.mark.parametrize(
    ("source", "output", "two"),
    [
        ("", "default", False),
        ("USB", "USB", False),
        ("robot_ear", "USB", True),
        ("default", "default", True),  # nobody knows what is behind it
    ],
)
def test_which_names_mean_two_cards(source: str, output: str, two: bool) -> None:
    overrides = [("audio.input", source), ("audio.output", output)]
    assert two_cards(config.load(None, overrides)) is two


def test_a_trial_that_hangs_or_cannot_begin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, popen = VirtualClock(), subprocess.Popen
    device = RecordingDevice(AudioOptions(input="mic"), clock, 48_000)
    begun: list[subprocess.Popen[str]] = []

    def hang(_: object, **how: Any) -> subprocess.Popen[str]:
        begun.append(popen(("sleep", "60"), **how))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", hang)
    assert device.ready() is None
    clock.sleep_until(29.0)
    assert device.ready() is None
    clock.sleep_until(31.0)
    assert device.ready() is False
    assert begun[0].returncode == -signal.SIGKILL
    assert device.ready() is None, "another one"
    device.cancel()
    assert len(begun) == 2

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert device.ready() is False


def test_all_cards_are_opened_anew_for_one_that_is_in_no_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overrides = [("audio.driver", "dummy"), ("audio.input", "mic"), ("audio.retry_s", "0.1")]
    loaded, clock = config.load(None, overrides, head="jaw"), MonotonicClock()
    monkeypatch.setattr(sound, "RENEW_S", 1.0)
    supervisor = Supervisor(clock)
    made = sound.Sound(loaded, False, clock, Telemetry(), Realtime(False, 0), supervisor)
    courier = BlockCourier(Ring(96_000), Bell(), 0, made.ring, live=True)
    made.start(courier, SampleClock(made.stream.rate_hz, 0.0))
    assert made.live
    away = OldList(made.live._device)  # type: ignore[arg-type]
    made.live._device = away
    streams: list[Stream] = []
    lost: list[str] = []

    def wait(seconds: float) -> None:
        end_s = clock.now() + seconds
        while clock.now() < end_s:
            made.step()
            if made.stream not in streams:
                streams.append(made.stream)
            lost.append(made.lost)
            clock.sleep_until(clock.now() + 0.01)

    try:
        wait(0.2)
        made.stream.stop()  # it is unplugged
        wait(0.5)
        assert len(streams) == 2, "it went and came back"
        assert made.input_lost
        away.is_there = True
        wait(1.6)
        assert len(streams) in (3, 4), "not again and again"
        assert any("for the sake of" in why for why in lost)
        away.is_listed = True  # the last of these lists has it
        wait(0.5)
        assert (made.lost, made.input_lost) == ("", "")
    finally:
        supervisor.stop("done")
        made.stop()
        supervisor.join()


def test_the_whole_program_hears_another_card() -> None:
    overrides = [
        ("audio.driver", "dummy"), ("board.driver", "simulator"), ("audio.input", "mic"),
        ("audio.faults", "input-drift@0:200 input-end@2:1"), ("audio.retry_s", "0.1"),
    ]  # fmt: skip
    robot = Robot(config.load(None, overrides, head="jaw"), None, 4.5)
    scenes: list[str] = []
    summary = robot.run(lambda scene: scenes.append(scene.health))
    assert not summary.failed
    assert summary.sound["device"] == "null microphone > null sink"
    assert summary.sound["input"]["lost"] == 1
    assert summary.sound["lost"] == 0
    assert summary.analyzer["hops"] > 200
    assert any("lost" in health for health in scenes)
    assert "lost" not in scenes[-1]
    assert "1 times lost" in summary.text()
    assert summary.board["silenced"]
