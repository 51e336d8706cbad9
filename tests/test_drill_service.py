"""The drill's manager, on a program that is no robot: what systemd makes of its words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lipsync_tools.drill.service import Service
from lipsync_tools.drill.unit import read_unit

PROGRAM = """\
import os, socket, time

def say(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        telling.sendto(word.encode(), os.environ["NOTIFY_SOCKET"])

say("READY=1")
say("{word}")
time.sleep({seconds})
raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("word", "seconds", "result", "code"),
    [
        ("STATUS=silent", 60, "watchdog", -9),
        ("WATCHDOG_USEC=30000000", 1.2, "exit-code", 3),
        ("STOPPING=1", 1.2, "exit-code", 3),  # no watchdog watches who says that it ends
        ("STOPPING=1", 60, "timeout", -9),
    ],
)
def test_who_says_that_it_ends_is_given_the_time_to(
    tmp_path: Path, word: str, seconds: float, result: str, code: int
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(word=word, seconds=seconds))
    unit = replace(
        read_unit(), watchdog_s=0.6, stop_timeout_s=2.0, abort_timeout_s=2.0, restart="no",
        stop_post=(),
    )  # fmt: skip
    environment = {"PYTHONPATH": str(tmp_path)}
    with Service(unit, tmp_path / "no.yaml", tmp_path, environment, "program") as service:
        service.start()
        assert service._over.wait(30)
    (life,) = service.lives
    assert (life.result, life.code) == (result, code)
    assert life.stopping is (word == "STOPPING=1")
