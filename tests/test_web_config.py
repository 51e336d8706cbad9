"""The config as the page changes it: what was written by hand stays, no save is half done."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.errors import ConfigError
from lipsync_edge.web.configfile import KEPT, ConfigFile, changed, diff, revision, told
from lipsync_edge.web.refusal import HttpRefused

BY_HAND = """\
# My first head, printed in blue.   \n\
head: mouth10      # ten servos

audio: {input: mic, frames_per_buffer: 512}   # the cheap one
motion:
    rate_hz:    50     # ticks
    personality_note: &note "a # in a word"

servos:
  # From the old build; the new jaw is longer.
  jaw:
    min_us: 1420    # teeth closed
    max_us:   1780
    neutral_us: 1420  # just closed
  lip_tuck: {max_us: 1700, min_us: 1350}  # glued


  corner_up_left:
    invert: false   # horn up
# the end, without a line break"""
SERVOS = ("jaw", "lip_tuck", "corner_up_left", "corner_up_right", "pucker_left")
FIELDS = ("min_us", "max_us", "neutral_us", "slew_us_per_s")
changes = st.lists(
    st.fixed_dictionaries({
        "path": st.tuples(st.just("servos"), st.sampled_from(SERVOS), st.sampled_from(FIELDS)),
        "value": st.one_of(st.integers(300, 3000), st.floats(300, 3000).map(lambda v: round(v, 1))),
    }),
    min_size=1, max_size=6,
)  # fmt: skip


def as_sent(change: dict[str, Any]) -> dict[str, Any]:
    return {**change, "path": list(change["path"])}


def comments(text: str) -> list[str]:
    """Whatever stands from a # on that no quote holds, with the blanks before it."""
    return [m[0] for m in re.finditer(r"[ \t]*(?<!\")#(?! in a word).*", text)]


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.lists(changes, min_size=20, max_size=20))
def test_comments_and_form_survive_a_hundred_saves(saves: list[list[dict[str, Any]]]) -> None:
    """Five times twenty saves, one upon the other."""
    text = BY_HAND
    for save in saves:
        before, wanted = text, {tuple(c["path"]): c["value"] for c in save}
        text = changed(before, [as_sent(c) for c in save], "robot.yaml")
        data = yaml.safe_load(text)
        for (_, servo, field), value in wanted.items():
            assert data["servos"][servo][field] == value
        assert comments(text) == comments(before)
        kept = [line for line in before.split("\n") if not re.search(r"_us|_per_s", line)]
        assert [line for line in text.split("\n") if line in kept][: len(kept)] == kept
        for name, value in yaml.safe_load(before).items():
            if name != "servos":
                assert data[name] == value


@pytest.mark.parametrize(
    ("text", "path", "value", "line"),
    [
        ("servos: {jaw: {max_us: 1}}\r\n", "max_us", 1900, "servos: {jaw: {max_us: 1900}}\r\n"),
        ("\ufeffservos:\n  jaw:\n    max_us: 1 # x", "max_us", 1900.5,
         "\ufeffservos:\n  jaw:\n    max_us: 1900.5 # x"),
        ("servos:\n  jaw:\n    invert: no  # why", "invert", True,
         "servos:\n  jaw:\n    invert: true  # why"),
        ("head:\n  servos:\n    jaw: {channel: 0, max_us: 5} # in\n", "max_us", 1800,
         "head:\n  servos:\n    jaw: {channel: 0, max_us: 1800} # in\n"),
    ],
)  # fmt: skip
def test_a_value_is_changed_where_it_stands(text: str, path: str, value: Any, line: str) -> None:
    assert changed(text, [{"path": ["servos", "jaw", path], "value": value}], "x") == line


@pytest.mark.parametrize(
    "change",
    [
        {}, {"path": []}, {"path": "servos"}, {"path": ["a\nb"], "value": 1}, {"path": [True]},
        {"path": ["servos", "jaw", "max_us"], "value": float("nan")},
        {"path": ["servos", "jaw", "max_us"], "value": [1]},
        {"path": ["servos", "jaw", "max_us"], "value": "1\nboards: []"},
        {"path": [-1], "value": 1}, {"path": ["a"] * 9, "value": 1},
    ],
)  # fmt: skip
def test_what_is_no_change_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(HttpRefused):
        changed(BY_HAND, [change], "x")


@pytest.mark.parametrize("value", ["yes", "1", "a: b", "#x", "'", '"', "- x", "~", "null", "1e5"])
def test_words_stay_words(value: str) -> None:
    text = changed("log: {level: info}\n", [{"path": ["log", "level"], "value": value}], "x")
    assert yaml.safe_load(text) == {"log": {"level": value}}


def test_what_cannot_be_changed_safely_is_left_alone() -> None:
    with pytest.raises(ConfigError, match="cannot be changed safely"):
        changed("servos: [1, 2]\n", [{"path": ["servos", "jaw", "max_us"], "value": 1}], "x")


# Saving -------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "robot.yaml"
    path.write_bytes(BY_HAND.encode())
    path.chmod(0o640)
    return ConfigFile(path, tmp_path / "backups")


def test_a_save_keeps_what_was_there_and_tells_the_difference(file: ConfigFile) -> None:
    after = BY_HAND.replace("1780", "1790")
    told_diff = file.save(after, revision(BY_HAND), "the jaw")
    assert "-    max_us:   1780\n+    max_us:   1790\n" in told_diff
    assert file.path.read_bytes() == after.encode()
    assert file.path.stat().st_mode & 0o777 == 0o640
    (backup,) = file.backups()
    assert (backup.note, backup.size) == ("the jaw", len(BY_HAND.encode()))
    assert file.earlier(None) == (backup.id, BY_HAND)
    assert [path.name for path in file.path.parent.iterdir() if path.is_file()] == ["robot.yaml"]


def test_whoever_saves_another_text_than_was_read_is_told(file: ConfigFile) -> None:
    with pytest.raises(HttpRefused) as refused:
        file.save("head: jaw\n", revision("something else"))
    assert (refused.value.status, refused.value.code) == (409, "conflict")
    assert file.read() == BY_HAND
    assert file.backups() == []


def test_undo_goes_further_back_each_time_and_can_be_undone(file: ConfigFile) -> None:
    texts = [BY_HAND, *(f"head: jaw # {n}\n" for n in range(3))]
    for before, after in itertools.pairwise(texts):
        file.save(after, revision(before))
    for expected in (texts[2], texts[1], texts[0]):
        file.undo(None, revision(file.read()))
        assert file.read() == expected
    with pytest.raises(HttpRefused, match="nothing to go back to"):
        file.undo(None, revision(file.read()))
    undone = [b for b in file.backups() if b.note == "before an undo"]
    assert len(undone) == 3
    file.undo(undone[-1].id, revision(file.read()))  # the oldest of them: the last text
    assert file.read() == texts[3]


def test_ten_are_kept(file: ConfigFile) -> None:
    text = BY_HAND
    for n in range(KEPT + 3):
        after = f"head: jaw # {n}\n"
        file.save(after, revision(text), str(n))
        text = after
    assert [b.note for b in file.backups()] == [str(n) for n in range(KEPT + 2, 2, -1)]
    assert len(list((file.path.parent / "backups").iterdir())) == 2 * KEPT


@pytest.mark.parametrize("name", ["../robot", "1-save/../../robot", "x", "", "1-save", "1" * 30])
def test_a_backup_is_no_path(file: ConfigFile, name: str) -> None:
    file.save("head: jaw\n", revision(BY_HAND))
    with pytest.raises(HttpRefused):
        file.undo(name, revision(file.read()))
    assert file.read() == "head: jaw\n"


def test_a_file_that_cannot_be_written_or_read(file: ConfigFile) -> None:
    assert told(file)["revision"] == revision(BY_HAND)
    file.path.write_bytes(b"\xff\xfe")
    with pytest.raises(HttpRefused, match="UTF-8"):
        file.read()
    file.path.write_text("x" * 50_000)
    with pytest.raises(HttpRefused, match="48 KiB"):
        file.read()
    file.path.unlink()
    with pytest.raises(HttpRefused, match="cannot be read"):
        file.read()


def test_a_difference_of_lines_without_end() -> None:
    assert diff("a", "b", "x").splitlines()[-2:] == ["-a", "+b"]


SAVER = """
import sys
from pathlib import Path
from lipsync_edge.web.configfile import ConfigFile, revision
file = ConfigFile(Path(sys.argv[1]), Path(sys.argv[2]))
print("ready", flush=True)
n = 0
while True:
    n += 1
    text = file.read()
    file.save(f"# {n} " + "x" * 20_000 + f"\\nhead: jaw  # {n}\\n", revision(text))
"""


def test_killed_at_any_moment_the_file_is_whole(tmp_path: Path) -> None:
    """Fifty times, each after another while: the old text or a new one, backups too."""
    path, backups = tmp_path / "robot.yaml", tmp_path / "backups"
    path.write_text("head: jaw  # 0\n")
    chance, texts = random.Random(5), set()
    whole = re.compile(r"(# (\d+) x{20000}\n)?head: jaw  # (\d+)\n")
    words = [sys.executable, "-c", SAVER, str(path), str(backups)]
    for _ in range(50 if os.environ.get("FUZZ") else 6):
        saver = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert saver.stdout
        saver.stdout.readline()
        try:
            saver.wait(chance.uniform(0.0, 0.08))
        except subprocess.TimeoutExpired:
            saver.send_signal(signal.SIGKILL)
        assert saver.wait() == -signal.SIGKILL
        saver.stdout.close()
        for found in (path, *backups.glob("*.yaml")):
            match = whole.fullmatch(found.read_text())
            assert match, found
            assert match[2] in (None, match[3])
        texts.add(path.read_text())
    assert len(texts) > 1, "nothing was ever saved"
    assert json.dumps(told(ConfigFile(path, backups)))
