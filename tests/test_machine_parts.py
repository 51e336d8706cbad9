"""What the tests in the emulated computer judge by; it is not booted here."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import pulses, steal
from tests.machine.speaking import limits, outside

ON, OFF = 300, pulses.OFF


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ([(0.0, ON), (2.1, OFF)], 0.1),
        ([(0.0, ON), (2.1, OFF), (2.2, OFF), (5.5, ON)], 0.1),  # the next start
        ([(0.0, ON), (2.1, OFF), (2.5, ON), (2.9, OFF)], 0.9),  # off is not off for good
        ([(0.0, ON), (2.1, OFF), (2.5, ON)], math.inf),
        ([(0.0, ON)], math.inf),
        ([(0.0, ON), (1.0, OFF), (2.1, OFF)], 0.0),
    ],
)
def test_silent_is_who_stays_silent(changes: list[tuple[float, int]], seconds: float) -> None:
    assert pulses.silent_after(changes, 2.0, 5.0) == pytest.approx(seconds)
    assert pulses.is_on_at(changes, 2.0) == (changes[1:2] != [(1.0, OFF)])
    assert not pulses.is_on_at(changes, -1.0)


def test_late_ticks_are_excused_one_by_one() -> None:
    times_s = [0.02 * k for k in range(50)]
    counts = [300 + k for k in range(50)]
    changes = list(zip(times_s, counts, strict=True))
    same = pulses.agreement(changes, times_s, counts, 0.0, 0.0)
    assert (same.n_apart, same.worst()) == (0, 0)
    changes[20] = 0.4, 390
    changes[30] = 0.6, 305
    found = pulses.agreement(changes, times_s, counts, 0.0, 0.0)
    assert found.apart == (68, 23)
    assert [found.worst(n) for n in range(4)] == [68, 23, 0, 0]


def entry(us: float) -> pulses.Entry:
    count = round(us / 4.88)
    data = bytes((pulses.LED0, 0, 0, count & 0xFF, count >> 8))
    return pulses.Entry(1.0, 0x40, True, 0, 5, data)


def test_each_pulse_of_the_record_is_held_against_the_head_s_limits() -> None:
    assert limits() == (286, 370)
    assert outside([entry(1400), entry(1800)]) == []
    assert outside([entry(1400), entry(1830), entry(1300)]) == [375, 266]


@pytest.mark.parametrize(
    ("lates_s", "quiet"),
    [
        ([0.001] * 400, True),
        ([0.001] * 400 + [0.012] * 4, True),
        ([0.001] * 400 + [0.012] * 5, False),
        ([0.001] * 400 + [0.025], False),
        ([], False),
    ],
)
def test_what_a_computer_took_is_told_by_a_sleeper(lates_s: list[float], quiet: bool) -> None:
    assert steal.of(lates_s).quiet is quiet


def test_the_sleeper_ends_when_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "enough").touch()
    words = (sys.executable, steal.__file__, str(tmp_path / "enough"))
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    told = steal.Steal(**json.loads(said.stdout))
    assert told.n == 0
    assert told.worst_s == 0.0
