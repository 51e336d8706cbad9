"""The sound card, through PyAudio (PortAudio) in callback mode, 16 bit.

PyAudio raises an exception of the callback in the main thread, at a random place, and ends the
stream when a block is too short. Hence everything is caught here and told by a flag, and every
block has its full length. PortAudio knows the devices that were there when it was initialised: to
see one that was plugged in again, stop the stream and make a new one.
"""

from __future__ import annotations

import math
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal

import numpy as np

from lipsync_edge.audio import Courier, Samples
from lipsync_edge.audio.cards import Device, find, initialize, library, quiet, scan
from lipsync_edge.clock import Clock
from lipsync_edge.errors import AudioError
from lipsync_edge.options import AudioOptions

Way = Literal["play", "record", "duplex"]
USUAL_RATES = (48_000, 44_100, 16_000)
PA_DEVICE_UNAVAILABLE = -9985


class Catcher:
    """Keeps an exception instead of letting it out; made once, so that nothing is allocated."""

    def __init__(self) -> None:
        self.caught = ""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            self.caught = f"{type(error).__name__}: {error}"
        return True


class PortAudioStream:
    """A :class:`lipsync_edge.audio.Stream` on real sound devices, chosen by name, mono.

    A device that has no mono is opened with as few channels as it takes: all of them play the
    same, and what they record is averaged.
    """

    SILENT_S = 2.0  # no callback for so long means that the device is gone
    START_S = 3.0  # some sound servers need this long to begin
    MAX_BLOCK = 8192

    def __init__(
        self,
        options: AudioOptions,
        *,
        clock: Clock,
        way: Way = "play",
        rate_hz: int = 0,
        form: tuple[int, int] | None = None,
    ) -> None:
        """Open, do not start. ``way``: play to ``options.output``, record from ``options.input``,
        or both at once as one stream, which two cards cannot do for long.

        Rate: ``rate_hz``, else ``options.rate_hz``, else the device's own; a stream that only
        records takes any rate where its device refuses that. ``form``: rate and number of
        channels that are known to do, and are not to be searched. Raises AudioError.
        """
        self._clock = clock
        self._library = pa = library()
        self._lost = (  # status flags that mean lost or repeated samples (not: priming)
            pa.paInputUnderflow | pa.paInputOverflow
            | pa.paOutputUnderflow | pa.paOutputOverflow
        )  # fmt: skip
        self._courier: Courier | None = None
        self._catcher = Catcher()
        self._failure = ""
        self._called_s = math.inf
        self._resize(self.MAX_BLOCK)
        self._stream: Any = None
        self._host = initialize()
        try:
            devices = scan(self._host)
            output = source = None
            if way != "record":
                output = find(devices, options.output, playing=True)
            if way != "play":
                source = find(devices, options.input or "default", playing=False)
            used = [device for device in (source, output) if device]
            self.name = " > ".join(device.name for device in used)
            self._records_only = output is None
            rate_hz = rate_hz or options.rate_hz
            rates_hz = [rate_hz] if rate_hz else []
            if not rate_hz or self._records_only:
                rates_hz += [used[-1].native_hz, *USUAL_RATES]
            if form:
                forms = [form]
            else:
                counts = _channel_counts(output, source)
                forms = [(rate, n) for rate in dict.fromkeys(rates_hz) for n in counts]
            self._open(output, source, forms, options.frames_per_buffer)
        except AudioError:
            self.stop()
            raise

    @property
    def output_latency_s(self) -> float:
        """PortAudio's estimate of the time from callback to sound, in seconds."""
        return float(self._stream.get_output_latency()) if self._stream else 0.0

    @property
    def failure(self) -> str:
        """Why there are no more callbacks; empty while all is well or before the start."""
        if self._courier is not None and not self._failure:
            self._failure = self._examine()
        return self._failure

    def start(self, courier: Courier) -> None:
        """Begin to call ``courier``. Raises AudioError."""
        self._courier = courier
        self._called_s = self._clock.now() + self.START_S - self.SILENT_S
        try:
            with quiet():
                self._stream.start_stream()
        except OSError as error:
            raise AudioError(f"{self.name} does not start: {error}.") from error

    def is_active(self) -> bool:
        """False before the start, after the end, and once the device is gone or a call failed."""
        return self._courier is not None and not self.failure

    def stop(self) -> None:
        """Close the device and PortAudio; never raises, may be called twice."""
        self._courier = None
        stream, host, self._stream, self._host = self._stream, self._host, None, None
        with quiet():
            if stream is not None:
                with suppress(OSError):
                    stream.close()
            if host is not None:
                with suppress(OSError):
                    host.terminate()

    def _examine(self) -> str:
        if self._catcher.caught:
            return f"the audio callback failed: {self._catcher.caught}"
        active = False
        with suppress(OSError):
            active = self._stream.is_active()
        if not active:
            return f"{self.name} stopped"
        if self._clock.now() - self._called_s > self.SILENT_S:
            verb = "gave" if self._records_only else "asked for"
            return f"{self.name} {verb} no sound for {self.SILENT_S:.0f} s"
        return ""

    def _open(
        self,
        output: Device | None,
        source: Device | None,
        forms: list[tuple[int, int]],
        block: int,
    ) -> None:
        """``forms``: rate and number of channels, the best first."""
        failed = ""
        for rate_hz, n_channels in forms:
            try:
                self._open_as(output, source, rate_hz, block, n_channels)
                return
            except OSError as error:
                failed = f"{error.strerror or error}"
                if error.errno == PA_DEVICE_UNAVAILABLE:
                    raise AudioError(
                        f"{self.name} is used by another program.",
                        "Stop that program, or choose another device in "
                        + ("audio.input." if output is None else "audio.output."),
                    ) from error
        rates_hz = dict.fromkeys(rate_hz for rate_hz, _ in forms)
        raise AudioError(
            f"{self.name} cannot be opened at {' or '.join(map(str, rates_hz))} Hz ({failed}).",
            "`lipsync-edge devices` lists what it can do; set audio.rate_hz to that, or to 0.",
        )

    def _open_as(
        self,
        output: Device | None,
        source: Device | None,
        rate_hz: int,
        block: int,
        n_channels: int,
    ) -> None:
        wanted: dict[str, Any] = {}
        if output is not None:
            wanted |= {"output": True, "output_device_index": output.index}
        if source is not None:
            wanted |= {"input": True, "input_device_index": source.index}
        with quiet():
            self._stream = self._host.open(
                rate=rate_hz,
                channels=n_channels,  # for both ways: PyAudio has no other
                format=self._library.paInt16,
                frames_per_buffer=block,
                stream_callback=self._callback,
                start=False,
                **wanted,
            )
        self.n_channels = n_channels
        self.rate_hz = rate_hz

    def _resize(self, n_samples: int) -> None:
        self._out = np.zeros(n_samples, np.int16)
        self._mixed = np.zeros(n_samples, np.int16)
        self._mean = np.zeros(n_samples)

    def _callback(
        self, recorded: bytes | None, n_samples: int, time_info: dict[str, float], status: int
    ) -> tuple[bytes | None, int]:
        """On PortAudio's thread."""
        with self._catcher:
            return self._carry(recorded, n_samples, time_info, status), self._library.paContinue
        return bytes(2 * n_samples * self.n_channels), self._library.paAbort

    def _carry(
        self, recorded: bytes | None, n_samples: int, time_info: dict[str, float], status: int
    ) -> bytes | None:
        now_s = self._called_s = self._clock.now()
        if n_samples > len(self._out):  # more than we asked for: once, then never again
            self._resize(n_samples)
        out = self._out[:n_samples]
        at_s = time_info[
            "input_buffer_adc_time" if self._records_only else "output_buffer_dac_time"
        ]
        dac_s = at_s - time_info["current_time"] if at_s > 0 else math.nan
        courier = self._courier
        if courier is None:  # between stop and the last callback
            out.fill(0)
        else:
            xrun = bool(status & self._lost)
            courier.carry(self._mono(recorded, n_samples), out, now_s, dac_s, xrun)
        if self._records_only:
            return None
        return out.tobytes() if self.n_channels == 1 else out.repeat(self.n_channels).tobytes()

    def _mono(self, recorded: bytes | None, n_samples: int) -> Samples | None:
        if recorded is None:
            return None
        samples = np.frombuffer(recorded, np.int16)
        if self.n_channels == 1:
            return samples
        np.mean(samples.reshape(-1, self.n_channels), axis=1, out=self._mean[:n_samples])
        self._mixed[:n_samples] = self._mean[:n_samples]
        return self._mixed[:n_samples]


def _channel_counts(output: Device | None, source: Device | None) -> list[int]:
    """What to try, mono first."""
    known = [output.n_outputs] if output else []
    most = min([*known, source.n_inputs] if source else known)
    return sorted({1, min(2, most), most})
