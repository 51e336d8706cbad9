"""The config: one YAML file over the declared defaults, checked as a whole before anything moves.

Later layers win: the declarations in ``options``, the head profile, the config file, the command
line. ``servos:`` and ``boards:`` of a config override single values of the head's profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from lipsync_edge import head as heads
from lipsync_edge.head import Head, Servo
from lipsync_edge.options import (
    SECTIONS,
    WEIGHT,
    AudioOptions,
    BoardOptions,
    BoardSpec,
    GpioOptions,
    HeadOptions,
    LogOptions,
    ModelOptions,
    MotionOptions,
    PersonalityOptions,
    Rule,
    ServiceOptions,
    ServoOptions,
    rules,
)
from lipsync_edge.schema import Entries, Entry, Group, Leaf, Walker, group, override_node
from lipsync_edge.yamlnodes import Problems, compose, read

__all__ = ["BoardSpec", "Config", "Head", "Servo", "default_yaml", "dump", "load"]

BUILT_IN = "built-in defaults"
COMMAND_LINE = "command line"
UNNAMED = "the text"

_SCHEMA = Group(
    {
        **{name: group(section) for name, section in SECTIONS.items()},
        "head": Group(heads.PROFILE.items, word=Leaf("str", rules(HeadOptions)["head"])),
        "servos": heads.SERVOS,
        "boards": heads.BOARDS,
        "personality": heads.PROFILE.items["personality"],
    }
)


@dataclass(frozen=True)
class Config:
    """Everything that can be set. ``source`` names the file, ``warnings`` are for the maker."""

    audio: AudioOptions
    model: ModelOptions
    motion: MotionOptions
    board: BoardOptions
    log: LogOptions
    service: ServiceOptions
    gpio: GpioOptions
    head: Head
    source: str = field(default=BUILT_IN, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)


def load(
    path: Path | None,
    overrides: Sequence[tuple[str, str]] = (),
    head: str | None = None,
    text: str | None = None,
    may_be_pipe: bool = False,
) -> Config:
    """The effective config of a file (None: the defaults alone).

    ``overrides``: dotted keys and values from the command line, such as
    ``("audio.lookahead_ms", "80")``; ``head``: the same as the key ``head``; ``text``: what to take
    for the file's content; ``may_be_pipe``: wait for what is written to it, where it is a pipe.
    Raises ConfigError with all problems at once.
    """
    problems = Problems()
    written = _read_file(path, problems, text, may_be_pipe)
    said = _read_overrides([*overrides, *([("head", head)] if head is not None else [])], problems)
    entries = written | said
    profile, notes = _profile(path, written, said, problems)
    sections = {name: heads.make(cls, entries, (name,)) for name, cls in SECTIONS.items()}
    built = heads.build(profile, sections["board"].pwm_hz, problems)
    _check_sections(entries, sections["audio"], problems)
    _check_pins(entries, sections["gpio"], problems)
    problems.raise_all()
    notes += heads.warnings(built, profile) + _warnings(entries, sections)
    source = str(path) if path else BUILT_IN
    return Config(**sections, head=built, source=source, warnings=tuple(notes))


def _read_file(
    path: Path | None, problems: Problems, text: str | None, may_be_pipe: bool
) -> Entries:
    if path is None and text is None:
        return {}
    source = str(path or UNNAMED)
    walker = Walker(source, problems)
    if path and text is None:
        node = read(path, problems, may_be_pipe)
    else:
        node = compose(text or "", source, problems)
    if node is not None:
        walker.walk(node, _SCHEMA)
    return walker.entries


def _read_overrides(overrides: Sequence[tuple[str, str]], problems: Problems) -> Entries:
    walker = Walker(COMMAND_LINE, problems)
    for key, value in overrides:
        walker.walk(override_node(tuple(key.split(".")), value), _SCHEMA)
    return walker.entries


def _profile(
    path: Path | None, written: Entries, said: Entries, problems: Problems
) -> tuple[Entries, list[str]]:
    """The values of the chosen head with the overrides on top; nothing where there is no such head.

    Where the command line chooses another head than the file, overrides for servos that this head
    has not are left out, with a warning.
    """
    key = ("head",)
    chosen_here = key in said
    entry = said.get(key) or written.get(key) or Entry(HeadOptions().head, BUILT_IN)
    if key in problems.invalid:
        return {}, []
    if entry.value is None:
        base = {k[1:]: value for k, value in (written | said).items() if k[:1] == key}
    else:
        folder = path.parent if path and not chosen_here else Path()
        found = heads.find(entry.value, folder, entry.place, problems)
        base = heads.load(found, problems) if found else {}
    return _override(base, written, said, chosen_here, problems) if base else ({}, [])


def _override(
    base: Entries, written: Entries, said: Entries, other_head: bool, problems: Problems
) -> tuple[Entries, list[str]]:
    """Lay ``servos``, ``boards`` and ``personality`` of the config and the command line over a
    profile's values."""
    known = [key[1] for key in base if len(key) == 2 and key[0] == "servos"]
    merged, notes = dict(base), []
    for layer, may_differ in ((written, other_head), (said, False)):
        for key, entry in layer.items():
            if key[:1] not in {("servos",), ("boards",), ("personality",)}:
                continue
            if key[0] == "servos" and len(key) > 1 and key[1] not in known:
                text = f"the head has no servo {key[1]}"
                if len(key) == 2 and may_differ:
                    notes.append(f"{entry.place}: servos.{key[1]}: {text}; left out")
                elif len(key) == 2:
                    hint = problems.did_you_mean(key[1], known)
                    problems.add(entry.place, key, f"{text}; {hint}")
            elif entry.value is not None or key not in base:
                merged[key] = entry
    return merged, notes


def _check_sections(entries: Entries, audio: AudioOptions, problems: Problems) -> None:
    if 0 < audio.rate_hz < 8000:
        problems.add(
            entries[("audio", "rate_hz")].place,
            ("audio", "rate_hz"),
            f"{audio.rate_hz} Hz is too low for speech; use 8000 or more, or 0 (the device's own)",
        )


def _check_pins(entries: Entries, gpio: GpioOptions, problems: Problems) -> None:
    """A pin does one thing, and 2 and 3 are the I2C bus (BCM2835 ARM Peripherals, table 6-31)."""
    taken = {2: "the I2C bus", 3: "the I2C bus"}
    for name in rules(GpioOptions):
        pin, key = getattr(gpio, name), ("gpio", name)
        if isinstance(pin, str):  # the driver and its faults
            continue
        if key in entries and pin in taken:
            text = f"pin {pin} is already taken by {taken[pin]}; use another one"
            problems.add(entries[key].place, key, text)
        if pin >= 0:
            taken.setdefault(pin, f"gpio.{name}")


def _warnings(entries: Entries, sections: dict[str, Any]) -> list[str]:
    rate_hz, pwm_hz = sections["motion"].rate_hz, sections["board"].pwm_hz
    if rate_hz <= pwm_hz:
        return []
    place = (entries.get(("motion", "rate_hz")) or entries[("board", "pwm_hz")]).place
    text = f"{rate_hz:g} ticks a second, but the servos get only {pwm_hz:g} pulses (board.pwm_hz)"
    return [f"{place}: motion.rate_hz: {text}; the rest of the ticks is lost"]


# Writing ------------------------------------------------------------------------------------------

_TITLE = """\
# Every option of lipsync-edge with its default. Copy what you change into a file of your own, and
# start with `lipsync-edge run FILE`. Numbers stand alone, the comment gives their unit and range.
"""
_HEAD_HELP = """
# Values of single servos and boards of that head, as you found them on your own build. What is not
# written here comes from the head's profile.
"""


def default_yaml() -> str:
    """The text of ``default.yaml``: all declarations with sentence, unit, range and default."""
    lines = [_TITLE, *_explained(HeadOptions, "")]
    for name, section in SECTIONS.items():
        lines += ["", f"# {section.__doc__}", f"{name}:", *_explained(section, "  ")]
    lines += ["", "# How a head speaks; what is not written here comes from its profile."]
    lines += ["#personality:", *_explained(PersonalityOptions, "#  ")]
    lines += [_HEAD_HELP + "#servos:", "#  jaw:", *_explained(ServoOptions, "#    ")]
    lines += [f"#    # {WEIGHT.help} ({WEIGHT.limits})", "#    mix: {jawOpen: 1.0}"]
    lines += ["", "#boards:", "#  -", *_explained(BoardSpec, "#    ")]
    return "\n".join(lines) + "\n"


def _explained(section: type[Any], indent: str) -> list[str]:
    """What each option means, and its default."""
    lines, defaults = [], section()
    for name, rule in rules(section).items():
        limits = f" ({rule.limits})" if rule.limits else ""
        wrapped = wrap(rule.help + limits, 96 - len(indent))
        lines += [f"{indent}# {line}" for line in wrapped]
        lines.append(f"{indent}{name}: {_yaml(rule, getattr(defaults, name))}")
    return lines


def dump(config: Config) -> str:
    """The effective config as YAML, with the head written out; it loads to the same config."""
    lines = [f"# effective config, from {config.source}"]
    for name in SECTIONS:
        lines += ["", f"{name}:", *_options(getattr(config, name), "  ")]
    head = config.head
    lines += ["", "head:", f"  name: {_word(head.name)}"]
    lines += [f"  description: {_word(head.description)}", "  boards:"]
    for board in head.boards:
        first, *rest = _options(board, "      ")
        lines += ["    - " + first.strip(), *rest]
    lines += ["  personality:", *_options(head.personality, "    "), "  servos:"]
    for servo in head.servos:
        weights = ", ".join(f"{axis}: {WEIGHT.show(weight)}" for axis, weight in servo.mix.items())
        lines += [f"    {_word(servo.name)}:", *_options(servo.options, "      ")]
        lines += [f"      mix: {{{weights}}}"]
    return "\n".join(lines) + "\n"


def _options(section: Any, indent: str) -> list[str]:
    declared = rules(type(section)).items()
    return [f"{indent}{name}: {_yaml(rule, getattr(section, name))}" for name, rule in declared]


def _yaml(rule: Rule, value: Any) -> str:
    return _word(value) if isinstance(value, str) else rule.show(value)


def _word(text: str) -> str:
    """A word, in quotes where YAML might take it for something else."""
    quoted: str = yaml.safe_dump(text, width=10_000, allow_unicode=True)
    return quoted.removesuffix("...\n").strip()
