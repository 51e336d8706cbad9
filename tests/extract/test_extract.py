"""`lipsync-tools extract` on real clips: the tracker, the gates, resuming, Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RECORD, bytes_of, ffmpeg

from lipsync_tools import cli, grid, shards
from lipsync_tools.lips import MEASURES

CLIPS = ("s1/bbaf2n", "s2/bbaf1n", "s3/bbaf1s", "s4/bbae9n", "s5/bbae8n", "s31/bbac2n")


def extract(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main(["extract", *map(str, words), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def entries(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """By film: its pieces, kept or not."""
    films = [shards.read_film(path) for path in shards.shard_paths(folder)]
    return {film["film"]: film["clips"] for film in films}


@pytest.fixture(scope="module")
def films(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip of each speaker."""
    folder = tmp_path_factory.mktemp("films")
    for clip in CLIPS:
        (folder / clip).parent.mkdir()
        shutil.copy(data / f"grid/video/{clip}.mpg", folder / f"{clip}.mpg")
    return folder


@pytest.fixture(scope="module")
def a_set(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of these films."""
    out = tmp_path_factory.mktemp("whole") / "set"
    assert cli.main(["extract", str(films), "-o", str(out), "--jobs", "2", *RECORD]) == 0
    return out


def test_known_tracks_are_reproduced(a_set: Path, data: Path) -> None:
    """Against tracks that were made of the same films by another program."""
    compared, lowest = 0, 1.0
    for path in shards.shard_paths(a_set):
        film = shards.read_film(path)
        for _, members in shards.read_members(path):
            track = _arrays(members["npz"])
            known = _arrays((data / f"grid/tracks/{film['speaker']}").joinpath(
                f"{Path(film['film']).stem}.npz").read_bytes())  # fmt: skip
            assert track["idx"].tolist() == known["idx"].tolist()
            measures = grid.lip_measures(known["lm"].astype(float), known["idx"].tolist())
            pairs = [*zip(track["bs"].T, known["bs"].T.astype(float), strict=True),
                     *zip(track["measures"].T, measures.T, strict=False)]  # fmt: skip
            moving = [(a, b) for a, b in pairs if b.std() > 1e-3]
            lowest = min(lowest, *(float(np.corrcoef(a, b)[0, 1]) for a, b in moving))
            compared += len(moving)
    assert compared > 150
    assert lowest >= 0.98


def _arrays(content: bytes) -> dict[str, Any]:
    import io

    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def test_what_a_set_holds(a_set: Path) -> None:
    clips = shards.read_set(a_set)
    assert sorted(clip.speaker for clip in clips) == ["s1", "s2", "s3", "s31", "s4", "s5"]
    assert {clip.measures.shape for clip in clips} == {(75, 6)}
    assert {len(clip.samples) for clip in clips} == {48000}
    path = shards.shard_paths(a_set)[0]
    _, members = next(iter(shards.read_members(path)))
    told, arrays = json.loads(members["json"]), _arrays(members["npz"])
    assert tuple(arrays["measure_names"]) == MEASURES
    assert arrays["measures"].shape == (75, len(MEASURES))
    assert told["licence"] == "CC-BY-4.0"
    assert told["tracker_sha256"].startswith("64184e22")
    assert told["tracker_licence"] == "Apache-2.0"
    assert (a_set / "contact.png").read_bytes()[:4] == b"\x89PNG"
    assert not any(b"/tmp" in b or b"/work" in b for b in bytes_of(a_set).values() if b[:1] == b"{")


def test_the_sound_is_that_of_the_film(a_set: Path, data: Path) -> None:
    import soundfile

    for clip in shards.read_set(a_set):
        name = clip.name.split("-")[0]
        known, _ = soundfile.read(data / f"grid/audio/{clip.speaker}/{name}.flac", dtype="float32")
        assert np.abs(clip.samples[: len(known)] - known).max() < 1e-4


def test_late_sound_is_mended_or_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for clip in ("s3/bbaf1s", "s2/bbaf1n"):
        film, name = data / f"grid/video/{clip}.mpg", clip.split("/")[0]
        for ms in (120, 400):
            late, early = films / f"{name}_late{ms}.mpg", films / f"{name}_early{ms}.mpg"
            ffmpeg("-i", film, "-c:v", "copy", "-af", f"adelay={ms}:all=1", late)
            ffmpeg("-i", film, "-c:v", "copy", "-af", f"atrim=start=0.{ms},asetpts=PTS-STARTPTS",
                   early)  # fmt: skip
        ffmpeg("-i", film, "-itsoffset", "0.12", "-i", film, "-map", "0:v", "-map", "1:a",
               "-c", "copy", films / f"{name}_told120.mkv")  # fmt: skip
    told = extract(capsys, films, "-o", tmp_path / "set", "--jobs", 2, *RECORD)
    for film, (clip,) in entries(tmp_path / "set").items():
        kind = film.split("_")[1].split(".")[0]
        if kind.endswith("400"):
            assert [reason["gate"] for reason in clip["reasons"]] == ["out of sync"]
            continue
        assert clip["kept"], film
        late_ms = -120 if kind.startswith("early") else 120
        assert clip["figures"]["sound_moved_ms"] == pytest.approx(-late_ms, abs=45)
    assert (told["clips"], told["mended"], told["dropped"]) == (6, 6, {"out of sync": 4})


def test_shots_people_and_phones(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cuts end a clip; of two people who speaks is taken; a turned phone changes nothing."""
    video, films = data / "grid/video", tmp_path / "films"
    films.mkdir()
    one, two, three = (video / f"{c}.mpg" for c in ("s1/bbaf2n", "s31/bbac3s", "s2/bbaf1n"))
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac")
    ffmpeg("-i", one, "-i", two, "-filter_complex",
           "[0:v][0:a][1:v][1:a]concat=n=2:v=1:a=1", *codec, films / "cut.mp4")  # fmt: skip
    ffmpeg("-i", two, "-i", one, "-filter_complex", "[0:v][1:v]hstack", "-map", "1:a", *codec,
           films / "two.mp4")  # fmt: skip
    ffmpeg("-i", three, "-vf", "transpose=1", *codec, tmp_path / "t.mp4")
    ffmpeg("-i", tmp_path / "t.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90",
           films / "turned.mp4")  # fmt: skip
    ffmpeg("-i", three, "-vf", "scale=120:96,pad=360:288:100:100", *codec, films / "far.mp4")
    ffmpeg("-i", three, "-vf", "fps=10,fps=25", "-preset", "medium", films / "jerky.mp4")
    extract(capsys, films, "-o", tmp_path / "set", "--jobs", 2, *RECORD)
    found = entries(tmp_path / "set")
    assert [(clip["start_s"], clip["kept"]) for clip in found["cut.mp4"]] == [(0, True), (3, True)]
    (clip,) = found["two.mp4"]
    assert (clip["figures"]["people"], clip["kept"]) == (2, True)
    (path,) = (tmp_path / "set/shards").glob("two-*.tar")
    (_, members), *_ = shards.read_members(path)
    assert np.nanmin(_arrays(members["npz"])["lm"][:, :, 0]) > 360  # who speaks is on the right
    (clip,) = found["turned.mp4"]
    assert (clip["kept"], clip["figures"]["eyes_px"]) == (True, pytest.approx(66.3, abs=1))
    assert [[r["gate"] for r in found[f"{n}.mp4"][0]["reasons"]] for n in ("far", "jerky")] == [
        *(["small face"], ["low frame rate"])
    ]


def test_gaps_and_drift_of_the_sound(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sound track with gaps stays in step; one that runs slower than the film is refused."""
    films, clips = tmp_path / "films", sorted((data / "grid/video/s1").glob("*.mpg"))[:8]
    films.mkdir()
    (tmp_path / "list.txt").write_text("".join(f"file '{clip}'\n" for clip in clips))
    ffmpeg("-f", "concat", "-safe", "0", "-i", tmp_path / "list.txt", "-c:v", "libx264",
           "-preset", "veryfast", "-c:a", "aac", films / "gaps.mp4")  # fmt: skip
    ffmpeg("-i", films / "gaps.mp4", "-c:v", "copy", "-af", "atempo=0.97", films / "drift.mp4")
    extract(capsys, films, "-o", tmp_path / "set", "--jobs", 2, *RECORD)
    found = entries(tmp_path / "set")
    assert all(clip["kept"] for clip in found["gaps.mp4"])
    assert {abs(clip["figures"]["sync"]["late_ms"]) <= 60 for clip in found["gaps.mp4"]} == {True}
    gates = {reason["gate"] for clip in found["drift.mp4"] for reason in clip["reasons"]}
    assert not any(clip["kept"] for clip in found["drift.mp4"])
    assert gates <= {"out of sync", "dubbed"}


def test_what_is_no_film_of_a_speaker_is_dropped_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Needs no data: films that ffmpeg draws."""
    films = tmp_path / "films"
    films.mkdir()
    picture, tone = "testsrc2=d=3:r=25:s=320x240", "sine=f=300:d=3"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, films / "no_face.mp4")
    ffmpeg("-f", "lavfi", "-i", picture, films / "mute.mkv")
    ffmpeg("-f", "lavfi", "-i", tone, films / "no_picture.wav")
    slow = "testsrc2=d=3:r=8:s=320x240"
    ffmpeg("-f", "lavfi", "-i", slow, "-f", "lavfi", "-i", tone, films / "slow.avi")
    (films / "broken.mp4").write_bytes((films / "no_face.mp4").read_bytes()[:3000])
    (films / "letter.mov").write_text("Dear robot")
    (films / "twice.mp4").write_bytes((films / "no_face.mp4").read_bytes())
    (films / "notes.txt").write_text("passed over")
    told = extract(capsys, films, "-o", tmp_path / "set", "--jobs", 1, *RECORD)
    gates = {row["film"].split("/")[1]: row["gate"] for row in reversed(told["reasons"])}
    assert gates == {
        "no_face.mp4": "no face", "mute.mkv": "no sound", "no_picture.wav": "no picture",
        "slow.avi": "low frame rate", "broken.mp4": "not a film", "letter.mov": "not a film",
    }  # fmt: skip
    assert (told["clips"], told["twice"]) == (0, ["twice.mp4"])
    assert extract(capsys, films, "-o", tmp_path / "set", *RECORD)["new"] == 0


def test_films_without_a_record_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    out = tmp_path / "set"
    assert cli.main(["extract", str(tmp_path / "a.mp4"), "-o", str(out)]) == 1
    assert "no record of where they are from" in capsys.readouterr().err
    assert cli.main(["extract", str(tmp_path / "a.mp4"), "-o", str(out), "--licence", "own"]) == 2
    assert not out.exists()


def _start(words: Sequence[object]) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "lipsync_tools.cli", "extract", *map(str, words)]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            start_new_session=True)  # fmt: skip


def test_killed_and_resumed_gives_the_same_set(
    a_set: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    run = _start([films, "-o", out, "--jobs", 2, *RECORD])
    done, deadline = 0, time.monotonic() + 60
    while done < 2 and time.monotonic() < deadline and run.poll() is None:
        done = len(list(out.glob("shards/*.tar")))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    done = len(list(out.glob("shards/*.tar")))
    assert 2 <= done < len(CLIPS), "the kill came too late to show anything"
    (out / "shards/half.tar.part").write_bytes(b"half")
    told = extract(capsys, films, "-o", out, "--jobs", 1, *RECORD)
    assert (told["new"], told["done_before"]) == (len(CLIPS) - done, done)
    assert bytes_of(out) == bytes_of(a_set)


def test_two_ray_nodes_give_the_same_set(
    a_set: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from lipsync_tools.pools import Ray

    def node(number: int) -> str:
        time.sleep(0.3)  # long enough that one node cannot do all
        return str(ray.get_runtime_context().get_node_id())

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        told = extract(capsys, films, "-o", tmp_path / "set", "--pool", "ray", "--ray-address",
                       cluster.address, *RECORD)  # fmt: skip
        nodes = {node for _, node in Ray(2, cluster.address).run(node, range(8))}
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert (told["new"], told["speed"]["workers"]) == (len(CLIPS), 2)
    assert len(nodes) == 2
    assert bytes_of(tmp_path / "set") == bytes_of(a_set)


def _die(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def test_a_worker_that_dies_costs_its_own_job_alone() -> None:
    from lipsync_tools.pools import Processes, WorkerDied

    results = dict(Processes(2).run(_die, range(4)))
    assert isinstance(results.pop(1), WorkerDied)
    assert results == {0: 0, 2: 4, 3: 9}
