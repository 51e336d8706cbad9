"""The whole program on a real sound server: from the command line to the summary."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from lipsync_edge.cli import SAMPLE
from lipsync_edge.clock import MonotonicClock
from lipsync_tools.soundserver import SoundServer

pytestmark = pytest.mark.server
CLOCK = MonotonicClock()


class Program:
    """`lipsync-edge run --json` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "lipsync_edge", "run", "--json", *arguments]
        command += ["--set", "board.driver=simulator", "--set", "audio.driver=portaudio"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )

    def end(self, timeout_s: float = 30.0) -> tuple[int, dict[str, Any], str]:
        """Wait; return exit code, summary and what it said on standard error."""
        out, err = self.process.communicate(timeout=timeout_s)
        assert "Traceback" not in err
        return self.process.returncode, json.loads(out), err


def pause(seconds: float) -> None:
    CLOCK.sleep_until(CLOCK.now() + seconds)


def test_it_speaks_the_sentence_to_its_end(server: SoundServer) -> None:
    with server.recording() as raw:
        code, summary, err = Program("--play", str(SAMPLE)).end()
    assert code == 0, err
    assert summary["reason"] == "the end of the sound"
    assert summary["heard_s"] >= 6.99
    assert summary["sound"]["callback_errors"] == 0
    assert summary["mover"]["ticks"] > 300
    played = np.frombuffer(raw.read_bytes(), np.int16)
    loud = np.flatnonzero(np.abs(played.astype(int)) > 3000)
    assert (loud[-1] - loud[0]) / server.rate_hz == pytest.approx(5.9, abs=0.5)  # of the sentence


def test_full_duplex_moves_the_mouth_to_what_the_microphone_hears(server: SoundServer) -> None:
    with server.fed(SAMPLE):
        code, summary, err = Program("--set", "audio.input=mic", "--for", "5").end()
    assert code == 0, err
    assert summary["sound"]["callback_errors"] == 0
    assert summary["analyzer"]["hops"] > 300
    assert summary["board"]["writes"] > 50, "the mouth moved"


def test_a_card_that_is_unplugged_and_comes_back(server: SoundServer) -> None:
    program = Program("--play", str(SAMPLE), "--set", "audio.retry_s=0.3")
    pause(2.5)
    server.stop()
    pause(2.5)
    server.start()
    code, summary, err = program.end(40)
    assert code == 0, err
    assert "sound device: lost" in err
    assert "sound device: well again" in err
    assert summary["sound"]["lost"] >= 1
    assert summary["sound"]["device"] == "default", "the card itself, not a stand-in"
    assert summary["reason"] == "the end of the sound"


def test_sigterm_ends_it_in_order(server: SoundServer) -> None:
    program = Program("--set", "audio.input=mic")
    pause(2.5)
    program.process.send_signal(signal.SIGTERM)
    code, summary, err = program.end()
    assert code == 0, err
    assert summary["reason"] == "SIGTERM"
    assert summary["mover"]["ticks"] > 20
