"""The commands that talk to a running head: status, mute, pose, say-file, reload, stop, ..."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipsync_edge.client import Client
from lipsync_edge.errors import UsageError

Parser = argparse.ArgumentParser
AddCommand = Callable[..., Any]

SIMPLE = {
    "mute": "silence the speaker; the mouth goes on",
    "unmute": "let it be heard again",
    "rest": "lead all servos to neutral and switch them off; the sound goes on",
    "wake": "move again after a rest",
    "neutral": "hold the face at rest",
    "follow": "follow the sound again after a pose",
    "hush": "forget the files that are spoken or wait",
    "reload": "take over the changed config, without a gap in the sound",
    "restart": "end in order and begin anew, as after a change of devices",
    "stop": "end the running head in order",
}


def add(commands: Any, command: AddCommand) -> None:
    """Declare the commands."""
    status = command(commands, "status", _status, "say how the running head is",
                     "lipsync-edge status --json")  # fmt: skip
    _add_socket(status)
    for name, text in SIMPLE.items():
        _add_socket(command(commands, name, _simple, text, f"lipsync-edge {name}"))
    pose = command(
        commands, "pose", _pose, "hold a pose of the face for a while",
        "lipsync-edge pose smile\n         lipsync-edge pose jawOpen=0.5 mouthFunnel=1 --for 3",
    )  # fmt: skip
    pose.add_argument(
        "pose", nargs="+", metavar="NAME|AXIS=VALUE",
        help="a name (closed, open, half, smile, ooh, oh, ee), or axes, 0 to 1",
    )  # fmt: skip
    pose.add_argument("--for", type=float, default=None, dest="hold_s", metavar="S",
                      help="seconds; default 10")  # fmt: skip
    _add_socket(pose)
    say = command(commands, "say-file", _say, "let the running head speak a WAV file",
                  "lipsync-edge say-file hello.wav")  # fmt: skip
    say.add_argument("file", type=Path, metavar="FILE.wav")
    _add_socket(say)


def _add_socket(command: Parser) -> None:
    command.add_argument("--socket", default="", metavar="PATH",
                         help="default: $LIPSYNC_SOCKET, else the service's")  # fmt: skip


def _client(arguments: argparse.Namespace) -> Client:
    return Client(arguments.socket)


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
    lines = [
        str(status.get("line", "starting")),
        f"  head {status.get('head')}, model {status.get('model')}, up {status.get('uptime_s')} s, "
        f"heard {status.get('heard_s')} s",
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
        head.pose(told, arguments.hold_s)
    return _tell(arguments, {"ok": True}, "pose: held")


def _axis(word: str) -> tuple[str, float]:
    axis, _, value = word.partition("=")
    try:
        return axis, float(value)
    except ValueError:
        hint = "Write axes as AXIS=VALUE, e.g. jawOpen=0.5; or give one name."
        raise UsageError(f"{word}: is no axis with a value.", hint) from None


def _say(arguments: argparse.Namespace) -> int:
    from lipsync_edge.audio.wav import WavSource

    WavSource(arguments.file).close()  # what is wrong with it is told here, where its name is known
    with open(arguments.file, "rb") as sound, _client(arguments) as head:
        answer = head.say(sound)
    waiting = answer.get("waiting", 1)
    text = "say-file: speaks" if waiting <= 1 else f"say-file: waits behind {waiting - 1}"
    return _tell(arguments, answer, text)
