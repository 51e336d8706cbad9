"""Under-voltage, heat and throttling, from a tree of files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsync_edge.supply import EASE_BEYOND_S, EASED, Sensors, Supply, SupplyState


class Sys:
    """A /sys as a Pi 4 shows it: thermal first, voltage second."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for number, name in enumerate(("cpu_thermal", "rpi_volt")):
            (root / f"class/hwmon/hwmon{number}").mkdir(parents=True)
            (root / f"class/hwmon/hwmon{number}/name").write_text(name + "\n")
        (root / "devices/system/cpu/cpufreq/policy0").mkdir(parents=True)
        self.set(alarm=0, milli_c=48686, max_khz=1500000)

    def set(
        self, alarm: int | None = None, milli_c: int | None = None, max_khz: int | None = None
    ) -> None:
        for path, value in (
            ("class/hwmon/hwmon1/in0_lcrit_alarm", alarm),
            ("class/hwmon/hwmon0/temp1_input", milli_c),
            ("devices/system/cpu/cpufreq/policy0/scaling_max_freq", max_khz),
        ):
            if value is not None:
                (self.root / path).write_text(f"{value}\n")


@pytest.fixture
def pi(tmp_path: Path) -> Sys:
    return Sys(tmp_path)


def test_a_healthy_pi(pi: Sys) -> None:
    assert Sensors(pi.root).read() == SupplyState(False, False, 48.686)


def test_each_trouble(pi: Sys) -> None:
    sensors = Sensors(pi.root)
    pi.set(alarm=1)
    assert sensors.read().under_voltage is True
    pi.set(alarm=0, milli_c=80100)
    assert sensors.read() == SupplyState(False, True, 80.1)
    pi.set(milli_c=70000, max_khz=1000000)
    assert sensors.read().throttled is True
    pi.set(max_khz=1500000)
    assert sensors.read().throttled is False


def test_another_computer_has_nothing_of_it(tmp_path: Path) -> None:
    assert Sensors(tmp_path).read() == SupplyState(None, None, None)
    (tmp_path / "class/hwmon/hwmon0").mkdir(parents=True)
    (tmp_path / "class/hwmon/hwmon0/name").write_text("k10temp")
    assert Sensors(tmp_path).read() == SupplyState(None, None, None)


@pytest.mark.parametrize("nonsense", [b"", b"\xff\xfe", b"nan", b"hot"])
def test_a_file_of_nonsense_is_as_none(pi: Sys, nonsense: bytes) -> None:
    (pi.root / "class/hwmon/hwmon0/temp1_input").write_bytes(nonsense)
    (pi.root / "class/hwmon/hwmon1/in0_lcrit_alarm").write_bytes(nonsense)
    state = Sensors(pi.root).read()
    assert (state.cpu_c, state.under_voltage) == (None, None)


def test_under_voltage_eases_the_servos_some_seconds_beyond_and_is_said_once(
    pi: Sys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    supply, eased = Supply(Sensors(pi.root)), []
    for k in range(40 * 20):
        now_s = k / 20
        if now_s in (5.0, 9.0):
            pi.set(alarm=int(now_s == 5.0))
        supply.step(now_s)
        if supply.ease == EASED:
            eased.append(now_s)
    assert 5 <= eased[0] <= 7
    assert 9 + EASE_BEYOND_S - 2 <= eased[-1] <= 9 + EASE_BEYOND_S + 2
    assert len(eased) == pytest.approx((eased[-1] - eased[0]) * 20 + 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "under-voltage" in caplog.text


def test_throttling_is_said_once_per_event(pi: Sys, caplog: pytest.LogCaptureFixture) -> None:
    supply = Supply(Sensors(pi.root))
    for k in range(30):
        pi.set(milli_c=82000 if 5 <= k < 10 or 20 <= k < 25 else 60000)
        supply.step(k * 2.0)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "82 degrees" in warnings[0]
    assert supply.ease == 1.0


def test_files_are_read_every_two_seconds_only(pi: Sys) -> None:
    supply = Supply(Sensors(pi.root))
    supply.step(0.0)
    pi.set(alarm=1)
    supply.step(1.9)
    assert supply.state.under_voltage is False
    supply.step(2.0)
    assert supply.state.under_voltage is True
