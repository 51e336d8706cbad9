"""Films by the system's program ffmpeg: raw frames go in and come out through pipes.

A program and not a package: every Debian has it, it brings the codecs, and it runs beside us.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError, UsageError

Pixels = NDArray[np.uint8]
# Tagged, since players take small films for one way of coding colours and large ones for another.
BT709 = ("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709",
         "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")  # fmt: skip
MP4 = (*BT709, "-c:v", "libx264", "-preset", "medium", "-crf", "19", "-pix_fmt", "yuv420p",
       "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart")  # fmt: skip
# One palette for the whole film, no dither: flat colours stay flat, and the file small.
GIF = ("-filter_complex", "split[a][b];[a]palettegen=max_colors=96:stats_mode=full[p];"
       "[b][p]paletteuse=dither=none:diff_mode=rectangle")  # fmt: skip


def program() -> str:
    """Where ffmpeg is. Raises UsageError with the remedy."""
    found = shutil.which("ffmpeg")
    if not found:
        raise UsageError(
            "Films and sound files other than WAV need the program ffmpeg.",
            "Install it with: sudo apt install ffmpeg",
        )
    return found


def write(frames: Iterable[Pixels], fps: float, out: Path, sound: Path | None, gif: bool) -> int:
    """Encode frames (height, width, 3) into the file ``out``, with a WAV file's sound.

    Returns the number of frames. Raises LipsyncError with ffmpeg's own words. The caller throws
    ``out`` away where this ends early.
    """
    n_frames, process = 0, None
    with tempfile.TemporaryFile() as words:
        try:
            for frame in frames:
                if process is None:
                    height, width, _ = frame.shape
                    process = _encoder(width, height, fps, out, sound, gif, words.fileno())
                assert process.stdin is not None
                process.stdin.write(frame.tobytes())
                n_frames += 1
            if process is None:
                raise LipsyncError("There is nothing to draw.", "The sound is empty.")
            assert process.stdin is not None
            process.stdin.close()
            code = process.wait()
        except BrokenPipeError:
            code = 1
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        if code:
            words.seek(0)
            raise LipsyncError(f"{out.name} could not be written: {_last(words.read())}")
    return n_frames


def _encoder(
    width: int, height: int, fps: float, out: Path, sound: Path | None, gif: bool, words: int
) -> subprocess.Popen[bytes]:
    command = [program(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    command += [*([] if sound is None or gif else ["-i", str(sound)]), *(GIF if gif else MP4)]
    command += ["-f", "gif" if gif else "mp4", str(out)]
    # In a session of its own: Ctrl-C is ours to handle, and ffmpeg shall not half close the file.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words,
        start_new_session=True,
    )  # fmt: skip


def read_sound(path: Path, out: Path) -> None:
    """The sound of any file as a mono WAV; silence where a film begins before its sound."""
    command = ["-i", str(path), "-vn", "-ac", "1", "-af", "aresample=async=1:first_pts=0"]
    _run([*command, "-c:a", "pcm_s16le", "-f", "wav", str(out)], path)


def read_frames(path: Path, fps: float, size: int) -> Generator[Pixels, None, None]:
    """A film's pictures at ``fps``, cut to squares (size, size, 3). Raises LipsyncError."""
    square = f"scale={size}:{size}:force_original_aspect_ratio=increase,crop={size}:{size}"
    command = [program(), "-loglevel", "error", "-i", str(path), "-an"]
    command += ["-vf", f"fps={fps:g}:start_time=0,{square}", "-pix_fmt", "rgb24"]
    command += ["-f", "rawvideo", "-"]
    n_frames, n_bytes = 0, size * size * 3
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words,
            start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            while len(raw := process.stdout.read(n_bytes)) == n_bytes:
                n_frames += 1
                yield np.frombuffer(raw, np.uint8).reshape(size, size, 3)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if not n_frames:
            words.seek(0)
            raise LipsyncError(f"{path} has no pictures: {_last(words.read())}", "Give a film.")


def _run(arguments: Sequence[str], path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path} does not exist.", "Check the path.")
    command = [program(), "-y", "-loglevel", "error", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise LipsyncError(f"{path} cannot be read as sound: {_last(done.stderr)}")


def _last(words: bytes) -> str:
    lines = words.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "ffmpeg gave no reason."
