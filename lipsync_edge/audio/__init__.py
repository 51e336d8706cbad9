"""The sound edge: where samples come from, and the stream that plays them. Mono int16 throughout.

Interchangeable here: sources (``wav``, ``stdin``; a microphone is the duplex stream itself) and
streams (``portaudio``, ``dummy``).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class Source(Protocol):
    """Sound that is read, not captured: a file, standard input."""

    rate_hz: int

    @property
    def warnings(self) -> list[str]:
        """Sentences about what was wrong with the sound so far; complete after its end."""

    def read(self, n_samples: int) -> Samples:
        """The next samples, (<= n_samples,) mono; an empty array means the end."""

    def close(self) -> None:
        """Give the file back; may be called twice, and while another thread reads."""


class Courier(Protocol):
    """What a stream calls for every block, on its own thread: copying and counting."""

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        """Take ``captured`` (n,) or None (play-only), fill ``out`` (n,).

        ``now_s``: monotonic time at entry; ``dac_s``: seconds from now until ``out[0]`` is heard,
        of a stream that only records until ``captured[0]`` was recorded, hence less than 0 (NaN
        where the driver does not know); ``xrun``: the driver lost or repeated samples before.
        """


class Stream(Protocol):
    """An open sound device (or its stand-in) that calls a courier block by block."""

    rate_hz: int
    name: str

    def start(self, courier: Courier) -> None:
        """Begin to call ``courier.carry``."""

    def is_active(self) -> bool:
        """False once the device is gone or a callback failed."""

    @property
    def output_latency_s(self) -> float:
        """The driver's own estimate of the time from callback to sound, in seconds."""

    @property
    def failure(self) -> str:
        """Why the stream is no longer active; empty while it is."""

    def stop(self) -> None:
        """Stop and release the device; never raises, may be called twice."""


class Opener(Protocol):
    """A device that may go away and come back."""

    def open(self) -> Stream:
        """A stream on it, not started. Raises AudioError."""

    def ready(self) -> bool | None:
        """Whether it can be opened again by now; None: being found out, ask later. Never waits."""

    def cancel(self) -> None:
        """Nobody wants to know any more."""
