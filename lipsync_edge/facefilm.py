"""`face`: a sound file becomes a face that speaks it, as a film, a picture or a drawing.

    sound ──► the chain of `render` ──► track of poses ──► drawing ──► frames ──► ffmpeg

The picture of frame ``k`` shows the face in the middle of the time for which it stands, at
``(k + 0.5) / fps``; so the mouth is never further from the sound than half a frame.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from lipsync_edge import ffmpeg, raster
from lipsync_edge.alive import SEED, alive
from lipsync_edge.audio.wav import open_source
from lipsync_edge.config import Config
from lipsync_edge.drawing import Array, svg, svg_film
from lipsync_edge.errors import UsageError
from lipsync_edge.horns import Horns, Seen
from lipsync_edge.model.tflite import open_bundle
from lipsync_edge.portrait import draw
from lipsync_edge.raster import Pixels
from lipsync_edge.render import Renderer
from lipsync_edge.sheet import sheet
from lipsync_edge.view import bar

T = TypeVar("T")
FORMATS = (".mp4", ".gif", ".png", ".svg")
SVG_FPS = 15.0


@dataclass(frozen=True)
class Order:
    """What is to be drawn: pictures a second, the side of one in pixels, whether the face is the
    one that the rig's horns show, the one moment that is wanted (None: all), what is beside it."""

    fps: float = 30.0
    size: int = 480
    horns: bool = False
    at_s: float | None = None
    beside: str | None = None


@dataclass(frozen=True)
class Track:
    """Poses (n, n_axes) at evenly spaced times (n,), and what made them."""

    name: str
    axes: tuple[str, ...]
    times_s: Array
    poses: Array

    def at(self, time_s: float) -> dict[str, float]:
        """The pose at a time; between two of them, in between."""
        return {
            axis: float(np.interp(time_s, self.times_s, column))
            for axis, column in zip(self.axes, self.poses.T, strict=True)
        }


@dataclass(frozen=True)
class Sound:
    """A sound as the chain hears it: a mono WAV file, its length, what was wrong with it."""

    path: Path
    length_s: float
    warnings: tuple[str, ...] = ()


def take_sound(given: str, folder: Path, raw_rate_hz: int = 16_000) -> Sound:
    """Copy a WAV, standard input (``-``), or by ffmpeg the sound of any file into ``folder``."""
    copy = folder / "sound.wav"
    if given != "-" and Path(given).suffix.lower() not in (".wav", ".wave"):
        decoded = folder / "decoded.wav"
        ffmpeg.read_sound(Path(given), decoded)
        given = str(decoded)
    source = open_source(given, raw_rate_hz=raw_rate_hz)
    n_samples = 0
    with contextlib.closing(source), wave.open(str(copy), "wb") as file:
        file.setparams((1, 2, source.rate_hz, 0, "NONE", ""))
        while len(block := source.read(1 << 16)):
            file.writeframes(block.astype("<i2").tobytes())
            n_samples += len(block)
    if not n_samples:
        raise UsageError(f"{given} holds no sound.", "Record or export it again.")
    return Sound(copy, n_samples / source.rate_hz, tuple(source.warnings))


def listen(config: Config, sound: Sound, horns: bool = False, progress: bool = False) -> Track:
    """What the mouth is to show while the sound is heard; with ``horns`` what a rig shows of it."""
    source = open_source(str(sound.path))
    with contextlib.closing(source):
        renderer = Renderer(config, source)
        rig, axes, rate_hz = renderer.rig, renderer.model.axes, config.motion.rate_hz
        simulated = Horns(config.head, rig, config.board.pwm_hz)
        rows = []
        n_ticks = math.ceil(sound.length_s * rate_hz)
        for tick in _shown(renderer.ticks(), n_ticks, "listening", progress):
            rows.append(simulated.at_us.copy() if horns else tick.pose)
            simulated.step(tick.widths_us, 1 / rate_hz)
    poses = np.array(rows)
    if horns:
        poses = Seen(rig, axes).axes(poses)
    name = f"{renderer.model.name} on {config.head.name}" if horns else renderer.model.name
    return Track(name, axes, np.arange(len(poses)) / rate_hz, poses)


def make(
    config: Config, given: str, out: Path, order: Order, progress: bool, raw_rate_hz: int = 16_000
) -> dict[str, object]:
    """Write ``out`` (mp4, gif, png or svg) and tell what it is. On an error, or when it is ended
    by Ctrl-C, nothing is left behind."""
    _check(out, order)
    with tempfile.TemporaryDirectory() as folder, _part(out) as part:
        sound = take_sound(given, Path(folder), raw_rate_hz)
        if order.at_s is not None and not 0 <= order.at_s <= sound.length_s:
            raise UsageError(f"--at: the sound has {sound.length_s:.2f} s.")
        tracks = [listen(config, sound, order.horns, progress)]
        film = None
        if order.beside and Path(order.beside).is_file():
            film = Path(order.beside)
        elif order.beside:
            open_bundle(order.beside)
            other = replace(config, model=replace(config.model, bundle=order.beside))
            tracks.append(listen(other, sound, order.horns, progress))
        report = _write(part, out.suffix.lower(), sound, tracks, film, order, progress)
    report = {"output": str(out), **report, "bytes": out.stat().st_size}
    return {**report, "shows": [t.name for t in tracks], "warnings": list(sound.warnings)}


def _check(out: Path, order: Order) -> None:
    kind = out.suffix.lower()
    if kind not in FORMATS:
        raise UsageError(f"{out}: what kind of picture?", f"End its name in {' '.join(FORMATS)}.")
    if out.exists() and not out.is_file():
        raise UsageError(f"{out} is no file.", "Give the name of a file.")
    moving = kind in (".mp4", ".gif")
    if order.at_s is not None and moving:
        raise UsageError(
            "--at: a film shows all of the sound.", "For one moment, write png or svg."
        )
    if order.beside and not moving and (kind == ".svg" or order.at_s is None):
        raise UsageError(
            "This picture shows one face.", "For --beside, write mp4 or gif, or png with --at S."
        )
    if kind != ".svg":
        raster.pillow()
    if moving:
        ffmpeg.program()


def frame_times(length_s: float, fps: float) -> list[float]:
    """The moments that are drawn: the middle of each frame, as many as cover the sound."""
    n_frames = max(1, math.ceil(length_s * fps - 1e-6))
    return [(k + 0.5) / fps for k in range(n_frames)]


def face_at(track: Track, time_s: float, sway: bool = True) -> dict[str, float]:
    """The pose at a time, alive: what idles is added where the pose says nothing of it."""
    idle = alive(time_s, SEED)
    if not sway:
        idle = {axis: value for axis, value in idle.items() if not axis.startswith("head")}
    return {**idle, **track.at(time_s)}


def _write(
    part: Path, kind: str, sound: Sound, tracks: Sequence[Track], film: Path | None, order: Order,
    progress: bool,
) -> dict[str, object]:  # fmt: skip
    if kind == ".svg":
        return _write_svg(part, sound, tracks[0], order)
    if kind == ".png" and order.at_s is None:
        return _write_sheet(part, sound, tracks[0], order, progress)
    width, height = order.size * (len(tracks) + bool(film)), order.size
    shape: dict[str, object] = {"width": width, "height": height}
    if order.at_s is not None:
        raster.save_png(next(_frames([order.at_s], tracks, film, order)), part)
        return shape
    times_s = frame_times(sound.length_s, order.fps)
    frames = _frames(times_s, tracks, film, order)
    shown = _shown(frames, len(times_s), "drawing", progress)
    n_frames = ffmpeg.write(shown, order.fps, part, sound.path, kind == ".gif")
    return {"frames": n_frames, "fps": order.fps, "length_s": round(sound.length_s, 3), **shape}


def _write_sheet(
    part: Path, sound: Sound, track: Track, order: Order, progress: bool
) -> dict[str, object]:
    times_s = frame_times(sound.length_s, order.fps)
    poses = (face_at(track, t, sway=False) for t in times_s)
    made = sheet(_shown(poses, len(times_s), "looking", progress), times_s, order.size // 2)
    raster.save_png(made.pixels, part)
    height, width, _ = made.pixels.shape
    return {"mouths": made.mouths, "width": width, "height": height}


def _write_svg(part: Path, sound: Sound, track: Track, order: Order) -> dict[str, object]:
    if order.at_s is not None:
        text = svg(draw(face_at(track, order.at_s)), order.size)
        part.write_text(text, encoding="ascii")
        return {"frames": 1}
    fps = min(order.fps, SVG_FPS)
    times_s = frame_times(sound.length_s, fps)
    pictures = [draw(face_at(track, t, sway=False)) for t in times_s]
    part.write_text(svg_film(pictures, fps, order.size), encoding="ascii")
    return {"frames": len(times_s), "fps": fps, "length_s": round(sound.length_s, 3)}


def _frames(
    times_s: Sequence[float], tracks: Sequence[Track], film: Path | None, order: Order
) -> Iterator[Pixels]:
    """The pictures, side by side where there are several."""
    panels: list[tuple[str, Iterator[Pixels]]] = []
    if film:
        panels.append((film.name, _film(times_s, film, order)))
    panels += [(track.name, _faces(times_s, track, order.size)) for track in tracks]
    for _ in times_s:
        parts = [next(panel) for _, panel in panels]
        if len(parts) > 1:
            parts = [raster.captioned(p, name) for p, (name, _) in zip(parts, panels, strict=True)]
        yield np.concatenate(parts, axis=1)


def _faces(times_s: Sequence[float], track: Track, size: int) -> Iterator[Pixels]:
    for time_s in times_s:
        yield raster.pixels(draw(face_at(track, time_s)), size)


def _film(times_s: Sequence[float], film: Path, order: Order) -> Iterator[Pixels]:
    """The film's own pictures; the last one stays where the sound goes on."""
    frames = ffmpeg.read_frames(film, order.fps, order.size)
    last, k = next(frames), 0
    with contextlib.closing(frames):
        for time_s in times_s:
            while k < int(time_s * order.fps):
                last, k = next(frames, last), k + 1
            yield last


def _shown(items: Iterable[T], n: int, what: str, progress: bool) -> Iterator[T]:
    """The items, with a bar on the terminal that says how many of ``n`` are done."""
    progress = progress and sys.stderr.isatty()
    percent = -1
    for k, item in enumerate(items):
        if progress and k * 100 // n != percent:
            percent = k * 100 // n
            print(
                f"\r{what:<9} {bar(k / n, 30)} {percent:3d} %", end="", file=sys.stderr, flush=True
            )
        yield item
    if progress:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _part(out: Path) -> Iterator[Path]:
    """A file that appears under its name only when it is complete."""
    part = out.with_name(out.name + ".part")
    try:
        part.touch()
        yield part
        os.replace(part, out)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
