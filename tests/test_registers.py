"""The simulated PCA9685 against its data sheet (NXP, rev. 4); numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from lipsync_edge.clock import VirtualClock
from lipsync_edge.servos import BoardSpec
from lipsync_edge.servos.chip import Chip
from lipsync_edge.servos.registers import Bus, Transaction, simulated_bus


def read(bus: Bus, register: int, n_bytes: int = 1, address: int = 0x40) -> bytes:
    data = bytearray(n_bytes)
    bus.writeto_then_readfrom(address, bytes((register,)), data)
    return bytes(data)


def awake_chip(**how: float) -> tuple[Chip, Bus]:
    """A chip with auto-increment on and its oscillator up at 50 Hz."""
    chip = Chip(0x40, **how, warm={})  # type: ignore[arg-type]
    return chip, Bus([chip])


def silent(chip: Chip) -> bool:
    return all(math.isnan(pulse) for pulse in chip.pulses_us())


# ---- power-up, tables 5 to 10


def test_power_up_values() -> None:
    bus = Bus([Chip(0x40)])
    registers = [read(bus, register)[0] for register in (*range(0x0A), 0xFE)]
    assert registers == [0x11, 0x04, 0xE2, 0xE4, 0xE8, 0xE0, 0, 0, 0, 0x10, 0x1E]
    assert silent(bus.chips[0x40])


def test_all_led_registers_read_zero_and_reach_every_channel() -> None:
    chip, bus = awake_chip()
    bus.writeto(0x40, bytes((0xFA, 0x99, 0x01, 0xCC, 0x04)))
    assert read(bus, 0xFA, 4) == bytes(4)
    assert read(bus, 0x06, 64) == bytes((0x99, 0x01, 0xCC, 0x04)) * 16
    # Example 1 of section 7.3.3: 409 to 1228 = 819 counts of 122 / 25 MHz = 4.88 us.
    assert chip.pulses_us() == pytest.approx([819 * 4.88] * 16)


# ---- pulses, sections 7.3.3 to 7.3.5


@pytest.mark.parametrize(
    ("registers", "counts"),
    [
        ((0x99, 0x01, 0xCC, 0x04), 819),  # example 1
        ((0x65, 0x0E, 0xCB, 0x0C), 3686),  # example 2: on until the next frame
        ((0x00, 0x00, 0x33, 0x01), 307),
        ((0xFF, 0x03, 0xFF, 0x03), math.nan),  # figure 9, example 4: equal means off
        ((0x00, 0x00, 0x33, 0x11), math.nan),  # full off
        ((0x00, 0x10, 0x33, 0x11), math.nan),  # full off wins over full on
        ((0x00, 0x10, 0x33, 0x01), math.inf),  # full on
    ],
)
def test_pulse_from_on_and_off_counts(registers: tuple[int, ...], counts: float) -> None:
    chip, bus = awake_chip()
    bus.writeto(0x40, bytes((0x06 + 4 * 4, *registers)))
    assert chip.pulse_us(4) == pytest.approx(counts * 4.88, nan_ok=True)


@pytest.mark.parametrize(
    ("oscillator_hz", "prescale", "rate_hz"),
    [(25e6, 0x03, 1526), (25e6, 0x1E, 196.9), (25e6, 0xFF, 23.84), (26.1e6, 0x79, 52.23)],
)
def test_rate_from_prescale(oscillator_hz: float, prescale: int, rate_hz: float) -> None:
    chip = Chip(0x40, oscillator_hz)
    Bus([chip]).writeto(0x40, bytes((0xFE, prescale)))
    assert 1e6 / chip.period_us() == pytest.approx(rate_hz, rel=1e-3)


def test_output_enable_pin_silences() -> None:
    chip = Chip(0x40, warm={0: 307})
    assert chip.pulse_us(0) == pytest.approx(307 * 4.88)
    chip.output_enabled = False
    assert silent(chip)


# ---- what may be written when


def test_prescale_is_locked_while_awake_and_at_least_3() -> None:
    chip, bus = awake_chip()
    bus.writeto(0x40, b"\xfe\x1e")
    assert read(bus, 0xFE) == b"\x79"
    assert chip.misuse == ["wrote PRE_SCALE while awake"]
    bus.writeto(0x40, b"\x00\x10")
    bus.writeto(0x40, b"\xfe\x02")
    assert read(bus, 0xFE) == b"\x03"


def test_reserved_bits_and_registers() -> None:
    _, bus = awake_chip()
    bus.writeto(0x40, bytes((0x06, 0xFF, 0xFF, 0xFF, 0xFF)))
    assert read(bus, 0x06, 4) == b"\xff\x1f\xff\x1f"
    bus.writeto(0x40, b"\x01\xff")
    assert read(bus, 0x01) == b"\x1f"
    bus.writeto(0x40, b"\x05\xe1")
    assert read(bus, 0x05) == b"\xe0"
    with pytest.raises(OSError, match="Remote I/O"):  # reserved addresses are not acknowledged
        bus.writeto(0x40, b"\x46\x00")


def test_extclk_is_sticky_and_needs_two_steps() -> None:
    bus = Bus([Chip(0x40, warm={})])
    bus.writeto(0x40, b"\x00\x50")
    assert read(bus, 0)[0] & 0x40 == 0
    bus.writeto(0x40, b"\x00\x50")
    bus.writeto(0x40, b"\x00\x20")
    assert read(bus, 0) == b"\x60"


# ---- auto-increment, remark under table 4


def test_auto_increment_rolls_over_past_69_and_past_254() -> None:
    _, bus = awake_chip()
    assert read(bus, 0x45, 3) == bytes((0x10, 0x20, 0x04))  # LED15_OFF_H, MODE1, MODE2
    assert read(bus, 0xFD, 3) == bytes((0x00, 0x79, 0x20))  # ALL_LED_OFF_H, PRE_SCALE, MODE1


def test_without_auto_increment_a_burst_hits_one_register() -> None:
    _, bus = awake_chip()
    bus.writeto(0x40, b"\x00\x00")
    bus.writeto(0x40, bytes((0x06, 1, 2, 3, 4)))
    assert [read(bus, register)[0] for register in range(6, 10)] == [4, 0, 0, 0x10]
    assert read(bus, 0x06, 3) == bytes((4, 4, 4))


def test_a_burst_changes_all_outputs_at_stop() -> None:
    chip, bus = awake_chip()
    bus.writeto(0x40, bytes((0x06,)) + bytes((0, 0, 0x33, 0x01)) * 16)
    assert chip.pulses_us() == pytest.approx([307 * 4.88] * 16)


def test_outputs_that_change_on_ack_wait_for_all_four_registers() -> None:
    chip, bus = awake_chip()
    bus.writeto(0x40, b"\x01\x0c")  # OCH
    bus.writeto(0x40, bytes((0x08, 0x33, 0x01)))
    assert silent(chip)
    bus.writeto(0x40, bytes((0x06, 0, 0, 0x33, 0x01)))
    assert chip.pulse_us(0) == pytest.approx(307 * 4.88)


# ---- sleep and RESTART, section 7.3.1.1


def test_sleep_while_running_sets_restart_and_a_1_resumes() -> None:
    chip = Chip(0x40, warm={0: 307})
    bus = Bus([chip])
    bus.writeto(0x40, b"\x00\x10")
    assert read(bus, 0) == b"\x90"
    assert silent(chip)
    bus.writeto(0x40, b"\x00\x00")  # a 0 does not clear it
    assert read(bus, 0) == b"\x80"
    assert silent(chip)
    bus.writeto(0x40, b"\x00\x80")
    assert read(bus, 0) == b"\x00"
    assert chip.pulse_us(0) == pytest.approx(307 * 4.88)
    assert chip.misuse == ["wrote RESTART within 500 us of waking"]


def test_restart_is_cleared_by_a_pwm_write_and_not_set_after_orderly_shutdown() -> None:
    chip = Chip(0x40, warm={0: 307})
    bus = Bus([chip])
    bus.writeto(0x40, b"\x00\x10")
    bus.writeto(0x40, b"\xfd\x10")
    assert read(bus, 0) == b"\x10"
    bus.writeto(0x40, b"\x00\x00")
    bus.writeto(0x40, b"\x00\x10")
    assert read(bus, 0) == b"\x10"
    assert silent(chip)


# ---- addresses, sections 7.3.6, 7.3.7 and 7.6


def test_all_call_reaches_every_chip_until_switched_off() -> None:
    bus = Bus([Chip(0x40, warm={0: 307}), Chip(0x41)])
    bus.chips[0x40].registers[0] |= 0x01
    bus.writeto(0x70, b"\x00\x21")
    assert [read(bus, 0, address=a) for a in (0x40, 0x41)] == [b"\x21", b"\x21"]
    bus.writeto(0x70, b"\x00\x20")
    with pytest.raises(OSError, match="Remote I/O"):
        bus.writeto(0x70, b"\x00\x21")
    assert bus.scan() == [0x40, 0x41]


def test_sub_addresses_answer_when_enabled() -> None:
    bus = Bus([Chip(0x40, warm={})])
    bus.writeto(0x40, b"\x00\x2e")
    assert bus.scan() == [0x40, 0x71, 0x72, 0x74]


def test_software_reset_needs_exactly_06() -> None:
    bus = Bus([Chip(0x40, warm={0: 307})])
    for wrong in (b"\x05", b"\x06\x06", b""):
        with pytest.raises(OSError, match="Remote I/O"):
            bus.writeto(0x00, wrong)
    assert read(bus, 0) == b"\x20"
    bus.writeto(0x00, b"\x06")
    assert read(bus, 0) == b"\x11"
    assert silent(bus.chips[0x40])


# ---- counting


def test_bits_of_a_transaction() -> None:
    assert Transaction(0x40, b"\x06" + bytes(64)).bits == 596  # 1 + 9 x 66 + 1
    assert Transaction(0x40, b"\x00", b"\x20").bits == 39  # 1 + 9 x 2 + 1 + 9 x 2 + 1
    assert Transaction(0x40, b"", b"\x20").bits == 20
    assert Transaction(0x40, b"\x06\x00", acknowledged=False).bits == 11


def test_the_bus_counts_and_logs() -> None:
    _, bus = awake_chip()
    bus.writeto(0x40, b"\xfd\x10")
    read(bus, 0)
    assert [t.written for t in bus.log] == [b"\xfd\x10", b"\x00"]
    assert (bus.n_transactions, bus.n_bits) == (2, 29 + 39)


# ---- misbehaviour


def works(bus: Bus, address: int = 0x40) -> bool:
    try:
        bus.writeto(address, b"\x00")
    except OSError:
        return False
    return True


def test_nack_for_a_number_and_for_a_while() -> None:
    clock = VirtualClock()
    bus = Bus([Chip(0x40, warm={0: 307})], clock=clock)
    bus.nack(2)
    assert [works(bus) for _ in range(3)] == [False, False, True]
    bus.nack_for(0.5)
    assert not works(bus)
    assert bus.chips[0x40].pulse_us(0) > 0  # a loose wire does not stop the pulses
    clock.sleep_until(0.5)
    assert works(bus)


def test_stall_takes_time_once() -> None:
    clock = VirtualClock()
    bus = Bus([Chip(0x40)], clock=clock)
    bus.stall(0.25)
    assert works(bus)
    assert works(bus)
    assert clock.now() == 0.25


def test_kill_and_revive_lose_the_registers() -> None:
    bus = Bus([Chip(0x40, warm={0: 307}), Chip(0x41)])
    bus.kill(0x40)
    assert (works(bus, 0x40), works(bus, 0x41)) == (False, True)
    assert silent(bus.chips[0x40])
    bus.revive(0x40)
    assert read(bus, 0) == b"\x11"


def test_faults_from_text_run_from_the_first_transaction() -> None:
    clock = VirtualClock(100.0)
    faults = "nack@1:0.5 slow@2:0.25 dead@3:1"
    bus = simulated_bus([BoardSpec(0x40), BoardSpec(0x41)], clock=clock, faults=faults)
    seen = {}
    for at_s in (0.0, 1.0, 1.49, 1.5, 2.0, 3.0, 3.9, 4.1):
        clock.sleep_until(100.0 + at_s)
        seen[at_s] = works(bus)
    assert seen == {0.0: True, 1.0: False, 1.49: False, 1.5: True, 2.0: True} | {
        3.0: False,
        3.9: False,
        4.1: True,
    }


def test_faults_that_nobody_knows_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="Known: nack"):
        simulated_bus([BoardSpec()], faults="melt@1")
