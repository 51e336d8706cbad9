"""A card that knows a single rate, as the drill makes one, on the device of ALSA that is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lipsync_tools.drill import preload

CONF = """\
pcm.speaker { type null hint { show on description "speaker" } }
pcm.mic { type null hint { show on description "mic" } }
pcm.!default { type asym playback.pcm "speaker" capture.pcm "mic" }
"""
TRIAL = """\
from dataclasses import replace
from lipsync_edge.audio.portaudio import PortAudioStream
from lipsync_edge.clock import MonotonicClock
from lipsync_edge.errors import AudioError
from lipsync_edge.options import AudioOptions

for way in ("record", "play"):
    options = replace(AudioOptions(), input="mic", output="speaker")
    try:
        stream = PortAudioStream(options, clock=MonotonicClock(), way=way, rate_hz=48_000)
    except AudioError as error:
        print(way, error)
    else:
        print(way, stream.rate_hz)
        stream.stop()
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_a_card_of_one_rate_refuses_all_others(tmp_path: Path) -> None:
    library = preload.built(tmp_path, "onerate")
    (tmp_path / "asound.conf").write_text(CONF)
    environment = {
        **os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"),
        "JACK_NO_START_SERVER": "1", "LD_PRELOAD": str(library), "DRILL_RATES": str(tmp_path),
    }  # fmt: skip

    def opened() -> list[str]:
        words = (sys.executable, "-c", TRIAL)
        said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return said.stdout.splitlines()

    assert opened() == ["record 48000", "play 48000"]
    (tmp_path / "mic").write_text("16000\n")
    assert opened() == ["record 16000", "play 48000"], "who records takes what there is"
    (tmp_path / "speaker").write_text("44100\n")
    recorded, played = opened()
    assert recorded == "record 16000"
    assert played.startswith("play speaker cannot be opened at 48000 Hz")
