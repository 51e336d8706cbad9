"""The Pi's own troubles: a supply that sags, a processor that is too hot. Read from the kernel.

* Under-voltage: driver ``raspberrypi-hwmon``, device ``rpi_volt``, file ``in0_lcrit_alarm``. The
  driver asks the firmware every 2 s whether the 5 V rail fell too low since it asked last.
* Temperature: device ``cpu_thermal``, file ``temp1_input``, in thousandths of a degree.
* Throttling: the firmware slows a Pi down from 80 degrees C on (Raspberry Pi documentation,
  "frequency management and thermal control"); the kernel lowers cpufreq's ``scaling_max_freq``.

All of it is a few small files, read every two seconds by the main thread. What is missing (another
computer, another kernel) is None and troubles nobody.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

READ_S = 2.0
EASED = 0.5
"""Share of range and speed while the supply is too weak: servos that move half as far and half as
fast take about half the current or less, and the Pi's own needs stay."""
EASE_BEYOND_S = 10.0
THROTTLE_C = 80.0


@dataclass(frozen=True)
class SupplyState:
    """What the kernel says; None where it says nothing."""

    under_voltage: bool | None = None
    throttled: bool | None = None
    cpu_c: float | None = None


class Sensors:
    """Finds and reads the files. ``root``: where ``sysfs`` is mounted."""

    def __init__(self, root: Path = Path("/sys")) -> None:
        hwmon = {_text(path / "name"): path for path in sorted(root.glob("class/hwmon/hwmon*"))}
        self._alarm = hwmon.get("rpi_volt", Path("/nowhere")) / "in0_lcrit_alarm"
        self._heat = hwmon.get("cpu_thermal", Path("/nowhere")) / "temp1_input"
        self._limit = root / "devices/system/cpu/cpufreq/policy0/scaling_max_freq"
        self._usual = _number(self._limit)

    def read(self) -> SupplyState:
        """The state of now. Never raises OSError."""
        alarm, heat, limit = (_number(path) for path in (self._alarm, self._heat, self._limit))
        cpu_c = None if heat is None else heat / 1000.0
        slowed = limit is not None and self._usual is not None and limit < self._usual
        known = cpu_c is not None or limit is not None
        return SupplyState(
            under_voltage=None if alarm is None else alarm != 0,
            throttled=(slowed or (cpu_c or 0.0) >= THROTTLE_C) if known else None,
            cpu_c=cpu_c,
        )


class Supply:
    """Looks at the sensors now and then; says in the log what changed, once per event.

    ``state``: what was read last; ``ease``: the share of range and speed that servos should use.
    """

    def __init__(self, sensors: Sensors) -> None:
        self._sensors = sensors
        self._next_s = -math.inf
        self._weak_until_s = -math.inf
        self._weak = self._slowed = False
        self.state = SupplyState()
        self.ease = 1.0

    def step(self, now_s: float) -> None:
        """Read where it is time to; ``now_s``: monotonic seconds."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + READ_S
        self.state = self._sensors.read()
        if self.state.under_voltage:
            self._weak_until_s = now_s + EASE_BEYOND_S
        self._tell_voltage(now_s < self._weak_until_s)
        self._tell_throttling(bool(self.state.throttled))
        self.ease = EASED if self._weak else 1.0

    def _tell_voltage(self, weak: bool) -> None:
        if weak and not self._weak:
            log.warning(
                "The Pi's supply is too weak (under-voltage): the servos move less and more "
                "slowly. Give the servos a supply of their own, the Pi 5.1 V and a short cable."
            )
        elif self._weak and not weak:
            log.info("The Pi's supply is good again.")
        self._weak = weak

    def _tell_throttling(self, slowed: bool) -> None:
        if slowed and not self._slowed:
            at = f" at {self.state.cpu_c:.0f} degrees C" if self.state.cpu_c is not None else ""
            log.warning("The Pi slows itself down%s. Give it air or a heat sink.", at)
        elif self._slowed and not slowed:
            log.info("The Pi runs at full speed again.")
        self._slowed = slowed


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float | None:
    try:
        value = float(_text(path))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
