"""State on the disk: whole or not there, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from lipsync_edge.store import Store

STATE = {"pose_us": {"jaw": 1510.5, "lip": None}, "n": 3}
COUNTING = """
import sys
from lipsync_edge.store import Store
store, n = Store(sys.argv[1]), int(sys.argv[2])
print("go", flush=True)
while True:
    n += 1
    assert store.save("pose", {"n": n, "copies": [n] * 500})
    print(n, flush=True)
"""


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert Store(tmp_path / "new" / "folder").save("pose", STATE)
    assert Store(tmp_path / "new" / "folder").load("pose") == STATE
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["pose.json"]


def test_nothing_saved_is_none_and_no_folder_keeps_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path).load("pose") is None
    assert not Store("").save("pose", STATE)
    assert Store("").load("pose") is None


def test_a_file_cut_at_any_byte_is_refused_and_put_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save("pose", STATE)
    whole = (tmp_path / "pose.json").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "pose.json").write_bytes(whole[:length])
        assert store.load("pose") is None
        assert not (tmp_path / "pose.json").exists()
        assert (tmp_path / "pose.bad").read_bytes() == whole[:length]


def test_a_changed_bit_is_refused_or_means_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save("pose", STATE)
    whole = (tmp_path / "pose.json").read_bytes()
    refused = 0
    for bit in range(0, 8 * len(whole), 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "pose.json").write_bytes(damaged)
        state = store.load("pose")
        assert state is None or state == STATE
        refused += state is None
    assert refused > 0.95 * 8 * len(whole) / 3


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"state": 3}', "[" * 100_000, " " * 1_000_001, "\xff"]
)
def test_what_is_no_state_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pose.json").write_text(text, encoding="latin-1")
    assert Store(tmp_path).load("pose") is None


def test_a_kill_at_any_moment_loses_nothing_that_was_said_to_be_saved(tmp_path: Path) -> None:
    n = 0
    for delay in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(tmp_path), str(n)],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for _ in range(2 + delay):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            said = [int(line) for line in child.stdout.read().split() if line.isdigit()]
        state = Store(tmp_path).load("pose")
        assert state is not None
        assert state["copies"] == [state["n"]] * 500
        assert state["n"] >= max([n + 1 + delay, *said[:-1]])
        n = state["n"]
    assert not (tmp_path / "pose.bad").exists()


def test_a_full_disk_keeps_the_old_state_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    assert store.save("pose", STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then write fails with EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert [store.save("pose", {"n": "x" * 5000}) for _ in range(3)] == [False] * 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert store.load("pose") == STATE
    assert [p.name for p in tmp_path.iterdir()] == ["pose.json"]
    assert len(caplog.records) == 1


def test_dev_full_answers_as_a_full_disk_does(tmp_path: Path) -> None:
    """The kernel's own ENOSPC, at the write."""
    (tmp_path / ".pose.json.part").symlink_to("/dev/full")
    store = Store(tmp_path)
    assert not store.save("pose", STATE)
    assert store.save("pose", STATE), "there is room again"


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")  # no folder at all: fails for root too
    assert [store.save("pose", STATE), store.save("pose", STATE)] == [False, False]
    assert store.load("pose") is None
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text


def test_a_read_only_folder() -> None:
    """As somebody who may not write there; root may write everywhere, so it becomes nobody."""
    folder, before = Path(tempfile.mkdtemp()), os.geteuid()
    Store(folder).save("pose", STATE)
    folder.chmod(0o555)
    try:
        if before == 0:
            os.seteuid(65534)
        store = Store(folder)
        assert not store.save("pose", {"n": 4})
        assert store.load("pose") == STATE
    finally:
        os.seteuid(before)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_what_is_no_json_is_refused_and_raises_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.save("pose", {"x": float("nan")})
    assert not store.save("pose", {"x": {1, 2}})
    with pytest.raises(ValueError, match="no name"):
        store.save("../pose", STATE)


def test_it_is_json_that_a_human_can_read(tmp_path: Path) -> None:
    Store(tmp_path).save("pose", STATE)
    assert json.loads((tmp_path / "pose.json").read_text())["state"] == STATE


def test_what_is_kept_for_later_waits_for_no_disk_and_the_last_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, flushes, busy = Store(tmp_path), [], threading.Event()
    fsync = os.fsync

    def slow(fd: int) -> None:
        flushes.append(fd)
        busy.wait(10)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", slow)
    thread = threading.Thread(target=store.step)
    store.later("pose", {"n": 1})
    thread.start()
    while not flushes:
        pass
    for n in range(2, 100):
        store.later("pose", {"n": n})  # would hang here
    busy.set()
    thread.join(10)
    assert Store(tmp_path).load("pose") == {"n": 1}
    assert store.step(0)
    assert not store.step(0)
    assert Store(tmp_path).load("pose") == {"n": 99}
    assert len(flushes) == 4, "two files and their folder, twice"


def test_what_is_saved_at_once_is_not_undone_by_what_was_kept_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.later("pose", {"n": 1})
    store.later("runs", {"n": 1})
    store.save("pose", {"n": 2})
    store.step(0)
    assert (store.load("pose"), store.load("runs")) == ({"n": 2}, {"n": 1})
