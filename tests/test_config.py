"""The config: defaults, layers, every kind of mistake with its place, and no traceback ever."""

from __future__ import annotations

import os
import socket
import string
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lipsync_edge import config
from lipsync_edge.errors import ConfigError

SHIPPED = Path(config.__file__).parent / "default.yaml"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a config file; ``head.yaml`` beside it is a head with one jaw and one lip."""
    (tmp_path / "head.yaml").write_text(
        "servos:\n  jaw: {channel: 0, mix: {jawOpen: 1}}\n  lip: {channel: 1, mix: {}}\n"
    )

    def write_text(text: str) -> Path:
        path = tmp_path / "my.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def problems(path: Path | None, overrides: list[tuple[str, str]] | None = None) -> list[str]:
    """What load() complains about, with the folder cut off."""
    with pytest.raises(ConfigError) as caught:
        config.load(path, overrides or [])
    folder = f"{path.parent}/" if path else ""
    return [line.replace(folder, "") for line in caught.value.problems]


# What is shipped ----------------------------------------------------------------------------------


def test_default_yaml_is_generated_from_the_declarations() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == config.default_yaml()


def test_default_yaml_loads_to_the_defaults() -> None:
    assert config.load(SHIPPED) == config.load(None)


def test_default_yaml_reads_alike_for_another_yaml_reader() -> None:
    """PyYAML's own guesses agree with our reading, since nothing in the file is ambiguous."""
    loaded = config.load(SHIPPED)
    for section, values in yaml.safe_load(SHIPPED.read_text(encoding="utf-8")).items():
        expected = "mouth10" if section == "head" else asdict(getattr(loaded, section))
        assert values == expected


def test_default_yaml_with_its_examples_uncommented_still_loads(write: Write) -> None:
    text, examples = SHIPPED.read_text(encoding="utf-8").split("#servos:")
    path = write(text + "servos:" + "\n".join(row[1:] for row in examples.split("\n")))
    jaw = config.load(path, head="jaw").head.servos[0]
    assert (jaw.options.min_us, jaw.options.max_us) == (1000, 2000)


@pytest.mark.parametrize("head", ["jaw", "jaw-lips", "mouth10", "face26"])
def test_dump_loads_to_the_same_config(write: Write, head: str) -> None:
    changes = [
        ("audio.output", "no: 'USB' # \\ box"),
        ("audio.lookahead_ms", "1e-5"),
        ("board.pwm_hz", "50.1"),
        ("servos.jaw.trim_us", "7.25"),
        ("servos.jaw.mix.jawOpen", "0.1"),
    ]
    first = config.load(None, changes, head)
    second = config.load(write(config.dump(first)))
    assert second == first
    assert second.audio.output == "no: 'USB' # \\ box"
    assert second.audio.lookahead_ms == 1e-5


def test_a_servo_called_no_is_dumped_as_a_word(write: Write) -> None:
    first = config.load(write("head: {name: yes, servos: {no: {channel: 1}}}"))
    head = yaml.safe_load(config.dump(first))["head"]
    assert (head["name"], list(head["servos"])) == ("yes", ["no"])
    assert config.load(write(config.dump(first))) == first


def test_loading_needs_neither_difflib_nor_the_sound_library() -> None:
    code = "import sys; from lipsync_edge import config; config.load(None); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "lipsync_edge.config" in loaded
    assert not loaded & {"difflib", "pyaudio", "board", "ai_edge_litert", "lipsync_edge.audio"}


# Reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "audio:\nservos:\n", "\ufeff"])
def test_an_empty_config_is_the_defaults(write: Write, text: str) -> None:
    assert config.load(write(text)) == config.load(None)


def test_scalars_are_read_by_their_declared_type(write: Write) -> None:
    path = write(
        "audio: {input: no, output: 1:30, faults: 010, rate_hz: 0x5dc0, lookahead_ms: 1_0e1,"
        " retry_s: .5, frames_per_buffer: '0512'}\n"
        "model: {bundle: ~}\n"
        "head: head.yaml\n"
        "servos: {jaw: {invert: true, mix: {jawOpen: -1e-3}}}\n"
    )
    loaded = config.load(path)
    audio, jaw = loaded.audio, loaded.head.servos[0]
    assert (audio.input, audio.output, audio.faults) == ("no", "1:30", "010")
    assert (audio.rate_hz, audio.lookahead_ms, audio.retry_s) == (24000, 100.0, 0.5)
    assert type(audio.rate_hz) is int
    assert type(audio.lookahead_ms) is float
    assert audio.frames_per_buffer == 512
    assert loaded.model.bundle == "~"
    assert jaw.options.invert is True
    assert jaw.mix == {"jawOpen": -0.001}


def test_layers_the_command_line_wins_over_the_file_over_the_profile(write: Write) -> None:
    path = write(
        "audio: {lookahead_ms: 100, rate_hz: 48000}\nhead: head.yaml\n"
        "servos: {jaw: {min_us: 1100, max_us: 1900}}\n"
        "boards: [{oscillator_hz: 24800000}]\n"
    )
    loaded = config.load(path, [("audio.lookahead_ms", "80"), ("servos.jaw.max_us", "1800")])
    jaw, lip = loaded.head.servos
    assert (loaded.audio.lookahead_ms, loaded.audio.rate_hz) == (80, 48000)
    assert (jaw.options.min_us, jaw.options.max_us, jaw.mix) == (1100, 1800, {"jawOpen": 1})
    assert (lip.options.channel, lip.options.min_us) == (1, 1000)
    assert [(b.address, b.oscillator_hz) for b in loaded.head.boards] == [(0x40, 24_800_000)]
    assert loaded.head.name == "head"
    assert loaded.source == str(path)


def test_another_head_from_the_command_line_leaves_out_what_it_has_not(write: Write) -> None:
    path = write("head: head.yaml\nservos:\n  jaw: {max_us: 1700}\n  lip: {max_us: 1600}\n")
    loaded = config.load(path, head="jaw")
    assert [s.name for s in loaded.head.servos] == ["jaw"]
    assert loaded.head.servos[0].options.max_us == 1700
    assert loaded.warnings == (f"{path}:4: servos.lip: the head has no servo lip; left out",)


def test_a_head_may_be_written_in_the_config_itself(write: Write) -> None:
    path = write("head:\n  servos:\n    jaw: {channel: 3, min_us: 1200}\n")
    assert config.load(path).head.servos[0].options.channel == 3
    path = write("head:\n  servos:\n    jaw: {channel: 3, min_us: x, max_us: 400}\n")
    assert len(problems(path)) == 1
    path = write("head:\n  servos:\n    jaw: {channel: 3, min_us: 2100}\n")
    assert problems(path)[0].startswith("my.yaml:3: servos.jaw.min_us: min_us 2100 must be less")


# Mistakes -----------------------------------------------------------------------------------------

MISTAKES = {
    "unknown section": ("adio: {}", "1: adio: there is no such option; did you mean audio?"),
    "unknown option": (
        "audio:\n  lookahed_ms: 80",
        "2: audio.lookahed_ms: there is no such option; did you mean lookahead_ms?",
    ),
    "nothing like it": ("log: {qqq: 1}", "1: log.qqq: there is no such option; there are: level."),
    "duplicate": (
        "audio:\n  rate_hz: 0\n  retry_s: 1\n  rate_hz: 0",
        "4: audio.rate_hz: given twice, the first time at my.yaml:2; remove one",
    ),
    "duplicate section": ("log: {}\n\nlog: {}", "3: log: given twice, the first time at my.yaml:1"),
    "too large": (
        "audio:\n  lookahead_ms: 5000",
        "2: audio.lookahead_ms: 5000 is too large; allowed is 0 to 2000 ms (how long sound waits",
    ),
    "too small": ("audio: {retry_s: 0}", "1: audio.retry_s: 0 is too small; allowed is 0.1 to 60"),
    "two underscores": (
        "audio: {lookahead_ms: 1__0}",
        "1: audio.lookahead_ms: 1__0 is not a finite number; allowed is 0 to 2000 ms",
    ),
    "an underscore at the end": (
        "audio: {rate_hz: 5_}",
        "1: audio.rate_hz: 5_ is not a finite number; allowed is 0 to",
    ),
    "an underscore before the point": (
        "audio: {retry_s: 1_.5}",
        "1: audio.retry_s: 1_.5 is not a finite number; allowed is 0.1 to 60",
    ),
    "choice": (
        "audio: {driver: portaudo}",
        "1: audio.driver: portaudo is not one of auto, portaudio, dummy; did you mean portaudio?",
    ),
    "unit": (
        "audio: {lookahead_ms: 80 ms}",
        "1: audio.lookahead_ms: 80 ms is more than a number; write 80 alone",
    ),
    "comma": ("board: {pwm_hz: '50,5'}", "1: board.pwm_hz: 50,5 has a comma; write 50.5"),
    "word": ("audio: {retry_s: soon}", "1: audio.retry_s: soon is not a finite number"),
    "no value": ("audio:\n  retry_s:", "2: audio.retry_s: nothing is not a finite number"),
    "nan": ("audio: {retry_s: .nan}", "1: audio.retry_s: .nan is not a finite number"),
    "inf": ("audio: {retry_s: -.inf}", "1: audio.retry_s: -.inf is not a finite number"),
    "overflow": ("audio: {retry_s: 1e999}", "1: audio.retry_s: 1e999 is not a finite number"),
    "long number": (f"audio: {{rate_hz: {'9' * 5000}}}", "1: audio.rate_hz: 999"),
    "fraction": ("audio: {rate_hz: 0.5}", "1: audio.rate_hz: 0.5 is not a whole number"),
    "sexagesimal": ("audio: {rate_hz: 1:30}", "1: audio.rate_hz: 1:30 is not a finite number"),
    "low rate": ("audio: {rate_hz: 400}", "1: audio.rate_hz: 400 Hz is too low for speech; use 8"),
    "bool": (
        "servos: {jaw: {invert: yes}}",
        "1: servos.jaw.invert: yes is not an answer here; write true or false",
    ),
    "list for a value": ("audio: {rate_hz: [1]}", "1: audio.rate_hz: one value belongs here"),
    "value for a section": ("audio: loud", "1: audio: options belong here, one `key: value`"),
    "list for a section": ("audio: []", "1: audio: options belong here"),
    "scalar at top": ("hello", "1: options belong here, one `key: value` a line"),
    "list at top": ("- a\n- b", "1: options belong here, one `key: value` a line"),
    "key is a list": ("? [a, b]\n: 1", "1: a key is one word, not a list or a mapping"),
    "boards no list": ("boards: {address: 0x41}", "1: boards: a list belongs here: one line with"),
    "no boards": ("boards: []", "1: boards: 0 of them; 1 to 4 are possible"),
    "five boards": ("boards: [{}, {}, {}, {}, {}]", "1: boards: 5 of them; 1 to 4 are possible"),
    "address low": ("boards: [{address: 0x3f}]", "1: boards.0.address: 0x3f is too small; allowed"),
    "address high": (
        "boards: [{address: 0x80}]",
        "1: boards.0.address: 0x80 is too large; allowed is 0x40 to 0x7f",
    ),
    "all-call": (
        "boards: [{address: 0x70}]",
        "1: boards.0.address: 0x70 is the all-call address, which every PCA9685 answers to",
    ),
    "same address": (
        "boards:\n  - address: 0x40\n  - address: 64",
        "3: boards.1.address: 0x40 is already board 0; solder another address bridge",
    ),
    "unknown servo": ("servos: {jw: {}}", "1: servos.jw: the head has no servo jw; did you mean j"),
    "unknown servo option": (
        "servos: {jaw: {min: 1}}",
        "1: servos.jaw.min: there is no such option; did you mean min_us?",
    ),
    "servo name": ("servos: {'a b': {}}", "1: servos.a b: a servo name has letters, digits and _"),
    "unknown axis": (
        "servos:\n  jaw:\n    mix: {jawOpn: 1}",
        "3: servos.jaw.mix.jawOpn: there is no such axis; did you mean jawOpen?",
    ),
    "weight": (
        "servos: {jaw: {mix: {jawOpen: 4.5}}}",
        "1: servos.jaw.mix.jawOpen: 4.5 is too large; allowed is -4 to 4",
    ),
    "a channel is no axis": (
        "servos: {jaw: {mix: {mouthClosure: 1}}}",
        "1: servos.jaw.mix.mouthClosure: there is no such axis; did you mean mouthClose?",
    ),
    "weight nan": ("servos: {jaw: {mix: {jawOpen: nan}}}", "1: servos.jaw.mix.jawOpen: nan is not"),
    "channel 16": (
        "servos: {jaw: {channel: 16}}",
        "1: servos.jaw.channel: 16 is too large; allowed is 0 to 15 (output of the board)",
    ),
    "channel -1": ("servos: {jaw: {channel: -1}}", "1: servos.jaw.channel: -1 is too small"),
    "same channel": (
        "servos:\n  lip: {channel: 0}",
        "2: servos.lip.channel: channel 0 of board 0 is already taken by jaw (head.yaml:2); give",
    ),
    "min over max": (
        "servos:\n  jaw:\n    max_us: 1600\n    min_us: 1700",
        "4: servos.jaw.min_us: min_us 1700 must be less than max_us 1600; to turn",
    ),
    "min is max": ("servos: {jaw: {min_us: 2000}}", "1: servos.jaw.min_us: min_us 2000 must be"),
    "neutral outside": (
        "servos:\n  jaw: {neutral_us: 2100}",
        "2: servos.jaw.neutral_us: neutral_us is 2100, outside min_us..max_us (1000..2000); bring",
    ),
    "trim outside": (
        "servos:\n  jaw: {neutral_us: 1900, trim_us: 150}",
        "2: servos.jaw.trim_us: neutral_us + trim_us is 2050, outside min_us..max_us",
    ),
    "no such board": (
        "servos: {jaw: {board: 1}}",
        "1: servos.jaw.board: there is no board 1: the head has 1, counted from 0",
    ),
    "pulse too long": (
        "board: {pwm_hz: 330}\nservos: {lip: {max_us: 2900}}",
        "2: servos.lip.max_us: 2900 us leaves no pause at board.pwm_hz 330, where 2879 us is",
    ),
    "unknown head": (
        "head: jawlips",
        "1: head: there is no shipped head jawlips; did you mean jaw",
    ),
    "head file missing": ("head: ./gone.yaml", "there is no such file; check the name"),
    "tab": ("audio:\n\trate_hz: 0", "2: there is a tab; YAML takes only spaces: put two"),
    "colon without space": ("audio:\n  rate_hz:5\n  retry_s: 1", "this is not valid YAML ("),
    "open bracket": ("audio: {rate_hz: 5\n", "this is not valid YAML ("),
    "bad indentation": ("audio:\n    rate_hz: 0\n  retry_s: 1", "3: this is not valid YAML ("),
    "alias": ("audio: &a {}\nmodel: *a", "1: a value that begins with &, * or ! means something"),
    "tag": ("audio: {input: !!python/name:os.system x}", "1: a value that begins with &, * or !"),
    "deep": ("audio: " + "[" * 30 + "]" * 30, "1: this is nested deeper than 20 levels"),
    "two documents": ("audio: {}\n---\naudio: {}", "2: a second document begins here; keep one"),
    "control character": (
        "audio: {}\n\x07",
        "2: there is a character that is not text (code 0x07)",
    ),
    "unprintable value": (
        'audio: {input: "\\x07"}',
        "1: audio.input: \\x07 has characters that can",
    ),
    "newline in a value": ('audio: {input: "a\\nb"}', "1: audio.input: a\\nb has"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_a_remedy(write: Write, name: str) -> None:
    text, expected = MISTAKES[name]
    path = write(text if "head:" in text or ":" not in text else f"{text}\nhead: head.yaml\n")
    found = problems(path)
    assert any(expected in line for line in found), found
    assert all("\n" not in line for line in found)
    if expected[0].isdigit():
        assert any(line.startswith(f"my.yaml:{expected}") for line in found), found


def test_all_problems_come_at_once_in_the_order_of_the_file(write: Write) -> None:
    path = write("audio:\n  rate_hz: x\n  foo: 1\nhead: head.yaml\nservos:\n  lip: {channel: 0}\n")
    found = [line.split(":")[1] for line in problems(path, [("motion.rate_hz", "1")])]
    assert found == ["2", "3", " motion.rate_hz", "6"]


def test_a_value_that_is_not_readable_causes_no_follow_up(write: Write) -> None:
    path = write("head: head.yaml\nservos: {jaw: {min_us: oops, max_us: 900}}")
    assert len(problems(path)) == 1


@pytest.mark.parametrize("head", ["gone.yaml", "[a]", '"\\x07"', "empty.yaml", "{}\nhead: jaw"])
def test_a_head_that_cannot_be_read_causes_no_follow_up(write: Write, head: str) -> None:
    path = write(f"head: {head}\nservos: {{jaw: {{min_us: 1100}}}}")
    (path.parent / "empty.yaml").write_text("")
    assert len(problems(path)) == 1


def test_a_mistake_in_the_profile_is_told_with_the_profiles_line(write: Write) -> None:
    path = write("head: bad.yaml\nservos: {lip: {min_us: 1600}}")
    (path.parent / "bad.yaml").write_text(
        "boards:\n- address: 0x41\nservos:\n  jaw: {channel: 20}\n"
        "  lip:\n    channel: 1\n    max_us: 1550\n  tip: {}\n"
    )
    found = problems(path)
    assert found[0].startswith("bad.yaml:4: servos.jaw.channel: 20 is too large")
    assert found[1].startswith("my.yaml:2: servos.lip.min_us: min_us 1600 must be less")
    assert found[2].startswith("bad.yaml:8: servos.tip: channel is missing")
    assert len(found) == 3


@pytest.mark.parametrize("text", ["", "name: x\n", "servos:\n", "servos: {}\n"])
def test_a_head_without_servos(write: Write, text: str) -> None:
    path = write("head: none.yaml")
    (path.parent / "none.yaml").write_text(text)
    (line,) = problems(path)
    assert line.startswith("none.yaml")
    assert "servo" in line


def test_the_command_line_is_checked_by_the_same_rules() -> None:
    found = problems(
        None,
        [("audio.lookahead_ms", "9999"), ("audio.foo", "1"), ("audio", "1"), ("boards.0.x", "1")],
    )
    assert found[0].startswith("command line: audio.lookahead_ms: 9999 is too large; allowed is 0")
    assert found[1].startswith("command line: audio.foo: there is no such option")
    assert found[2].startswith("command line: audio: options belong here")
    assert found[3].startswith("command line: boards: a list belongs here")
    assert len(found) == 4


@pytest.mark.parametrize("head", ["", "jaww", "no/such.yaml", "~nobody/x.yaml", "/", "a" * 9000])
def test_a_wrong_head_on_the_command_line(head: str) -> None:
    with pytest.raises(ConfigError):
        config.load(None, head=head)


def test_files_that_are_none(tmp_path: Path) -> None:
    assert problems(tmp_path / "gone.yaml")[0].startswith("gone.yaml: there is no such file")
    (tmp_path / "folder.yaml").mkdir()
    assert problems(tmp_path / "folder.yaml")[0].startswith("folder.yaml: this is a folder")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"# ok\naudio: {output: '\xe4'}\n")
    assert problems(latin)[0].startswith("latin.yaml:2: this is not UTF-8 text; save the file")
    utf16 = tmp_path / "utf16.yaml"
    utf16.write_bytes("audio: {}\n".encode("utf-16"))
    assert problems(utf16)[0].startswith("utf16.yaml:1: this is not UTF-8 text")
    wav = tmp_path / "sound.yaml"
    wav.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    assert problems(wav)[0].startswith("sound.yaml:1: there is a character that is not text")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, write: Write) -> None:
    """A head that runs may be asked to read such a one, and would be held up for ever."""
    wrong = tmp_path / "wrong.yaml"
    terminal = os.openpty()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        os.mkfifo(tmp_path / "pipe")
        for name in (tmp_path / "pipe", tmp_path / "socket", os.ttyname(terminal[1]), "/dev/zero"):
            wrong.symlink_to(name)
            expected = "wrong.yaml: this is no regular file; give the name of a YAML file"
            assert problems(wrong) == [expected]
            assert problems(write("head: ./wrong.yaml\n")) == [expected]
            wrong.unlink()
    for end in terminal:
        os.close(end)


def test_a_file_of_10_mb_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("a: 1\n" * 2_097_152)
    assert problems(path) == [
        "big.yaml: the file has 10240 kB, the limit is 256 kB; "
        "a config is a page of text, is this the right file?"
    ]


def test_thousands_of_problems_are_told_in_short(write: Write) -> None:
    found = problems(write("".join(f"x{i}: 1\n" for i in range(20_000))))
    assert len(found) == 101
    assert found[-1] == "... and 19900 more problems"


def test_thousands_of_servos_are_refused_as_one_problem(write: Write) -> None:
    rows = "".join(f"  s{i}: {{}}\n" for i in range(20_000))
    assert problems(write("head:\n servos:\n" + rows)) == [
        "my.yaml:3: head.servos: 20000 of them; 64 are possible"
    ]


def test_ticks_beyond_the_pulses_are_worth_a_warning(write: Write) -> None:
    path = write("motion:\n  rate_hz: 100\nhead: head.yaml\n")
    (warning,) = config.load(path).warnings
    assert warning.startswith(f"{path}:2: motion.rate_hz: 100 ticks a second, but the servos get")
    assert config.load(path, [("board.pwm_hz", "100")]).warnings == ()


def test_a_servo_that_cannot_move_is_worth_a_warning(write: Write) -> None:
    path = write("head: head.yaml\nservos: {jaw: {neutral_us: 2000}}\n")
    (warning,) = config.load(path).warnings
    assert "servos.jaw: its axes drive it towards the end where it already rests" in warning
    assert config.load(path, [("servos.jaw.invert", "true")]).warnings == ()


# Anything at all ----------------------------------------------------------------------------------

KEYS = ["audio", "model", "servos", "boards", "head", "jaw", "mix", "jawOpen", "min_us", "channel"]
VALUES = [
    "lookahead_ms",
    "rate_hz",
    "address",
    "name",
    "jaw-lips",
    "true",
    "no",
    "~",
    "0x40",
    "1e9",
]
WORDS = st.sampled_from(KEYS + VALUES)
SCALARS = WORDS | st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=8)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=20,
)
QUIET = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def loads_or_tells(path: Path) -> None:
    """Either a config, or sentences; whatever else is raised fails the test."""
    try:
        config.load(path)
        told = []
    except ConfigError as error:
        told = error.problems or ["nothing"]
    assert all(line.startswith(str(path)) for line in told)


@QUIET
@given(st.dictionaries(WORDS, TREES, max_size=5))
def test_any_tree_loads_or_is_refused_in_words(tmp_path: Path, tree: object) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    loads_or_tells(path)


@QUIET
@given(st.text(st.sampled_from("audio:servjw{}[],-?|>&*!%@#'\"\n \t0.é\0") | st.characters()))
def test_any_text_loads_or_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    loads_or_tells(path)


@QUIET
@given(st.text(string.printable + "äß€😀", max_size=30), st.floats(0, 2000))
def test_any_word_and_number_survive_a_dump(tmp_path: Path, word: str, number: float) -> None:
    overrides = [("audio.output", word), ("audio.lookahead_ms", repr(number))]
    if not word.isprintable():
        with pytest.raises(ConfigError):
            config.load(None, overrides, "jaw")
        return
    loaded = config.load(None, overrides, "jaw")
    assert (loaded.audio.output, loaded.audio.lookahead_ms) == (word, number)
    path = tmp_path / "dump.yaml"
    path.write_text(config.dump(loaded), encoding="utf-8")
    assert config.load(path) == loaded
    audio = yaml.safe_load(path.read_text(encoding="utf-8"))["audio"]
    assert (audio["output"], audio["lookahead_ms"]) == (word, number)


# Pins ---------------------------------------------------------------------------------------------


def test_a_pin_does_one_thing(write: Write) -> None:
    path = write("gpio: {status_led: 17, button: 17, output_enable: 2, servo_power: 28}\n")
    said = problems(path)
    assert [line for line in said if "gpio.button" in line and "taken by gpio.status_led" in line]
    assert [line for line in said if "gpio.output_enable" in line and "I2C bus" in line]
    assert [line for line in said if "gpio.servo_power" in line and "-1 to 27" in line]
    assert len(said) == 3


def test_pins_that_are_not_wired_do_not_clash(write: Write) -> None:
    assert config.load(write("gpio: {button: 27}\n")).gpio.button == 27
    assert config.load(None).gpio.servo_power == -1


def test_a_head_can_be_made_on_the_command_line() -> None:
    said = [("head.servos.x.mix.jawOpen", "1")]
    with pytest.raises(ConfigError, match=r"servos\.x: channel is missing"):
        config.load(None, said)
    head = config.load(None, [*said, ("head.servos.x.channel", "3")]).head
    assert [(servo.name, servo.options.channel) for servo in head.servos] == [("x", 3)]
    with pytest.raises(ConfigError, match="a head needs a servo"):
        config.load(None, [("head.name", "x")])
