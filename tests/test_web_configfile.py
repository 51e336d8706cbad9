"""A config that was written by hand outlives what a page does to it: its comments, its line ends,
its neighbours, and the power going off in the middle."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from fifo import a_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.web.backups import MOST, Backups, revision
from lipsync_edge.web.configfile import ConfigFile, diff, like, revise, written
from lipsync_edge.web.refusal import HttpRefused

BY_HAND = """\
# My first head.  Größe: klein

head: mouth10   # the ten

audio: {driver: dummy, lookahead_ms: 180.0}   # no card here
boards: [{address: 0x40, oscillator_hz: 25_000_000}]   # measured
servos:
  # From the old build; the new jaw is longer.
  jaw:
    min_us: 1420    # teeth closed
    max_us:   "1780"   # don't!
    # neutral_us: 1500

  upper_lip: {min_us: 1320, max_us: 1690,   # glued
              invert: yes}
  lower_lip:
      trim_us:          # not yet
      mix:
          mouthFunnel:   0.4   # less than it was
          mouthClose: -0.65
personality:  # calm
"""
N_SERVOS = 3
COMMENT = re.compile(r"(?:^|(?<=\s))#[^\r\n]*")


def place(folder: Path, text: str, name: str = "robot.yaml") -> ConfigFile:
    path = folder / name
    path.write_bytes(text.encode())
    return ConfigFile(path, Backups(folder / "state" / "backups"))


def change(file: ConfigFile, *changes: tuple[list[Any], Any]) -> None:
    text = file.read()
    wanted = [{"path": path, "value": value} for path, value in changes]
    file.save(revise(text, wanted, "robot.yaml"), revision(text))


def at(data: Any, path: list[Any]) -> Any:
    for key in path:
        data = data[key]
    return data


# ---- what was written by hand

PLACES: list[list[Any]] = [
    ["audio", "lookahead_ms"], ["boards", 0, "oscillator_hz"], ["boards", 0, "address"],
    ["servos", "jaw", "min_us"], ["servos", "jaw", "max_us"], ["servos", "upper_lip", "max_us"],
    ["servos", "upper_lip", "invert"], ["servos", "lower_lip", "trim_us"],
    ["servos", "lower_lip", "mix", "mouthFunnel"], ["servos", "lower_lip", "mix", "mouthClose"],
]  # fmt: skip


@pytest.mark.parametrize(("newline", "mark"), [("\n", ""), ("\r\n", "\ufeff")])
def test_a_hundred_saves_leave_all_else_as_it_was(tmp_path: Path, newline: str, mark: str) -> None:
    text = (mark + BY_HAND.rstrip("\n")).replace("\n", newline)  # and no line end at the end
    file, chance = place(tmp_path, text), random.Random(6)
    file.path.chmod(0o640)
    wanted = yaml.safe_load(text)
    for _ in range(100):
        path, value = chance.choice(PLACES), round(chance.uniform(-2000, 2000), 2)
        before = file.path.read_bytes().decode().split(newline)
        change(file, (path, value))
        after = file.path.read_bytes().decode().split(newline)
        changed = [k for k, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1]
        assert len(changed) <= 1, (path, value)
        at(wanted, path[:-1])[path[-1]] = value
        assert yaml.safe_load("\n".join(after)) == wanted
    ended = file.path.read_bytes().decode()
    assert COMMENT.findall(ended) == COMMENT.findall(text)
    assert ended.startswith(mark)
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert len(list(file.backups)) == MOST
    assert sorted(path.name for path in tmp_path.iterdir()) == ["robot.yaml", "state"]


KEYS = ["min_us", "max_us", "neutral_us", "trim_us", "invert"]
VALUES = st.one_of(
    st.integers(-3000, 3000), st.floats(-3000, 3000, allow_nan=False), st.booleans(),
    st.sampled_from(["hold", "yes", "0x40", "- a", "a: b", "# no", "it's", 'a "b"', "", "null"]),
)  # fmt: skip
OLD = st.sampled_from(["1500", "1500.0", '"1500"', "'15''00'", "+12", "0x40", "yes", "~", "a b"])


@st.composite
def by_hand(draw: st.DrawFn) -> str:
    """A config that somebody wrote: any indentation, blanks, comments, styles and line ends."""
    number = iter(range(1000))

    def note() -> str:
        return draw(
            st.sampled_from(["", "   ", f"  # c{next(number)}: {{[ü'", f" #c{next(number)}"])
        )

    def own_line(indent: int) -> list[str]:
        word = f"{' ' * draw(st.integers(0, 9))}# min_us: {next(number)}, {indent}"
        return draw(st.sampled_from([[], [""], [word]]))

    lines = [*own_line(0), f"head: mouth10{note()}", *own_line(0), f"servos:{note()}"]
    outer, inner = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    for servo in ("jaw", "lip_1", "lip_2")[:N_SERVOS]:
        keys = draw(st.lists(st.sampled_from(KEYS), max_size=4, unique=True))
        pairs = [f"{key}:{' ' * draw(st.integers(1, 4))}{draw(OLD)}" for key in keys]
        lines += own_line(outer)
        if draw(st.booleans()) or not pairs:
            gap = draw(st.sampled_from([", ", ",", f",{note()}\n{' ' * (outer + 3)}"]))
            lines.append(f"{' ' * outer}{servo}: {{{gap.join(pairs)}}}{note()}")
        else:
            lines.append(f"{' ' * outer}{servo}:{note()}")
            for pair in pairs:
                lines += [*own_line(outer + inner), f"{' ' * (outer + inner)}{pair}{note()}"]
    lines += [*own_line(0), f"log: {{level: info}}{note()}", *own_line(0)]
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@settings(max_examples=60, deadline=None)
@given(
    by_hand(),
    st.lists(
        st.tuples(st.sampled_from(["jaw", "lip_1", "lip_2"]), st.sampled_from(KEYS), VALUES),
        min_size=1, max_size=6,
    ),
)  # fmt: skip
def test_any_hand_is_respected(text: str, changes: list[tuple[str, str, Any]]) -> None:
    for servo, key, value in changes:
        wanted = yaml.safe_load(text)
        known = key in (wanted["servos"][servo] or {})
        edited = revise(text, [{"path": ["servos", servo, key], "value": value}], "robot.yaml")
        wanted["servos"][servo][key] = value
        assert yaml.safe_load(edited) == wanted
        assert COMMENT.findall(without_strings(edited)) == COMMENT.findall(without_strings(text))
        assert set(re.findall(r"\r?\n", edited)) <= set(re.findall(r"\r?\n", text))
        before, after = text.split("\n"), edited.split("\n")
        assert len(after) - len(before) in ((0,) if known else (0, 1))
        left = list(after)
        for line in before:  # all lines but one are there, in their order
            if line in left:
                del left[: left.index(line) + 1]
        assert sum(line not in after for line in before) <= 1
        text = edited


def without_strings(text: str) -> str:
    """What a value says is no comment, even if it says #."""
    return text.replace('"# no"', "").replace("'# no'", "")


def test_a_profile_that_is_only_named_gets_single_values_over_it(tmp_path: Path) -> None:
    file = place(tmp_path, "head: mouth10  # shipped\n")
    change(file, (["servos", "jaw", "min_us"], 1430), (["servos", "jaw", "max_us"], 1750.0))
    change(file, (["servos", "lip_tuck", "invert"], True), (["servos", "jaw", "min_us"], 1440))
    assert file.read() == (
        "head: mouth10  # shipped\n\nservos:\n  lip_tuck:\n    invert: true\n"
        "  jaw:\n    max_us: 1750\n    min_us: 1440\n"
    )


def test_what_is_no_single_value_is_refused_with_what_to_type() -> None:
    anchored = "base: &b {min_us: 1}\nservos:\n  jaw: *b\n"
    with pytest.raises(HttpRefused, match=r"servos\.jaw\.min_us: 2") as refused:
        revise(anchored, [{"path": ["servos", "jaw", "min_us"], "value": 2}], "robot.yaml")
    assert refused.value.status == 409
    path = ["servos", "jaw", "min_us"]
    for bad in (None, {}, [1], [{"path": path}], [{"path": [], "value": 1}],
                [{"path": ["a\nb"], "value": 1}], [{"path": [True], "value": 1}],
                [{"path": "servos", "value": 1}], [{"path": path, "value": [1]}],
                [{"path": path, "value": float("nan")}], [{"path": path, "value": "a\nb: 1"}],
                [{"path": ["x"] * 9, "value": 1}], [{"path": path, "value": 1}] * 401):  # fmt: skip
        with pytest.raises(HttpRefused) as refused:
            revise("head: jaw\n", bad, "robot.yaml")
        assert refused.value.status == 400


@pytest.mark.parametrize(
    ("value", "text"),
    [(1420, "1420"), (1420.0, "1420"), (1.5, "1.5"), (True, "true"), (None, "null"), ("a", "a"),
     (1e-7, "1.0e-07"), ("yes", "'yes'"), ("12", "'12'"), ("ü", "ü"), ("a: b", "'a: b'")],
)  # fmt: skip
def test_values_as_a_maker_writes_them(value: Any, text: str) -> None:
    assert written(value) == text


# ---- saving and undoing


def test_who_looked_at_an_older_text_saves_nothing(tmp_path: Path) -> None:
    file = place(tmp_path, "a: 1\n")
    seen = revision(file.read())
    file.path.write_text("a: 2  # by hand\n")
    with pytest.raises(HttpRefused, match="meanwhile") as refused:
        file.save("a: 3\n", seen)
    assert refused.value.status == 409
    assert file.path.read_text() == "a: 2  # by hand\n"
    assert list(file.backups) == []


def test_a_save_tells_what_differs_and_the_way_back(tmp_path: Path) -> None:
    file = place(tmp_path, "a: 1\nb: 2")
    saved = file.save("a: 1\nb: 3", revision(file.read()), "b was too small")
    assert saved.diff == (
        "--- robot.yaml (before)\n+++ robot.yaml (after)\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n"
        "\\ No newline at end of file\n+b: 3\n\\ No newline at end of file\n"
    )
    assert saved.revision == revision("a: 1\nb: 3")
    (backup,) = file.backups
    assert (backup.id, backup.text, backup.note) == (saved.before, "a: 1\nb: 2", "b was too small")
    same = file.save("a: 1\nb: 3", saved.revision)
    assert (same.diff, same.before, len(list(file.backups))) == ("", "", 1)


def test_the_text_field_of_a_browser_keeps_the_line_ends(tmp_path: Path) -> None:
    file = place(tmp_path, "a: 1\r\nb: 2\r\n")
    file.save("a: 1\nb: 3\n", revision(file.read()))
    assert file.path.read_bytes() == b"a: 1\r\nb: 3\r\n"
    assert like("a\r\nb\n", "c\n") == "c\n"
    assert like("", "c\n") == "c\n"


def test_undo_goes_back_step_by_step_and_can_be_undone(tmp_path: Path) -> None:
    file = place(tmp_path, "0\n")
    for k in range(1, 4):
        file.save(f"{k}\n", revision(file.read()))
    back = [file.undo(file.to_undo()) for _ in range(3)]
    assert [saved.text for saved in back] == ["2\n", "1\n", "0\n"]
    with pytest.raises(HttpRefused, match="nothing"):
        file.to_undo()
    again = [file.undo(file.to_undo(saved.before)).text for saved in reversed(back)]
    assert again == ["1\n", "2\n", "3\n"]  # each undo is undone
    file.save("4\n", revision(file.read()))
    assert file.undo(file.to_undo()).text == "3\n"  # a new history begins with a save


def test_undo_after_an_edit_by_hand_brings_back_what_a_save_replaced(tmp_path: Path) -> None:
    file = place(tmp_path, "0\n")
    file.save("1\n", revision(file.read()))
    file.undo(file.to_undo())
    file.path.write_text("by hand\n")
    saved = file.undo(file.to_undo())
    assert saved.text == "1\n"
    assert file.undo(file.to_undo(saved.before)).text == "by hand\n"


def test_ten_backups_and_no_more(tmp_path: Path) -> None:
    file = place(tmp_path, "0\n")
    for k in range(1, 15):
        file.save(f"{k}\n", revision(file.read()))
    assert [backup.text for backup in file.backups] == [f"{k}\n" for k in range(13, 3, -1)]
    assert file.backups.find("4") is None
    for id in ("../../etc/passwd", "", "1\0", "backup_13"):
        with pytest.raises(HttpRefused) as refused:
            file.to_undo(id)
        assert refused.value.status == 404


def test_a_damaged_backup_is_left_out(tmp_path: Path) -> None:
    file = place(tmp_path, "0\n")
    for k in range(1, 4):
        file.save(f"{k}\n", revision(file.read()))
    newest = tmp_path / "state/backups/backup_3.json"
    newest.write_bytes(newest.read_bytes()[:-4])
    assert [backup.text for backup in file.backups] == ["1\n", "0\n"]
    assert file.undo(file.to_undo()).text == "1\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    place(tmp_path / "real", "a: 1\n")
    link = tmp_path / "robot.yaml"
    link.symlink_to(tmp_path / "real/robot.yaml")
    file = ConfigFile(link, Backups(tmp_path / "state"))
    file.save("a: 2\n", revision(file.read()))
    assert link.is_symlink()
    assert link.read_text() == "a: 2\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    file = place(tmp_path / "", "a: 1\n")
    tmp_path.chmod(0o500)
    try:
        assert not file.writable
        with pytest.raises(HttpRefused, match="cannot be changed"):
            file.save("a: 2\n", revision("a: 1\n"))
    finally:
        tmp_path.chmod(0o700)


def test_backups_that_cannot_be_kept_are_a_reason_not_to_save(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    file = place(tmp_path, "a: 1\n")
    with pytest.raises(HttpRefused, match="Nothing was changed") as refused:
        file.save("a: 2\n", revision("a: 1\n"))
    assert refused.value.status == 507
    assert file.path.read_text() == "a: 1\n"
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_too_long_and_no_text(tmp_path: Path) -> None:
    file = place(tmp_path, "a: 1\n")
    for text, status in (("#" * 300_000, 413), ("a: \ud800\n", 400)):
        with pytest.raises(HttpRefused) as refused:
            file.save(text, revision("a: 1\n"))
        assert refused.value.status == status
    file.path.write_bytes(b"\xff\xfe")
    with pytest.raises(HttpRefused, match="UTF-8"):
        file.read()
    file.path.unlink()
    with pytest.raises(HttpRefused, match="cannot be read"):
        file.read()
    assert not file.writable
    assert diff("a\n", "a\n", "x") == ""


# ---- killed

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from lipsync_edge.web.backups import Backups, revision
from lipsync_edge.web.configfile import ConfigFile

folder, chance = Path(sys.argv[1]), random.Random(1)
old, new = "a: 1  # " + 9000 * "old" + "\\n", "a: 2  # " + 50_000 * "new" + "\\n"
path = folder / "robot.yaml"
path.write_text(old)
file = ConfigFile(path, Backups(folder / "state"))
deaths = dict(old=0, new=0)

def look():
    text = path.read_text()
    assert text in (old, new), f"torn: {len(text)}"
    assert all(backup.text in (old, new) for backup in file.backups)
    deaths["old" if text == old else "new"] += 1

def dying(when):
    # a child that dies in the middle of a save; whether it did
    child = os.fork()
    if not child:
        when()
        file.save(new if path.read_text() == old else old, revision(path.read_text()))
        os._exit(0)
    _, how = os.waitpid(child, 0)
    look()
    return os.WIFSIGNALED(how)

def at_call(n):
    # every function that is called, ours and those of the interpreter, is a moment
    def when():
        left = [n]
        def profile(frame, event, argument):
            left[0] -= event in ("call", "c_call", "c_return")
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(profile)
    return when

def at_chance():
    # any moment: a timer of the kernel
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, longest_s))

if sys.argv[2] == "calls":
    n = 1
    while dying(at_call(n)):
        path.write_text(old)
        n += 3
    print(n, deaths["old"], deaths["new"])
else:
    n, longest_s = 0, 0.002
    for _ in range(2000):
        died = dying(at_chance)
        n += died
        longest_s *= 1.1 if died else 0.7  # about as long as a save takes here and now
        if n >= 60 and all(deaths.values()):
            break
    print(n, deaths["old"], deaths["new"])
"""


@pytest.mark.parametrize("way", ["calls", "chance"])
def test_a_kill_leaves_the_old_or_the_new_file_whole(way: str) -> None:
    """At every third function call of a save, and at moments that the kernel's timer chooses."""
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            [sys.executable, "-c", KILLED, folder, way], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        n, n_old, n_new = map(int, told.stdout.split())
        assert n >= 50, "so many moments, or deaths"
        assert n_old > 0
        assert n_new > 0


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    file = place(tmp_path, BY_HAND)
    file.path.unlink()
    os.mkfifo(file.path)
    with a_writer(file.path), pytest.raises(HttpRefused, match="no regular file"):
        file.read()
