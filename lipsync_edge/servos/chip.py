"""The PCA9685, register by register, as a thing to test drivers against.

Source: NXP PCA9685 product data sheet, rev. 4, 16 April 2015; section numbers below are its own.
Left out: EXTCLK pulses, INVRT, the wait for the end of a PWM cycle before an output changes or
RESTART is set (7.3.1.1, 7.3.4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

MODE1, MODE2, SUBADR1, ALLCALLADR, LED0, LED_END = 0x00, 0x01, 0x02, 0x05, 0x06, 0x46
ALL_LED, PRE_SCALE, TEST_MODE = 0xFA, 0xFE, 0xFF
RESTART, EXTCLK, AI, SLEEP = 0x80, 0x40, 0x20, 0x10
OCH = 0x08
FULL = 0x10
"""Bit 4 of LEDn_ON_H (always on) and LEDn_OFF_H (always off, which wins)."""
OSCILLATOR_START_S = 500e-6


class Chip:
    """One PCA9685. ``oscillator_hz`` is what its oscillator truly does, whatever the driver thinks.

    ``warm`` maps channels to OFF counts: the chip was left running at 50 Hz with these pulses, as
    after a reboot of the computer alone. ``misuse`` lists, in words, what the data sheet forbids.
    """

    def __init__(
        self,
        address: int = 0x40,
        oscillator_hz: float = 25e6,
        warm: Mapping[int, int] | None = None,
    ) -> None:
        self.address = address
        self.oscillator_hz = oscillator_hz
        self.output_enabled = True
        """The /OE pin is low. Set it to False to see what a pulled-up /OE does."""
        self.misuse: list[str] = []
        self.power_on()
        if warm is not None:
            self._warm_up(warm)

    # ---- power

    def power_on(self) -> None:
        """Power-up and software reset: the default values of tables 5 to 10."""
        self.powered = True
        self.registers = bytearray(256)
        self.registers[MODE1] = SLEEP | 0x01
        self.registers[MODE2] = 0x04
        self.registers[SUBADR1 : ALLCALLADR + 1] = bytes((0xE2, 0xE4, 0xE8, 0xE0))
        for channel in range(16):
            self.registers[LED0 + 4 * channel + 3] = FULL
        self.registers[PRE_SCALE] = 0x1E
        self._pointer = 0
        self._latched = bytes(self.registers[LED0:LED_END])
        self._awake_since_s = math.inf

    def power_off(self) -> None:
        self.powered = False

    def _warm_up(self, counts: Mapping[int, int]) -> None:
        self.registers[PRE_SCALE] = 0x79
        self.registers[MODE1] = AI
        for channel, count in counts.items():
            self.registers[LED0 + 4 * channel + 2 : LED0 + 4 * channel + 4] = count.to_bytes(
                2, "little"
            )
        self._latched = bytes(self.registers[LED0:LED_END])
        self._awake_since_s = -math.inf

    # ---- what comes out

    def period_us(self) -> float:
        """Time from pulse to pulse: 4096 (PRE_SCALE + 1) / oscillator, section 7.3.5."""
        return 4096 * (self.registers[PRE_SCALE] + 1) / self.oscillator_hz * 1e6

    def pulse_us(self, channel: int) -> float:
        """High time of an output in microseconds; NaN = no pulse, infinite = always high."""
        mode = self.registers[MODE1]
        if not (self.powered and self.output_enabled) or mode & (SLEEP | RESTART | EXTCLK):
            return math.nan
        on_l, on_h, off_l, off_h = self._latched[4 * channel : 4 * channel + 4]
        if off_h & FULL:
            return math.nan
        if on_h & FULL:
            return math.inf
        counts = ((off_h << 8 | off_l) - (on_h << 8 | on_l)) % 4096
        return counts * self.period_us() / 4096 if counts else math.nan

    def pulses_us(self) -> tuple[float, ...]:
        """All 16 outputs, see ``pulse_us``."""
        return tuple(self.pulse_us(channel) for channel in range(16))

    # ---- what the bus does to it

    def answers(self, address: int) -> bool:
        """Whether it acknowledges: its own address, all-call and sub-addresses where enabled."""
        if not self.powered:
            return False
        enabled = (0x08, 0x04, 0x02, 0x01)
        called = (
            address == self.registers[SUBADR1 + k] >> 1 and self.registers[MODE1] & bit
            for k, bit in enumerate(enabled)
        )
        return address == self.address or any(called)

    def write(self, data: bytes) -> bool:
        """A write up to STOP; False where a byte was not acknowledged (a reserved register)."""
        if not data:
            return True
        self._pointer = data[0]
        touched: set[int] = set()
        for value in data[1:]:
            if LED_END <= self._pointer < ALL_LED:
                break
            self._store(self._pointer, value, touched)
            self._advance()
        self._stop(touched)
        return not LED_END <= data[0] < ALL_LED

    def read(self, n_bytes: int) -> bytes:
        """A read from where the last access left off."""
        data = bytearray()
        for _ in range(n_bytes):
            zero = ALL_LED <= self._pointer < PRE_SCALE
            data.append(0 if zero else self.registers[self._pointer])
            self._advance()
        return bytes(data)

    def _advance(self) -> None:
        """With AI: past 69 comes 0, past 254 comes 0 (remark under table 4)."""
        if self.registers[MODE1] & AI:
            self._pointer = 0 if self._pointer in (LED_END - 1, PRE_SCALE) else self._pointer + 1
            self._pointer &= 0xFF

    def _store(self, register: int, value: int, touched: set[int]) -> None:
        if register == MODE1:
            self._set_mode1(value)
        elif register == MODE2:
            self.registers[MODE2] = value & 0x1F
        elif register <= ALLCALLADR:
            self.registers[register] = value & 0xFE
        elif register < LED_END:
            self._set_led(register, value, touched)
        elif ALL_LED <= register < PRE_SCALE:
            for channel in range(16):
                self._set_led(LED0 + 4 * channel + register - ALL_LED, value, touched)
        elif register == PRE_SCALE:
            self._set_prescale(value)
        else:
            self.misuse.append("wrote the test mode register")

    def _set_led(self, register: int, value: int, touched: set[int]) -> None:
        is_high_byte = (register - LED0) % 2
        self.registers[register] = value & 0x1F if is_high_byte else value
        touched.add(register)

    def _set_prescale(self, value: int) -> None:
        if self.registers[MODE1] & SLEEP:
            self.registers[PRE_SCALE] = max(value, 3)
        else:
            self.misuse.append("wrote PRE_SCALE while awake")

    def _set_mode1(self, value: int) -> None:
        old = self.registers[MODE1]
        kept = old & (RESTART | EXTCLK)  # a 0 written to either has no effect
        if value & RESTART and kept & RESTART:
            kept = self._restarted(old, kept)
        if value & EXTCLK and value & old & SLEEP:
            kept |= EXTCLK
        if value & SLEEP and not old & SLEEP and self._running():
            kept |= RESTART
        if old & SLEEP and not value & SLEEP:
            self._awake_since_s = time.monotonic()
        self.registers[MODE1] = kept | value & 0x3F

    def _restarted(self, old_mode: int, kept: int) -> int:
        """A 1 written to RESTART clears it and outputs resume, when the oscillator is up."""
        if old_mode & SLEEP:
            self.misuse.append("wrote RESTART while asleep")
            return kept
        if time.monotonic() - self._awake_since_s < OSCILLATOR_START_S:
            self.misuse.append("wrote RESTART within 500 us of waking")
        return kept & ~RESTART

    def _running(self) -> bool:
        """Some channel is not shut down in order (footnote 1 of section 7.3.1.1)."""
        return any(not off_h & FULL for off_h in self._latched[3::4])

    def _stop(self, touched: set[int]) -> None:
        """STOP: outputs take over what was written (table 6, OCH)."""
        if not touched:
            return
        latched = bytearray(self._latched)
        whole = {r for r in touched if {r - (r - LED0) % 4 + k for k in range(4)} <= touched}
        taken = whole if self.registers[MODE2] & OCH else touched
        for register in taken:
            latched[register - LED0] = self.registers[register]
        self._latched = bytes(latched)
        if taken:
            self.registers[MODE1] &= ~RESTART & 0xFF
