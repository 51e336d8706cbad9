"""Every option of the config, declared once: type, range, unit, default, sentence.

``config.py`` checks files against these declarations and ``default.yaml`` is printed from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What an option accepts. ``choices`` for words, ``low``/``high`` for numbers (inclusive)."""

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    hexadecimal: bool = False

    def show(self, value: Any) -> str:
        """A value as a maker writes it in YAML: true, 0x40, 200, 1.5, a word."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if self.hexadecimal:
            return f"{value:#x}"
        if isinstance(value, int | float):
            text = repr(int(value)) if value == int(value) else repr(value)
            # YAML 1.1 takes 1e-05 for a word, 1.0e-05 for a number.
            return text if "." in text else text.replace("e", ".0e")
        return str(value)

    @property
    def limits(self) -> str:
        """What is allowed, in words; empty where everything is."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.low is None or self.high is None:
            return ""
        return f"{self.show(self.low)} to {self.show(self.high)} {self.unit}".rstrip()


def option(
    default: Any,
    help: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    *,
    choices: tuple[str, ...] = (),
    hexadecimal: bool = False,
) -> Any:
    """Declare one option; the annotation beside it gives its type."""
    rule = Rule(help, unit, low, high, choices, hexadecimal)
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True)
class AudioOptions:
    """Where sound comes from and where it goes."""

    driver: str = option(
        "auto",
        "auto takes PortAudio where it finds an output, else the null sink (driver: dummy)",
        choices=("auto", "portaudio", "dummy"),
    )
    input: str = option(
        "", "name of the capture device for live sound; empty: only files and standard input"
    )
    output: str = option(
        "default", "name of the playback device, as `lipsync-edge devices` lists it"
    )
    rate_hz: int = option(0, "stream rate; 0: the device's own", "Hz", 0, 192_000)
    frames_per_buffer: int = option(
        512, "samples per callback; smaller is faster and more fragile", "samples", 32, 8192
    )
    lookahead_ms: float = option(
        200.0, "how long sound waits so that motion may come early; 0: live mode", "ms", 0, 2000
    )
    output_latency_ms: float = option(
        0.0, "delay behind the sound card that nobody reports, e.g. Bluetooth", "ms", -500, 2000
    )
    retry_s: float = option(1.0, "pause between attempts to reopen a lost device", "s", 0.1, 60)
    faults: str = option(
        "", "driver dummy only: misbehave, e.g. `stall@2:0.5 xrun@3 silence@4:1 end@9`"
    )


@dataclass(frozen=True)
class ModelOptions:
    """Which mouth was learned, and what runs it."""

    bundle: str = option("mouth", "name of a shipped model bundle, or a path to one")
    runtime: str = option(
        "auto",
        "auto takes ai_edge_litert where it is installed, else tflite_runtime",
        choices=("auto", "ai_edge_litert", "tflite_runtime", "dummy"),
    )
    inference_ms: float = option(
        5.0, "time that features and model may take per hop (p99), for the budget", "ms", 0, 100
    )
    faults: str = option("", "runtime dummy only: misbehave, e.g. `slow@2:0.05 nan@3:1`")


@dataclass(frozen=True)
class MotionOptions:
    """How poses become motion."""

    rate_hz: float = option(50.0, "mover ticks per second", "Hz", 10, 400)
    hold_ms: float = option(80.0, "how long the last pose is kept when none comes", "ms", 0, 5000)
    ease_ms: float = option(250.0, "time from there to the neutral pose", "ms", 1, 5000)
    idle_s: float = option(
        5.0, "rest after which servos with `on_idle: release` get no more pulses", "s", 0.5, 3600
    )
    wake_spacing_ms: float = option(
        40.0, "pause between two servos that wake, so that they do not start at once", "ms", 0, 2000
    )
    margin_ms: float = option(10.0, "spare time in the latency budget", "ms", 0, 500)
    planner: str = option(
        "plan",
        "plan looks ahead; lag only commands early by lag_ms; straight writes poses as they come",
        choices=("plan", "lag", "straight"),
    )
    lead_ms: float = option(
        3.0, "planner plan only: how much the mouth shall lead the sound", "ms", 0, 45
    )
    predict_ms: float = option(
        30.0,
        "planner plan only: how far poses are guessed where they come late; worth a third of it",
        "ms",
        0,
        60,
    )


@dataclass(frozen=True)
class BoardOptions:
    """The servo boards."""

    driver: str = option(
        "auto",
        "auto takes the PCA9685 where an I2C bus with one is found, else the simulator",
        choices=("auto", "pca9685", "simulator", "dummy"),
    )
    pwm_hz: float = option(
        50.0, "servo pulses per second; over 60 for digital servos only", "Hz", 40, 330
    )
    retries: int = option(3, "tries per update before the mouth goes off", "", 1, 10)
    bus: str = option(
        "", "simulator only: socket of a bus that outlives this program, see `make drill`"
    )
    faults: str = option(
        "", "simulator and dummy only: misbehave, e.g. `nack@2:0.2 slow@3:1 dead@5:2`"
    )


@dataclass(frozen=True)
class LogOptions:
    """What is said where."""

    level: str = option(
        "info", "least severity that is logged", choices=("debug", "info", "warning", "error")
    )


@dataclass(frozen=True)
class ServiceOptions:
    """How the program lives as a service."""

    state_dir: str = option(
        "", "folder for what must outlive a restart; empty: systemd's StateDirectory, else none"
    )
    socket: str = option(
        "",
        "control socket for status, mute, pose, ...; empty: control.sock in systemd's "
        "RuntimeDirectory, else none",
    )
    realtime: str = option(
        "auto",
        "auto takes real-time priority and locked memory where it is allowed to",
        choices=("auto", "off"),
    )
    safe_mode_after: int = option(
        3, "crashes in a row after which the servos stay off; 0: never; needs state_dir", "", 0, 20
    )


@dataclass(frozen=True)
class GpioOptions:
    """The computer's own pins (BCM numbers); -1: not wired."""

    driver: str = option(
        "auto",
        "auto takes RPi.GPIO (rpi-lgpio) where a pin is given; dummy wires none",
        choices=("auto", "dummy"),
    )
    faults: str = option(
        "", "driver dummy only: misbehave, e.g. `press@2:0.1 fail@5`; press holds the button"
    )
    status_led: int = option(-1, "LED that tells the state by its blinking", "", -1, 27)
    button: int = option(-1, "push button to ground: mute, rest, shut down", "", -1, 27)
    output_enable: int = option(-1, "the board's /OE; low while the servos may move", "", -1, 27)
    servo_power: int = option(-1, "switches the servos' supply on; high: on", "", -1, 27)


@dataclass(frozen=True)
class ServoOptions:
    """One servo of a head profile: where it is plugged in and how far it may go."""

    channel: int = option(0, "output of the board", "", 0, 15)
    board: int = option(0, "which of the head's boards, counted from 0", "", 0, 3)
    min_us: float = option(1000.0, "shortest pulse that the horn may get", "us", 300, 3000)
    max_us: float = option(2000.0, "longest pulse that the horn may get", "us", 300, 3000)
    neutral_us: float = option(1500.0, "pulse of the mouth at rest", "us", 300, 3000)
    trim_us: float = option(0.0, "shifts every pulse of this servo", "us", -500, 500)
    range: float = option(1.0, "share of the travel that is used", "", 0, 1)
    invert: bool = option(False, "turn the other way round")
    # Where a profile names a preset, the four values after it default to those of the preset; what
    # stands here is an MG90S.
    preset: str = option(
        "mg90s",
        "what servo it is; gives the next four",
        choices=("sg90", "mg90s", "digital", "jaw"),
    )
    lag_ms: float = option(
        50.0, "time from command to motion, compensated by commanding early", "ms", 0, 300
    )
    slew_us_per_s: float = option(6333.0, "fastest change of the pulse", "us/s", 100, 100_000)
    speed_us_per_s: float = option(
        4894.0, "speed of the horn under its load, for planning", "us/s", 100, 100_000
    )
    accel_us_per_s2: float = option(
        163131.0, "acceleration of the horn, for planning", "us/s2", 1000, 10_000_000
    )
    on_idle: str = option("release", "what to do when nobody speaks", choices=("release", "hold"))


@dataclass(frozen=True)
class PersonalityOptions:
    """How a head speaks."""

    amplitude: float = option(1.0, "how far all moves of the face go", "", 0, 1.5)
    clear: float = option(
        1.0, "how fully vowels and closures are made; 1.5 is for lip-readers", "", 0.5, 2
    )
    smoothing: float = option(1.0, "softness of the moves; 0: as crisp as the servos can", "", 0, 4)
    asymmetry: float = option(
        0.0, "share by which the right side moves more and the left side less", "", -0.3, 0.3
    )
    breathing: float = option(0.0, "how far the jaw breathes when nobody speaks", "", 0, 0.1)


@dataclass(frozen=True)
class BoardSpec:
    """One PCA9685: its I2C address (0x40..0x7f, not 0x70) and its oscillator's real frequency."""

    address: int = option(
        0x40, "I2C address, set by the board's solder bridges", "", 0x40, 0x7F, hexadecimal=True
    )
    oscillator_hz: int = option(
        25_000_000,
        "real frequency of the chip's clock; boards differ by some per cent",
        "Hz",
        20_000_000,
        30_000_000,
    )


@dataclass(frozen=True)
class HeadOptions:
    """Which head is on the table."""

    head: str = option("mouth10", "a shipped head profile, or the path of your own")


WEIGHT = Rule("share of an axis that goes into the servo's travel", "", -4, 4)

SECTIONS: dict[str, type[Any]] = {
    "audio": AudioOptions,
    "model": ModelOptions,
    "motion": MotionOptions,
    "board": BoardOptions,
    "log": LogOptions,
    "service": ServiceOptions,
    "gpio": GpioOptions,
}


def rules(section: type[Any]) -> dict[str, Rule]:
    """The declarations of one section, by key."""
    return {f.name: f.metadata["rule"] for f in fields(section) if "rule" in f.metadata}
