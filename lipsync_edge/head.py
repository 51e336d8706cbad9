"""Head profiles: which servos a head has, where they are plugged in, and what moves them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lipsync_edge.face import AXES
from lipsync_edge.options import WEIGHT, BoardSpec, PersonalityOptions, Rule, ServoOptions
from lipsync_edge.schema import Entries, Entry, Group, Leaf, Listed, Named, Walker, group
from lipsync_edge.servos.dynamics import PRESETS, ServoModel
from lipsync_edge.yamlnodes import KeyPath, Problems, read, shorten

HEADS = Path(__file__).parent / "heads"
ALL_CALL_ADDRESS = 0x70

SERVOS = Named(
    group(ServoOptions, mix=Named(Leaf("float", WEIGHT), "axis", len(AXES), AXES)),
    "servo",
    4 * 16,
)
BOARDS = Listed(group(BoardSpec), "board", 4)
PROFILE = Group(
    {
        "name": Leaf("str", Rule("short name of the head")),
        "description": Leaf("str", Rule("one sentence about the head")),
        "personality": group(PersonalityOptions),
        "boards": BOARDS,
        "servos": SERVOS,
    }
)


@dataclass(frozen=True)
class Servo:
    """One servo: its options, and the weight of each face axis that moves it."""

    name: str
    options: ServoOptions
    mix: Mapping[str, float]


@dataclass(frozen=True)
class Head:
    """All servos of a head, in the order of the profile, the boards that drive them, and how the
    head speaks."""

    name: str
    description: str
    boards: tuple[BoardSpec, ...]
    servos: tuple[Servo, ...]
    personality: PersonalityOptions = field(default_factory=PersonalityOptions)


def shipped() -> tuple[str, ...]:
    """The names of the head profiles that come with the program."""
    return tuple(sorted(path.stem for path in HEADS.glob("*.yaml")))


def find(name: str, folder: Path, place: str, problems: Problems) -> Path | None:
    """The file of a head: a shipped name, or a path relative to ``folder``."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return folder / os.path.expanduser(name)
    if name in shipped():
        return HEADS / f"{name}.yaml"
    hint = problems.did_you_mean(name, shipped())
    text = f"there is no shipped head {shorten(name) or '(nothing)'}; {hint} "
    problems.add(place, ("head",), text + "Your own needs its path, such as ./my_head.yaml")
    return None


def load(path: Path, problems: Problems) -> Entries:
    """The values of a profile; without a name it is called like its file. Nothing if unreadable."""
    source = str(path)
    walker = Walker(source, problems)
    before = len(problems.lines)
    node = read(path, problems)
    if node is None:
        if len(problems.lines) == before:
            problems.add(source, (), "this head profile is empty; it needs `servos:`")
        return {}
    walker.walk(node, PROFILE)
    return {("name",): Entry(path.stem, source)} | walker.entries


def build(entries: Entries, pwm_hz: float, problems: Problems) -> Head:
    """Make the head of a profile's values, after the checks across options.

    ``pwm_hz``: the boards' frequency.
    """
    n_boards = len(_children(entries, ("boards",)))
    boards = tuple(make(BoardSpec, entries, ("boards", str(i))) for i in range(n_boards))
    boards = boards or (BoardSpec(),)
    servos = tuple(_servo(entries, name, pwm_hz) for name in _children(entries, ("servos",)))
    # A value that could not be read stands at its default: no follow-up complaints about that.
    unread = {path[path[0] == "head" :] for path in problems.invalid if path}
    _check_boards(entries, boards, problems)
    for servo in servos:
        if not any(path[:2] == ("servos", servo.name) for path in unread):
            _check_servo(entries, servo, len(boards), problems)
            _check_pause(entries, servo, pwm_hz, problems)
    _check_slots(entries, servos, problems)
    if not servos and not problems.lines:
        where = entries.get(("servos",)) or entries[()]
        problems.add(
            where.place, ("servos",), "a head needs a servo; add one, e.g. `jaw: {channel: 0}`"
        )
    text = {key: entries[(key,)].value for key in ("name", "description") if (key,) in entries}
    personality = make(PersonalityOptions, entries, ("personality",))
    name, description = text.get("name") or "custom", text.get("description") or ""
    return Head(name, description, boards, servos, personality)


def make(section: type[Any], entries: Entries, path: KeyPath) -> Any:
    """A section's dataclass with the values under ``path``; defaults where nothing is written."""
    names = [f.name for f in fields(section) if (*path, f.name) in entries]
    values = {name: entries[(*path, name)].value for name in names}
    return section(**{name: value for name, value in values.items() if value is not None})


def warnings(head: Head, entries: Entries) -> list[str]:
    """What is allowed but hardly meant, a sentence each."""
    return [
        f"{entries[('servos', servo.name)].place}: servos.{servo.name}: its axes drive it towards "
        "the end where it already rests; set invert or another neutral_us"
        for servo in head.servos
        if _is_stuck(servo)
    ]


def _is_stuck(servo: Servo) -> bool:
    weights, o = servo.mix.values(), servo.options
    ends = (o.min_us, o.max_us) if o.invert else (o.max_us, o.min_us)
    return bool(weights) and (
        (o.neutral_us == ends[0] and all(w >= 0 for w in weights))
        or (o.neutral_us == ends[1] and all(w <= 0 for w in weights))
    )


def _children(entries: Entries, path: KeyPath) -> list[str]:
    n = len(path)
    return [key[n] for key in entries if len(key) == n + 1 and key[:n] == path]


def _servo(entries: Entries, name: str, pwm_hz: float) -> Servo:
    path = ("servos", name, "mix")
    mix = {axis: entries[(*path, axis)].value for axis in _children(entries, path)}
    mix = {axis: weight for axis, weight in mix.items() if weight is not None}
    options = make(ServoOptions, entries, path[:2])
    given = preset_values(options.preset, pwm_hz)
    unwritten = {key: given[key] for key in given if (*path[:2], key) not in entries}
    return Servo(name, replace(options, **unwritten), mix)


def preset_values(preset: str, pwm_hz: float) -> dict[str, float]:
    """What a preset says about a servo's options; ``pwm_hz``: the board's frequency."""
    model = PRESETS[preset]
    return {
        "lag_ms": float(round(1e3 * model.lag_s(pwm_hz))),
        "slew_us_per_s": float(round(model.no_load_us_per_s)),
        "speed_us_per_s": float(round(model.speed_us_per_s)),
        "accel_us_per_s2": float(round(model.accel_us_per_s2)),
    }


def servo_model(options: ServoOptions) -> ServoModel:
    """The servo that these options describe, for the simulation: the preset, with the speed and
    acceleration that are written."""
    preset = PRESETS[options.preset]
    speed, accel = options.speed_us_per_s, options.accel_us_per_s2
    no_load = speed / (1.0 - preset.load_share)
    return replace(preset, no_load_us_per_s=no_load, ramp_s=speed / accel)


def _place(entries: Entries, path: KeyPath, *keys: str) -> str:
    """Where the first of these keys is written, else where the thing itself begins."""
    found = [entries[(*path, key)].place for key in keys if (*path, key) in entries]
    return found[0] if found else entries.get(path, Entry(None, "built-in defaults")).place


def _check_boards(entries: Entries, boards: tuple[BoardSpec, ...], problems: Problems) -> None:
    first: dict[int, int] = {}
    for index, board in enumerate(boards):
        path = ("boards", str(index))
        place, key = _place(entries, path, "address"), (*path, "address")
        if board.address == ALL_CALL_ADDRESS:
            problems.add(
                place,
                key,
                "0x70 is the all-call address, which every PCA9685 answers to, not a board of "
                "its own; use the board's own address, 0x40 where no bridge is soldered",
            )
        elif board.address in first and key not in problems.invalid:
            problems.add(
                place,
                key,
                f"{board.address:#x} is already board {first[board.address]}; "
                "solder another address bridge on one of them and give its address here",
            )
        first.setdefault(board.address, index)


def _check_servo(entries: Entries, servo: Servo, n_boards: int, problems: Problems) -> None:
    o, path = servo.options, ("servos", servo.name)
    if (*path, "channel") not in entries:
        text = "channel is missing; say which output of the board it is plugged into, 0 to 15"
        problems.add(_place(entries, path), path, text)
    if o.board >= n_boards:
        text = f"there is no board {o.board}: the head has {n_boards}, counted from 0; "
        text += "correct it or add the board under `boards:`"
        problems.add(_place(entries, path, "board"), (*path, "board"), text)
    if o.min_us >= o.max_us:
        text = f"min_us {o.min_us:g} must be less than max_us {o.max_us:g}; "
        text += "to turn the other way round use `invert: true`"
        problems.add(_place(entries, path, "min_us", "max_us"), (*path, "min_us"), text)
        return
    for key, what, rest_us in (
        ("neutral_us", "neutral_us", o.neutral_us),
        ("trim_us", "neutral_us + trim_us", o.neutral_us + o.trim_us),
    ):
        if not o.min_us <= rest_us <= o.max_us:
            text = f"{what} is {rest_us:g}, outside min_us..max_us ({o.min_us:g}..{o.max_us:g}); "
            text += "bring it between the limits or widen them"
            problems.add(_place(entries, path, key, "min_us", "max_us"), (*path, key), text)
            return


def _check_pause(entries: Entries, servo: Servo, pwm_hz: float, problems: Problems) -> None:
    """A servo reads a pulse by its end: some pause must follow before the next one begins."""
    longest_us = 0.95e6 / pwm_hz
    if servo.options.max_us > longest_us:
        path = ("servos", servo.name)
        text = f"{servo.options.max_us:g} us leaves no pause at board.pwm_hz {pwm_hz:g}, where "
        text += f"{longest_us:.0f} us is the most; lower max_us or board.pwm_hz"
        problems.add(_place(entries, path, "max_us"), (*path, "max_us"), text)


def _check_slots(entries: Entries, servos: tuple[Servo, ...], problems: Problems) -> None:
    first: dict[tuple[int, int], str] = {}
    for servo in servos:
        o, path = servo.options, ("servos", servo.name)
        if (*path, "channel") not in entries or (*path, "channel") in problems.invalid:
            continue
        other = first.setdefault((o.board, o.channel), servo.name)
        if other != servo.name:
            text = f"channel {o.channel} of board {o.board} is already taken by {other} "
            text += f"({_place(entries, ('servos', other), 'channel')}); give it another channel"
            problems.add(_place(entries, path, "channel"), (*path, "channel"), text)
