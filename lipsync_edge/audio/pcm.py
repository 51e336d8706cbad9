"""Bytes of PCM become mono int16 samples; a source that reads them from any stream of bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.audio import Samples


@dataclass(frozen=True)
class Encoding:
    """How samples are stored, interleaved and little-endian.

    ``width``: bytes per sample, 1 (unsigned), 2, 3, 4, or with ``is_float`` 4, 8.
    """

    width: int
    is_float: bool = False
    n_channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.width * self.n_channels

    def decode(self, raw: bytes) -> tuple[Samples, int]:
        """Whole sample frames of ``raw`` to mono int16 (n,), and how many were not finite.

        Full scale of every format is full scale here; channels are averaged; the one rounding is
        to the nearest. NaN and infinities become silence.
        """
        if self.width == 2 and self.n_channels == 1:
            return np.frombuffer(raw, "<i2").astype(np.int16, copy=False), 0
        values = self._in_int16_steps(raw)
        finite = np.isfinite(values)
        n_bad = int(values.size - np.count_nonzero(finite))
        if n_bad:
            values = np.where(finite, values, 0.0)
        mono = np.clip(values, -1e6, 1e6).reshape(-1, self.n_channels).mean(axis=1)
        return np.clip(np.rint(mono), -32768, 32767).astype(np.int16), n_bad

    def _in_int16_steps(self, raw: bytes) -> NDArray[np.float64]:
        if self.is_float:
            with np.errstate(over="ignore", invalid="ignore"):
                return np.frombuffer(raw, f"<f{self.width}").astype(np.float64) * 32768
        if self.width == 1:
            return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) * 256
        if self.width == 3:  # three bytes are the upper ones of four
            wide = np.zeros((len(raw) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0] / 65536
        return np.frombuffer(raw, f"<i{self.width}") / (1 if self.width == 2 else 65536)


class ByteStream(Protocol):
    """A file or a pipe. ``read`` may return fewer bytes than asked; none means the end."""

    def read(self, n_bytes: int, /) -> bytes:
        """At most ``n_bytes`` bytes."""

    def close(self) -> None:
        """Give it back."""


class PcmSource:
    """A :class:`lipsync_edge.audio.Source` over a stream of bytes that stands at its first sample.

    Memory is one read's. ``n_bytes`` of sound are to come; None: until the end of the stream.
    """

    def __init__(
        self,
        stream: ByteStream,
        rate_hz: int,
        encoding: Encoding,
        n_bytes: int | None = None,
        *,
        begin: bytes = b"",
    ) -> None:
        self.rate_hz = rate_hz
        self.encoding = encoding
        self._stream = stream
        self._left = math.inf if n_bytes is None else n_bytes // encoding.frame_bytes
        self._rest = begin  # read, but not handed out
        self._warnings: list[str] = []
        self._n_read = self._n_bad = 0

    @property
    def warnings(self) -> list[str]:
        """What was wrong so far, one sentence each."""
        if not self._n_bad:
            return list(self._warnings)
        bad = f"{self._n_bad} samples were not numbers (NaN or infinite) and became silence."
        return [*self._warnings, bad]

    def read(self, n_samples: int) -> Samples:
        """The next samples, (<= n_samples,); of a pipe, what is there. Empty means the end."""
        n_frames = int(min(n_samples, self._left))
        raw = self._read_bytes(n_frames * self.encoding.frame_bytes)
        samples, n_bad = self.encoding.decode(raw)
        self._n_read += len(samples)
        self._left -= len(samples)
        self._n_bad += n_bad
        if not len(samples) and n_frames and math.isfinite(self._left):
            self._warn_of_the_missing()
        return samples

    def close(self) -> None:
        """Give the stream back; may be called twice."""
        self._stream.close()

    def _read_bytes(self, n_bytes: int) -> bytes:
        """Between one sample frame and ``n_bytes``; nothing at the end."""
        raw = self._rest
        while len(raw) < min(self.encoding.frame_bytes, n_bytes):
            more = self._stream.read(n_bytes - len(raw))
            if not more:
                break
            raw += more
        n_whole = min(len(raw), n_bytes) // self.encoding.frame_bytes * self.encoding.frame_bytes
        self._rest = raw[n_whole:]
        return raw[:n_whole]

    def _warn_of_the_missing(self) -> None:
        total_s = (self._n_read + self._left) / self.rate_hz
        self._left = 0
        self._warnings.append(
            f"the sound was cut off: its header promises {total_s:.1f} s, "
            f"{self._n_read / self.rate_hz:.1f} s are there and were played."
        )
