"""Config files that nobody meant: sentences, never a traceback; what is taken loads again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import COUNTS, examples

from lipsync_edge import config
from lipsync_edge.config import Config
from lipsync_edge.errors import ConfigError, UsageError
from lipsync_edge.reload import changes, live_changes, needs_restart

DEFAULT = config.default_yaml()
# Every option with its default as a line of its own; comments would only be skipped.
LINES = [re.sub("^#", "", line) for line in DEFAULT.splitlines()]
LINES = [line for line in LINES if re.match(r"\s*(- )?\w+:", line)]
SECTIONS = [k for k, line in enumerate(LINES) if not line.startswith(" ")]
WHOLE = "\n".join(LINES).encode()
OLD = config.load(None)

words = st.one_of(
    st.sampled_from(
        ["true", "null", "~", "0x40", "1e9", ".nan", "-.inf", "[]", "{}", "''", "jaw", "mouth10",
         "&a", "*a", "!!python/object:os.system", "<<: *a", "- 1", "|", "? x", "%TAG", "---", "...",
         "2026-01-01", "0o17", "1_000", "mic", "./no.yaml", "/dev/null", "/", "\u2028", "\u00e9"]
    ),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=12),
)  # fmt: skip


def part() -> st.SearchStrategy[list[str]]:
    """A section or two: short files are read faster, and break as well."""
    ends = [*SECTIONS[1:], len(LINES)]
    one = st.sampled_from([LINES[a:b] for a, b in zip(SECTIONS, ends, strict=True)])
    return st.lists(one, min_size=1, max_size=2).map(lambda parts: [x for p in parts for x in p])


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    """Lines with other values, other keys, another order, other indents."""
    lines = draw(part())
    for _ in range(draw(st.integers(1, 4))):
        k = draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[k].partition(":")
        way = draw(st.integers(0, 5))
        if way <= 1:
            lines[k] = f"{key}{colon} {draw(words)}"
        elif way == 2:
            lines[k] = f"{key}{draw(words)}{colon} 1"
        elif way == 3:
            lines.insert(k, draw(st.sampled_from(LINES)))
        elif way == 4:
            lines[k] = " " * draw(st.integers(0, 9)) + lines[k].strip()
        else:
            del lines[k : k + draw(st.integers(1, 2))]
            lines = lines or ["audio:"]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The whole file with a few bytes changed, as by a bad card."""
    data = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 40))] = draw(st.binary(max_size=6))
    return bytes(data)


def load(path: Path, data: bytes) -> Config | None:
    path.write_bytes(data)
    try:
        return config.load(path)
    except ConfigError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert problem.startswith((str(path), "... and", "/")), problem
    return None


def check(path: Path, data: bytes) -> None:
    """Either sentences, or a config that loads again from its own text to the same."""
    loaded = load(path, data)
    if loaded is None:
        return
    path.write_text(config.dump(loaded))
    assert config.load(path) == loaded
    changed = changes(OLD, loaded)
    if any(needs_restart(key) for key in changed):
        with pytest.raises(UsageError):
            live_changes(OLD, loaded)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("etc") / "robot.yaml"


@examples(16_000)
@given(edited())
def test_edited_configs(path: Path, data: bytes) -> None:
    COUNTS["configs, edited"] += 1
    check(path, data)


@examples(2_500)
@given(damaged())
def test_damaged_configs(path: Path, data: bytes) -> None:
    COUNTS["configs, damaged"] += 1
    check(path, data)


@examples(10_000)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_anything_for_a_config(path: Path, data: bytes) -> None:
    COUNTS["configs, any bytes"] += 1
    check(path, data)


@examples(6_000)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=20), st.sampled_from(["audio", "audio.rate_hz", "servos",
                      "servos.jaw.max_us", "boards.0.address", "boards.9.address", "head", "..",
                      "head.servos.x.mix.jawOpen", "motion.rate_hz.x"])),
            words,
        ),
        max_size=4,
    )
)  # fmt: skip
def test_anything_for_set(said: list[tuple[str, str]]) -> None:
    COUNTS["values of --set"] += 1
    try:
        loaded = config.load(None, said)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ["none"]
        assert loaded.source
    assert all(problems)
