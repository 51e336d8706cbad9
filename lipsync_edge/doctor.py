"""`devices` and `doctor`: what is there, what is wrong, and one remedy a line."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsync_edge import checkup
from lipsync_edge.checkup import Finding
from lipsync_edge.config import Config
from lipsync_edge.errors import AudioError, LipsyncError

if TYPE_CHECKING:
    from lipsync_edge.audio.cards import Device
    from lipsync_edge.servos.i2c import Answer


def devices() -> dict[str, Any]:
    """Sound devices, I2C boards, GPIO, models and heads, as plain data."""
    from lipsync_edge.head import shipped
    from lipsync_edge.model.tflite import list_bundles

    return {
        "sound": _or_error(_sound),
        "i2c": _or_error(_boards),
        "gpio": _gpio(),
        "models": list(list_bundles()),
        "heads": list(shipped()),
    }


def devices_text(found: dict[str, Any]) -> str:
    """The same as lines for people."""
    lines = ["sound devices"]
    lines += [
        f"  {d['name']}: {d['n_inputs']} in, {d['n_outputs']} out, {d['native_hz']} Hz"
        for d in _listed(found["sound"], lines)
    ] or ["  none"]
    lines.append("servo boards on the I2C bus")
    lines += [f"  {b['address']}: {b['note']}" for b in _listed(found["i2c"], lines)] or ["  none"]
    lines += [f"gpio: {found['gpio']}", f"models: {', '.join(found['models']) or 'none'}"]
    lines.append(f"heads: {', '.join(found['heads'])}")
    return "\n".join(lines)


def _listed(found: Any, lines: list[str]) -> list[dict[str, Any]]:
    if isinstance(found, str):
        lines.append(f"  {found}")
        return []
    return list(found)


def _or_error(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except LipsyncError as error:
        return str(error)


def _sound() -> list[dict[str, Any]]:
    from lipsync_edge.audio.cards import list_devices

    return [device.as_dict() for device in list_devices()]


def _boards() -> list[dict[str, Any]]:
    from lipsync_edge.servos.i2c import scan

    return [{"address": f"0x{a.address:02x}", "note": a.note} for a in scan()]


def _gpio() -> str:
    try:
        gpio = importlib.import_module("RPi.GPIO")
    except ImportError:
        return "not installed (only needed for a status LED, a button or /OE)"
    except RuntimeError as error:  # raised off a Pi, at import
        return str(error)
    return f"RPi.GPIO {gpio.VERSION}"


def examine(load: Callable[[], Config], root: Path = checkup.ROOT) -> list[Finding]:
    """Look at everything that a talking head needs. ``load`` reads the config that is examined,
    ``root``: where the system's own files are."""
    findings = [_machine(), _disk()]
    try:
        config = load()
    except LipsyncError as error:
        words = f"cannot be used.\n{error}"
        findings.append(Finding("config", False, words, "mend the lines named above"))
        return [*findings, *checkup.boot_config(root), *checkup.service(root)]
    findings.append(Finding("config", True, config.source))
    for name, look in (("model", _model), ("sound", _output), ("servo board", _bus)):
        try:
            findings += look(config)
        except LipsyncError as error:
            findings.append(Finding(name, False, error.message, error.remedy))
    findings += checkup.groups(config, checkup.this_user(), root)
    findings += checkup.boot_config(root)
    findings += checkup.loopback(config, root)
    findings += checkup.service(root)
    return [*findings, *checkup.control(_socket(config))]


def _socket(config: Config) -> str:
    """Where a running head is asked: the config's socket, else that of the system's service."""
    from lipsync_edge.client import default_socket

    return config.service.socket or default_socket()


def _machine() -> Finding:
    words = f"Python {platform.python_version()} on {platform.machine()}"
    if platform.machine() in ("x86_64", "aarch64", "arm64") and sys.maxsize > 2**32:
        return Finding("machine", True, words)
    return Finding("machine", False, words, "install a 64-bit system: the model runtime needs it")


def _disk() -> Finding:
    free_mb = shutil.disk_usage("/").free / 1e6
    words = f"{free_mb:.0f} MB free"
    return Finding("disk", free_mb > 50, words, "" if free_mb > 50 else "delete what is not needed")


def _model(config: Config) -> Iterator[Finding]:
    from lipsync_edge.build import budget_of, make_model
    from lipsync_edge.clock import MonotonicClock

    clock = MonotonicClock()
    begun_s = clock.now()
    model = make_model(config, clock)
    loaded_s = clock.now() - begun_s
    yield Finding("model", True, f"{model.name} loads in {loaded_s:.2f} s and passes its golden")
    budget = budget_of(config, model, config.audio.rate_hz or 48_000)
    yield Finding("latency", budget.trail_ms == 0 or budget.lookahead_ms == 0, budget.verdict())


def _output(config: Config) -> Iterator[Finding]:
    if config.audio.driver == "dummy":
        yield Finding("sound", True, "the null sink, as the config asks (audio.driver: dummy)")
        return
    try:
        yield from _cards(config)
    except AudioError:
        if not checkup.has_sound(_socket(config), config):
            raise
        yield Finding("sound", True, "the running head has it; who else looks may not see the card")


def _cards(config: Config) -> Iterator[Finding]:
    from lipsync_edge.audio.cards import find, list_devices

    known = list_devices()
    if not any(device.n_outputs for device in known):
        remedy = "plug in a USB sound card, or enable the overlay of your I2S card; then aplay -l"
        raise AudioError("no playback device found", remedy)
    output = find(known, config.audio.output, playing=True)
    yield _rate("sound", "plays to", output, config.audio.rate_hz)
    if "bcm2835" in output.name:
        yield Finding("sound quality", False, "the Pi's own jack reports its delay coarsely",
                      "use a USB or I2S sound card")  # fmt: skip
    if config.audio.input:
        source = find(known, config.audio.input, playing=False)
        yield _rate("microphone", "hears", source, config.audio.rate_hz)


def _rate(name: str, does: str, device: Device, rate_hz: int) -> Finding:
    """Whether a device can be opened at the rate that the config insists on; 0: any."""
    from lipsync_edge.audio.cards import LISTED_RATES

    words = f"{does} {device.name} at {rate_hz or device.native_hz} Hz"
    if rate_hz not in LISTED_RATES or rate_hz in device.rates_hz:
        return Finding(name, True, words)
    able = ", ".join(map(str, device.rates_hz)) or f"{device.native_hz}, as it says"
    return Finding(name, False, f"{device.name} cannot do {rate_hz} Hz (it can: {able})",
                   "set audio.rate_hz: 0, the device's own, or one of those")  # fmt: skip


def _bus(config: Config) -> Iterator[Finding]:
    from lipsync_edge.servos.i2c import bus_problem, scan

    if config.board.driver in ("simulator", "dummy"):
        yield Finding("servo board", True, f"none needed (board.driver: {config.board.driver})")
        return
    problem = bus_problem()
    if problem:
        yield Finding("servo board", False, "no bus to reach it", problem)
        return
    yield from judge(config, {answer.address: answer for answer in scan()})


def judge(config: Config, answers: Mapping[int, Answer]) -> Iterator[Finding]:
    """What the answers on the bus, by address, mean for the boards of a config."""
    from lipsync_edge.servos.i2c import ALL_CALL

    found = [_judge(board.address, answers) for board in config.head.boards]
    yield from found
    if ALL_CALL in answers:
        words = "0x70 answers, too: every PCA9685 does so after power-up; it is no second board"
        yield Finding("all-call address", True, words)
    if any(finding.ok for finding in found):
        yield Finding("servo power", True, "cannot be seen from here: the bus works without it",
                      "if no servo moves, measure 4.8 to 6 V at the board's screw terminal "
                      "(V+ and GND)")  # fmt: skip


def _judge(address: int, answers: Mapping[int, Answer]) -> Finding:
    name = f"servo board 0x{address:02x}"
    if address in answers and answers[address].is_board:
        return Finding(name, True, answers[address].note)
    others = [f"0x{a:02x}" for a, answer in answers.items() if answer.is_board]
    if address in answers:
        return Finding(name, False, "what answers there is no PCA9685",
                       f"unplug it, or solder the servo board to another address"
                       f"{' (' + ', '.join(others) + ' answers)' if others else ''}")  # fmt: skip
    if others:
        remedy = f"a board answers at {', '.join(others)}: set `boards:` to it, or mend its jumpers"
        return Finding(name, False, "does not answer", remedy)
    return Finding(name, False, "does not answer, nor does any other",
                   "check SDA and SCL (swapped?) and ground\n"
                   "check the board's VCC: 3.3 V from the Pi (V+ is for the servos alone)"
                   )  # fmt: skip
