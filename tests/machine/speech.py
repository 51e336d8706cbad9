"""The sound file of these tests: the shipped sentence in the format of the card `robot`.

So that no ALSA program has to convert it: what is heard is what `render` reads, to the bit.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import samplerate

SAMPLE = Path(__file__).parents[2] / "lipsync_edge/samples/hello.wav"
RATE_HZ, CHANNELS = 48_000, 2  # systemd/alsa/lipsync-edge.conf
QUIET_S = 1.0  # before and after: the features forget what was heard before


def write(path: Path, later_s: float = 0.0) -> None:
    """Write it, with so much more silence before it."""
    with wave.open(str(SAMPLE)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
        ratio = RATE_HZ / file.getframerate()
    loud = samplerate.resample(sound, ratio, "sinc_best")
    before, after = (np.zeros(round(s * RATE_HZ)) for s in (QUIET_S + later_s, QUIET_S))
    whole = np.concatenate([before, np.clip(loud, -0.999, 0.999), after])
    samples = np.rint(whole * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(CHANNELS)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.repeat(samples[:, None], CHANNELS, 1).tobytes())
