"""What the head hears and what it says, at a real sound server: speech without pauses, and an ear.

Between the words there is faint noise, never digital silence; hence a stretch of zeros at the
speaker is a stretch in which the robot gave no sound.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.audio.wav import open_source, resampled
from lipsync_edge.cli import SAMPLE
from lipsync_edge.clock import MonotonicClock
from lipsync_tools.soundserver import RATE_HZ, SoundServer

BLOCK = RATE_HZ // 100
PAUSE_RMS = 300.0
NOISE = 20  # of 32767: -64 dB


def write_speech(path: Path, seconds: float) -> None:
    """The shipped sample without its pauses, over and over, with faint noise: 16 bit mono."""
    source = resampled(open_source(str(SAMPLE)), RATE_HZ)
    parts = []
    while len(part := source.read(RATE_HZ)):
        parts.append(part)
    source.close()
    whole = np.concatenate(parts)
    blocks = whole[: len(whole) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    spoken = blocks[np.sqrt((blocks**2).mean(axis=1)) > PAUSE_RMS].ravel()
    speech = np.resize(spoken, int(seconds * RATE_HZ))
    speech += np.random.default_rng(1).choice((-NOISE, NOISE), speech.size)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.clip(speech, -32768, 32767).astype("<i2").tobytes())


ALSA_CONF = """\
pcm.speaker {{ type pulse server "unix:{speaker}/native" device "speaker" hint {{ show on description "speaker" }} }}
pcm.mic {{ type pulse server "unix:{mic}/native" device "mic" hint {{ show on description "mic" }} }}
pcm.!default {{ type asym playback.pcm "speaker" capture.pcm "mic" }}
ctl.!default {{ type pulse server "unix:{speaker}/native" }}
"""  # noqa: E501  (ALSA knows no line continuation inside strings)


class Cards:
    """A microphone that hears speech for ever, and a speaker: each a sound server of its own, since
    one server would move what an unplugged card did to the other one. Use as a context manager.
    """

    def __init__(self, folder: Path) -> None:
        self.mic, self.speaker = SoundServer(folder / "mic"), SoundServer(folder / "speaker")
        self.speech = folder / "speech.wav"
        self._feed: list[subprocess.Popen[bytes]] = []
        self._conf = folder / "asound.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find these two cards and no other."""
        return {**self.speaker.environment, "ALSA_CONFIG_PATH": str(self._conf)}

    def __enter__(self) -> Cards:
        for server in (self.mic, self.speaker):
            server.folder.mkdir(parents=True)
        folders = {"mic": self.mic.folder, "speaker": self.speaker.folder}
        self._conf.write_text(ALSA_CONF.format(**folders))
        write_speech(self.speech, 30.0)
        self.plug("mic")
        self.plug("speaker")
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug("mic")
        self.unplug("speaker")

    def plug(self, name: str, rate_hz: int = RATE_HZ) -> None:
        """Let ``mic`` or ``speaker`` be there, at a rate; returns when it runs."""
        server = self._server(name)
        server.rate_hz = rate_hz
        server.start()
        if name == "mic":
            self._talk()

    def unplug(self, name: str) -> None:
        """Gone, with all that plays to it or records from it."""
        if name == "mic":
            for process in self._feed:
                process.terminate()
                process.wait(5)
            self._feed.clear()
        self._server(name).stop()

    def _server(self, name: str) -> SoundServer:
        return self.mic if name == "mic" else self.speaker

    @contextmanager
    def spoken(self) -> Iterator[None]:
        """The speech goes straight to the speaker, by the sound server's own program: what this
        computer makes of it without a robot."""
        processes = self._player(self.speaker, "speaker")
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
                process.wait(5)

    def _talk(self) -> None:
        self._feed += self._player(self.mic, "micfeed")

    def _player(self, server: SoundServer, sink: str) -> list[subprocess.Popen[bytes]]:
        environment = {**os.environ, **server.environment}
        looper = subprocess.Popen(
            (sys.executable, "-m", "lipsync_tools.soundserver", "--loop", str(self.speech)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert looper.stdout is not None
        player = subprocess.Popen(
            ("pacat", "--latency-msec=60", "-d", sink, "--format=s16le", "--channels=1",
             f"--rate={RATE_HZ}", "--raw"),
            env=environment, stdin=looper.stdout, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        looper.stdout.close()
        return [looper, player]


class Ear:
    """Listens to the speaker. Use as a context manager; it begins anew where the speaker was away.

    ``heard``: when each block of 10 ms came (monotonic seconds), and whether a sound was in it.
    """

    def __init__(self, server: SoundServer) -> None:
        self._environment = {**os.environ, **server.environment}
        self._clock = MonotonicClock()
        self._ended = threading.Event()
        self._recorder: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.heard: list[tuple[float, bool]] = []
        self._kept: list[bytes] | None = None

    def keep(self) -> None:
        """Keep what is heard from now on: 6 MB a minute."""
        self._kept = []

    def kept(self) -> NDArray[np.float64]:
        """The samples (n,) since :meth:`keep`."""
        return np.frombuffer(b"".join(self._kept or []), np.int16).astype(np.float64)

    def __enter__(self) -> Ear:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._recorder is not None:
            self._recorder.terminate()
        self._thread.join(5)

    def _listen(self) -> None:
        while not self._ended.is_set():
            self._recorder = subprocess.Popen(
                ("parec", "--latency-msec=10", "-d", "speaker.monitor", "--format=s16le",
                 "--channels=1", f"--rate={RATE_HZ}", "--raw"),
                env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self._follow(self._recorder)
            self._recorder.terminate()
            self._recorder.wait(5)
            self._ended.wait(0.1)

    def _follow(self, recorder: subprocess.Popen[bytes]) -> None:
        assert recorder.stdout is not None
        with recorder.stdout, suppress(ValueError):
            while data := recorder.stdout.read(2 * BLOCK):
                self.heard.append((self._clock.now(), any(data)))
                if self._kept is not None and len(data) == 2 * BLOCK:
                    self._kept.append(data)

    def gaps(
        self, from_s: float, to_s: float, shortest_s: float = 0.03
    ) -> list[tuple[float, float]]:
        """The stretches without a sound between two times, (start, end) in monotonic seconds."""
        sounds = [from_s, *(s for s, loud in self.heard.copy() if loud and from_s < s < to_s), to_s]
        pairs = pairwise(sounds)
        return [(a, b) for a, b in pairs if b - a >= shortest_s]

    def sounds_since(self, from_s: float) -> float:
        """When the first sound came after a time; infinite: none yet."""
        later = (s for s, loud in self.heard.copy() if loud and s > from_s)
        return next(later, float("inf"))
