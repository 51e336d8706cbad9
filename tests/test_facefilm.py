"""`lipsync-edge face`: films, pictures and drawings of a face that speaks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge import config, facefilm, ffmpeg, raster
from lipsync_edge.cli import SAMPLE, main
from lipsync_edge.emphasis import Emphasis
from lipsync_edge.facefilm import Sound, Track, frame_times, listen
from lipsync_edge.mouth import SEAM, Y, draw_mouth

pytest.importorskip("PIL")
needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg is not installed"
)
FPS, SIZE, LENGTH_S = 25, 128, 2.01


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the sample."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    with wave.open(str(SAMPLE), "rb") as source, wave.open(str(path), "wb") as out:
        out.setparams(source.getparams())
        out.writeframes(source.readframes(round(LENGTH_S * source.getframerate())))
    return path


@pytest.fixture(scope="module")
def track() -> Track:
    """What the shipped model makes of the whole sample."""
    with wave.open(str(SAMPLE), "rb") as file:
        length_s = file.getnframes() / file.getframerate()
    return listen(config.load(None, []), Sound(SAMPLE, length_s))


@pytest.fixture(scope="module")
def film(clip: Path) -> Path:
    out = clip.with_name("film.mp4")
    arguments = ["face", str(clip), "-o", str(out), "--fps", str(FPS), "--size", str(SIZE)]
    assert main(arguments) == 0
    return out


def opening(picture: np.ndarray) -> float:
    """Pixels between the seams of the lips in the middle column."""
    column = picture[:, picture.shape[1] // 2].astype(int)
    seam = [int(SEAM[k : k + 2], 16) for k in (1, 3, 5)]
    found = np.flatnonzero(np.abs(column - seam).sum(axis=1) == 0)
    return float(found[-1] - found[0])


def test_the_drawn_mouth_follows_the_pose_over_a_sentence(track: Track) -> None:
    """The drawing against what the motion takes for the gap of the same poses."""
    times_s = frame_times(float(track.times_s[-1]), 30)
    poses = [track.at(t) for t in times_s]
    drawn = [opening(raster.pixels(draw_mouth(p), 300, (0.0, Y, 0.4), over=1)) for p in poses]
    values = np.array([list(pose.values()) for pose in poses])
    emphasis = Emphasis(track.axes, np.zeros((1, len(track.axes))))
    shut = emphasis.shut(values, emphasis.closures(values, 1 / 30), 1.0)
    expected = emphasis.gap(shut)
    assert np.ptp(expected) > 0.8
    assert np.corrcoef(expected, drawn)[0, 1] >= 0.99


def test_a_pose_between_two_is_in_between(track: Track) -> None:
    step_s = float(track.times_s[1])
    before, middle, after = (track.at(t)["jawOpen"] for t in (0.5, 0.5 + step_s / 2, 0.5 + step_s))
    assert middle == pytest.approx((before + after) / 2)


def test_frames_stand_for_their_middle_and_cover_the_sound() -> None:
    assert frame_times(1.0, 25)[:2] == pytest.approx([0.02, 0.06])
    assert [len(frame_times(s, 25)) for s in (0.001, 1.0, 1.001, 2.01)] == [1, 25, 26, 51]


def probe(path: Path) -> dict[str, dict[str, str]]:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json"]
    out = subprocess.run([*command, str(path)], capture_output=True, check=True).stdout
    return {stream["codec_type"]: stream for stream in json.loads(out)["streams"]}


@needs_ffmpeg
def test_a_film_has_its_frames_its_length_and_its_sound(film: Path) -> None:
    streams = probe(film)
    video, audio = streams["video"], streams["audio"]
    assert (video["codec_name"], audio["codec_name"]) == ("h264", "aac")
    assert video["pix_fmt"] == "yuv420p", "what browsers and phones can show"
    assert int(video["nb_read_frames"]) == 51
    assert (video["width"], video["height"], video["r_frame_rate"]) == (SIZE, SIZE, "25/1")
    assert float(video["duration"]) == pytest.approx(51 / FPS)
    assert float(audio["duration"]) == pytest.approx(LENGTH_S, abs=1 / FPS)
    assert float(video["start_time"]) == float(audio["start_time"]) == 0


@needs_ffmpeg
def test_sound_and_mouth_are_in_step_in_the_film(film: Path, clip: Path, track: Track) -> None:
    decoded = film.with_name("decoded.wav")
    ffmpeg.read_sound(film, decoded)
    heard, given = samples(decoded), samples(clip)
    n = min(len(heard), len(given))
    spectra = np.fft.rfft(heard[:n], 2 * n) * np.conj(np.fft.rfft(given[:n], 2 * n))
    lag = int(np.fft.irfft(spectra).argmax())
    lag -= 2 * n * (lag > n)
    assert abs(lag) / 16_000 < 0.5 / FPS, "the sound is where it was"
    dark = [
        float((frame[80:120, 40:88].sum(axis=2) < 200).sum())
        for frame in ffmpeg.read_frames(film, FPS, SIZE)
    ]
    shifts_s = np.arange(-5, 6) / FPS
    jaws = [[track.at(t + s)["jawOpen"] for t in frame_times(LENGTH_S, FPS)] for s in shifts_s]
    fit = [np.corrcoef(dark, jaw)[0, 1] for jaw in jaws]
    assert shifts_s[int(np.argmax(fit))] == 0, "and the mouth where the model says"


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


@needs_ffmpeg
@pytest.mark.slow
def test_a_film_beside_the_face(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = film.with_name("beside.mp4")
    arguments = ["face", str(film), "-o", str(out), "--beside", str(film), "--json"]
    assert main([*arguments, "--fps", str(FPS), "--size", str(SIZE)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["width"], report["height"]) == (2 * SIZE, SIZE)
    assert report["frames"] in (51, 52), "AAC ends in whole blocks of 1024 samples"
    first, *_ = ffmpeg.read_frames(film, FPS, SIZE)
    both, *_ = frames_of(out, 2 * SIZE, SIZE)
    off = np.abs(both[: SIZE // 2, :SIZE].astype(int) - first[: SIZE // 2]).mean()
    assert off < 4, "the left half is the film's own picture, coded once more"


def frames_of(path: Path, width: int, height: int) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


@needs_ffmpeg
def test_a_gif_moves(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = clip.with_name("face.gif")
    arguments = ["face", str(clip), "-o", str(out), "--fps", "10", "--size", "96", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 21
    assert out.read_bytes()[:6] == b"GIF89a"
    assert len(np.unique(frames_of(out, 96, 96).reshape(21, -1), axis=0)) > 10


def test_a_sheet_of_mouths_with_their_times(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    out = clip.with_name("mouths.png")
    assert main(["face", str(clip), "-o", str(out), "--size", "200", "--json"]) == 0
    mouths = json.loads(capsys.readouterr().out)["mouths"]
    assert len(mouths) == 12
    times_s = [mouth["time_s"] for mouth in mouths]
    assert times_s == sorted(set(times_s))
    assert mouths[0]["like"] == "rest"
    assert len({mouth["like"] for mouth in mouths}) >= 3
    assert Image.open(out).size == (400, 300)


def test_one_moment_of_two_models(clip: Path) -> None:
    from PIL import Image

    out = clip.with_name("two.png")
    arguments = ["face", str(clip), "-o", str(out), "--at", "1.2", "--beside", "mouth-live"]
    assert main([*arguments, "--size", str(SIZE)]) == 0
    picture = np.asarray(Image.open(out))
    assert picture.shape == (SIZE, 2 * SIZE, 3)
    assert (picture[:, :SIZE] != picture[:, SIZE:]).any(axis=2).mean() > 0.001


def test_an_svg_needs_no_ffmpeg_and_no_pillow(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "PIL", None)
    out = clip.with_name("face.svg")
    assert main(["face", str(clip), "-o", str(out), "--fps", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 21
    assert out.read_text().count("<animate") > 20
    assert main(["face", str(clip), "-o", str(out), "--at", "1"]) == 0
    assert "<animate" not in out.read_text()


def test_a_jaw_alone_shows_its_jaw_alone(clip: Path) -> None:
    settings = config.load(None, [], head="jaw")
    track = listen(settings, Sound(clip, LENGTH_S), horns=True)
    moving = {axis for axis, column in zip(track.axes, track.poses.T, strict=True) if column.any()}
    assert moving == {"jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight"}
    assert track.name == "mouth on jaw"
    full = listen(settings, Sound(clip, LENGTH_S))
    jaws = [t.poses[:, t.axes.index("jawOpen")] for t in (track, full)]
    assert np.corrcoef(*jaws)[0, 1] > 0.8, "and it moves with the pose, not after it"


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_ctrl_c_leaves_no_half_file(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    drawn = []

    def interrupted(*arguments: object) -> np.ndarray:
        drawn.append(arguments)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return np.zeros((64, 64, 3), np.uint8)

    monkeypatch.setattr(facefilm.raster, "pixels", interrupted)
    assert main(["face", str(clip), "-o", str(tmp_path / name), "--size", "64"]) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "OUT/face.avi"], "End its name in .mp4 .gif .png .svg."),
        (["-o", "OUT/none/face.svg"], "cannot be written: No such file"),
        (["-o", "OUT/face.png", "--at", "1", "--beside", "mouth-life"], "Did you mean mouth-live?"),
        (["-o", "OUT/face.svg", "--beside", "mouth-live"], "or png with --at S."),
        (["-o", "OUT/face.png", "--beside", "mouth-live"], "or png with --at S."),
        (["-o", "OUT/face.gif", "--at", "1"], "write png or svg."),
        (["-o", "OUT/face.png", "--fps", "0"], "--fps: must be 1 to 120."),
        (["-o", "OUT/face.png", "--size", "101"], "--size: must be even"),
        (["-o", "OUT/face.png", "--at", "99"], "--at: the sound has 2.01 s."),
    ],
)
def test_what_cannot_be_drawn_is_said(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    places = [argument.replace("OUT", str(tmp_path)) for argument in arguments]
    assert main(["face", str(clip), *places]) in (1, 2)
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_ffmpeg_or_pillow_the_remedy_is_named(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["face", str(clip), "-o", str(tmp_path / "face.mp4")]) == 2
    assert "sudo apt install ffmpeg" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["face", str(clip), "-o", str(tmp_path / "face.png")]) == 2
    assert "-m pip install pillow" in capsys.readouterr().err


@needs_ffmpeg
def test_a_file_that_is_no_sound_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = tmp_path / "text.mp3", tmp_path / "out.svg"
    given.write_text("no sound at all")
    assert main(["face", str(given), "-o", str(out)]) == 1
    assert "text.mp3 cannot be read as sound" in capsys.readouterr().err
    assert main(["face", str(tmp_path / "none.mp3"), "-o", str(out)]) == 2
    assert "does not exist" in capsys.readouterr().err
