"""`calibrate` from end to end: null sink, simulated board, and a room that joins them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from calibration_room import Floats, Motor, add, pink
from fifo import a_writer
from test_cli import run

from lipsync_edge import config
from lipsync_edge.audio import Samples
from lipsync_edge.audio.dummy import NullStream
from lipsync_edge.calibrate import (
    LagPlan,
    LagReport,
    measure_lag,
)
from lipsync_edge.clock import VirtualClock
from lipsync_edge.config import Config
from lipsync_edge.enabled import EnabledBoard
from lipsync_edge.errors import ConfigError, GpioError, MeasurementError, UsageError
from lipsync_edge.gpio import POWER_UP_S, EdgeListener, Pins
from lipsync_edge.gpio_dummy import DummyGpio
from lipsync_edge.listener import Listener
from lipsync_edge.options import GpioOptions
from lipsync_edge.oscillator import oscillator, pulse_rate_hz, run_oscillator, spare_channel
from lipsync_edge.rewrite import rewrite
from lipsync_edge.servos.chip import Chip
from lipsync_edge.servos.pca9685 import Pca9685Board
from lipsync_edge.servos.registers import Bus
from lipsync_edge.servos.rig import Rig

RATE_HZ = 16_000
BLOCK = 256
NULL_SINK_S = 2 * BLOCK / RATE_HZ  # what the null sink reports as its latency


class ListeningChip(Chip):
    """Notes when its outputs change."""

    def __init__(self, *args: Any, now: Callable[[], float], **kwargs: Any) -> None:
        self.changes: list[tuple[float, tuple[float, ...]]] = []
        self._now = now
        super().__init__(*args, **kwargs)

    def write(self, data: bytes) -> bool:
        answer = super().write(data)
        pulses = self.pulses_us()
        if not self.changes or not np.array_equal(self.changes[-1][1], pulses, equal_nan=True):
            self.changes.append((self._now(), pulses))
        return answer


class Room:
    """What the microphone hears: the speaker after its latency, servos after their lag, noise.

    A microphone without a latency of its own: its block ends with the sound of now. The servo
    learns of a command with the next pulse of the chip's true period, and starts ``fixed_s`` later.
    """

    def __init__(
        self,
        clock: VirtualClock,
        chip: ListeningChip,
        *,
        hidden_s: float = 0.0,
        microphone_s: float = 0.0,
        fixed_s: float = 0.04,
        deaf_to_servo: bool = False,
        snr_db: float = 20.0,
    ) -> None:
        rng = np.random.default_rng(5)
        self._clock, self._chip = clock, chip
        self._hidden_s, self._microphone_s, self._fixed_s = hidden_s, microphone_s, fixed_s
        self._deaf = deaf_to_servo
        self._motor, self._told, self._played = Motor(rng, RATE_HZ), 0, 0
        self._sound = np.zeros(120 * RATE_HZ)
        self._sound += 0.01 * pink(rng, len(self._sound)) / 0.05
        self._loudness = 0.01 * 10 ** (snr_db / 20)

    def play(self, block: Samples) -> None:
        """What goes to the speaker is heard after the reported and the hidden latency."""
        heard_s = self._played / RATE_HZ + NULL_SINK_S + self._hidden_s
        add(self._sound, block / 32768, (heard_s + self._microphone_s) * RATE_HZ + BLOCK)
        self._played += len(block)

    def hear(self, at_sample: int, n_samples: int, rate_hz: int) -> Samples:
        """What the microphone delivers now; index 0 was taken at time -BLOCK / RATE_HZ."""
        for k in range(self._told, len(self._chip.changes)):
            self._start_motors(k)
        self._told = len(self._chip.changes)
        heard = self._sound[at_sample : at_sample + n_samples]
        return np.asarray(np.clip(np.rint(heard * 20_000), -32768, 32767), np.int16)

    def _start_motors(self, k: int) -> None:
        at_s, pulses = self._chip.changes[k]
        before = self._chip.changes[k - 1][1] if k else (np.nan,) * 16
        period_s = self._chip.period_us() / 1e6
        for was, now in zip(before, pulses, strict=True):
            if not (np.isnan(now) or was == now or self._deaf):
                start_s = np.ceil(at_s / period_s) * period_s + self._fixed_s
                index = (start_s + self._microphone_s) * RATE_HZ + BLOCK
                sound: Floats = self._motor.burst(k)
                sound = sound / np.sqrt(np.mean(sound**2)) * self._loudness
                add(self._sound, sound, index)


class PumpedClock(VirtualClock):
    """Waiting on it lets the stream run, as its own thread would."""

    stream: NullStream | None = None
    _pumping = False

    def sleep_until(self, deadline_s: float) -> None:
        if self.stream is not None and not self._pumping:
            self._pumping = True
            self.stream.pump(deadline_s)
            self._pumping = False
        super().sleep_until(deadline_s)


class Bench:
    """Everything joined; ``chip`` for a look at the outputs."""

    def __init__(self, loaded: Config, oscillator_hz: float = 25e6, faults: str = "", **room: Any):
        self.loaded, self.clock = loaded, PumpedClock()
        self.chip = ListeningChip(0x40, oscillator_hz, now=self.clock.now)
        self.board = Pca9685Board(
            loaded.head.boards, Rig(loaded.head, ()).slots,
            i2c=Bus([self.chip], clock=self.clock), clock=self.clock,
        )  # fmt: skip
        self.room = Room(self.clock, self.chip, **room)
        options = replace(loaded.audio, frames_per_buffer=BLOCK, faults=faults)
        self.stream = NullStream(
            options, self.clock, rate_hz=RATE_HZ, duplex=True,
            microphone=self.room.hear, sink=self.room.play,
        )  # fmt: skip
        self.clock.stream = self.stream

    def measure(self, **plan: Any) -> LagReport:
        plan = {"servos": ("jaw",), "max_delay_s": 0.6} | plan
        listener = Listener(self.stream, self.clock)
        listener.start()
        return measure_lag(
            self.loaded, LagPlan(**plan), listener, self.board, self.clock, lambda _: None
        )

    def widths_us(self) -> Floats:
        """All pulses that ever came out, (n_changes, 16)."""
        return np.array([pulses for _, pulses in self.chip.changes])

    def is_off(self) -> bool:
        return bool(np.isnan(self.chip.pulses_us()).all())


JAW = config.load(None, head="jaw")


def true_lag_ms(bench: Bench, fixed_s: float) -> float:
    """Half a period is the mean wait for the next pulse."""
    return fixed_s * 1e3 + bench.chip.period_us() / 2e3


@pytest.mark.parametrize(
    ("hidden_s", "fixed_s", "oscillator_hz"),
    [(0.0, 0.025, 25e6), (0.18, 0.09, 26.3e6), (0.031, 0.055, 24.1e6)],
)
def test_lag_and_latency_are_found(
    tmp_path: Path, hidden_s: float, fixed_s: float, oscillator_hz: float
) -> None:
    bench = Bench(JAW, oscillator_hz, hidden_s=hidden_s, fixed_s=fixed_s, snr_db=15)
    report = bench.measure()
    assert report.refused == {}
    assert report.output_latency_ms == pytest.approx(hidden_s * 1e3, abs=3)
    assert report.lags["jaw"].s * 1e3 == pytest.approx(true_lag_ms(bench, fixed_s), abs=3)
    assert bench.is_off()
    (tmp_path / "robot.yaml").write_text(ROBOT)
    rewrite(tmp_path / "robot.yaml", report.changes(), print)
    loaded, said = config.load(tmp_path / "robot.yaml"), report.as_dict()
    assert loaded.head.servos[0].options.lag_ms == said["servos"]["jaw"]["lag_ms"]
    assert loaded.audio.output_latency_ms == said["output_latency_ms"]
    assert f"{said['output_latency_ms']:.1f}" in report.text()


def test_a_wrong_oscillator_is_noticed_by_ear() -> None:
    report = Bench(JAW, 26.3e6, fixed_s=0.03).measure()
    (warning,) = report.warnings
    assert "calibrate oscillator" in warning
    assert report.lags["jaw"].pulse_hz == pytest.approx(26.3e6 / 4096 / 122, rel=3e-3)
    assert Bench(JAW, 25.1e6, fixed_s=0.03).measure().warnings == ()


def test_the_microphones_own_latency_cancels() -> None:
    bench = Bench(JAW, hidden_s=0.05, fixed_s=0.03, microphone_s=0.04)
    report = bench.measure()
    in_time_ms = report.lags["jaw"].s * 1e3 - report.output_latency_ms
    assert in_time_ms == pytest.approx(true_lag_ms(bench, 0.03) - 50, abs=3)
    again = Bench(JAW, hidden_s=0.05, fixed_s=0.03, microphone_s=0.04)
    report = again.measure(input_latency_ms=40.0)
    assert report.output_latency_ms == pytest.approx(50, abs=3)
    assert report.lags["jaw"].s * 1e3 == pytest.approx(true_lag_ms(bench, 0.03), abs=3)


def test_several_servos_one_at_a_time_within_their_limits() -> None:
    loaded = config.load(None, head="jaw-lips")
    bench = Bench(loaded, fixed_s=0.03)
    names = tuple(servo.name for servo in loaded.head.servos)
    report = bench.measure(servos=names, n_taps=12)
    assert set(report.lags) == set(names)
    widths_us = bench.widths_us()
    assert (np.isfinite(widths_us).sum(axis=1) <= 1).all(), "never two servos at once"
    count_us = bench.chip.period_us() / 4096
    for servo in loaded.head.servos:
        o = servo.options
        mine = widths_us[:, o.channel][np.isfinite(widths_us[:, o.channel])]
        assert len(mine) >= 12
        assert mine.min() >= o.min_us - count_us
        assert mine.max() <= o.max_us + count_us
        assert np.ptp(mine) <= 80 + 2 * count_us


def test_a_servo_without_sound_is_refused() -> None:
    bench = Bench(JAW, deaf_to_servo=True)
    report = bench.measure()
    assert report.lags == {}
    assert "jaw" in report.refused
    assert report.changes() == {}
    assert bench.is_off()


def test_a_speaker_without_sound_is_refused_before_anything_moves() -> None:
    bench = Bench(JAW, faults="silence@0:60")
    with pytest.raises(MeasurementError, match="digital silence"):
        bench.measure()
    assert bench.chip.changes == []


def test_lost_samples_are_refused() -> None:
    report = Bench(JAW, faults="xrun@9").measure()
    assert "lost samples" in report.refused["jaw"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MeasurementError("x")])
def test_outputs_are_off_after_an_interruption(error: Any) -> None:
    bench = Bench(JAW)
    wait, calls = bench.clock.sleep_until, []

    def interrupted(deadline_s: float) -> None:
        calls.append(deadline_s)
        if bench.chip.changes and len(calls) > 150:
            assert not bench.is_off()
            raise error
        wait(deadline_s)

    bench.clock.sleep_until = interrupted  # type: ignore[method-assign]
    if isinstance(error, MeasurementError):
        bench.measure()
    else:
        with pytest.raises(KeyboardInterrupt):
            bench.measure()
    assert bench.is_off()


def test_no_room_for_a_tap() -> None:
    narrow = config.load(None, [("servos.jaw.slew_us_per_s", "100")], head="jaw")
    with pytest.raises(UsageError, match="too small"):
        Bench(narrow).measure()


# The oscillator -----------------------------------------------------------------------------------


def test_oscillator_from_a_meter() -> None:
    """PRE_SCALE is 121 for 25 MHz and 50 Hz (data sheet, section 7.3.5)."""
    report = oscillator(JAW, 0, 51.2)
    assert report.oscillator_hz == round(51.2 * 4096 * 122)
    assert report.warnings == ()
    assert "unusual" in oscillator(JAW, 0, 45.0).warnings[0]
    for nonsense in (25.6, 102.4, 0.0, float("nan"), -50.0):
        with pytest.raises(UsageError, match="no PCA9685"):
            oscillator(JAW, 0, nonsense)
    with pytest.raises(UsageError, match="counted from 0"):
        oscillator(JAW, 1, 51.2)


class FakeGpio(SimpleNamespace):
    """The API of RPi.GPIO over a simulated chip: an edge at each period, noticed a little late."""

    BCM, IN, PUD_DOWN, RISING = 11, 1, 21, 31

    def __init__(self, clock: VirtualClock, chip: Chip, channel: int, lost: float = 0.0) -> None:
        super().__init__(calls=[])
        self._clock, self._chip, self._channel = clock, chip, channel
        self._rng, self._lost, self._callback = np.random.default_rng(1), lost, None
        sleep = clock.sleep_until

        def sleep_until(deadline_s: float) -> None:
            while self._callback and not np.isnan(self._chip.pulse_us(self._channel)):
                edge_s = self._next_s + self._rng.exponential(0.0005)
                if edge_s > deadline_s:
                    break
                sleep(edge_s)
                if self._rng.uniform() >= self._lost:
                    self._callback(self._pin)
                self._next_s += self._chip.period_us() / 1e6
            sleep(deadline_s)

        clock.sleep_until = sleep_until  # type: ignore[method-assign]

    def setmode(self, mode: int) -> None:
        self.calls.append(("setmode", mode))

    def setup(self, pin: int, direction: int, pull_up_down: int) -> None:
        self.calls.append(("setup", pin, direction))

    def add_event_detect(self, pin: int, edge: int, callback: Callable[[int], None]) -> None:
        assert edge == self.RISING
        self._pin, self._callback, self._next_s = pin, callback, self._clock.now()

    def remove_event_detect(self, pin: int) -> None:
        self._callback = None
        self.calls.append(("remove_event_detect", pin))

    def cleanup(self, pin: int) -> None:
        self.calls.append(("cleanup", pin))


@pytest.mark.parametrize(("true_hz", "lost"), [(25.0e6, 0.0), (26.4e6, 0.0), (23.7e6, 0.1)])
def test_oscillator_from_edges_on_a_pin(true_hz: float, lost: float) -> None:
    clock = VirtualClock()
    chip = Chip(0x40, true_hz)
    probing = spare_channel(JAW, 0, 15)
    board = Pca9685Board(
        probing.head.boards, Rig(probing.head, ()).slots, i2c=Bus([chip], clock=clock), clock=clock
    )
    gpio = FakeGpio(clock, chip, 15, lost)
    measured_hz = pulse_rate_hz(board, clock, 5.0, 17, gpio)
    assert oscillator(JAW, 0, measured_hz).oscillator_hz == pytest.approx(true_hz, rel=5e-4)
    assert np.isnan(chip.pulses_us()).all(), "off again"
    assert gpio.calls[0] == ("setmode", FakeGpio.BCM)
    assert gpio.calls[-1] == ("cleanup", 17)


def test_no_wire_is_a_sentence() -> None:
    clock, chip = VirtualClock(), Chip(0x40)
    probing = spare_channel(JAW, 0, 15)
    board = Pca9685Board(
        probing.head.boards, Rig(probing.head, ()).slots, i2c=Bus([chip], clock=clock), clock=clock
    )
    with pytest.raises(MeasurementError, match="Only 0 edges"):
        pulse_rate_hz(board, clock, 5.0, 17, FakeGpio(clock, chip, 14))  # wired to another channel


def test_a_channel_with_a_servo_is_not_spare() -> None:
    with pytest.raises(UsageError, match="jaw is plugged in there"):
        spare_channel(JAW, 0, 0)
    with pytest.raises(UsageError, match="0 to 15"):
        spare_channel(JAW, 0, 16)


def test_a_pin_that_cannot_be_used_is_a_sentence() -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("Failed to add edge detection")

    gpio = SimpleNamespace(
        BCM=11, IN=1, PUD_DOWN=21, RISING=31, setmode=lambda _: None,
        setup=lambda *_, **__: None, add_event_detect=broken,
    )  # fmt: skip
    with pytest.raises(GpioError, match="rpi-lgpio"), EdgeListener(17, lambda: 0.0, gpio):
        pass
    with pytest.raises(GpioError, match="BCM"):
        EdgeListener(40, lambda: 0.0, gpio)


class TracedGpio(DummyGpio):
    """Tells, too, whether the board was open when a pin changed."""

    def __init__(self, is_open: list[bool]) -> None:
        super().__init__(clock=VirtualClock())
        self.trace: list[tuple[int, int, bool]] = []
        self._is_open = is_open

    def _set(self, pin: int, level: int) -> None:
        super()._set(pin, level)
        self.trace.append((pin, level, self._is_open[-1]))


def test_what_lets_the_pulses_out_is_on_while_it_is_measured() -> None:
    """As docs/wiring.md wires it: without the service, a pull-up holds all outputs off."""
    states = [False]
    board = SimpleNamespace(name="a board", silenced=True, open=lambda: states.append(True),
                            close=lambda: states.append(False))  # fmt: skip
    options, gpio, clock = (
        GpioOptions(output_enable=17, servo_power=27),
        TracedGpio(states),
        VirtualClock(),
    )
    enabled = EnabledBoard(board, Pins(options, gpio), clock)  # type: ignore[arg-type]
    enabled.open()
    assert gpio.trace[-2:] == [(27, 1, True), (17, 0, True)], "its outputs are off by then"
    assert clock.now() == POWER_UP_S
    enabled.close()
    assert gpio.trace[-2:] == [(17, 1, False), (27, 0, False)], "the outputs first"


def test_pins_that_let_nothing_out_are_left_alone() -> None:
    """A head with an LED works without its pins, and so may this."""
    board = SimpleNamespace(name="a board", open=lambda: None, close=lambda: None)
    gpio = DummyGpio("fail@0", VirtualClock())
    enabled = EnabledBoard(board, Pins(GpioOptions(status_led=22), gpio), VirtualClock())  # type: ignore[arg-type]
    enabled.open()
    enabled.close()


def test_a_pin_of_the_head_is_not_free_to_listen() -> None:
    wired = config.load(None, [("gpio.output_enable", "17"), ("gpio.driver", "dummy")], head="jaw")
    with pytest.raises(UsageError, match="output_enable"):
        run_oscillator(wired, 0, 15, 5.0, 17)


# Writing and the command line ---------------------------------------------------------------------

ROBOT = """\
# My robot.
head: jaw
audio:
  input: mic     # on the nose
  driver: dummy
servos:
  jaw: {max_us: 1750}   # it binds at 1760
"""


def test_rewrite_shows_and_changes_just_that(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(ROBOT)
    path.chmod(0o640)
    shown: list[str] = []
    changes = {("audio", "output_latency_ms"): "31.5", ("servos", "jaw", "lag_ms"): "43.2"}
    rewrite(path, changes, shown.append)
    assert path.read_text() == ROBOT.replace(
        "audio:\n", "audio:\n  output_latency_ms: 31.5\n"
    ).replace("{max_us", "{lag_ms: 43.2, max_us")
    assert "+  output_latency_ms: 31.5" in shown[0].splitlines()
    assert os.stat(path).st_mode & 0o777 == 0o640
    loaded = config.load(path)
    assert loaded.head.servos[0].options.lag_ms == 43.2
    assert loaded.audio.output_latency_ms == 31.5
    assert [p.name for p in tmp_path.iterdir()] == ["robot.yaml"]


def test_rewrite_leaves_the_config_to_its_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(ROBOT)
    change = {("audio", "output_latency_ms"): "31.5"}
    if not os.getuid():
        os.chown(path, 1234, 4321)  # as the page's config is, when root calibrates
    before = path.stat()
    rewrite(path, change, print)
    assert "output_latency_ms: 31.5" in path.read_text()
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid, before.st_gid, before.st_mode,
    )  # fmt: skip

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)  # a card without owners; somebody else's config
    rewrite(path, {("audio", "output_latency_ms"): "32.5"}, print)
    assert "output_latency_ms: 32.5" in path.read_text()


def test_rewrite_says_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(ROBOT)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"nothing can be written here \(No space left"):
        rewrite(path, {("audio", "output_latency_ms"): "31.5"}, print)
    assert path.read_text() == ROBOT
    assert [p.name for p in tmp_path.iterdir()] == ["robot.yaml"]


def test_rewrite_waits_for_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "robot.yaml")
    path = tmp_path / "robot.yaml"
    with a_writer(path), pytest.raises(ConfigError, match="no regular file"):
        rewrite(path, {("audio", "output_latency_ms"): "31.5"}, print)


def test_rewrite_changes_nothing_that_would_not_load(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(ROBOT)
    with pytest.raises(ConfigError, match="no servo tongue"):
        rewrite(path, {("servos", "tongue", "lag_ms"): "43"}, print)
    assert path.read_text() == ROBOT
    assert [p.name for p in tmp_path.iterdir()] == ["robot.yaml"]
    code, _, err = run(
        capsys, "calibrate", "oscillator", "--measured-hz", "51", "--write", str(tmp_path / "no")
    )
    assert code == 2
    assert "lipsync-edge config" in err


def test_oscillator_command_writes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(ROBOT)
    arguments = ("calibrate", "oscillator", str(path), "--measured-hz", "51.2")
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert "25585254" in out
    assert path.read_text() == ROBOT, "nothing is written unasked"
    code, out, _ = run(capsys, *arguments, "--json", "--write", str(path))
    assert code == 0
    assert json.loads(out)["oscillator_hz"] == 25_585_254
    assert path.read_text() == ROBOT + "\nboards:\n  - oscillator_hz: 25585254\n"
    assert config.load(path).head.boards[0].oscillator_hz == 25_585_254


@pytest.mark.slow
def test_lag_command_refuses_what_it_cannot_know(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(ROBOT)
    sets = ("--set", "board.driver=simulator", "--max-delay-ms", "100")
    # The null sink's microphone hears a buzz, whatever is played.
    code, out, err = run(capsys, "calibrate", "lag", str(path), "--write", str(path), *sets)
    assert (code, out) == (1, "")
    assert "not heard" in err
    assert path.read_text() == ROBOT
    for wrong in (["--set", "audio.input="], ["--servo", "tail"], ["--taps", "3"]):
        code, _, err = run(capsys, "calibrate", "lag", str(path), *sets, *wrong)
        assert code == 2, err


def test_sigterm_ends_it_as_ctrl_c_does() -> None:
    """What follows an interruption is tested above."""
    arguments = ["calibrate", "lag", "--set", "audio.driver=dummy", "--set", "audio.input=mic"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lipsync_edge", *arguments, "--set", "board.driver=simulator"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "listening to the speaker\n"
    process.terminate()
    assert process.wait(timeout=20) == 130
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("what", ["lag", "oscillator"])
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], what: str) -> None:
    code, out, _ = run(capsys, "calibrate", what, "--help")
    assert code == 0
    assert f"Example: lipsync-edge calibrate {what}" in out
    code, _, _ = run(capsys, "calibrate", "oscillator")
    assert code == 2
