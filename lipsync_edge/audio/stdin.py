"""Standard input as a source: a WAV file through a pipe, or raw PCM. May trickle, may never end."""

from __future__ import annotations

import os
import select
import sys

from lipsync_edge.audio.pcm import Encoding, PcmSource
from lipsync_edge.audio.riff import (
    HIGH_HZ,
    LOW_HZ,
    MAGICS,
    NEARLY_2_GIB,
    describe,
    read_header,
    remedy,
)
from lipsync_edge.errors import AudioError, UsageError

RAW_FORMATS = {
    "u8": Encoding(1),
    "s16le": Encoding(2),
    "s24le": Encoding(3),
    "s32le": Encoding(4),
    "f32le": Encoding(4, is_float=True),
}
NAME = "standard input"


class Pipe:
    """Reads what is there, waits for the first byte; closing ends a read in another thread."""

    LOOK_S = 0.1  # how often a waiting read looks whether it was closed

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._closed = False

    def read(self, n_bytes: int, /) -> bytes:
        """1 to ``n_bytes`` bytes; none at the end, or when closed."""
        while not self._closed:
            if select.select([self._fd], [], [], self.LOOK_S)[0]:
                return os.read(self._fd, n_bytes)
        return b""

    def close(self) -> None:
        """End reading. The descriptor stays open: it is not ours."""
        self._closed = True


class StdinSource(PcmSource):
    """A WAV by its header, whose length may be unknown; anything else is raw PCM as declared."""

    def __init__(
        self,
        fd: int | None = None,
        raw_rate_hz: int = 16_000,
        raw_format: str = "s16le",
        raw_channels: int = 1,
    ) -> None:
        """Waits for the first bytes of ``fd`` (None: standard input). Raises AudioError."""
        if raw_format not in RAW_FORMATS:
            known = ", ".join(RAW_FORMATS)
            raise UsageError(f"raw format {raw_format!r} is unknown.", f"Use one of {known}.")
        if not LOW_HZ <= raw_rate_hz <= HIGH_HZ:
            raise UsageError(
                f"a raw rate of {raw_rate_hz} Hz cannot be played.",
                f"It must lie in {LOW_HZ} to {HIGH_HZ} Hz.",
            )
        if fd is None and sys.stdin is None:
            raise AudioError(f"{NAME} is closed.", "Pipe sound into it.")
        fd = sys.stdin.fileno() if fd is None else fd
        if os.isatty(fd):
            raise AudioError(
                "standard input is a keyboard, not sound.",
                "Pipe sound into it, e.g.: espeak-ng --stdout hello | lipsync-edge run --play -",
            )
        pipe = Pipe(fd)
        try:
            begin = self._first(pipe)
            if begin[:4] in MAGICS:
                header = read_header(pipe, NAME, begin)
                told = header.n_bytes or NEARLY_2_GIB  # 0, too, is written by who cannot know
                n_bytes = told if told < NEARLY_2_GIB else None
                super().__init__(pipe, header.rate_hz, header.encoding, n_bytes)
                return
        except OSError as error:
            raise AudioError(f"{NAME} cannot be read: {error.strerror}.") from error
        encoding = RAW_FORMATS[raw_format]
        encoding = Encoding(encoding.width, encoding.is_float, raw_channels)
        super().__init__(pipe, raw_rate_hz, encoding, begin=begin)

    @staticmethod
    def _first(pipe: Pipe) -> bytes:
        """Enough to tell what it is: 4 bytes, up to 12."""
        begin = b""
        while len(begin) < 4:
            more = pipe.read(12 - len(begin))
            if not more:
                break
            begin += more
        if not begin:
            raise AudioError(f"{NAME} is empty.", "Pipe sound into it.")
        if begin[:4] in (b"fLaC", b"OggS") or begin[:3] == b"ID3" or begin[4:8] == b"ftyp":
            raise AudioError(f"{NAME} is {describe(begin)}, not WAV or raw PCM.", remedy("-"))
        return begin
