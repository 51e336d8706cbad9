"""Which sound cards there are: PortAudio's list of devices, and the search in it by name."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipsync_edge.errors import AudioError

LISTED_RATES = (8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000)
ALSA_CONF = "/usr/share/alsa/alsa.conf"


@dataclass(frozen=True)
class Device:
    """A sound device as PortAudio lists it. ``rates_hz``: those that it can be opened at."""

    index: int
    name: str
    n_inputs: int
    n_outputs: int
    native_hz: int
    is_default_input: bool = False
    is_default_output: bool = False
    rates_hz: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what C libraries write to standard error: ALSA and JACK report what is not there.

    For the whole process, so use it briefly, in one thread at a time.
    """
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    try:
        saved = os.dup(2)
    except OSError:  # a service without standard error
        yield
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def library() -> Any:
    """PyAudio's module. Raises AudioError where it is not installed."""
    try:
        import pyaudio
    except ImportError:
        raise AudioError(
            "PyAudio is not installed.",
            "Install it with: sudo apt install portaudio19-dev gcc && pip install pyaudio",
        ) from None
    return pyaudio


def initialize() -> Any:
    """A new instance of PyAudio; terminate it. Raises AudioError."""
    confs = os.environ.get("ALSA_CONFIG_PATH", ALSA_CONF)
    # Without one, PortAudio would abort the whole program.
    if sys.platform == "linux" and not any(Path(c).exists() for c in confs.split(":")):
        raise AudioError(
            f"ALSA, the system's sound, is not configured: {confs} is missing.",
            "Install it with: sudo apt install libasound2-data",
        )
    try:
        with quiet():
            return library().PyAudio()
    except OSError as error:
        raise AudioError(f"PortAudio does not start: {error}.") from error


def scan(host: Any) -> list[Device]:
    """What an instance of PyAudio knows, without the rates."""
    defaults = []
    for default in (host.get_default_input_device_info, host.get_default_output_device_info):
        index = -1
        with suppress(OSError):  # there is none
            index = default()["index"]
        defaults.append(index)
    devices = []
    for k in range(host.get_device_count()):
        info = host.get_device_info_by_index(k)
        devices.append(
            Device(
                index=k,
                name=info["name"],
                n_inputs=info["maxInputChannels"],
                n_outputs=info["maxOutputChannels"],
                native_hz=round(info["defaultSampleRate"]),
                is_default_input=k == defaults[0],
                is_default_output=k == defaults[1],
            )
        )
    return devices


def list_devices() -> list[Device]:
    """Every sound device with its rates. A second or so on a real machine.

    While a stream is open in this process, the list is as old as the stream. Raises AudioError.
    """
    host = initialize()
    try:
        with quiet():
            return [
                Device(**{**device.as_dict(), "rates_hz": _rates(host, device)})
                for device in scan(host)
            ]
    finally:
        host.terminate()


def has_output() -> bool:
    """Whether there is any device that plays."""
    try:
        host = initialize()
    except AudioError:
        return False
    try:
        return any(device.n_outputs for device in scan(host))
    finally:
        host.terminate()


def _rates(host: Any, device: Device) -> tuple[int, ...]:
    ways = (("output", device.n_outputs), ("input", device.n_inputs))
    rates_hz = (_rates_one_way(host, device, way, min(2, most)) for way, most in ways if most)
    return next(filter(None, rates_hz), ())


def _rates_one_way(host: Any, device: Device, way: str, n_channels: int) -> tuple[int, ...]:
    wanted = {f"{way}_device": device.index, f"{way}_channels": n_channels,
              f"{way}_format": library().paInt16}  # fmt: skip
    found = []
    for rate_hz in LISTED_RATES:
        with suppress(ValueError):  # so it says no
            if host.is_format_supported(rate_hz, **wanted):
                found.append(rate_hz)
    return tuple(found)


def find(devices: list[Device], name: str, playing: bool) -> Device:
    """The device called ``name``: exactly so, or the only one whose name contains it.

    ``default`` is the host's default. Raises AudioError that lists the names there are.
    """
    word = "play" if playing else "record"
    usable = [d for d in devices if (d.n_outputs if playing else d.n_inputs)]
    if not usable:
        raise AudioError(
            f"no sound device that can {word} was found.",
            "Plug one in and look with: lipsync-edge devices. Without one, set audio.driver: dummy",
        )
    if name == "default":
        chosen = [d for d in usable if (d.is_default_output if playing else d.is_default_input)]
        return (chosen or usable)[0]
    exact = [d for d in usable if d.name == name]
    matching = exact or [d for d in usable if name.lower() in d.name.lower()]
    if exact or len(matching) == 1:
        return matching[0]
    names = [d.name for d in matching or usable]
    if matching:
        reason = f"{len(matching)} sound devices match {name!r}"
    else:
        close = difflib.get_close_matches(name.lower(), {n.lower(): n for n in names}, 1, 0.4)
        hint = next((f" (did you mean {n!r}?)" for n in names if n.lower() in close), "")
        reason = f"no sound device that can {word} is called {name!r}{hint}"
    raise AudioError(f"{reason}.", "There are: " + ", ".join(repr(n) for n in names))
