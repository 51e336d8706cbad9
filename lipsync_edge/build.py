"""Picks the implementations that a config asks for and joins them; no other place knows all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.audio import Opener, Stream
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.resample import Resampler
from lipsync_edge.audio.ring import Ring
from lipsync_edge.budget import PREDICT_WORTH, Budget, make_budget
from lipsync_edge.care import Care
from lipsync_edge.clock import Clock
from lipsync_edge.config import Config
from lipsync_edge.engine import Analyzer, Mover, Pacer
from lipsync_edge.errors import BoardError, ConfigError, GpioError
from lipsync_edge.gpio import Pins
from lipsync_edge.heat import Heat
from lipsync_edge.idle import Idle
from lipsync_edge.model import Model
from lipsync_edge.motion import Motion, MotionSpec
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.servos import Board
from lipsync_edge.servos.gate import Gate
from lipsync_edge.servos.rig import Rig
from lipsync_edge.telemetry import Telemetry
from lipsync_edge.timeline import Timeline, TimelineSpec
from lipsync_edge.wake import Wake

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Spawn = Callable[[str, Callable[[], None]], Any]
SERVERS = ("default", "sysdefault", "pulse", "pipewire")


def make_model(config: Config, clock: Clock) -> Model:
    """The model of the config's bundle, loaded and checked. Raises ModelError."""
    if config.model.runtime == "dummy":
        from lipsync_edge.model.dummy import DummyModel

        return DummyModel(
            faults=config.model.faults,
            sleep=lambda seconds: clock.sleep_until(clock.now() + seconds),
        )
    from lipsync_edge.model.tflite import TfliteModel, open_bundle

    return TfliteModel(open_bundle(config.model.bundle), runtime=config.model.runtime)


def safe_model() -> Model:
    """What safe mode runs: it keeps the threads going, and neither files nor C code can fail."""
    from lipsync_edge.model.dummy import DummyModel

    return DummyModel()


def safe_board(rig: Rig) -> Board:
    """No board at all: in safe mode nothing touches the bus."""
    from lipsync_edge.servos.off import NoBoard

    return NoBoard(len(rig.slots))


def make_board(config: Config, rig: Rig, clock: Clock) -> Board:
    """The board of the config, not yet opened. Raises BoardError where there is no bus."""
    driver = config.board.driver
    try:
        if driver == "dummy":
            from lipsync_edge.servos.dummy import DummyBoard

            return DummyBoard(len(rig.slots), faults=config.board.faults, clock=clock)
        return _pca9685(config, rig, clock, driver == "simulator")
    except ValueError as error:
        raise ConfigError([f"board.faults: {error}"]) from error


def _pca9685(config: Config, rig: Rig, clock: Clock, simulated: bool) -> Board:
    """The real driver, on the computer's bus or on a simulated one."""
    from lipsync_edge.servos.pca9685 import Pca9685Board

    bus = shared_bus(config)
    if bus is None and (
        simulated or (config.board.driver == "auto" and not _a_board_answers(config))
    ):
        from lipsync_edge.servos.registers import simulated_bus

        bus = simulated_bus(config.head.boards, faults=config.board.faults, clock=clock)
    return Pca9685Board(
        config.head.boards,
        rig.slots,
        pwm_hz=config.board.pwm_hz,
        retries=config.board.retries,
        i2c=bus,
        clock=clock,
    )


def shared_bus(config: Config) -> Any:
    """A simulated bus in another process, where the config names one; else None."""
    if config.board.driver != "simulator" or not config.board.bus:
        return None
    from lipsync_edge.servos.remote import RemoteBus

    return RemoteBus(config.board.bus)


def _a_board_answers(config: Config) -> bool:
    """Whether one of the head's boards is there; a bus alone proves nothing (graphics cards)."""
    from lipsync_edge.servos.pca9685 import bus_present, scan

    wanted = {board.address for board in config.head.boards}
    try:
        found = bus_present() and any(a.is_board and a.address in wanted for a in scan())
    except BoardError as error:
        log.debug("no bus: %s", error)
        found = False
    if not found:
        log.info("no servo board found: driving a simulated one (board.driver: auto)")
    return found


def make_stream(
    config: Config, clock: Clock, spawn: Spawn, duplex: bool, rate_hz: int = 0
) -> Stream:
    """The sound device of the config, open but not started. Raises AudioError.

    ``rate_hz``: insist on this rate (a device that is opened again); 0: the config's choice.
    """
    from lipsync_edge.audio.dummy import NullStream

    options = config.audio
    null_rate_hz = rate_hz or options.rate_hz or 48_000

    def null_sink() -> Stream:
        return NullStream(options, clock, rate_hz=null_rate_hz, duplex=duplex, spawn=spawn)

    if options.driver == "dummy":
        return null_sink()
    from lipsync_edge.audio.cards import has_output
    from lipsync_edge.audio.portaudio import PortAudioStream, Way

    # A device that is opened again was a real one: wait for it, do not go on without a sound.
    if options.driver == "auto" and not duplex and not rate_hz and not has_output():
        log.info("no sound device found: playing to the null sink")
        return null_sink()
    way: Way = "duplex" if duplex else "play"
    return PortAudioStream(options, clock=clock, way=way, rate_hz=rate_hz)


def two_cards(config: Config) -> bool:
    """Whether live sound comes from another card than that which plays it.

    Behind a name like ``default`` may be two; whoever is called alike otherwise is one.
    """
    options = config.audio
    return bool(options.input) and (options.input != options.output or options.input in SERVERS)


def recording_device(config: Config, clock: Clock, spawn: Spawn, rate_hz: int) -> Opener:
    """The card that only records, for a stream that plays at ``rate_hz``. Raises AudioError."""
    options = config.audio
    if options.driver == "dummy":
        from lipsync_edge.audio.dummy import NullMicrophone

        return NullMicrophone(options, clock, rate_hz=rate_hz, spawn=spawn)
    from lipsync_edge.audio.probe import RecordingDevice

    return RecordingDevice(options, clock, rate_hz)


@dataclass(frozen=True)
class Chain:
    """What lies between the edges, joined for one stream rate."""

    timeline: Timeline
    analyzer: Analyzer
    mover: Mover
    motion: Motion
    budget: Budget
    lookahead_samples: int


def budget_of(config: Config, model: Model, rate_hz: int) -> Budget:
    """The latency budget of a config at a stream rate."""
    slowest_ms = max(servo.options.lag_ms for servo in config.head.servos)
    return make_budget(
        spec=model.spec,
        rate_hz=rate_hz,
        block=config.audio.frames_per_buffer,
        resampler_s=Resampler(rate_hz, model.spec.sample_rate_hz).delay_s,
        delay_frames=model.delay_frames,
        inference_ms=config.model.inference_ms,
        lag_ms=0.0 if config.motion.planner == "straight" else slowest_ms,
        margin_ms=config.motion.margin_ms,
        lead_ms=lead_ms(config),
        predict_ms=config.motion.predict_ms if config.motion.planner == "plan" else 0.0,
        output_latency_ms=config.audio.output_latency_ms,
        lookahead_ms=config.audio.lookahead_ms,
    )


def motion_spec(config: Config, budget: Budget) -> MotionSpec:
    """How to move, by a config and what its budget leaves."""
    options = config.motion
    # Poses are read further on than the mouth then comes: guesses are worth a part of their reach.
    reach_ms = budget.guessed_ms / PREDICT_WORTH - budget.guessed_ms
    return MotionSpec(
        planner=options.planner,
        tick_s=1 / options.rate_hz,
        horizon_s=config.audio.lookahead_ms / 1e3,
        trail_s=max(0.0, budget.trail_ms - reach_ms) / 1e3,
        lead_s=lead_ms(config) / 1e3,
        predict_s=options.predict_ms / 1e3 if options.planner == "plan" else 0.0,
    )


def lead_ms(config: Config) -> float:
    """How much the mouth leads by plan: nothing in live mode, where it trails anyway."""
    planned = config.motion.planner == "plan" and config.audio.lookahead_ms > 0
    return config.motion.lead_ms if planned else 0.0


def disable_outputs(config: Config) -> str:
    """``/OE`` high and the servos' supply off where they are wired, which needs no bus; why that
    failed, in words, or empty."""
    try:
        pins = make_pins(config)
    except ConfigError as error:
        return str(error)
    trouble = ""
    try:
        pins.open()
    except GpioError as error:
        trouble = str(error)
    pins.close()
    return trouble


def make_care(
    config: Config,
    rig: Rig,
    pose: Mapping[str, float] | None = None,
    warmth: tuple[Array, float] | None = None,
) -> Care:
    """The care for a config's servos. ``pose``: the pulses, us by servo, that their horns are
    believed to stand at; ``warmth``: how warm they were, see ``memory.last_warmth``."""
    last_us = np.array([(pose or {}).get(name, np.nan) for name in rig.names])
    wake = Wake(rig.neutral_us, last_us, config.motion.wake_spacing_ms / 1e3)
    presets = [servo.options.preset for servo in config.head.servos]
    heat = Heat(presets, rig.neutral_us, rig.min_us, rig.max_us)
    if warmth:
        heat.warm(*warmth)
    return Care(rig.neutral_us, wake, heat, last_us)


def make_pins(config: Config) -> Pins:
    """The pins of a config, not yet taken. Raises ConfigError."""
    if config.gpio.driver != "dummy":
        return Pins(config.gpio)
    from lipsync_edge.gpio_dummy import DummyGpio

    try:
        return Pins(config.gpio, DummyGpio(config.gpio.faults))
    except ValueError as error:
        raise ConfigError([f"gpio.faults: {error}"]) from error


def make_chain(
    config: Config,
    model: Model,
    rig: Rig,
    board: Board,
    ring: Ring,
    rate_hz: int,
    clock: Clock,
    telemetry: Telemetry,
    care: Care | None = None,
) -> Chain:
    """Timeline, analyzer, motion, gate and mover for a stream of ``rate_hz``."""
    per_ms = rate_hz / 1e3
    timeline = Timeline(
        TimelineSpec(
            n_axes=len(model.axes),
            hop_samples=model.spec.hop_s * rate_hz,
            hold_samples=config.motion.hold_ms * per_ms,
            ease_samples=config.motion.ease_ms * per_ms,
        )
    )
    analyzer = Analyzer(ring, rate_hz, model, timeline, clock, telemetry)
    return _joined(config, model, rig, board, rate_hz, telemetry, care, timeline, analyzer)


def remake_chain(
    chain: Chain,
    config: Config,
    model: Model,
    rig: Rig,
    board: Board,
    rate_hz: int,
    telemetry: Telemetry,
    care: Care,
) -> Chain:
    """The same sound and poses, moved by another config: a new motion, gate and mover."""
    return _joined(
        config, model, rig, board, rate_hz, telemetry, care, chain.timeline, chain.analyzer
    )


def make_pacer(
    config: Config,
    chain: Chain,
    sample_clock: SampleClock,
    courier: BlockCourier,
    clock: Clock,
    telemetry: Telemetry,
) -> Pacer:
    """What lets the chain's mover tick in step with the sound that ``courier`` carries."""
    return Pacer(
        chain.mover,
        sample_clock,
        courier,
        clock,
        telemetry,
        period_s=1 / config.motion.rate_hz,
        lookahead_samples=chain.lookahead_samples,
        output_latency_s=config.audio.output_latency_ms / 1e3,
        trail_s=chain.budget.trail_ms / 1e3,
    )


def _joined(
    config: Config,
    model: Model,
    rig: Rig,
    board: Board,
    rate_hz: int,
    telemetry: Telemetry,
    care: Care | None,
    timeline: Timeline,
    analyzer: Analyzer,
) -> Chain:
    budget = budget_of(config, model, rate_hz)
    motion = Motion(rig, rate_hz, motion_spec(config, budget), model.axes, config.head.personality)
    idle = Idle(rig.neutral_us, rig.release_on_idle, config.motion.idle_s)
    gate = Gate(rig.min_us, rig.max_us, rig.slew_us_per_s)
    return Chain(
        timeline=timeline,
        analyzer=analyzer,
        mover=Mover(motion, gate, idle, board, timeline, telemetry, model.axes, care),
        motion=motion,
        budget=budget,
        lookahead_samples=round(config.audio.lookahead_ms * rate_hz / 1e3),
    )
