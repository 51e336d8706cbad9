"""The commands that talk to a running head: status, mute, pose, say-file, reload, stop, ..."""

from __future__ import annotations

import argparse
import json
import math
import os
import select
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lipsync_edge import config
from lipsync_edge.cli_parts import Parser, add_command, seconds, standard_input
from lipsync_edge.client import Client
from lipsync_edge.errors import AudioError, UsageError
from lipsync_edge.speech import LARGEST

SIMPLE = {
    "mute": "silence the speaker; the mouth goes on",
    "unmute": "let it be heard again",
    "rest": "lead all servos to neutral and switch them off; the sound goes on",
    "wake": "move again after a rest",
    "neutral": "end a pose: the face at rest for 10 s, then it follows the sound again",
    "follow": "follow the sound again at once",
    "hush": "forget the files that are spoken or wait",
    "reload": "take over the changed config, without a gap in the sound",
    "restart": "end in order and begin anew, as after a change of devices",
    "stop": "end the running head in order",
}
WRITER_S = 2.0
"""For how long nobody may have begun to write to a pipe."""


def add(commands: Any) -> None:
    """Declare the commands."""
    status = add_command(commands, "status", _status, "say how the running head is",
                     "lipsync-edge status --json")  # fmt: skip
    _add_socket(status)
    for name, text in SIMPLE.items():
        _add_socket(add_command(commands, name, _simple, text, f"lipsync-edge {name}"))
    pose = add_command(
        commands, "pose", _pose, "hold a pose of the face for a while",
        "lipsync-edge pose smile\n         lipsync-edge pose jawOpen=0.5 mouthFunnel=1 --for 3",
    )  # fmt: skip
    pose.add_argument(
        "pose", nargs="+", metavar="NAME|AXIS=VALUE",
        help="a name (closed, open, half, smile, ooh, oh, ee), or axes, 0 to 1",
    )  # fmt: skip
    pose.add_argument("--for", type=_hold, default=None, dest="hold_s", metavar="S",
                      help="seconds; default 10")  # fmt: skip
    _add_socket(pose)
    say = add_command(commands, "say-file", _say, "let the running head speak a WAV file",
                  "lipsync-edge say-file hello.wav\n"
                  "         espeak-ng --stdout hello | lipsync-edge say-file -")  # fmt: skip
    say.add_argument("file", metavar="FILE.wav", help="a WAV file, - for standard input")
    _add_socket(say)


def _add_socket(command: Parser) -> None:
    which = command.add_mutually_exclusive_group()
    which.add_argument("--socket", default="", metavar="PATH",
                       help="default: $LIPSYNC_SOCKET, else the service's")  # fmt: skip
    which.add_argument("--config", type=Path, metavar="FILE",
                       help="take service.socket of this config (YAML)")  # fmt: skip


def _client(arguments: argparse.Namespace) -> Client:
    path = arguments.socket
    if arguments.config:
        path = config.load(arguments.config, may_be_pipe=True).service.socket
        if not path:
            raise UsageError(f"{arguments.config} names no service.socket.", "Use --socket PATH.")
    return Client(path)


def _tell(arguments: argparse.Namespace, answer: dict[str, Any], text: str) -> int:
    told = {key: value for key, value in answer.items() if key != "v"}
    print(json.dumps(told) if arguments.json else text)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    with _client(arguments) as head:
        status = head.status()
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print(text_of(status))
    return 0


def text_of(status: dict[str, Any]) -> str:
    """A status for people."""
    heard_s = status.get("heard_s")
    lines = [
        str(status.get("line", "starting")),
        f"  head {status.get('head')}, model {status.get('model')}, up {status.get('uptime_s')} s, "
        f"heard {'nothing yet' if heard_s is None else f'{heard_s} s'}",
        f"  sound {status.get('device')}: {status.get('xruns')} xruns",
        f"  mover {status.get('ticks')} ticks, {status.get('late')} late; "
        f"board failures {status.get('board_failures')}",
    ]
    if status.get("spoken_files"):
        lines.append(f"  speaks a file, {status['spoken_files']} in all wait")
    return "\n".join(lines)


def _simple(arguments: argparse.Namespace) -> int:
    name = arguments.name
    with _client(arguments) as head:
        answer = head.ask(name)
    text = {"reload": _changed(answer)}.get(name, f"{name}: done")
    return _tell(arguments, answer, text)


def _changed(answer: dict[str, Any]) -> str:
    if answer.get("restarts"):
        return "reload: leaves safe mode, begins anew"
    changed = answer.get("changed", [])
    return "reload: " + (", ".join(changed) if changed else "nothing has changed")


def _pose(arguments: argparse.Namespace) -> int:
    words = arguments.pose
    if len(words) == 1 and "=" not in words[0]:
        told: dict[str, float] | str = words[0]
    else:
        told = dict(_axis(word) for word in words)
    with _client(arguments) as head:
        unmoved = head.pose(told, arguments.hold_s)
    text = "pose: held"
    if unmoved:
        text += f"; no servo of this head shows {', '.join(unmoved)}"
    return _tell(arguments, {"ok": True, "unmoved": unmoved}, text)


def _axis(word: str) -> tuple[str, float]:
    axis, _, value = word.partition("=")
    try:
        return axis, _finite(value)
    except ValueError:
        hint = "Write axes as AXIS=VALUE, e.g. jawOpen=0.5; or give one name."
        raise UsageError(f"{word}: is no axis with a value.", hint) from None


def _hold(text: str) -> float:
    """For how long, for a parser."""
    value = seconds(text)
    if value == math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time that ends")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _say(arguments: argparse.Namespace) -> int:
    from lipsync_edge.audio.wav import WavSource

    with _opened(arguments.file) as sound:
        # What is wrong with it is told here, where its name is known.
        WavSource(os.dup(sound.fileno()), _shown(arguments.file)).close()
        with _client(arguments) as head:
            answer = head.say(sound)
    waiting = answer.get("waiting", 1)
    text = "say-file: speaks" if waiting <= 1 else f"say-file: waits behind {waiting - 1}"
    return _tell(arguments, answer, text)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """A file to speak. Anything else is kept in a file without a name until it was spoken."""
    from lipsync_edge.audio.wav import plain_errors

    with plain_errors(_shown(name)):
        file = _kept(standard_input(), _shown(name)) if name == "-" else _file(name)
    with file:
        yield file


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _file(name: str) -> BinaryIO:
    source = open(name, "rb", opener=_open_at_once)  # noqa: SIM115  (closed by who speaks it)
    os.set_blocking(source.fileno(), True)
    mode = os.fstat(source.fileno()).st_mode
    if stat.S_ISREG(mode):
        return source
    with source:
        if stat.S_ISFIFO(mode):
            select.select([source], [], [], WRITER_S)
        kept = _kept(source, name)
    if stat.S_ISFIFO(mode) and not os.fstat(kept.fileno()).st_size:
        kept.close()
        raise AudioError(f"{name} is a pipe nobody writes to.", "Start the one who speaks first.")
    return kept


def _open_at_once(path: str, flags: int) -> int:
    """Without a wait for somebody at the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _kept(source: BinaryIO, name: str) -> BinaryIO:
    """A copy of a sound, at its start."""
    if source.isatty():
        raise AudioError(f"{name} is a keyboard, not sound.", "Pipe a WAV file into it.")
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        while part := source.read(1 << 20):
            file.write(part)
            if file.tell() > LARGEST:
                raise AudioError(f"{name} is longer than 512 MB.", "Give a shorter sound.")
        file.seek(0)
    except (AudioError, OSError):
        file.close()
        raise
    return file
