"""A recording device beside a stream that plays: opened again only once it is known to open.

PortAudio 19 keeps the result of each of its steps in one variable for all threads (`paUtilErr_`).
Hence an open that fails while another stream runs is now and then taken for a success, and ends the
whole program with an assertion. So a process of its own tries first; it also sees devices that were
plugged in since, as PortAudio lists them only when it starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

from lipsync_edge.audio import Stream
from lipsync_edge.audio.portaudio import PortAudioStream
from lipsync_edge.clock import Clock, MonotonicClock
from lipsync_edge.errors import AudioError
from lipsync_edge.options import AudioOptions


class RecordingDevice:
    """Opens ``audio.input``, alone, at ``rate_hz`` or, where it cannot, at another rate."""

    PATIENCE_S = 30.0  # of a slow Pi, which loads numpy and PortAudio for a trial

    def __init__(self, options: AudioOptions, clock: Clock, rate_hz: int) -> None:
        self._options, self._clock, self._rate_hz = options, clock, rate_hz
        self._trial: subprocess.Popen[str] | None = None
        self._form: tuple[int, int] | None = None
        self._begun_s = 0.0  # of the trial

    def open(self) -> Stream:
        """The stream, as it was last found to open; the first time, when nothing else runs, as it
        can. Raises AudioError."""
        return PortAudioStream(
            self._options, clock=self._clock, way="record", rate_hz=self._rate_hz, form=self._form
        )

    def ready(self) -> bool | None:
        """Whether it can be opened again; None: being tried. Never waits."""
        if self._trial is None:
            wanted = json.dumps([self._options.input, self._options.frames_per_buffer])
            self._begun_s = self._clock.now()
            try:
                self._trial = subprocess.Popen(
                    (sys.executable, "-m", __name__, wanted, str(self._rate_hz)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            except OSError:  # no memory, or no more processes
                return False
        if self._trial.poll() is None:
            if self._clock.now() - self._begun_s < self.PATIENCE_S:
                return None
            self.cancel()  # a sound server may hang
            return False
        out, self._form = self._trial.communicate()[0].split(), None
        if self._trial.returncode == 0 and len(out) == 2:
            self._form = int(out[0]), int(out[1])
        self._trial = None
        return self._form is not None

    def cancel(self) -> None:
        """Give up a trial."""
        if self._trial is not None:
            self._trial.kill()
            with suppress(subprocess.TimeoutExpired):  # a driver that hangs lets nobody be killed
                self._trial.communicate(timeout=0.5)
            self._trial = None


def main(wanted: str, rate_hz: str) -> int:
    """Open the device and close it again; print its rate and channels."""
    name, block = json.loads(wanted)
    options = replace(AudioOptions(), input=name, frames_per_buffer=block)
    try:
        stream = PortAudioStream(
            options, clock=MonotonicClock(), way="record", rate_hz=int(rate_hz)
        )
    except AudioError as error:
        print(error, file=sys.stderr)
        return 1
    print(stream.rate_hz, stream.n_channels)
    stream.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
