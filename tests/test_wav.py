"""Sound files and standard input: every form that must play, every one that must be refused."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge.audio import Source
from lipsync_edge.audio.pcm import Encoding, PcmSource
from lipsync_edge.audio.stdin import StdinSource
from lipsync_edge.audio.wav import WavSource, open_source, resampled
from lipsync_edge.errors import AudioError, UsageError

STEPS = [0, 1, -1, 256, -256, 12_345, -12_345, 32_767, -32_768]
ALL_BYTES = 0xFFFFFFFF


def wav(
    data: bytes,
    rate_hz: int = 16_000,
    n_channels: int = 1,
    width: int = 2,
    tag: int = 1,
    *,
    n_bytes: int | None = None,
    before: bytes = b"",
    magic: bytes = b"RIFF",
    riff_bytes: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """A WAV file by the specification's tables, with room for every lie."""
    align = n_channels * width
    fmt = struct.pack("<HHIIHH", tag, n_channels, rate_hz, rate_hz * align, align, 8 * width)
    body = b"WAVE" + before + chunk(b"fmt ", fmt + extra)
    body += struct.pack("<4sI", b"data", len(data) if n_bytes is None else n_bytes) + data
    size = len(body) if riff_bytes is None else riff_bytes
    return magic + struct.pack("<I", size & ALL_BYTES) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


def extensible(subformat: int, bits: int) -> bytes:
    guid = struct.pack("<H", subformat) + bytes.fromhex("000000001000800000aa00389b71")
    return struct.pack("<HHI", 22, bits, 4) + guid


def int16(values: list[int]) -> bytes:
    return np.array(values, "<i2").tobytes()


def whole(source: Source, size: int = 7) -> list[int]:
    """All samples, read in small pieces."""
    samples: list[int] = []
    while len(piece := source.read(size)):
        samples += piece.tolist()
    source.close()
    source.close()
    return samples


def play(tmp_path: Path, content: bytes, size: int = 7) -> list[int]:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    return whole(WavSource(path), size)


def refusal(tmp_path: Path, content: bytes, name: str = "sound.wav") -> str:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        WavSource(path)
    assert name in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def stored_24_and_32() -> list[tuple[bytes, int, int]]:
    wide = np.array(STEPS, "<i4") * 65536
    three = wide.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    return [(three, 3, 1), (wide.tobytes(), 4, 1)]


@pytest.mark.parametrize(
    ("data", "width", "tag"),
    [
        (int16(STEPS), 2, 1),
        *stored_24_and_32(),
        ((np.array(STEPS) / 32768).astype("<f4").tobytes(), 4, 3),
        ((np.array(STEPS) / 32768).astype("<f8").tobytes(), 8, 3),
    ],
    ids=["16-bit", "24-bit", "32-bit", "float", "double"],
)
def test_16_bits_survive_in_every_wider_form(
    tmp_path: Path, data: bytes, width: int, tag: int
) -> None:
    assert play(tmp_path, wav(data, width=width, tag=tag)) == STEPS
    bits = extensible(tag, 8 * width)
    assert play(tmp_path, wav(data, width=width, tag=0xFFFE, extra=bits)) == STEPS


def test_8_bits_are_unsigned(tmp_path: Path) -> None:
    assert play(tmp_path, wav(bytes([0, 127, 128, 129, 255]), width=1)) == [
        -32768, -256, 0, 256, 32512,
    ]  # fmt: skip


def test_finer_steps_are_rounded_and_loud_floats_clipped(tmp_path: Path) -> None:
    fine = np.array([0.4, 0.6, -0.6, 40_000, -1e30]) / 32768
    content = wav(fine.astype("<f4").tobytes(), width=4, tag=3)
    assert play(tmp_path, content) == [0, 1, -1, 32767, -32768]


@pytest.mark.parametrize("n_channels", [2])
def test_channels_are_averaged(tmp_path: Path, n_channels: int) -> None:
    frames = np.array([[k * 100] + [0] * (n_channels - 1) for k in range(-20, 20)], "<i2")
    expected = [round(k * 100 / n_channels) for k in range(-20, 20)]
    assert play(tmp_path, wav(frames.tobytes(), n_channels=n_channels)) == expected
    loud = np.full((5, n_channels), -32768, "<i2")
    assert play(tmp_path, wav(loud.tobytes(), n_channels=n_channels)) == [-32768] * 5


@pytest.mark.parametrize("rate_hz", [4000, 11_025, 44_100, 96_000])
def test_rates_are_told(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(int16(STEPS), rate_hz))
    source = WavSource(path)
    assert source.rate_hz == rate_hz
    assert source.n_samples == len(STEPS)
    assert whole(source) == STEPS
    assert source.warnings == []


def test_other_chunks_are_skipped_even_of_odd_length(tmp_path: Path) -> None:
    before = chunk(b"JUNK", b"x" * 27) + chunk(b"LIST", b"y" * 70_001) + chunk(b"bext", b"")
    content = wav(int16(STEPS), before=before) + chunk(b"LIST", b"after the sound")
    assert play(tmp_path, content) == STEPS


def test_a_cut_off_file_says_how_to_keep_what_is_there(tmp_path: Path) -> None:
    said = refusal(tmp_path, wav(int16(STEPS), n_bytes=2 * 160_000)[:-1])
    assert "sound.wav is cut off: of 10.0 s, 0.0 s are there" in said
    assert "ffmpeg -i" in said


@pytest.mark.parametrize("n_bytes", [ALL_BYTES, 0x7FFFFFFF, 0x7FFFF024])
def test_a_length_that_a_pipe_could_not_know_is_no_warning(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(int16(STEPS), n_bytes=n_bytes, riff_bytes=ALL_BYTES))
    source = WavSource(path)
    assert source.warnings == []
    assert whole(source) == STEPS


def test_a_recording_that_was_never_finished_plays_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(int16(STEPS), n_bytes=0, riff_bytes=36))
    source = WavSource(path)
    assert "never finished" in source.warnings[0]
    assert whole(source) == STEPS


def test_rf64_keeps_its_lengths_elsewhere(tmp_path: Path) -> None:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, 2 * len(STEPS), len(STEPS), 0))
    content = wav(int16(STEPS), before=ds64, magic=b"RF64", n_bytes=ALL_BYTES, riff_bytes=-1)
    assert play(tmp_path, content + chunk(b"LIST", b"not sound")) == STEPS


@pytest.mark.parametrize("giga", [3, 5])
def test_files_over_2_and_4_gib_have_their_full_length(tmp_path: Path, giga: int) -> None:
    path, n_bytes = tmp_path / "sound.wav", giga * 2**30
    content = wav(int16(STEPS), n_bytes=n_bytes & ALL_BYTES, riff_bytes=n_bytes + 36)
    path.write_bytes(content)
    os.truncate(path, n_bytes + 44)  # sparse: takes no room on the disk
    source = WavSource(path)
    assert source.n_samples == n_bytes // 2
    assert source.read(9).tolist() == STEPS
    source.close()


@pytest.mark.parametrize("form", ["<f4", "<f8"])
def test_a_file_with_nan_or_infinity_is_refused_wherever_they_are(
    tmp_path: Path, form: str
) -> None:
    values = np.zeros(200_000)
    values[160_000:160_003] = np.nan, np.inf, -np.inf
    content = wav(values.astype(form).tobytes(), width=int(form[-1]), tag=3)
    assert "3 samples that are no numbers" in refusal(tmp_path, content)


def test_on_a_pipe_nan_and_infinity_become_silence_and_are_counted() -> None:
    values = np.array([0.5, np.nan, np.inf, -np.inf, -0.5], "<f4")
    encoding = Encoding(4, is_float=True)
    source = PcmSource(io.BytesIO(values.tobytes()), 16_000, encoding)
    assert whole(source, 2) == [16384, 0, 0, 0, -16384]
    assert source.warnings == ["3 samples were not numbers (NaN or infinite) and became silence."]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (wav(b""), "holds no sound"),
        (wav(int16(STEPS))[:20], "header"),
        (wav(int16(STEPS))[:36], "ends before its sound begins"),
        (b"RIFF", "RIFF file without sound"),
        (wav(int16(STEPS), 0), "0 Hz"),
        (wav(int16(STEPS), 384_000), "384000 Hz; 4000 to 96000 Hz"),
        (wav(int16(STEPS), 192_000), "192000 Hz"),
        (wav(int16(STEPS * 8), n_channels=8), "8 channels"),
        (wav(int16(STEPS), n_channels=0), "0 channels"),
        (wav(int16(STEPS), n_channels=9), "9 channels; 1 to 2"),
        (wav(int16(STEPS), tag=0x11), "IMA ADPCM"),
        (wav(int16(STEPS), tag=0x1234), "a compressed format"),
        (wav(int16(STEPS), width=5), "40 bits"),
        (wav(int16(STEPS), tag=3), "16 bits"),
        (b"RIFF\0\0\0\0AVI LIST", "without sound"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"1234"), "does not say how"),
        (b"ID3\x04\0\0\0\0\0\0\0\0\0\0", "an MP3 file"),
        (b"\xff\xfb\x90\x64" + bytes(400), "an MP3 file"),
        (b"fLaC\0\0\0\x22" + bytes(100), "a FLAC file"),
        (b"OggS\0\2" + bytes(100), "an Ogg file"),
        (b"\0\0\0\x20ftypM4A " + bytes(100), "an MP4 or M4A file"),
        (b"FORM\0\0\0\0AIFF", "an AIFF file"),
        (b"Dear diary,\ntoday I made a robot.\n", "a text file"),
        (bytes(1000), "not a WAV file"),
    ],
)
def test_bad_files_get_a_sentence_and_a_remedy(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path, content)


def test_the_remedy_is_a_command_that_can_be_copied(tmp_path: Path) -> None:
    assert "ffmpeg -i " in refusal(tmp_path, b"ID3" + bytes(100), "song.wav")


def test_a_missing_file_a_folder_and_a_forbidden_one(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nothing\.wav does not exist"):
        open_source(str(tmp_path / "nothing.wav"))
    with pytest.raises(AudioError, match="is a folder"):
        open_source(str(tmp_path))
    with pytest.raises(AudioError, match="does not exist"):
        open_source("")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(wav(int16(STEPS)))
    path.chmod(0)
    with pytest.raises(AudioError, match=r"may not be read.*chmod"):
        WavSource(path)


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    """Flip every byte of the header, cut it at every length: a sentence or sound, nothing else."""
    good, path = wav(int16(STEPS), before=chunk(b"JUNK", b"abc")), tmp_path / "sound.wav"
    damaged = [good[:n] for n in range(len(good))]
    damaged += [good[:n] + bytes([good[n] ^ flip]) + good[n + 1 :] for n in range(56) for flip in
                (1, 0x80, 0xFF)]  # fmt: skip
    outcomes = {"played": 0, "refused": 0}
    for content in damaged:
        path.write_bytes(content)
        try:
            whole(WavSource(path))
            outcomes["played"] += 1
        except AudioError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20


@pytest.mark.parametrize("size", [1, 100, 4096])
def test_resampled_does_not_depend_on_the_size_of_the_reads(tmp_path: Path, size: int) -> None:
    rng = np.random.default_rng(1)
    content = wav(rng.integers(-9000, 9000, 3000).astype("<i2").tobytes(), 44_100)
    (tmp_path / "sound.wav").write_bytes(content)
    made = [
        whole(resampled(WavSource(tmp_path / "sound.wav"), 16_000), n) for n in (size, 1_000_000)
    ]
    assert made[0] == made[1]
    assert len(made[0]) == round(3000 * 16_000 / 44_100)


def test_resampled_is_the_source_itself_at_equal_rates(tmp_path: Path) -> None:
    (tmp_path / "sound.wav").write_bytes(wav(int16(STEPS)))
    source = WavSource(tmp_path / "sound.wav")
    assert resampled(source, 16_000) is source
    source.close()


def piped(pieces: list[bytes]) -> int:
    """The reading end of a pipe into which another thread trickles ``pieces``."""
    read_fd, write_fd = os.pipe()

    def trickle() -> None:
        with open(write_fd, "wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)

    threading.Thread(target=trickle).start()
    return read_fd


@pytest.mark.parametrize("n_bytes", [None, ALL_BYTES, 0, 0x7FFFF000])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_wav_trickles_through_a_pipe(n_bytes: int | None, size: int) -> None:
    content = wav(int16(STEPS), 22_050, n_bytes=n_bytes, before=chunk(b"JUNK", b"odd"))
    fd = piped([content[k : k + size] for k in range(0, len(content), size)])
    source = StdinSource(fd)
    assert source.rate_hz == 22_050
    assert whole(source) == STEPS
    assert source.warnings == []
    os.close(fd)


def test_a_pipe_that_breaks_off_is_a_warning() -> None:
    fd = piped([wav(int16(STEPS), n_bytes=32_000)])
    source = StdinSource(fd)
    assert whole(source) == STEPS
    assert "cut off: its header promises 1.0 s, 0.0 s are there" in source.warnings[0]
    os.close(fd)


@pytest.mark.parametrize(
    ("raw_format", "data"),
    [
        ("s16le", int16(STEPS)),
        ("s24le", stored_24_and_32()[0][0]),
        ("s32le", stored_24_and_32()[1][0]),
        ("f32le", (np.array(STEPS) / 32768).astype("<f4").tobytes()),
    ],
)
def test_raw_pcm_is_taken_as_declared(raw_format: str, data: bytes) -> None:
    fd = piped([data[k : k + 5] for k in range(0, len(data), 5)])
    source = StdinSource(fd, raw_rate_hz=24_000, raw_format=raw_format)
    assert source.rate_hz == 24_000
    assert whole(source) == STEPS
    os.close(fd)


def test_raw_stereo_and_a_rest_of_half_a_sample() -> None:
    fd = piped([int16([10, 20, -10, -30]) + b"\x01"])
    assert whole(StdinSource(fd, raw_channels=2)) == [15, -20]
    os.close(fd)


def test_nothing_or_an_mp3_on_standard_input_is_refused() -> None:
    for pieces, said in (([], "is empty"), ([b"ID3\4" + bytes(50)], "an MP3 file")):
        fd = piped(pieces)
        with pytest.raises(AudioError, match=said):
            StdinSource(fd)
        os.close(fd)
    with pytest.raises(UsageError, match="s16le"):
        StdinSource(0, raw_format="s16")


def test_closing_ends_a_read_that_waits() -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, int16(STEPS))
    source, heard, got = StdinSource(read_fd), [], []
    while len(heard) < len(STEPS):
        heard += source.read(100).tolist()
    thread = threading.Thread(target=lambda: got.append(len(source.read(100))))
    thread.start()
    source.close()
    thread.join(10)
    assert got == [0]
    os.close(read_fd)
    os.close(write_fd)


TOOLS = {
    "sox": "sox -V1 -D {} -t wav {} -",
    "ffmpeg": "ffmpeg -v error -i {} -f wav {} -",
}


@pytest.mark.parametrize(
    ("tool", "form"),
    [
        ("sox", "-b 24"),
        ("sox", "-e floating-point -b 32"),
        ("sox", "-b 32 -c 2"),
        ("sox", "-e unsigned -b 8"),
        ("ffmpeg", "-c:a pcm_s24le"),
        ("ffmpeg", "-c:a pcm_f64le"),
        ("ffmpeg", "-af pan=stereo|c0=c0|c1=c0 -c:a pcm_f32le"),
        ("ffmpeg", "-c:a pcm_s16le -rf64 always"),
    ],
)
def test_what_other_tools_write_is_read_alike(tmp_path: Path, tool: str, form: str) -> None:
    """Golden files made by sox and ffmpeg, through a pipe and as a file."""
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    sound = np.random.default_rng(2).integers(-20_000, 20_000, 2000)
    path = tmp_path / "in.wav"
    path.write_bytes(wav(sound.astype("<i2").tobytes()))
    content = subprocess.run(
        TOOLS[tool].format(path, form).split(), capture_output=True, check=True
    ).stdout
    tolerance = 128 if "-b 8" in form else 1  # half a step of 8 bits
    for samples in (play(tmp_path, content, 500), whole(StdinSource(piped([content])), 500)):
        assert np.abs(np.array(samples) - sound).max() <= tolerance


def test_a_speech_synthesizers_pipe_plays() -> None:
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    content = subprocess.run(
        ["espeak-ng", "--stdout", "hello"], capture_output=True, check=True
    ).stdout
    source = StdinSource(piped([content]))
    assert source.rate_hz == 22_050
    assert len(whole(source, 5000)) == (len(content) - 44) // 2
    assert source.warnings == []
