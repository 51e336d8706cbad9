"""Motion as a whole: from a timeline of poses to pulses, and to where simulated horns are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge import config
from lipsync_edge.emphasis import Emphasis
from lipsync_edge.head import servo_model
from lipsync_edge.motion import Motion, MotionSpec
from lipsync_edge.options import PersonalityOptions
from lipsync_edge.personality import Personality
from lipsync_edge.servos.dynamics import Dynamics
from lipsync_edge.servos.gate import Gate
from lipsync_edge.servos.rig import Rig
from lipsync_edge.timeline import Timeline, TimelineSpec

RATE_HZ, TICK_S, HOP_S = 16_000, 0.02, 0.01
LIPS = ("jawOpen", "mouthClose", "mouthPucker", "mouthFunnel")


class Mouth:
    """A head's motion and gate, fed with poses that are known ``known_s`` before they are heard."""

    def __init__(self, planner: str, preset: str = "mg90s", head: str = "jaw", **more: float):
        overrides = [("servos.jaw.preset", preset)]
        self.head = config.load(None, overrides, head=head).head
        self.rig = Rig(self.head, LIPS)
        spec = MotionSpec(planner=planner, tick_s=TICK_S, horizon_s=0.16, **more)
        self.motion = Motion(self.rig, RATE_HZ, spec, LIPS)
        self.gate = Gate(self.rig.min_us, self.rig.max_us, self.rig.slew_us_per_s)
        self.timeline = Timeline(
            TimelineSpec(len(LIPS), HOP_S * RATE_HZ, 0.08 * RATE_HZ, 0.25 * RATE_HZ)
        )

    def tick(self, time_s: float, dt_s: float = TICK_S) -> tuple[np.ndarray, bool]:
        step = self.motion.step(time_s * RATE_HZ, self.timeline)
        sent = self.gate.pass_(step.widths_us, dt_s)
        self.motion.sent(sent)
        return sent, step.starved

    def speak(self, poses: np.ndarray, known_s: float = 0.15) -> np.ndarray:
        """Commands (n_ticks, n_servos) for poses (m, n_axes) at every hop."""
        sent, put = [], 0
        for tick in range(int(len(poses) * HOP_S / TICK_S)):
            while put < len(poses) and put * HOP_S <= tick * TICK_S + known_s + 1e-9:
                self.timeline.put(put * HOP_S * RATE_HZ, poses[put])
                put += 1
            sent.append(self.tick(tick * TICK_S)[0])
        return np.array(sent)

    def horns(self, commands: np.ndarray, phase_s: float = 0.01) -> np.ndarray:
        """Where the horns are, (n_ms, n_servos), 0..1 of the way from neutral to the far end."""
        models = [servo_model(servo.options) for servo in self.head.servos]
        horns = Dynamics(models, self.rig.neutral_us, phase_s=phase_s).run(commands, TICK_S)
        return np.abs(horns - self.rig.neutral_us) / (self.rig.max_us - self.rig.min_us)


def syllables(n: int = 12, closed: int = 6, opening: float = 0.6) -> np.ndarray:
    """Poses at every hop: openings of 130 ms, closures of ``closed`` hops between them."""
    arch = opening * np.sin(np.pi * np.arange(1, 14) / 14)
    jaw = np.concatenate([np.zeros(30), *([arch, np.zeros(closed)] * n), np.zeros(40)])
    poses = np.zeros((len(jaw), len(LIPS)))
    poses[:, 0] = jaw
    return poses


def offset_ms(poses: np.ndarray, horn: np.ndarray) -> int:
    """Signed lag of a horn (n_ms,) behind the jaw, by cross-correlation; positive is late."""
    truth = np.interp(np.arange(len(horn)) / 1000, np.arange(len(poses)) * HOP_S, poses[:, 0])
    lags = range(-80, 150)
    fit = [np.corrcoef(truth[100:-200], horn[100 + k : len(horn) - 200 + k])[0, 1] for k in lags]
    return lags[int(np.argmax(fit))]


def test_a_fast_servo_is_in_time_where_plain_commands_trail() -> None:
    poses = syllables()
    late = {}
    for planner, lead_s in (("straight", 0.0), ("lag", 0.0), ("plan", 0.005)):
        mouth = Mouth(planner, lead_s=lead_s)
        late[planner] = offset_ms(poses, mouth.horns(mouth.speak(poses))[:, 0])
    assert 40 <= late["straight"] <= 70
    assert -30 <= late["plan"] <= 0
    assert abs(late["plan"]) < late["straight"]


def gaps_in_closures(mouth: Mouth, closed: int) -> np.ndarray:
    """How far the horn stays open in each closure of ``syllables``, at best."""
    horn = mouth.horns(mouth.speak(syllables(closed=closed)))[:, 0]
    begins = 300 + 130 + np.arange(11) * (130 + 10 * closed)
    return np.array([horn[begin : begin + 10 * closed].min() for begin in begins])


@pytest.mark.parametrize("preset", ["sg90", "mg90s", "digital", "jaw"])
def test_closures_are_reached_while_they_are_heard(preset: str) -> None:
    planned = gaps_in_closures(Mouth("plan", preset, lead_s=0.005), closed=6)
    assert planned.max() < 0.1
    plain = gaps_in_closures(Mouth("straight", preset), closed=6)
    assert planned.mean() <= plain.mean() + 0.01


def test_a_slow_jaw_makes_short_closures_that_plain_commands_lose() -> None:
    planned = gaps_in_closures(Mouth("plan", "jaw", lead_s=0.005), closed=5)
    for other in ("straight", "lag"):
        assert planned.mean() < 0.6 * gaps_in_closures(Mouth(other, "jaw"), closed=5).mean()


@pytest.mark.parametrize(
    ("preset", "horizon_s", "share"),
    [("mg90s", 0.16, 1.0), ("jaw", 0.16, 0.5), ("jaw", 0.2, 0.672), ("jaw", 0.25, 0.99)],
)
def test_a_jaw_opens_as_far_as_it_can_shut_again_in_what_it_sees(
    preset: str, horizon_s: float, share: float
) -> None:
    """The slow jaw: 633.3 us / 0.17 s less 3 / 9.4 is 2537 us/s after a ramp of 50 ms, so within
    250 - 69 ms it goes 2537 * (0.181 - 0.025) = 396 of its 400 us, within 200 - 69 ms 269. Within
    the 100 ms that count at least it goes 190, but half the way it opens in any case."""
    rig = Mouth("plan", preset).rig
    spec = MotionSpec(planner="plan", tick_s=TICK_S, horizon_s=horizon_s)
    motion = Motion(rig, RATE_HZ, spec, LIPS)
    timeline = Timeline(TimelineSpec(len(LIPS), HOP_S * RATE_HZ, 1e9, 1.0))
    for k in range(200):
        timeline.put(k * HOP_S * RATE_HZ, np.array([1.0, 0.0, 0.0, 0.0]))
    for tick in range(60):
        sent = motion.step(tick * TICK_S * RATE_HZ, timeline).widths_us
    assert (sent[0] - 1400) / 400 == pytest.approx(share, abs=0.01)


@pytest.mark.filterwarnings("error")
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.02, 0.02, 0.02, 0.3]),  # what passes until the next tick
            st.floats(allow_nan=True, allow_infinity=True, width=32),
            st.floats(-0.5, 1.5, width=32),
            st.booleans(),  # whether a pose comes at all
        ),
        min_size=5,
        max_size=40,
    )
)
def test_whatever_comes_the_limits_hold_and_starvation_ends_at_neutral(
    story: list[tuple[float, float, float, bool]],
) -> None:
    mouth, time_s = Mouth("plan", head="mouth10"), 0.0
    rig, sent = mouth.rig, []
    for dt_s, wild, jaw, comes in story:
        time_s += dt_s
        if comes:
            mouth.timeline.put(time_s * RATE_HZ, np.array([jaw, wild, 0.2, -wild]))
        sent.append(mouth.tick(time_s, dt_s)[0])
    for _ in range(60):
        time_s += TICK_S
        sent.append(mouth.tick(time_s)[0])
    path = np.array(sent)
    assert np.isfinite(path).all()
    assert ((path >= rig.min_us) & (path <= rig.max_us)).all()
    step = np.minimum(rig.speed_us_per_s, rig.slew_us_per_s) * TICK_S
    assert (np.abs(np.diff(path, axis=0)) <= step + 1e-6).all()
    np.testing.assert_array_equal(path[-1], rig.neutral_us)
    np.testing.assert_array_equal(path[-10:], np.tile(rig.neutral_us, (10, 1)))


def test_silence_leaves_the_horn_still() -> None:
    """A model's rest is never quite 0; less than a servo's dead band must not become a buzz."""
    poses = np.zeros((300, len(LIPS)))
    poses[:, 0] = 0.004 + np.random.default_rng(0).uniform(-0.004, 0.004, 300)
    sent = Mouth("plan").speak(poses)
    assert not np.diff(sent[5:], axis=0).any()


def test_a_stall_is_not_made_up_for() -> None:
    mouth = Mouth("plan")
    poses = syllables()
    for k, pose in enumerate(poses):
        mouth.timeline.put(k * HOP_S * RATE_HZ, pose)
    before = mouth.tick(0.3)[0]
    after = mouth.tick(1.36, 1.06)[0]
    assert np.abs(after - before)[0] <= mouth.rig.speed_us_per_s[0] * TICK_S + 1e-6


def test_before_the_first_sound_and_when_parking_the_mouth_goes_to_neutral() -> None:
    mouth = Mouth("plan", head="mouth10")
    np.testing.assert_array_equal(mouth.tick(-math.inf)[0], mouth.rig.neutral_us)
    mouth.speak(syllables(n=3)[:60])
    for _ in range(30):
        sent = mouth.tick(-math.inf)[0]
    np.testing.assert_array_equal(sent, mouth.rig.neutral_us)


def test_poses_that_are_late_are_guessed_before_they_count_as_missing() -> None:
    mouth = Mouth("plan", predict_s=0.03)
    for k in range(50):
        mouth.timeline.put(k * HOP_S * RATE_HZ, np.array([min(k / 100, 1), 0, 0, 0]))
    lag_s = mouth.rig.lag_s[0]
    assert not mouth.tick(0.49 - lag_s + 0.025)[1]
    assert mouth.tick(0.49 - lag_s + 0.045)[1]


def test_what_counts_as_a_closure() -> None:
    emphasis = Emphasis(LIPS, np.eye(4))
    poses = syllables(n=2, closed=6)
    found = emphasis.closures(poses, HOP_S)
    assert found[44:48].min() > 0.9, "lips that close after an opening"
    assert found[:30].max() == 0.0, "lips that rest have no closure to make"
    assert found[34:40].max() < 0.1, "an open mouth has none either"
    over_open_jaw = poses.copy()
    over_open_jaw[:, 0] = np.maximum(poses[:, 0], 0.3)
    over_open_jaw[44:48, 1] = 0.3
    assert emphasis.closures(over_open_jaw, HOP_S)[44:48].min() > 0.9


def test_a_models_own_word_for_a_closure_counts_once_it_is_likely() -> None:
    emphasis = Emphasis((*LIPS, "mouthClosure"), np.eye(5))
    poses = np.zeros((5, 5))
    poses[:, 0], poses[:, 4] = 0.3, (0.0, 0.4, 0.6, 0.8, 1.0)
    closures = emphasis.closures(poses, HOP_S)
    assert closures == pytest.approx([0, 0, 0.5, 1, 1])
    shut = emphasis.gap(emphasis.shut(poses, closures, 1.0))
    assert shut == pytest.approx([0.3, 0.3, 0.15, 0, 0])
    assert (np.diff(emphasis.weights(poses, closures, HOP_S)[1:4, 0]) > 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("absurd", [np.nan, np.inf, -np.inf, 1e308, -1e308])
def test_absurd_poses_give_sane_weights_and_targets(absurd: float) -> None:
    emphasis = Emphasis((*LIPS, "mouthClosure"), np.ones((2, 5)))
    poses = np.full((40, 5), 0.3)
    poses[10:20] = absurd
    poses[25, ::2] = absurd
    closures = emphasis.closures(poses, HOP_S)
    assert ((closures >= 0) & (closures <= 1)).all()
    weights = emphasis.weights(poses, closures, HOP_S)
    assert ((weights > 0) & (weights <= 31 + 4)).all()
    assert np.isfinite(emphasis.shut(poses, closures, 1.0)).all()


def test_rounding_weighs_and_its_servos_may_begin_early() -> None:
    emphasis = Emphasis(LIPS, np.eye(4))
    poses = np.zeros((60, 4))
    poses[30:45, 2] = 1.0
    weights = emphasis.weights(poses, np.zeros(60), HOP_S)
    assert weights[35, 2] == 4.0
    assert weights[20, 2] < 0.5
    assert weights[10, 2] == 1.0, "more than 150 ms before"
    assert (weights[:, 0] == 1.0).all()


@pytest.mark.parametrize("knob", ["amplitude", "clear", "asymmetry", "breathing"])
def test_a_knob_changes_the_face_within_its_range(knob: str) -> None:
    axes = ("jawOpen", "mouthStretchLeft", "mouthStretchRight", "headYaw")
    value = {"amplitude": 1.5, "clear": 1.5, "asymmetry": 0.3, "breathing": 0.1}[knob]
    personality = Personality(PersonalityOptions(**{knob: value}), axes)
    times = np.arange(100) * HOP_S
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * 4 * times)
    poses = np.stack([wave * 0.05 if knob == "breathing" else wave, wave, wave, -wave], axis=1)
    out = personality.shape(poses.copy(), HOP_S)
    personality.breathe(out, times + 1.0)
    assert not np.array_equal(out, poses)
    assert ((out[:, :3] >= 0) & (out[:, :3] <= 1)).all()
    if knob == "clear":
        assert np.ptp(out[20:80, 0]) > np.ptp(poses[20:80, 0])
    if knob == "asymmetry":
        assert (out[:, 2] >= out[:, 1]).all()
        assert (out[:, 2] > out[:, 1]).any()


def test_the_plain_personality_changes_nothing() -> None:
    poses = np.random.default_rng(0).random((40, 2))
    personality = Personality(PersonalityOptions(), ("jawOpen", "mouthClose"))
    assert personality.shape(poses, HOP_S) is poses


def test_knobs_are_set_in_a_profile_or_on_top_of_it() -> None:
    loaded = config.load(None, [("personality.clear", "1.5")], head="jaw")
    assert loaded.head.personality.clear == 1.5
    assert loaded.head.personality.amplitude == 1.0
    slow = config.load(None, [("servos.jaw.preset", "jaw")], head="jaw").head.servos[0].options
    assert slow.speed_us_per_s == pytest.approx(4 * 633.3, rel=0.01)  # 240 degrees a second
    own = [("servos.jaw.preset", "jaw"), ("servos.jaw.lag_ms", "33")]
    assert config.load(None, own, head="jaw").head.servos[0].options.lag_ms == 33
