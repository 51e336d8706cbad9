"""What `doctor` makes of other computers: their files are laid out in a folder."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lipsync_edge import checkup, config, doctor
from lipsync_edge.audio.cards import Device
from lipsync_edge.checkup import Finding, User
from lipsync_edge.errors import AudioError, ConfigError, ControlError
from lipsync_edge.options import BoardSpec
from lipsync_edge.servos.i2c import bus_problem, scan
from lipsync_edge.servos.registers import simulated_bus

# /etc/group of Raspberry Pi OS 12, shortened.
GROUPS = "root:x:0:\naudio:x:29:pi,lipsync\ngpio:x:986:pi\ni2c:x:994:\npi:x:1000:\n"
PI = User("pi", False, frozenset([1000, 29]))
# /proc/asound/cards as the kernel writes it (sound/core/init.c).
NO_CARDS = "--- no soundcards ---\n"
LOOPBACK = " 0 [Loopback       ]: Loopback - Loopback\n                      Loopback 1\n"


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def settings(*overrides: tuple[str, str]) -> config.Config:
    return config.load(None, list(overrides), head="jaw")


# Groups -------------------------------------------------------------------------------------------


def test_each_group_is_asked_for_where_its_devices_are_needed(tmp_path: Path) -> None:
    root = lay(tmp_path, {"etc/group": GROUPS, "dev/snd/pcmC0D0p": "", "dev/i2c-1": ""})
    found = list(checkup.groups(settings(("gpio.button", "17")), PI, root))
    assert [(f.name, f.ok) for f in found] == [("group audio", True), ("group i2c", False)]
    assert found[1].remedy == "sudo usermod -aG i2c pi, then log out and in again"
    lay(tmp_path, {"dev/gpiochip0": ""})
    found = list(checkup.groups(settings(("gpio.button", "17")), PI, root))
    assert found[2].name == "group gpio"
    assert found[2].remedy == "log out and in again, or restart", "a member, not in this login"
    assert len(list(checkup.groups(settings(), PI, root))) == 2, "no pin is wired"
    off = settings(("audio.driver", "dummy"), ("board.driver", "simulator"))
    assert list(checkup.groups(off, PI, root)) == []


def test_root_may_use_all(tmp_path: Path) -> None:
    root = lay(tmp_path, {"etc/group": GROUPS, "dev/i2c-1": ""})
    assert [f.ok for f in checkup.groups(settings(), User("root", True, frozenset([0])), root)] == [
        True
    ]


def test_a_group_file_of_nonsense_tells_nothing(tmp_path: Path) -> None:
    root = lay(tmp_path, {"etc/group": "i2c\ni2c:x:many:\n\0\n", "dev/i2c-1": ""})
    assert list(checkup.groups(settings(), PI, root)) == []


# Boot configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dtparam=i2c_arm=on\n", "on"),
        ("dtparam=i2c=on\n", "on"),
        ("#dtparam=i2c_arm=on\n", None),
        ("dtparam=i2c_arm=on\ndtparam=i2c_arm=off\n", "off"),
        ("dtparam=audio=on,i2c_arm=on\n", "on"),
        ("[none]\ndtparam=i2c_arm=on\n", None),
        ("[none]\n[all]\ndtparam=i2c_arm=on # the bus\n", "on"),
        ("dtparam=i2c_arm\n", "on"),
        ("dtparam=i2c_vc=on\n", None),
        ("\xff\xfe dtparam=\n[", None),
    ],
)
def test_parameters_as_the_firmware_reads_them(
    tmp_path: Path, text: str, value: str | None
) -> None:
    root = lay(tmp_path, {"config.txt": text})
    assert checkup.parameters(root / "config.txt").get("i2c_arm") == value


def boot(root: Path, text: str, name: str = "boot/firmware/config.txt") -> Finding:
    (finding,) = checkup.boot_config(lay(root, {name: text}))
    return finding


def test_a_bus_that_is_off_or_missing_or_slow(tmp_path: Path) -> None:
    assert boot(tmp_path, "dtparam=audio=on\n").remedy.startswith("sudo raspi-config nonint do_i2c")
    missing = boot(tmp_path, "dtparam=i2c_arm=on\n")
    assert not missing.ok
    assert missing.remedy.splitlines()[1].endswith("sudo modprobe i2c-dev")
    lay(tmp_path, {"dev/i2c-1": ""})
    slow = boot(tmp_path, "dtparam=i2c_arm=on\n")
    assert slow.ok
    assert "dtparam=i2c_arm_baudrate=400000" in slow.remedy
    fast = boot(tmp_path, "dtparam=i2c_arm=on,i2c_arm_baudrate=400000\n")
    assert (fast.ok, fast.remedy) == (True, "")


def test_boot_files_before_bookworm_and_none_at_all(tmp_path: Path) -> None:
    assert list(checkup.boot_config(tmp_path)) == []
    assert "/boot/config.txt" in boot(tmp_path, "", "boot/config.txt").words


def test_a_bus_is_there_and_usable_or_says_why(tmp_path: Path) -> None:
    assert "raspi-config nonint do_i2c 0" in bus_problem(tmp_path)
    (tmp_path / "i2c-1").write_text("")
    assert bus_problem(tmp_path) == ""


# Cards --------------------------------------------------------------------------------------------


def test_the_loopback_card(tmp_path: Path) -> None:
    hears = settings(("audio.input", "Loopback: PCM (hw:0,1)"))
    root = lay(tmp_path, {"proc/asound/cards": NO_CARDS, "proc/modules": "snd 1 0 - Live 0x0\n"})
    (finding,) = checkup.loopback(hears, root)
    assert finding.remedy.splitlines()[0] == "sudo modprobe snd-aloop"
    lay(root, {"proc/modules": "snd_aloop 36864 0 - Live 0x0000000000000000\n"})
    (finding,) = checkup.loopback(hears, root)
    assert finding.remedy.startswith("sudo modprobe -r snd-aloop")
    lay(root, {"proc/asound/cards": LOOPBACK})
    (finding,) = checkup.loopback(hears, root)
    assert finding.ok


def test_no_card_at_all(tmp_path: Path) -> None:
    needs = settings(("audio.driver", "portaudio"))
    root = lay(tmp_path, {"proc/asound/cards": NO_CARDS})
    (finding,) = checkup.loopback(needs, root)
    assert "aplay -l" in finding.remedy
    assert list(checkup.loopback(settings(("audio.driver", "dummy")), root)) == []
    lay(root, {"proc/asound/cards": LOOPBACK})
    assert list(checkup.loopback(needs, root)) == []


def test_a_rate_that_the_card_does_not_have() -> None:
    card = Device(0, "USB Audio", 0, 2, 48_000, rates_hz=(44_100, 48_000))
    assert doctor._rate("sound", "plays to", card, 0).ok
    assert doctor._rate("sound", "plays to", card, 48_000).ok
    refused = doctor._rate("sound", "plays to", card, 96_000)
    assert refused.words == "USB Audio cannot do 96000 Hz (it can: 44100, 48000)"
    assert "audio.rate_hz: 0" in refused.remedy


class Running:
    """What a client hears of a head that runs by ``robot.yaml``."""

    status: Mapping[str, object] = {"ready": True, "lost": "", "device": "Loopback > USB Audio"}

    def __init__(self, path: str, timeout_s: float) -> None:
        if not path:
            raise ControlError("Nobody is there.")
        self.describe = lambda: {"config": "robot.yaml"}

    def __enter__(self) -> Any:
        return SimpleNamespace(describe=self.describe, status=lambda: self.status)

    def __exit__(self, *_: object) -> None:
        pass


def test_a_card_that_the_running_head_has_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """PortAudio lists no card that another program holds."""
    monkeypatch.setattr("lipsync_edge.client.Client", Running)
    monkeypatch.setattr("lipsync_edge.audio.cards.list_devices", list)
    asks = settings(("audio.driver", "portaudio"), ("service.socket", "here.sock"),
                    ("audio.output", "USB"), ("audio.input", "loopback"))  # fmt: skip
    with pytest.raises(AudioError, match="no playback device"):
        list(doctor._output(asks))  # the running head's config is another one
    (finding,) = doctor._output(replace(asks, source="robot.yaml"))
    assert finding.ok
    assert "running head" in finding.words
    misspelt = replace(asks, source="robot.yaml", audio=replace(asks.audio, output="USBB"))
    with pytest.raises(AudioError, match="no playback device"):
        list(doctor._output(misspelt))  # of the next start, not of what runs
    monkeypatch.setattr(Running, "status", {**Running.status, "lost": "USB Audio stopped"})
    with pytest.raises(AudioError, match="no playback device"):
        list(doctor._output(replace(asks, source="robot.yaml")))


# Boards, on the simulated bus ---------------------------------------------------------------------


def answers(*addresses: int) -> list[Finding]:
    bus = simulated_bus(tuple(BoardSpec(address) for address in addresses))
    found = {answer.address: answer for answer in scan(bus)}
    return list(doctor.judge(settings(), found))


def test_a_board_that_answers_and_what_cannot_be_seen() -> None:
    board, all_call, power = answers(0x40)
    assert (board.name, board.ok) == ("servo board 0x40", True)
    assert (all_call.name, all_call.ok) == ("all-call address", True)
    assert "no second board" in all_call.words
    assert power.ok
    assert "measure" in power.remedy


def test_a_board_at_another_address() -> None:
    board, all_call = answers(0x41)
    assert not board.ok
    assert "answers at 0x41" in board.remedy
    assert all_call.ok


def test_nothing_answers() -> None:
    (board,) = doctor.judge(settings(), {})
    assert len(board.remedy.splitlines()) == 2
    assert board.text().count("\n    -> ") == 2


# Service ------------------------------------------------------------------------------------------


def systemctl(folder: Path, shown: str) -> str:
    """A program that answers like systemd's own."""
    script = folder / "systemctl"
    script.write_text(
        "#!/bin/sh\n"
        f"case $1 in show) printf '{shown}';; "
        "status) printf 'a\\nb\\nc\\nd\\ne\\nlast word \\377\\n'; exit 3;; esac\n"
    )
    script.chmod(0o755)
    return str(script)


def test_a_service_that_runs_failed_or_rests(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    active = "LoadState=loaded\\nActiveState=active\\nSubState=running\\nNRestarts=2\\n"
    active += "StatusText=speaking, board ok\\n"
    (finding,) = checkup.service(tmp_path, systemctl(tmp_path, active))
    assert finding.ok
    assert finding.words == "active (running): speaking, board ok; restarted 2 times"
    failed = "LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=watchdog\\n"
    (finding,) = checkup.service(tmp_path, systemctl(tmp_path, failed))
    assert not finding.ok
    assert finding.words.splitlines()[0] == "failed (failed), watchdog; last words:"
    assert len(finding.words.splitlines()) == 6
    assert finding.words.splitlines()[-1].strip() == "last word \ufffd"
    inactive = "LoadState=loaded\\nActiveState=inactive\\nSubState=dead\\n"
    (finding,) = checkup.service(tmp_path, systemctl(tmp_path, inactive))
    assert finding.remedy == "start it: sudo systemctl start lipsync-edge"


def test_no_systemd_or_no_such_service(tmp_path: Path) -> None:
    loaded = systemctl(tmp_path, "LoadState=loaded\\nActiveState=failed\\n")
    assert list(checkup.service(tmp_path, loaded)) == [], "systemd does not run here"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert list(checkup.service(tmp_path, systemctl(tmp_path, "LoadState=not-found\\n"))) == []
    assert list(checkup.service(tmp_path, str(tmp_path / "nothing"))) == []
    (tmp_path / "systemctl").write_text("no program")
    assert list(checkup.service(tmp_path, str(tmp_path / "systemctl"))) == []


# Control socket, and all together -----------------------------------------------------------------


def test_a_socket_that_nobody_answers(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    assert list(checkup.control(str(path))) == []
    assert list(checkup.control("")) == []
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (finding,) = checkup.control(str(path))
    assert not finding.ok
    assert finding.remedy


def test_a_bad_config_does_not_hide_the_system(tmp_path: Path) -> None:
    def load() -> config.Config:
        raise ConfigError(["robot.yaml:3: audio.lookahead_ms: 9999 is too much"])

    root = lay(tmp_path, {"boot/config.txt": ""})
    found = {finding.name: finding for finding in doctor.examine(load, root)}
    assert not found["config"].ok
    assert not found["boot"].ok


def test_every_problem_of_a_bare_pi_has_a_remedy(tmp_path: Path) -> None:
    root = lay(tmp_path, {"boot/firmware/config.txt": "", "proc/asound/cards": NO_CARDS})
    asks = settings(("model.runtime", "dummy"), ("audio.input", "Loopback"))
    for finding in doctor.examine(lambda: asks, root):
        assert finding.ok or finding.remedy, finding
