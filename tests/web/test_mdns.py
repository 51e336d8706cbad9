"""The head's name in the local network, as a real avahi announces it to a real one that looks."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ISOLATED = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")


@pytest.fixture(scope="module")
def heard() -> list[str]:
    """What the seeker prints, line by line."""
    if os.getuid():
        pytest.skip("only root makes a network of its own")
    for program in ("avahi-daemon", "avahi-browse", "dbus-daemon", "ip"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{program} is not installed")
    words = [*ISOLATED, "sh", str(HERE / "mdns.sh"), str(ROOT / "systemd/avahi")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if "unshare failed" in done.stderr or "RTNETLINK" in done.stderr:
        pytest.skip(f"no network of our own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_phone_finds_the_head_and_its_page(heard: list[str]) -> None:
    found = {line.split(";")[4]: line.split(";") for line in heard if line.startswith("=")}
    assert set(found) == {"_lipsync-edge._tcp", "Web Site"}  # avahi's word for _http._tcp
    for parts in found.values():
        assert parts[3] == r"Robot\032head\032on\032robot"
        assert parts[6:9] == ["robot.local", "10.9.8.7", "80"]
    assert '"api=1"' in found["_lipsync-edge._tcp"][9]


def test_the_name_leads_to_the_computer(heard: list[str]) -> None:
    assert heard[-1].split() == ["robot.local", "10.9.8.7"]
