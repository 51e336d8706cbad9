"""Servo boards: the real ServoKit on a simulated bus. Expected counts come from the data sheet."""

from __future__ import annotations

import errno
import math
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.clock import VirtualClock
from lipsync_edge.errors import BoardError
from lipsync_edge.servos import BoardSpec, Slot
from lipsync_edge.servos import i2c as i2c_module
from lipsync_edge.servos.chip import Chip
from lipsync_edge.servos.pca9685 import Pca9685Board, detach_all, scan
from lipsync_edge.servos.registers import Bus

COUNT_US = 4.88
"""At 25 MHz and 50 Hz: PRE_SCALE = round(122.07) - 1 = 121, so a count is 122 / 25 MHz."""
SIXTEEN = tuple(Slot(0, channel) for channel in range(16))


class Bench:
    """A board on a simulated bus, with the clock in hand."""

    def __init__(
        self,
        slots: Sequence[Slot] = SIXTEEN,
        specs: Sequence[BoardSpec] = (BoardSpec(),),
        chips: Sequence[Chip] = (),
        **how: float,
    ) -> None:
        self.clock = VirtualClock()
        self.bus = Bus(chips or [Chip(s.address, s.oscillator_hz) for s in specs], self.clock)
        self.chips = list(self.bus.chips.values())
        self.board = Pca9685Board(specs, slots, i2c=self.bus, clock=self.clock, **how)  # type: ignore[arg-type]

    def opened(self) -> Bench:
        self.board.open()
        self.bus.log.clear()
        return self

    def write(self, *widths_us: float) -> bool:
        return self.board.write(np.array(widths_us))

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.clock.now() + seconds)

    def silent(self) -> bool:
        return all(math.isnan(us) for chip in self.chips for us in chip.pulses_us())

    def registers(self, chip: int, register: int, n: int = 1) -> bytes:
        return bytes(self.chips[chip].registers[register : register + n])


# ---- opening


def test_open_sets_prescale_and_auto_increment_and_stays_silent() -> None:
    bench = Bench()
    bench.board.open()
    assert bench.registers(0, 0xFE) == b"\x79"
    assert bench.registers(0, 0x00) == b"\x20"
    assert bench.chips[0].period_us() == pytest.approx(19_988.48)  # 4096 x 4.88
    assert bench.silent()
    assert bench.chips[0].misuse == []
    assert np.isnan(bench.board.sent_us()).all()
    assert bench.board.health().ok
    assert "BLINKA_OS_AGNOSTIC" not in os.environ


def test_warm_start_is_silenced_before_anything_else() -> None:
    chip = Chip(0x40, warm={0: 205, 5: 410})
    bench = Bench(chips=[chip])
    assert chip.pulse_us(5) == pytest.approx(2000.8)
    loud: list[bool] = []
    deliver = bench.bus._deliver

    def listen(address: int, written: bytes, n_read: int) -> tuple[bool, bytes]:
        answer = deliver(address, written, n_read)
        loud.append(not bench.silent())
        return answer

    bench.bus._deliver = listen  # type: ignore[method-assign]
    bench.board.open()
    all_off = [t.written for t in bench.bus.log].index(b"\xfd\x10")
    assert all(len(t.written) <= 1 for t in list(bench.bus.log)[:all_off])  # only looks until then
    assert loud == [True] * all_off + [False] * (len(loud) - all_off)


def test_plain_servokit_lets_old_pulses_return() -> None:
    """Why the order above matters; should this ever fail, the driver has become kinder."""
    Bench().board.open()  # imports ServoKit
    from adafruit_servokit import ServoKit

    chip = Chip(0x40, warm={5: 410})
    ServoKit(channels=16, i2c=Bus([chip]))
    assert chip.pulse_us(5) == pytest.approx(2000.8)


def test_wrong_address_names_the_boards_that_do_answer() -> None:
    bench = Bench(specs=[BoardSpec(0x41)], slots=[Slot(0, 0)], chips=[Chip(0x40)])
    with pytest.raises(BoardError, match=r"0x41 does not answer.*do answer: 0x40\..*power"):
        bench.board.open()
    assert bench.write(1500.0) is False


def test_no_board_at_all() -> None:
    bench = Bench()
    bench.bus.kill()
    with pytest.raises(BoardError, match="No servo board answers on this bus"):
        bench.board.open()
    assert not bench.board.health().ok
    bench.board.close()


def test_another_chip_at_the_address_is_left_alone() -> None:
    bench = Bench()
    bench.chips[0].registers[0x02:0x06] = b"\x39\x9f\x00\x00"  # some sensor
    before = bytes(bench.chips[0].registers)
    with pytest.raises(BoardError, match="0x40 is not a PCA9685"):
        bench.board.open()
    assert bytes(bench.chips[0].registers) == before


def test_read_back_that_differs_is_an_error_in_words() -> None:
    bench = Bench()
    bench.chips[0].registers[0x00] |= 0x40  # EXTCLK sticks until the power is cut
    with pytest.raises(BoardError, match=r"MODE1 reads 0x60 where 0x20 was written.*Cut its power"):
        bench.board.open()
    assert bench.silent()


def test_open_survives_noise_on_the_bus() -> None:
    bench = Bench()
    bench.bus.nack(2)
    bench.board.open()
    assert bench.board.health().nacks == 2


@pytest.mark.parametrize("module", ["adafruit_servokit", "adafruit_bus_device.i2c_device"])
def test_a_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(BoardError, match="pip install adafruit-circuitpython-servokit"):
        Bench().board.open()


@pytest.mark.parametrize(
    ("specs", "slots", "message"),
    [
        ([BoardSpec(0x70)], [], "0x70 is the address at which all"),
        ([BoardSpec(0x20)], [], "only 0x40-0x7f"),
        ([BoardSpec(), BoardSpec()], [], "same address"),
        ([BoardSpec(0x40 + k) for k in range(5)], [], "1 to 4 servo boards, not 5"),
        ([], [], "1 to 4 servo boards, not 0"),
        ([BoardSpec()], [Slot(0, 16)], "no channel 16 on board 0"),
        ([BoardSpec()], [Slot(1, 0)], "no channel 0 on board 1"),
        ([BoardSpec()], [Slot(0, 3), Slot(0, 3)], "same channel"),
    ],
)
def test_impossible_places(specs: list[BoardSpec], slots: list[Slot], message: str) -> None:
    with pytest.raises(BoardError, match=message):
        Pca9685Board(specs, slots)


# ---- pulses and traffic


@pytest.mark.parametrize(
    ("width_us", "counts"), [(1500, 307), (500, 102), (2500, 512), (1000, 205), (2000, 410)]
)
def test_microseconds_become_counts(width_us: float, counts: int) -> None:
    bench = Bench([Slot(0, 3)]).opened()
    assert bench.write(width_us)
    assert struct.unpack("<HH", bench.registers(0, 6 + 4 * 3, 4)) == (0, counts)
    assert bench.chips[0].pulse_us(3) == pytest.approx(counts * COUNT_US)
    assert bench.board.sent_us() == pytest.approx([counts * COUNT_US])


@pytest.mark.parametrize(
    ("oscillator_hz", "pwm_hz", "prescale"),
    [
        (26_100_000, 50, 126),  # 127.44 -> 127
        (23_400_000, 50, 113),  # 114.26 -> 114
        (25_000_000, 60, 101),  # 101.73 -> 102
        (25_000_000, 330, 17),  # 18.50 -> 18
        (27_000_000, 40, 164),  # 164.79 -> 165
    ],
)
def test_a_known_oscillator_gives_right_pulses(
    oscillator_hz: int, pwm_hz: float, prescale: int
) -> None:
    bench = Bench([Slot(0, 0)], [BoardSpec(0x40, oscillator_hz)], pwm_hz=pwm_hz).opened()
    assert bench.registers(0, 0xFE)[0] == prescale
    count_us = (prescale + 1) / oscillator_hz * 1e6
    for width_us in (512.0, 1500.0, 2400.0):
        assert bench.write(width_us)
        assert bench.chips[0].pulse_us(0) == pytest.approx(width_us, abs=count_us / 2 + 1e-6)


def test_an_unknown_oscillator_makes_pulses_wrong_by_its_error() -> None:
    bench = Bench([Slot(0, 0)], chips=[Chip(0x40, 26.1e6)]).opened()
    bench.write(1500.0)
    assert bench.chips[0].pulse_us(0) == pytest.approx(307 * 122 / 26.1)  # 1435 us


def test_sixteen_servos_are_one_transaction_of_66_bytes() -> None:
    bench = Bench().opened()
    assert bench.board.write(np.linspace(600, 2400, 16))
    (burst,) = bench.bus.log
    assert (burst.n_bytes, burst.bits, burst.written[0]) == (66, 596, 0x06)
    assert bench.chips[0].pulses_us() == pytest.approx(np.linspace(600, 2400, 16), abs=2.44)


def test_only_what_changes_is_sent_and_nothing_when_nothing_does() -> None:
    bench = Bench().opened()
    widths_us = np.full(16, 1500.0)
    assert bench.board.write(widths_us)
    bench.bus.log.clear()
    assert bench.board.write(widths_us - 1.0)  # 307.2 counts, still 307
    assert not bench.bus.log
    widths_us[[4, 6]] = 1000.0
    assert bench.board.write(widths_us)
    (burst,) = bench.bus.log
    assert burst.written[0] == 6 + 4 * 4
    assert struct.unpack("<6H", burst.written[1:]) == (0, 205, 0, 307, 0, 205)
    widths_us[5:7] = [1000.0, 1500.0]
    assert bench.board.write(widths_us)
    assert struct.unpack("<4H", bench.bus.log[-1].written[1:]) == (0, 205, 0, 307)


def test_the_look_at_the_setup_is_once_a_second_and_small() -> None:
    bench = Bench().opened()
    bench.wait(1.0)
    for _ in range(5):
        assert bench.board.write(np.full(16, np.nan))
    assert [(t.written, t.bits) for t in bench.bus.log] == [(b"\x00", 39), (b"\xfe", 39)]


def test_channels_that_are_not_ours_stay_off() -> None:
    bench = Bench([Slot(0, 1), Slot(0, 14)]).opened()
    assert bench.write(1500.0, 1500.0)
    assert len(bench.bus.log) == 1
    on = [k for k, us in enumerate(bench.chips[0].pulses_us()) if not math.isnan(us)]
    assert on == [1, 14]


@pytest.mark.parametrize("no_pulse", [math.nan, math.inf, -math.inf, 0.0, -5.0])
def test_what_is_no_pulse_is_full_off(no_pulse: float) -> None:
    bench = Bench([Slot(0, 0), Slot(0, 1)]).opened()
    bench.write(1500.0, 1500.0)
    assert bench.write(1500.0, no_pulse)
    assert bench.registers(0, 0x0A, 4) == bytes((0, 0, 0, 0x10))
    assert np.isnan(bench.board.sent_us()).tolist() == [False, True]


def test_four_boards_each_get_one_burst() -> None:
    specs = [BoardSpec(0x40 + k, 25_000_000 + 300_000 * k) for k in range(4)]
    slots = [Slot(k % 4, k // 4) for k in range(64)]
    bench = Bench(slots, specs).opened()
    widths_us = np.linspace(600, 2400, 64)
    assert bench.board.write(widths_us)
    assert [(t.address, t.n_bytes) for t in bench.bus.log] == [(0x40 + k, 66) for k in range(4)]
    got = [bench.chips[slot.board].pulse_us(slot.channel) for slot in slots]
    assert got == pytest.approx(widths_us, abs=2.5)


def test_wrong_number_of_widths_is_a_bug_that_shows() -> None:
    with pytest.raises(ValueError, match="2 widths for 16 servos"):
        Bench().opened().write(1500.0, 1500.0)


def test_plain_servokit_gives_the_pulses_of_the_data_sheet() -> None:
    """The simulator under the library as everybody uses it: 750 to 2250 us over 180 degrees."""
    Bench().board.open()
    from adafruit_servokit import ServoKit

    bus = Bus([Chip(0x40)])
    kit = ServoKit(channels=16, i2c=bus)
    for channel, angle in ((0, 0), (7, 90), (15, 180)):
        kit.servo[channel].angle = angle
    # 0.75 ms x 50.03 Hz = 3.752 % of 65535 = 2459 -> >> 4 = 153; and 307, 461.
    counts = [bus.chips[0x40].pulse_us(channel) / COUNT_US for channel in (0, 7, 15)]
    assert counts == pytest.approx([153, 307, 461], abs=1.0)
    assert bus.chips[0x40].misuse == []


# ---- trouble


def test_two_nacks_are_retried() -> None:
    bench = Bench(retries=3).opened()
    bench.bus.nack(2)
    assert bench.board.write(np.full(16, 1500.0))
    health = bench.board.health()
    assert (health.ok, health.nacks, health.failures) == (True, 2, 0)
    assert bench.chips[0].pulses_us() == pytest.approx([307 * COUNT_US] * 16)


def test_a_burst_of_nacks_takes_the_mouth_off_and_back() -> None:
    bench = Bench([Slot(0, 0)], retries=3).opened()
    assert bench.write(1500.0)
    bench.bus.nack(3)  # the switching off after it gets through
    assert bench.write(1600.0) is False
    assert bench.silent()
    assert np.isnan(bench.board.sent_us()).all()
    health = bench.board.health()
    assert (health.ok, health.nacks, health.failures) == (False, 3, 1)
    assert "0x40 does not answer (Remote I/O error)" in health.message

    bench.bus.log.clear()
    bench.wait(0.49)
    assert bench.write(1600.0) is False
    assert not bench.bus.log  # too early to try again
    bench.wait(0.02)
    assert bench.write(1600.0)
    assert bench.chips[0].pulse_us(0) == pytest.approx(1600, abs=2.44)
    assert bench.board.health().ok


def test_a_long_outage_costs_one_failure_and_two_attempts_a_second() -> None:
    bench = Bench([Slot(0, 0)], retries=1).opened()
    bench.write(1500.0)
    bench.bus.nack_for(2.0)
    bench.bus.log.clear()
    for _ in range(100):  # 2 s at 50 Hz
        bench.write(1500.0)
        bench.wait(0.02)
    assert bench.board.health().failures == 1
    assert len(bench.bus.log) <= 2 * 5  # the loss and 4 attempts, each followed by "off"
    bench.wait(0.5)
    assert bench.write(1500.0)


def test_power_loss_is_set_up_again_with_all_channels() -> None:
    bench = Bench().opened()
    widths_us = np.linspace(600, 2400, 16)
    bench.board.write(widths_us)
    bench.bus.kill()
    assert bench.board.write(widths_us + 50.0) is False
    bench.bus.revive()
    bench.wait(0.5)
    assert bench.board.write(widths_us + 50.0)
    assert bench.registers(0, 0xFE) == b"\x79"
    assert bench.chips[0].pulses_us() == pytest.approx(widths_us + 50.0, abs=2.44)


def test_a_dip_of_power_between_two_updates_is_noticed() -> None:
    """The chip acknowledges everything, asleep at its power-up values."""
    bench = Bench([Slot(0, 0)]).opened()
    bench.write(1500.0)
    bench.bus.kill()
    bench.bus.revive()
    assert bench.write(1600.0)
    assert bench.silent()
    bench.wait(1.0)
    assert not bench.write(1600.0), "the servos are to wake anew"
    assert bench.silent()
    assert bench.write(1600.0)
    assert bench.chips[0].pulse_us(0) == pytest.approx(1600, abs=2.44)
    assert "had lost its setup" in bench.board.health().message
    assert bench.board.health().ok


def test_a_reset_by_another_program_is_noticed() -> None:
    """``PCA9685.reset()`` writes MODE1 = 0: pulses go on, auto-increment is gone."""
    bench = Bench().opened()
    bench.board.write(np.full(16, 1500.0))
    bench.bus.writeto(0x40, b"\x00\x00")
    assert bench.board.write(np.full(16, 2000.0))
    assert bench.chips[0].pulse_us(15) == pytest.approx(307 * COUNT_US)  # it did not arrive
    bench.wait(1.0)
    assert not bench.board.write(np.full(16, 2000.0))
    assert bench.silent()
    assert bench.board.write(np.full(16, 2000.0))
    assert bench.chips[0].pulses_us() == pytest.approx([410 * COUNT_US] * 16)


def test_another_frequency_by_another_program_is_noticed() -> None:
    bench = Bench([Slot(0, 0)]).opened()
    for setup in (b"\x00\x30", b"\xfe\x1e", b"\x00\x20"):
        bench.bus.writeto(0x40, setup)
    bench.wait(1.0)
    assert not bench.write(1500.0)
    assert bench.write(1500.0)
    assert bench.registers(0, 0xFE) == b"\x79"


def test_one_dead_board_silences_the_others_too() -> None:
    bench = Bench([Slot(0, 0), Slot(1, 0)], [BoardSpec(0x40), BoardSpec(0x41)]).opened()
    bench.write(1500.0, 1500.0)
    bench.bus.kill(0x41)
    assert bench.write(1600.0, 1600.0) is False
    assert bench.silent()
    assert "0x41" in bench.board.health().message
    bench.bus.revive(0x41)
    bench.wait(0.5)
    assert bench.write(1600.0, 1600.0)
    assert bench.chips[0].pulse_us(0) == bench.chips[1].pulse_us(0) > 1590


trouble = st.one_of(
    st.tuples(st.just("write"), st.integers(500, 2500)),
    st.tuples(st.just("nack"), st.integers(1, 9)),
    st.tuples(st.just("outage"), st.sampled_from((0x40, 0x41))),
    st.tuples(st.just("wait"), st.sampled_from((0.02, 0.3, 0.6))),
    st.tuples(st.just("detach"), st.just(0)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(trouble, max_size=12))
def test_true_means_on_the_wire_and_it_always_comes_back(story: list[tuple[str, int]]) -> None:
    slots = [Slot(0, 2), Slot(1, 7), Slot(0, 9)]
    bench = Bench(slots, [BoardSpec(0x40), BoardSpec(0x41)], retries=2).opened()

    def write_and_look(width_us: float) -> bool:
        done = bench.write(width_us, width_us, math.nan)
        if done:
            sent_us = bench.board.sent_us()
            wire_us = [bench.chips[slot.board].pulse_us(slot.channel) for slot in slots]
            assert sent_us == pytest.approx(wire_us, nan_ok=True)
            assert sent_us[:2] == pytest.approx([width_us] * 2, abs=COUNT_US / 2 + 1e-6)
        return done

    for word, value in story:
        if word == "write":
            write_and_look(value)
        elif word == "nack":
            bench.bus.nack(value)
        elif word == "outage":
            bench.bus.kill(value)
            last_us = bench.board.sent_us()[0]  # a change of less than a count sends nothing
            new_us = 900.0 if math.isnan(last_us) or last_us > 1200 else 1800.0
            assert write_and_look(new_us) is False
            bench.bus.revive(value)
        elif word == "wait":
            bench.wait(value)
        else:
            bench.board.detach()
    for _ in range(6):  # at most 9 refusals are left, 2 or more are used up each time
        bench.wait(0.6)
        recovered = write_and_look(1500.0)
    assert recovered
    bench.board.close()
    assert bench.silent()


# ---- every way out is silent


def test_detach_switches_every_board_off_and_write_wakes_them() -> None:
    bench = Bench([Slot(0, 0), Slot(1, 0)], [BoardSpec(0x40), BoardSpec(0x41)]).opened()
    bench.write(1500.0, 1500.0)
    bench.board.detach()
    assert bench.silent()
    assert np.isnan(bench.board.sent_us()).all()
    assert bench.write(1500.0, 1500.0)
    assert not bench.silent()


def test_detach_retries_through_noise() -> None:
    bench = Bench([Slot(0, 0)], retries=3).opened()
    bench.write(1500.0)
    bench.bus.nack(2)
    bench.board.detach()
    assert bench.silent()


def test_detach_of_an_unreachable_board_says_so_and_does_the_others() -> None:
    bench = Bench([Slot(0, 0), Slot(1, 0)], [BoardSpec(0x40), BoardSpec(0x41)]).opened()
    bench.write(1500.0, 1500.0)
    bench.bus.nack(3)
    bench.board.detach()
    assert bench.chips[0].pulse_us(0) > 0
    assert math.isnan(bench.chips[1].pulse_us(0))
    assert "0x40 could not be switched off" in bench.board.health().message


def test_detach_while_degraded_and_close_twice() -> None:
    bench = Bench([Slot(0, 0)], retries=1).opened()
    bench.write(1500.0)
    bench.bus.nack(2)
    assert bench.write(1600.0) is False
    assert not bench.silent()  # neither the update nor the switching off arrived
    bench.board.detach()
    assert bench.silent()
    bench.board.close()
    bench.board.close()
    assert bench.write(1500.0) is False
    assert bench.silent()


def test_detach_before_open_does_nothing() -> None:
    bench = Bench()
    bench.board.detach()
    bench.board.close()
    assert not bench.bus.log


def test_detach_returns_although_the_bus_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench([Slot(0, 0)]).opened()
    monkeypatch.setattr("lipsync_edge.servos.pca9685.DETACH_WAIT_S", 0.01)
    hangs, let_go = threading.Event(), threading.Event()

    def hang(*_: object) -> tuple[bool, bytes]:
        hangs.set()
        let_go.wait()
        return True, b""

    monkeypatch.setattr(bench.bus, "_deliver", hang)
    mover = threading.Thread(target=bench.write, args=(1500.0,))
    mover.start()
    hangs.wait()
    bench.board.detach()
    assert "the bus is stuck" in bench.board.health().message
    let_go.set()
    mover.join()


# ---- without knowing the head


def test_scan_tells_boards_from_other_things() -> None:
    bus = Bus([Chip(0x40, warm={}), Chip(0x55), Chip(0x41)])
    bus.chips[0x41].registers[0x02] = 0x00
    assert [(a.address, a.is_board) for a in scan(bus)] == [
        (0x40, True),
        (0x41, False),
        (0x55, True),
        (0x70, False),
    ]
    assert "all-call" in scan(bus)[-1].note
    assert all(len(t.written) <= 1 for t in bus.log)  # nothing was written


def test_detach_all_finds_the_boards_by_itself() -> None:
    bus = Bus([Chip(0x40, warm={0: 307}), Chip(0x41, warm={3: 307})])
    assert detach_all(bus) == (0x40, 0x41)
    assert all(math.isnan(us) for chip in bus.chips.values() for us in chip.pulses_us())


def test_detach_all_says_which_board_it_missed_after_doing_the_rest() -> None:
    bus = Bus([Chip(0x41, warm={3: 307})])
    with pytest.raises(BoardError, match=r"at 0x40, so its outputs may still be on.*Cut the power"):
        detach_all(bus, [0x40, 0x41])
    assert math.isnan(bus.chips[0x41].pulse_us(3))


# ---- the computer's own bus


def test_bus_problems_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "raspi-config" in i2c_module.bus_problem(tmp_path)
    (tmp_path / "i2c-1").touch()
    assert i2c_module.bus_problem(tmp_path) == ""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "usermod -aG i2c" in i2c_module.bus_problem(tmp_path)


class FakeBoardModule(SimpleNamespace):
    """Blinka's ``board`` as on a Raspberry Pi."""

    board_id = "RASPBERRY_PI_4B"


@pytest.fixture
def has_bus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(i2c_module, "bus_problem", lambda: "")
    return monkeypatch


def test_the_own_bus_is_opened_and_given_back(has_bus: pytest.MonkeyPatch) -> None:
    Bench().board.open()  # imports ServoKit with the true ``board``
    bus, closed = Bus([Chip(0x40)]), []
    bus.deinit = lambda: closed.append(True)  # type: ignore[attr-defined]
    has_bus.setitem(sys.modules, "board", FakeBoardModule(I2C=lambda: bus))  # type: ignore[arg-type]
    board = Pca9685Board([BoardSpec()], [Slot(0, 0)])
    assert board.name == "PCA9685 at 0x40"
    board.open()
    assert board.write(np.array([1500.0]))
    board.close()
    assert closed == [True]
    assert math.isnan(bus.chips[0x40].pulse_us(0))
    assert [answer.address for answer in scan()] == [0x40]
    assert detach_all() == (0x40,)
    assert closed == [True] * 3


def test_what_was_not_off_is_tried_again_at_exit_on_the_own_bus(
    has_bus: pytest.MonkeyPatch,
) -> None:
    """A bus that was given back answers nobody: Blinka's has no attribute any more."""
    Bench().board.open()  # imports ServoKit with the true ``board``
    bus, closed = Bus([Chip(0x40)]), []
    bus.deinit = lambda: closed.append(True)  # type: ignore[attr-defined]
    has_bus.setitem(sys.modules, "board", FakeBoardModule(I2C=lambda: bus))  # type: ignore[arg-type]
    board = Pca9685Board([BoardSpec()], [Slot(0, 0)])
    board.open()
    assert board.write(np.array([1500.0]))
    deliver = bus._deliver
    bus._deliver = lambda *_: (False, b"")  # type: ignore[method-assign]
    board.close()
    assert (board.silenced, closed) == (False, [])
    bus._deliver = deliver  # type: ignore[method-assign]
    board.close()
    assert (board.silenced, closed) == (True, [True])
    assert math.isnan(bus.chips[0x40].pulse_us(0))


def _no_hardware() -> None:
    raise ValueError("No Hardware I2C on (scl,sda)=(3, 2)\nValid I2C ports: ().")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, "pip install adafruit-circuitpython-servokit"),
        (FakeBoardModule(), "finds no I2C pins"),
        (FakeBoardModule(I2C=_no_hardware), r"does not open: No Hardware I2C.*raspi-config"),
        (FakeBoardModule(I2C=lambda: None, board_id="OS_AGNOSTIC_BOARD"), "finds no I2C pins"),
    ],
)
def test_why_the_own_bus_does_not_open(
    has_bus: pytest.MonkeyPatch, module: object, message: str
) -> None:
    has_bus.setitem(sys.modules, "board", module)  # type: ignore[arg-type]
    with pytest.raises(BoardError, match=message):
        Pca9685Board([BoardSpec()], [Slot(0, 0)]).open()


def test_blinka_that_fails_at_import_is_explained(
    has_bus: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "board.py").write_text("raise RuntimeError('gpiod was not found\\nmore')")
    has_bus.delitem(sys.modules, "board", raising=False)
    has_bus.syspath_prepend(tmp_path)
    with pytest.raises(BoardError, match=r"gpiod was not found\..*pip install gpiod"):
        i2c_module.open_bus()


def test_asking_for_a_bus_loads_no_driver() -> None:
    """``driver: auto`` on a desktop must not pay for, or fail in, the hardware libraries."""
    script = (
        "import sys; from lipsync_edge.servos import pca9685; pca9685.bus_present();"
        "print([m for m in sys.modules if m == 'board' or m.startswith('adafruit')])"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert output.stdout.strip() == "[]"


# ---- a bus that is held low: Linux gives up on each transaction after a second


class Held(Bench):
    """A bench whose bus can be held low."""

    def hold(self) -> None:
        def held(*_: object, **__: object) -> None:
            self.asked += 1
            self.wait(1.0)
            raise OSError(errno.ETIMEDOUT, "Connection timed out")

        self.asked, self._free = 0, self.bus._transfer
        self.bus._transfer = held  # type: ignore[method-assign, assignment]

    def release(self) -> None:
        self.bus._transfer = self._free  # type: ignore[method-assign]


def test_a_bus_that_is_held_low_keeps_the_start_for_a_second_not_for_a_minute() -> None:
    bench = Held()
    bench.hold()
    with pytest.raises(BoardError, match=r"timed out\)\. The bus may be held low"):
        bench.board.open()
    assert bench.clock.now() <= 1.5


def test_a_bus_that_is_held_low_keeps_no_tick_for_long_and_is_set_up_again() -> None:
    specs = (BoardSpec(0x40), BoardSpec(0x41), BoardSpec(0x42))
    bench = Held([Slot(0, 0), Slot(1, 0), Slot(2, 0)], specs).opened()  # type: ignore[assignment]
    assert isinstance(bench, Held)
    assert bench.write(1500, 1500, 1500)
    bench.hold()
    for longest_s in (2.0, 0.0, 1.0):
        begun_s = bench.clock.now()
        assert not bench.write(1600, 1600, 1600)
        assert bench.clock.now() - begun_s <= longest_s
        bench.wait(0.3)
    assert not bench.board.silenced
    bench.release()
    bench.wait(1.0)
    assert bench.write(1600, 1600, 1600)
    bench.board.close()
    assert bench.board.silenced


def test_a_scan_of_a_bus_that_is_held_low_ends_with_a_sentence() -> None:
    bench = Held()
    bench.hold()
    with pytest.raises(BoardError, match="SDA or SCL is held low"):
        scan(bench.bus)
    assert bench.asked == 1


def test_a_board_that_a_stuck_bus_left_on_goes_off_though_another_one_stays_dead() -> None:
    bench = Held([Slot(0, 0), Slot(1, 0)], (BoardSpec(0x40), BoardSpec(0x41)))
    bench.opened()
    assert bench.write(1500, 1500)
    bench.hold()
    assert not bench.write(1600, 1600)
    bench.release()
    bench.bus.kill(0x40)
    assert not math.isnan(bench.chips[1].pulses_us()[0])
    bench.wait(1.0)
    assert not bench.write(1600, 1600)
    assert math.isnan(bench.chips[1].pulses_us()[0])
