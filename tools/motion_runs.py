"""Lets poses move simulated heads: each clip through every servo and every way of commanding it.

The chain is the robot's own (``render``), with a model that knows its poses beforehand: the film
itself (the oracle), or what a bundle said to the clip's sound. Servos are simulated in steps of a
millisecond and read every 10 ms. The PWM frames of a board run on a clock of their own, so each
clip has another phase of them, spread over the period.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_edge import config
from lipsync_edge.config import Config
from lipsync_edge.features import FeatureSpec, batch
from lipsync_edge.head import servo_model
from lipsync_edge.horns import Seen, travel
from lipsync_edge.model.card import Card
from lipsync_edge.model.tflite import TfliteModel
from lipsync_edge.render import Renderer
from lipsync_edge.servos.dynamics import Dynamics
from lipsync_edge.servos.rig import Rig
from lipsync_tools.grid import RATE_HZ as SOUND_HZ
from lipsync_tools.grid import Clip
from lipsync_tools.targets import AXES, Ranges
from lipsync_tools.truth import Truth, oracle

Array = NDArray[np.float64]
Small = NDArray[np.float32]

STEPS = 10
"""Simulated milliseconds between two samples of the result (100 Hz)."""
BLOCK = 80
"""Samples per block at 16 kHz: 5 ms, as 256 at the 48 kHz of most sound cards."""
ORACLE = "oracle"
GOLDEN = 0.6180339887


@dataclass(frozen=True)
class Servos:
    """A head with one kind of servo; ``speed_us_per_s`` > 0: with another speed than its own."""

    head: str
    preset: str
    speed_us_per_s: float = 0.0

    @property
    def name(self) -> str:
        speed = f" {self.speed_us_per_s:.0f} us/s" if self.speed_us_per_s else ""
        return f"{self.preset} in {self.head}{speed}"


@dataclass(frozen=True)
class Setup:
    """What is tried: whose poses, on which servos, commanded how."""

    poses: str
    servos: Servos
    planner: str


@dataclass(frozen=True)
class Ways:
    """What is the same for all setups. ``delay_frames``: how late the oracle is known."""

    lookahead_ms: float = 160.0
    delay_frames: int = 0
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Run:
    """One clip of a setup at 100 Hz: ``seen`` (n, n_axes), ``horns`` (n, n_servos) in 0..1 of their
    travel, ``pose`` (n, n_axes), which is what a mouth without servos would show."""

    seen: Small
    horns: Small
    pose: Small


class Known:
    """A model that says poses (m, n_axes) which are known beforehand, frame by frame."""

    name = "known poses"

    def __init__(self, poses: Array, axes: tuple[str, ...], spec: FeatureSpec, delay: int) -> None:
        self.spec, self.axes, self.delay_frames = spec, axes, delay
        self.poses: Small = poses.astype(np.float32)
        self._at = 0

    def step(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next pose; after the last one that one again."""
        self._at = min(self._at + 1, len(self.poses))
        pose: Small = self.poses[self._at - 1]
        return pose

    def reset(self) -> None:
        self._at = 0


class Samples:
    """A clip as a source of sound, and a moment more, so that the film ends first."""

    def __init__(self, samples: NDArray[np.float32]) -> None:
        self.rate_hz, self.warnings = SOUND_HZ, list[str]()
        sound = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        self._samples = np.append(sound, np.zeros(SOUND_HZ // 10, np.int16))

    def read(self, n_samples: int) -> NDArray[np.int16]:
        part, self._samples = self._samples[:n_samples], self._samples[n_samples:]
        return part

    def close(self) -> None:
        """Nothing is open."""


@cache
def config_of(servos: Servos, planner: str, ways: Ways) -> Config:
    """The config of a setup: the shipped head, its servos replaced."""
    changes = [
        ("audio.lookahead_ms", f"{ways.lookahead_ms:g}"),
        ("audio.frames_per_buffer", str(BLOCK)),
        ("motion.planner", planner),
        *ways.more,
    ]
    for servo in config.load(None, [], head=servos.head).head.servos:
        changes.append((f"servos.{servo.name}.preset", servos.preset))
        if servos.speed_us_per_s:
            base = servo_model(servo.options)
            share = servos.speed_us_per_s / base.speed_us_per_s
            changes += [
                (f"servos.{servo.name}.speed_us_per_s", f"{servos.speed_us_per_s:.0f}"),
                (f"servos.{servo.name}.slew_us_per_s", f"{share * base.no_load_us_per_s:.0f}"),
                (f"servos.{servo.name}.accel_us_per_s2", f"{share * base.accel_us_per_s2:.0f}"),
            ]
    return config.load(None, changes, head=servos.head)


@cache
def bundle(folder: str) -> TfliteModel:
    """A model bundle, loaded once per process."""
    return TfliteModel(Card.load(Path(folder)))


def known_poses(name: str, clip: Clip, ranges: Ranges, truth: Truth, ways: Ways) -> Known:
    """The oracle's poses of a clip, or those of the bundle in folder ``name``."""
    if name == ORACLE:
        spec, delay = FeatureSpec(), ways.delay_frames
        n_frames = len(clip.samples) // spec.hop_length + delay
        centres = (np.arange(n_frames) - delay) * spec.hop_length + spec.frame_length / 2
        return Known(oracle(clip, ranges, truth, centres / SOUND_HZ), AXES, spec, delay)
    model = bundle(name)
    model.reset()
    silence = np.zeros(model.delay_frames * model.spec.hop_length, np.float32)
    rows = batch(np.concatenate([clip.samples, silence]), model.spec)
    poses = np.array([model.step(row).copy() for row in rows], np.float64)
    return Known(poses, model.axes, model.spec, model.delay_frames)


def run_clip(
    clip: Clip, ranges: Ranges, truth: Truth, setups: Sequence[Setup], ways: Ways, number: int
) -> dict[Setup, Run]:
    """All setups on one clip. ``number``: the clip's, which gives the phase of its PWM frames."""
    names = {setup.poses for setup in setups}
    poses = {name: known_poses(name, clip, ranges, truth, ways) for name in names}
    n, commands = len(truth.opening), []
    for setup in setups:
        model = poses[setup.poses]
        model.reset()
        renderer = Renderer(
            config_of(setup.servos, setup.planner, ways), Samples(clip.samples), model
        )
        commands.append(np.array([tick.widths_us for tick in renderer.ticks()]))
    horns_us = follow(setups, commands, ways, number * GOLDEN % 1.0)
    return {
        s: _run(s, poses[s.poses], horns[:n], ways)
        for s, horns in zip(setups, horns_us, strict=True)
    }


def follow(
    setups: Sequence[Setup], commands: Sequence[Array], ways: Ways, phase: float
) -> list[Array]:
    """Horns (n, n_servos) in us at 100 Hz for commands (n_ticks, n_servos) of each setup.

    All setups' servos are simulated side by side. ``phase``: of the PWM frames, 0..1.
    """
    configs = [config_of(s.servos, s.planner, ways) for s in setups]
    rigs = [Rig(c.head, ()) for c in configs]
    models = [servo_model(servo.options) for c in configs for servo in c.head.servos]
    start_us = np.concatenate([rig.neutral_us for rig in rigs])
    pwm_hz, tick_s = configs[0].board.pwm_hz, 1 / configs[0].motion.rate_hz
    dynamics = Dynamics(models, start_us, pwm_hz, phase / pwm_hz)
    horns_us = dynamics.run(np.concatenate(commands, axis=1), tick_s)
    horns_us = np.concatenate([start_us[None], horns_us])[::STEPS]
    edges = np.cumsum([len(rig.names) for rig in rigs])[:-1]
    return list(np.split(horns_us, edges, axis=1))


def _run(setup: Setup, model: Known, horns_us: Array, ways: Ways) -> Run:
    rig = Rig(config_of(setup.servos, setup.planner, ways).head, model.axes)
    shown, hop_s = Seen(rig, model.axes).axes(horns_us), model.spec.hop_s
    at_s = (np.arange(len(model.poses)) - model.delay_frames) * hop_s
    at_s += model.spec.frame_length / 2 / model.spec.sample_rate_hz
    times_s = np.arange(len(horns_us)) * 1e-3 * STEPS
    pose = np.stack([np.interp(times_s, at_s, column) for column in model.poses.T], axis=1)
    return Run(
        shown.astype(np.float32),
        travel(rig, horns_us).astype(np.float32),
        pose.astype(np.float32),
    )


Job = tuple[Clip, Ranges, Truth, Sequence[Setup], Ways, int]


def run_all(jobs: Sequence[Job], n_processes: int) -> Iterator[dict[Setup, Run]]:
    """The results of all jobs, in their order, as they come in."""
    if n_processes <= 1:
        yield from (run_clip(*job) for job in jobs)
        return
    with ProcessPoolExecutor(n_processes) as pool:
        yield from pool.map(_run_job, jobs)


def _run_job(job: Job) -> dict[Setup, Run]:
    return run_clip(*job)
