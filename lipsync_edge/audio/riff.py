"""The header of a WAV file, read forward only, so that a pipe will do as well as a file.

RIFF/WAVE as in Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (1991),
WAVE_FORMAT_EXTENSIBLE as in its "Multiple channel audio data and WAVE files" (2001), files of more
than 4 GiB (RF64, BW64) as in EBU Tech 3306 and ITU-R BS.2088.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lipsync_edge.audio.pcm import ByteStream, Encoding
from lipsync_edge.errors import AudioError

MAGICS = (b"RIFF", b"RF64", b"BW64")
LOW_HZ, HIGH_HZ = 4000, 96_000
MAX_CHANNELS = 2
UNKNOWN = 0xFFFFFFFF  # the writer could not go back to fill in the length
# So do sox, espeak-ng and arecord mean it: lengths of just under 2 GiB.
NEARLY_2_GIB = 0x7FFF0000
TAGS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x31: "GSM", 0x55: "MP3"}
TAG_PCM, TAG_FLOAT, TAG_EXTENSIBLE = 1, 3, 0xFFFE


@dataclass(frozen=True)
class Header:
    """What a WAV header says; the stream stands at the first sample after it.

    ``n_bytes``: of sound, None where the writer did not know. ``riff_bytes``: of the whole file.
    """

    rate_hz: int
    encoding: Encoding
    n_bytes: int | None
    riff_bytes: int
    offset: int


class Reader:
    """Exact reads of a stream that may return less."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.offset = 0

    def take(self, n_bytes: int) -> bytes:
        """``n_bytes`` bytes; fewer only at the end of the stream."""
        taken = b""
        while len(taken) < n_bytes:
            more = self._stream.read(n_bytes - len(taken))
            if not more:
                break
            taken += more
        self.offset += len(taken)
        return taken

    def skip(self, n_bytes: int) -> None:
        """Read on; past the end is the end."""
        while n_bytes > 0:
            taken = len(self.take(min(n_bytes, 65536)))
            n_bytes = n_bytes - taken if taken else 0


def remedy(name: str) -> str:
    """The command that makes any sound file one of ours."""
    return f"Convert it with: ffmpeg -i {name} -ar 16000 -ac 1 OUT.wav"


def describe(begin: bytes) -> str:
    """What a file is that is no WAV, by its first bytes."""
    for magic, offset, what in (
        (b"ID3", 0, "an MP3 file"),
        (b"fLaC", 0, "a FLAC file"),
        (b"OggS", 0, "an Ogg file (Vorbis or Opus)"),
        (b"ftyp", 4, "an MP4 or M4A file"),
        (b"FORM", 0, "an AIFF file"),
        (b"RIFX", 0, "a big-endian WAV file"),
        (b"riff", 0, "a Wave64 file"),
    ):
        if begin[offset : offset + len(magic)] == magic:
            return what
    if len(begin) > 1 and begin[0] == 0xFF and begin[1] & 0xE6 == 0xE2:
        return "an MP3 file"
    if begin and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in begin):
        return "a text file"
    return "not a WAV file"


def read_header(stream: ByteStream, name: str, begin: bytes = b"") -> Header:
    """Read up to the first sample. ``begin``: bytes (up to 12) that were read from it before.

    Raises AudioError, with the way to convert it, where it is no WAV or none that can be played.
    """
    reader = Reader(stream)
    begin += reader.take(12 - len(begin))
    if not begin:
        raise AudioError(f"{name} is empty.", "Record or export it again.")
    if begin[:4] not in MAGICS:
        raise AudioError(f"{name} is {describe(begin)}, not sound in a WAV file.", remedy(name))
    if begin[8:12] != b"WAVE":
        raise AudioError(f"{name} is a RIFF file without sound in it.", remedy(name))
    riff_bytes = struct.unpack("<I", begin[4:8])[0]
    reader.offset = 12
    return _walk(reader, name, riff_bytes)


def _walk(reader: Reader, name: str, riff_bytes: int) -> Header:
    """From chunk to chunk until the sound begins; unknown ones are skipped."""
    form: tuple[int, Encoding] | None = None
    long_bytes: int | None = None
    while True:
        head = reader.take(8)
        if len(head) < 8:
            raise AudioError(f"{name} ends before its sound begins.", "Record or export it again.")
        kind, n_bytes = struct.unpack("<4sI", head)
        if kind == b"data":
            break
        body = reader.take(min(n_bytes, 64))
        if kind == b"fmt ":
            form = _parse_format(body, name)
        elif kind == b"ds64" and len(body) >= 16:
            riff_bytes, long_bytes = struct.unpack("<QQ", body[:16])
        reader.skip(n_bytes - len(body) + n_bytes % 2)  # chunks are padded to even lengths
    if form is None:
        raise AudioError(f"{name} does not say how its sound is stored.", remedy(name))
    if n_bytes == UNKNOWN:
        return Header(*form, long_bytes, riff_bytes, reader.offset)
    return Header(*form, n_bytes, riff_bytes, reader.offset)


def _parse_format(body: bytes, name: str) -> tuple[int, Encoding]:
    if len(body) < 16:
        raise AudioError(f"{name} has a damaged header.", remedy(name))
    tag, n_channels, rate_hz, _, align, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == TAG_EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack("<H", body[24:26])
    if tag not in (TAG_PCM, TAG_FLOAT):
        coded = TAGS.get(tag, f"a compressed format (number {tag})")
        raise AudioError(f"{name} holds {coded}; only plain PCM can be played.", remedy(name))
    if not LOW_HZ <= rate_hz <= HIGH_HZ:
        raise AudioError(
            f"{name} says that its rate is {rate_hz} Hz; {LOW_HZ} to {HIGH_HZ} Hz can be played.",
            remedy(name),
        )
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name} has {n_channels} channels; 1 to {MAX_CHANNELS} can be played.", remedy(name)
        )
    # 20 bits, say, stand in the upper part of three bytes: the room counts, not the bits.
    whole = align and align % n_channels == 0
    width = align // n_channels if whole else (bits + 7) // 8
    if width not in ((4, 8) if tag == TAG_FLOAT else (1, 2, 3, 4)):
        raise AudioError(f"{name} stores samples of {bits} bits, an unknown size.", remedy(name))
    return rate_hz, Encoding(width, tag == TAG_FLOAT, n_channels)
