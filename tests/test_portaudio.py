"""Choosing sound devices by name, and a machine that has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lipsync_edge.audio.cards import Device, find, has_output, list_devices
from lipsync_edge.audio.portaudio import Catcher
from lipsync_edge.errors import AudioError

DEVICES = [
    Device(0, "bcm2835 Headphones: - (hw:0,0)", 0, 8, 44_100),
    Device(1, "USB Audio Device: - (hw:1,0)", 1, 2, 44_100),
    Device(2, "USB Audio Device: - (hw:2,0)", 1, 2, 48_000),
    Device(3, "pulse", 32, 32, 44_100, is_default_input=True, is_default_output=True),
    Device(4, "HDMI", 0, 2, 48_000),
    Device(5, "hdmi:CARD=vc4", 0, 2, 48_000),
]


@pytest.mark.parametrize(
    ("name", "playing", "index"),
    [
        ("default", True, 3),
        ("default", False, 3),
        ("headphones", True, 0),
        ("hw:2", True, 2),
        ("HDMI", True, 4),  # exactly, though it is a part of two
        ("Pulse", False, 3),
    ],
)
def test_a_name_or_a_part_of_one_that_is_unique(name: str, playing: bool, index: int) -> None:
    assert find(DEVICES, name, playing).index == index


def test_what_cannot_record_is_no_microphone() -> None:
    with pytest.raises(AudioError, match="that can record is called 'headphones'"):
        find(DEVICES, "headphones", playing=False)


def test_two_that_match_are_named() -> None:
    with pytest.raises(AudioError, match=r"2 sound devices match 'usb'.*\(hw:1,0\).*\(hw:2,0\)"):
        find(DEVICES, "usb", playing=True)


def test_a_typing_error_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(AudioError, match=r"did you mean 'pulse'.*There are: 'bcm2835") as caught:
        find(DEVICES, "plse", playing=True)
    assert all(device.name in str(caught.value) for device in DEVICES)


def test_without_a_default_the_first_that_can_is_taken() -> None:
    assert find(DEVICES[:2], "default", playing=True).index == 0
    with pytest.raises(AudioError, match=r"no sound device that can record.*driver: dummy"):
        find(DEVICES[:1], "default", playing=False)


def test_the_catcher_lets_nothing_out() -> None:
    catcher = Catcher()
    with catcher:
        raise ZeroDivisionError("boom")
    assert catcher.caught == "ZeroDivisionError: boom"


def test_a_machine_without_sound_gets_a_sentence_and_no_chatter(tmp_path: Path) -> None:
    """An ALSA configuration of no devices is a machine without sound cards, anywhere."""
    (tmp_path / "asound.conf").write_text("pcm.gone { type hw card 31 }\n")
    program = (
        "from lipsync_edge.audio.cards import *\n"
        "from lipsync_edge.audio.portaudio import *\n"
        "from lipsync_edge.clock import MonotonicClock\n"
        "print(has_output(), list_devices())\n"
        "try: PortAudioStream(AudioOptions(), clock=MonotonicClock())\n"
        "except AudioError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("False []\nno sound device that can play was found. Plug one in")
    assert done.stderr == ""


def test_without_any_alsa_configuration_portaudio_is_not_even_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end the whole program with an assertion."""
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "missing.conf"))
    assert not has_output()
    with pytest.raises(AudioError, match=r"missing\.conf.*apt install libasound2-data"):
        list_devices()
