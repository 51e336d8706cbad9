"""Another config for a running head: what changed, what must wait, and that no servo jumps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lipsync_edge import config
from lipsync_edge.actions import Actions
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import Chain, make_board, make_care, make_chain, make_model, remake_chain
from lipsync_edge.clock import Bell, VirtualClock
from lipsync_edge.config import Config
from lipsync_edge.errors import UsageError
from lipsync_edge.insides import Inside
from lipsync_edge.reload import changes, live_changes
from lipsync_edge.servos.rig import Rig
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Telemetry

RATE_HZ = 16_000
TICK_S = 0.02
DUMMY = [("model.runtime", "dummy"), ("board.driver", "dummy"), ("motion.wake_spacing_ms", "0")]


def settings(*said: tuple[str, str], head: str = "jaw") -> Config:
    return config.load(None, [*DUMMY, *said], head=head)


class Moving:
    """A head whose mouth opens and shuts four times a second, and may get another config."""

    def __init__(self, first: Config) -> None:
        self.clock, self.telemetry = VirtualClock(), Telemetry()
        self.model = make_model(first, self.clock)
        rig = Rig(first.head, self.model.axes)
        self.board = make_board(first, rig, self.clock)
        self.board.open()
        self.care = make_care(first, rig)
        self.chain: Chain = make_chain(
            first, self.model, rig, self.board, Ring(RATE_HZ), RATE_HZ, self.clock, self.telemetry,
            self.care,
        )  # fmt: skip
        courier = BlockCourier(Ring(RATE_HZ), Bell(), 0)
        self.actions = Actions(courier, self.care, self.chain.mover, Supervisor(self.clock))
        self._put = 0

    def reload(self, new: Config) -> None:
        rig = Rig(new.head, self.model.axes)
        care = make_care(new, rig)
        self.chain, old = (
            remake_chain(self.chain, new, self.model, rig, self.board, RATE_HZ, self.telemetry,
                         care),
            self.chain,
        )  # fmt: skip
        self.actions.rewire(care, self.chain.mover)
        self.chain.mover.take_over(old.mover)

    def run(self, n_ticks: int) -> NDArray[np.float64]:
        """The pulses (n_ticks, n_servos) that were sent."""
        sent = []
        for _ in range(n_ticks):
            self.clock.sleep_until(self.clock.now() + TICK_S)
            heard_s = self.clock.now()
            while self._put < (heard_s + 0.3) / 0.01:
                self._put += 1
                open_ = 0.5 - 0.5 * math.cos(2 * math.pi * 4 * self._put * 0.01)
                pose = np.array([open_] + [0.0] * (len(self.model.axes) - 1), np.float32)
                self.chain.timeline.put(self._put * 0.01 * RATE_HZ, pose)
            sent.append(self.chain.mover.tick(heard_s * RATE_HZ, heard_s))
        return np.array(sent)


def test_the_same_config_again_changes_no_pulse() -> None:
    for planner in ("plan", "lag", "straight"):
        still, again = (Moving(settings(("motion.planner", planner))) for _ in range(2))
        still.run(63)
        again.run(63)
        again.reload(settings(("motion.planner", planner)))
        expected, sent = still.run(50), again.run(50)
        assert np.ptp(expected) > 100, "the mouth moves"
        np.testing.assert_allclose(sent, expected, rtol=0, atol=1e-6)


def test_a_narrower_limit_is_reached_without_a_jump() -> None:
    moving = Moving(settings(("servos.jaw.slew_us_per_s", "1000")))
    moving.actions.show({"jawOpen": 1.0})
    before_us = float(moving.run(100)[-1, 0])
    assert before_us == pytest.approx(1800, abs=2), "profile jaw: 1400 to 1800"
    narrow = settings(("servos.jaw.slew_us_per_s", "1000"), ("servos.jaw.max_us", "1600"))
    moving.reload(narrow)
    sent_us = moving.run(60)[:, 0]
    steps_us = np.diff(sent_us, prepend=before_us)
    assert (steps_us >= -1000 * TICK_S - 1e-6).all(), "as fast as the slew rate allows, not faster"
    assert (steps_us <= 1e-6).all(), "straight inside"
    assert sent_us[9] == pytest.approx(1600, abs=1), "200 us at 20 us a tick"
    assert sent_us[-1] == pytest.approx(1600, abs=1), "the pose is still held"
    assert moving.actions.posing


def test_a_rest_and_warmth_go_along() -> None:
    moving = Moving(settings())
    moving.run(100)
    warmth = moving.care.heat.copy()
    assert (warmth > 0).all()
    moving.actions.rest(True)
    moving.reload(settings(("motion.idle_s", "9")))
    assert moving.actions.resting
    np.testing.assert_array_equal(moving.actions._care.heat, warmth)
    assert np.isnan(moving.run(200)[-1]).all(), "it rests, and is off"


def test_who_switched_all_off_waits_for_no_reload() -> None:
    moving = Moving(settings())
    moving.actions.show({"jawOpen": 1.0})
    assert moving.run(100)[-1, 0] > 1700, "far from neutral"
    moving.actions.detach()
    moving.reload(settings(("motion.idle_s", "9")))
    assert np.isnan(moving.run(1)).all(), "no way to neutral first"
    assert moving.actions.resting


def test_released_servos_stay_released() -> None:
    moving = Moving(settings(("motion.idle_s", "1")))
    moving._put = 10**9  # nobody speaks
    assert np.isnan(moving.run(100)[-1]).all()
    moving.reload(settings(("motion.idle_s", "0.5")))
    assert np.isnan(moving.run(10)).all()


def test_changes_are_named_as_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "head.yaml"
    path.write_text(
        "head: jaw\nmotion: {idle_s: 9}\nservos: {jaw: {range: 0.5, mix: {jawOpen: 0.9}}}\n"
        "personality: {clear: 1.2}\nlog: {level: debug}\n"
    )
    assert live_changes(config.load(None, head="jaw"), config.load(path)) == [
        "motion.idle_s",
        "log.level",
        "head.personality.clear",
        "head.servos.jaw.range",
        "head.servos.jaw.mix.jawOpen",
    ]
    assert changes(config.load(path), config.load(path)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio.lookahead_ms", "100"),
        ("audio.output", "usb"),
        ("model.bundle", "mouth-live"),
        ("board.pwm_hz", "60"),
        ("gpio.button", "17"),
        ("service.socket", "elsewhere"),
        ("servos.jaw.channel", "3"),
        ("head", "jaw-lips"),
    ],
)
def test_what_takes_a_restart_is_refused_as_a_whole(key: str, value: str) -> None:
    old = config.load(None, [("head", "jaw")])
    said = {"head": "jaw", "motion.idle_s": "9", key: value}
    with pytest.raises(UsageError, match="lipsync-edge restart") as refused:
        live_changes(old, config.load(None, list(said.items())))
    assert key.rpartition(".")[2] in str(refused.value)


def test_warnings_are_for_the_config_that_was_taken(caplog: pytest.LogCaptureFixture) -> None:
    def read(*said: tuple[str, str]) -> Config:
        return settings(("motion.rate_hz", "100"), ("board.pwm_hz", "60"), *said)

    files = [read(("motion.idle_s", "9")), read(("audio.lookahead_ms", "100"))]
    inside = Inside(
        read(), "", (), lambda _: files.pop(0), lambda _: None, None, lambda _: False,
        Supervisor(VirtualClock()),
    )  # fmt: skip
    assert inside.reload()["changed"] == ["motion.idle_s"]
    (warning,) = caplog.messages
    assert "motion.rate_hz: 100 ticks a second" in warning
    with pytest.raises(UsageError):
        inside.reload()
    assert caplog.messages == [warning]
