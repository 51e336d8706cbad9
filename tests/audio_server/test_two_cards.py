"""Live sound from one device to another, each a stream of its own, on a real sound server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from lipsync_edge import config
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import Bell, MonotonicClock
from lipsync_edge.realtime import Realtime
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.sound import Sound
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Telemetry
from lipsync_tools.drill.sound import Cards
from lipsync_tools.soundserver import RATE_HZ, SoundServer, write_wav

pytestmark = pytest.mark.server
TONE_HZ = 1000
PIECE = RATE_HZ // 100


def test_a_tone_goes_from_the_one_to_the_other(server: SoundServer, tmp_path: Path) -> None:
    index = np.arange(RATE_HZ)
    tone = np.rint(12_000 * np.sin(2 * np.pi * TONE_HZ / RATE_HZ * index)).astype(np.int16)
    write_wav(tmp_path / "tone.wav", tone.tobytes())
    clock, telemetry = MonotonicClock(), Telemetry()
    supervisor = Supervisor(clock)
    options = [("audio.driver", "portaudio"), ("audio.input", "mic"), ("audio.output", "speaker")]
    settings = config.load(None, [*options, ("audio.rate_hz", str(RATE_HZ))])
    with server.fed(tmp_path / "tone.wav"), server.recording() as path:
        realtime = Realtime(False, 0)
        sound = Sound(settings, False, clock, telemetry, realtime, supervisor)
        assert sound.name == "mic > speaker"
        courier = BlockCourier(Ring(RATE_HZ), Bell(), 0, sound.ring, live=True)
        sound.start(courier, SampleClock(RATE_HZ))
        wait_until(lambda: telemetry.input_delay_s.count >= 6, 30.0)
        supervisor.stop("enough")
        sound.stop()
        supervisor.join()
    assert telemetry.input_rate_hz == RATE_HZ
    assert abs(telemetry.input_ppm) <= 1000
    assert telemetry.input_delay_s.values().max() < 0.3
    recorded = np.frombuffer(path.read_bytes(), np.int16).astype(float)
    left = recorded[2:] - 2 * np.cos(2 * np.pi * TONE_HZ / RATE_HZ) * recorded[1:-1]
    left += recorded[:-2]
    pieces = len(left) // PIECE
    loud = np.abs(recorded[: pieces * PIECE].reshape(pieces, PIECE)).max(axis=1) > 11_000
    clean = np.abs(left[: pieces * PIECE].reshape(pieces, PIECE)).max(axis=1) < 8.0
    assert loud.sum() > 200
    assert (loud & clean).sum() > 0.8 * loud.sum(), "a busy computer may lose a block"


def test_the_recording_card_goes_and_comes_back_at_another_rate(tmp_path: Path) -> None:
    """The playing one lives on meanwhile: not lost, not opened again."""
    command = [sys.executable, "-m", "lipsync_edge", "run", "--json", "--for", "14"]
    for setting in ("board.driver=simulator", "audio.driver=portaudio", "audio.input=mic",
                    "audio.output=speaker", "audio.retry_s=0.3"):  # fmt: skip
        command += ["--set", setting]
    clock = MonotonicClock()
    with Cards(tmp_path) as cards:
        program = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **cards.environment},
        )  # fmt: skip
        clock.sleep_until(clock.now() + 5.0)
        cards.unplug("mic")
        clock.sleep_until(clock.now() + 3.0)
        cards.plug("mic", 16_000)
        out, err = program.communicate(timeout=40)
    assert program.returncode == 0, err
    sound = json.loads(out)["sound"]
    assert sound["input"]["lost"] >= 1
    assert sound["lost"] == 0
    assert sound["input"]["delay_ms"]["p50"] < 300
    assert "sound input: lost" in err
    assert "sound input: well again" in err
