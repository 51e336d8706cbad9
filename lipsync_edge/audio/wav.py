"""WAV files as a source, and the door to every source: :func:`open_source`, :func:`resampled`.

Why an own reader (``riff``, ``pcm``): Python's ``wave`` knows neither float nor extensible files,
and libsndfile (``soundfile``, 1.2 MB and cffi on the robot) cannot tell raw PCM from WAV on a pipe
without reading it first, hides how a damaged file is damaged, and would still leave the raw format
to us. What remains to write is a header of two structs, and it then serves files and pipes alike.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from lipsync_edge.audio import Samples, Source
from lipsync_edge.audio.pcm import PcmSource
from lipsync_edge.audio.resample import Floats, Resampler, to_float, to_int16
from lipsync_edge.audio.riff import NEARLY_2_GIB, Header, read_header
from lipsync_edge.errors import AudioError

GIB_4 = 1 << 32
CHECK_FRAMES = 1 << 15


class WavSource(PcmSource):
    """A WAV file: 4 to 96 kHz, 8 to 32-bit PCM or 32/64-bit float, mono or stereo, any length.

    A file that is cut off or holds NaN is refused before anything moves. ``n_samples`` is its
    length, None where only the end will tell (a pipe by name).
    """

    def __init__(
        self, path: str | Path | int, name: str = "", *, looks_through: bool = True
    ) -> None:
        """``path``: or the number of an open file, no pipe, which then belongs to this; ``name``:
        what to call it; ``looks_through``: refuse floats that are no numbers, else they become
        silence. Raises AudioError with a sentence and a remedy where it cannot be played."""
        name = name or str(path)
        with plain_errors(name):
            file = (
                _OwnPlace(path) if isinstance(path, int)
                else open(path, "rb", buffering=0)  # noqa: SIM115  (kept open; read block by block)
            )  # fmt: skip
        try:
            with plain_errors(name):
                header = read_header(file, name)
                n_bytes, warnings = _length(header, os.fstat(file.fileno()), name)
                if looks_through and header.encoding.is_float and file.seekable():
                    _refuse_what_is_no_number(cast(BinaryIO, file), header, name)
            if n_bytes == 0:
                raise AudioError(
                    f"{name} holds no sound (0 samples).", "Record or export it again."
                )
        except AudioError:
            file.close()
            raise
        super().__init__(file, header.rate_hz, header.encoding, n_bytes)
        self._warnings += [f"{name} {warning}" for warning in warnings]
        self.n_samples = None if n_bytes is None else n_bytes // header.encoding.frame_bytes


class _OwnPlace:
    """An open file from its beginning, read at a place of our own: whoever passed it on shares its
    offset, and may read it, too, or pass it on twice."""

    def __init__(self, fd: int) -> None:
        self._file = open(fd, "rb", buffering=0)  # noqa: SIM115
        self._at = 0

    def read(self, n_bytes: int, /) -> bytes:
        raw = os.pread(self._file.fileno(), n_bytes, self._at)
        self._at += len(raw)
        return raw

    def seek(self, offset: int) -> None:
        self._at = offset

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()


class ResampledSource:
    """A source at another rate."""

    def __init__(self, source: Source, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._source = source
        self._resampler = Resampler(source.rate_hz, rate_hz)
        self._ready: Floats = np.zeros(0, np.float32)
        self._ended = False

    @property
    def warnings(self) -> list[str]:
        """The source's."""
        return self._source.warnings

    def read(self, n_samples: int) -> Samples:
        """The next samples, (<= n_samples,); an empty array means the end."""
        while not len(self._ready) and not self._ended and n_samples > 0:
            self._ready = self._more(n_samples)
        out, self._ready = self._ready[:n_samples], self._ready[n_samples:]
        return to_int16(out)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _more(self, n_samples: int) -> Floats:
        block = self._source.read(1 + n_samples * self._source.rate_hz // self.rate_hz)
        self._ended = not len(block)
        return self._resampler.flush() if self._ended else self._resampler.push(to_float(block))


def open_source(path: str, raw_rate_hz: int = 16_000, raw_format: str = "s16le") -> Source:
    """A file by its path, or ``-``: standard input, WAV or else raw PCM of the format given."""
    if path == "-":
        from lipsync_edge.audio.stdin import StdinSource

        return StdinSource(raw_rate_hz=raw_rate_hz, raw_format=raw_format)
    return WavSource(path)


def resampled(source: Source, rate_hz: int) -> Source:
    """The source at ``rate_hz``; itself where it has that rate."""
    return source if source.rate_hz == rate_hz else ResampledSource(source, rate_hz)


def _length(header: Header, status: os.stat_result, name: str) -> tuple[int | None, list[str]]:
    """Bytes of sound that are there (None: unknown), and what is wrong with the header's number."""
    told = header.n_bytes
    if not stat.S_ISREG(status.st_mode):
        return (None if told is not None and told >= NEARLY_2_GIB else told), []
    there = status.st_size - header.offset
    if told is None or (told < there and there >= GIB_4):  # 32 bits could not hold it
        return there, []
    if told == 0 and there and header.riff_bytes <= header.offset:
        return there, ["was never finished by its recorder; playing what is there."]
    if told >= max(NEARLY_2_GIB, there + 1):
        return there, []  # written to a pipe, whose length nobody knew
    if told > there:
        frame_s = 1 / (header.encoding.frame_bytes * header.rate_hz)
        told_s, there_s = told * frame_s, there * frame_s
        raise AudioError(
            f"{name} is cut off: of {told_s:.1f} s, {there_s:.1f} s are there.",
            f"Copy it again, or keep those with: ffmpeg -i {name} OUT.wav",
        )
    return told, []


def _refuse_what_is_no_number(file: BinaryIO, header: Header, name: str) -> None:
    """Look through a float file, and leave it at its first sample again."""
    encoding, n_seen = header.encoding, 0
    while raw := file.read(CHECK_FRAMES * encoding.frame_bytes):
        whole = raw[: len(raw) // encoding.frame_bytes * encoding.frame_bytes]
        samples, n_bad = encoding.decode(whole)
        if n_bad:
            second = n_seen / header.rate_hz
            raise AudioError(
                f"{name} holds {n_bad} samples that are no numbers (NaN or infinite), the first "
                f"soon after second {second:.0f}.",
                f"Export it again, or round it to whole numbers with: sox {name} -b 16 OUT.wav",
            )
        n_seen += len(samples)
    file.seek(header.offset)


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """The operating system's refusals in plain words."""
    try:
        yield
    except FileNotFoundError:
        raise AudioError(f"{name} does not exist.", "Check the path.") from None
    except IsADirectoryError:
        raise AudioError(f"{name} is a folder.", "Give one sound file.") from None
    except PermissionError:
        raise AudioError(
            f"{name} may not be read by this user.", f"Allow it with: chmod a+r {name}"
        ) from None
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror}.", "Check the path.") from error
