"""What the orders of the control socket do to a head: poses, rest, spoken files."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lipsync_edge import config
from lipsync_edge.about import motion
from lipsync_edge.actions import Actions
from lipsync_edge.audio import Samples
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import make_board, make_care, make_chain, make_model
from lipsync_edge.cli_control import text_of
from lipsync_edge.clock import Bell, VirtualClock
from lipsync_edge.desk import Desk
from lipsync_edge.errors import AudioError
from lipsync_edge.health import Vitals
from lipsync_edge.insides import Inside
from lipsync_edge.orders import POSES, Orders
from lipsync_edge.servos.rig import Rig
from lipsync_edge.speech import LARGEST, MOST_FILES, Speech
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Snapshot, Telemetry

RATE_HZ = 16_000
TICK_S = 0.02
BLOCK = 320


class Head:
    """A head and its desk, whose threads are we; its microphone hears a steady 1000."""

    def __init__(self, folder: Path, head: str = "mouth10") -> None:
        said = [("model.runtime", "dummy"), ("board.driver", "dummy")]
        said.append(("motion.wake_spacing_ms", "0"))
        settings = config.load(None, said, head=head)
        self.clock = VirtualClock()
        model = make_model(settings, self.clock)
        self.rig = Rig(settings.head, model.axes)
        board = make_board(settings, self.rig, self.clock)
        board.open()
        self.heard, self.care = Ring(RATE_HZ), make_care(settings, self.rig)
        self.chain = make_chain(
            settings, model, self.rig, board, self.heard, RATE_HZ, self.clock, Telemetry(),
            self.care,
        )  # fmt: skip
        self.courier = BlockCourier(self.heard, Bell(), 0)
        self.supervisor = Supervisor(self.clock)
        self.actions = Actions(self.courier, self.care, self.chain.mover, self.supervisor)
        path = str(folder / "control.sock")
        self.applied: list[config.Config] = []

        def reread(text: str | None) -> config.Config:
            return config.load(None, said, head=head, text="" if text is None else text)

        inside = Inside(
            settings, "a model", model.axes, reread, self.applied.append, None, lambda _: False,
            self.supervisor,
        )  # fmt: skip
        self.desk = Desk(
            path, self.actions, self.courier, RATE_HZ, inside,
            lambda: motion(self.chain.mover.snapshot, self.chain.analyzer.loudness, RATE_HZ),
            self.clock,
        )  # fmt: skip
        assert self.desk._server
        self.server = self.desk._server
        self.server.open()
        self.client = socket.socket(socket.AF_UNIX)
        self.client.connect(path)
        self.client.settimeout(1.0)
        self.safe_mode = ""

    def ask(self, command: str, file: Path | None = None, **more: Any) -> dict[str, Any]:
        line = json.dumps({"v": 1, "cmd": command, **more}).encode() + b"\n"
        if file:
            with file.open("rb") as opened:
                socket.send_fds(self.client, [line], [opened.fileno()])
        else:
            self.client.sendall(line)
        self.go_on(4 * TICK_S)  # it is let in, taken, done, answered
        return dict(json.loads(self.client.recv(1 << 16)))

    def go_on(self, seconds: float) -> NDArray[np.float64]:
        """Time goes by; the pulses (n_ticks, n_servos) that were sent."""
        sent = []
        for _ in range(round(seconds / TICK_S)):
            self.clock.sleep_until(self.clock.now() + TICK_S)
            self.server.step(0.0)
            self.desk.step(Vitals(safe_mode=self.safe_mode), self.chain.mover.snapshot, {})
            self.server.step(0.0)
            self.desk._speech.step()
            sent.append(self.chain.mover.tick(-math.inf, self.clock.now()))
        return np.array(sent)

    def servo(self, name: str) -> int:
        return self.rig.names.index(name)

    def carry(self, n_blocks: int) -> Samples:
        """What went to the speaker."""
        out = np.zeros((n_blocks, BLOCK), np.int16)
        for block in out:
            self.courier.carry(np.full(BLOCK, 1000, np.int16), block, 0.0, 0.0, False)
            self.desk._speech.step()
        return out.ravel()

    def close(self) -> None:
        self.client.close()
        self.desk.close()


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    made = Head(tmp_path)
    yield made
    made.close()


# Poses --------------------------------------------------------------------------------------------


def test_a_smile_needs_no_model_that_smiles(head: Head) -> None:
    """The profile: mouthSmileLeft moves corner_up_left by 1, 1500 to 1700 us."""
    head.go_on(2.0)
    answer = head.ask("pose", name="smile")
    assert (answer["ok"], answer["hold_s"], answer["unmoved"]) == (True, 10.0, [])
    sent_us = head.go_on(1.0)
    corner = head.servo("corner_up_left")
    assert sent_us[-1, corner] == pytest.approx(1500 + 0.9 * 200, abs=2)
    assert sent_us[-1, head.servo("corner_up_right")] == pytest.approx(1500 - 0.9 * 200, abs=2)
    accel_us = np.abs(np.diff(sent_us[:, corner], n=2)).max()
    assert accel_us <= 163_131 * TICK_S**2 + 1e-6, "no faster than an MG90S's acceleration"


def test_a_pose_ends_by_itself_and_by_follow(head: Head) -> None:
    head.go_on(2.0)
    head.ask("pose", axes={"jawOpen": 1.0}, hold_s=3)
    assert head.go_on(1.0)[-1, 0] == pytest.approx(1800, abs=2)
    assert head.actions.posing
    assert head.go_on(2.5)[-1, 0] == pytest.approx(1400, abs=2)
    assert not head.actions.posing
    head.ask("pose", axes={"jawOpen": 0.5})
    assert head.go_on(1.0)[-1, 0] == pytest.approx(1600, abs=2)
    head.ask("follow")
    assert head.go_on(1.0)[-1, 0] == pytest.approx(1400, abs=2)


def test_neutral_ends_a_pose_and_is_not_for_ever(head: Head) -> None:
    head.go_on(2.0)
    head.ask("pose", axes={"jawOpen": 1.0})
    head.go_on(1.0)
    assert head.ask("neutral")["hold_s"] == 10.0
    assert head.go_on(1.0)[-1, 0] == pytest.approx(1400, abs=2)
    assert head.actions.posing
    head.go_on(9.1)
    assert not head.actions.posing


@pytest.mark.parametrize(
    ("told", "code", "word"),
    [
        ({"name": "smille"}, "unknown", "Did you mean smile?"),
        ({"axes": {"jawopen": 1}}, "unknown", "Did you mean jawOpen?"),
        ({"axes": {"jawOpen": 1.01}}, "value", "jawOpen must be 0 to 1."),
        ({"axes": {"headYaw": -1.5}}, "value", "headYaw must be -1 to 1."),
        ({"axes": {"jawOpen": True}}, "value", "jawOpen must be"),
        ({"axes": {}}, "value", "A pose is"),
        ({}, "value", "A pose is"),
        ({"name": "open", "hold_s": 0}, "value", "hold_s must be 0.1 to 3600 s."),
    ],
)
def test_a_wrong_pose_is_refused(head: Head, told: dict[str, Any], code: str, word: str) -> None:
    error = head.ask("pose", **told)["error"]
    assert error["code"] == code
    assert word in f"{error['message']} {error['remedy']}"
    assert not head.actions.posing


def test_axes_that_no_servo_shows_are_named(tmp_path: Path) -> None:
    head = Head(tmp_path, "jaw")
    answer = head.ask("pose", name="ooh")
    assert answer["unmoved"] == ["mouthPucker", "mouthFunnel"]
    head.close()


def test_servos_that_are_off_for_a_reason_hold_no_pose(head: Head) -> None:
    head.ask("rest")
    assert "lipsync-edge wake" in head.ask("pose", name="open")["error"]["remedy"]
    head.ask("wake")
    assert head.ask("pose", name="open")["ok"]
    head.ask("follow")
    head.safe_mode = "servos off, since the last 3 runs crashed"
    head.go_on(TICK_S)
    assert "3 runs crashed" in head.ask("neutral")["error"]["remedy"]


def test_what_can_be_asked_and_told_is_documented(head: Head) -> None:
    text = (Path(__file__).parent.parent / "docs" / "control.md").read_text()
    for name in (*Orders.COMMANDS, *POSES, *head.ask("status")["status"]):
        assert f"`{name}`" in text, name


def test_a_status_is_json_before_anything_was_heard(head: Head) -> None:
    head.go_on(4 * TICK_S)
    head.client.sendall(b'{"v":1,"cmd":"status"}\n')
    head.go_on(4 * TICK_S)
    told = json.loads(head.client.recv(1 << 16), parse_constant=pytest.fail)["status"]
    assert told["heard_s"] is None
    assert "heard nothing yet" in text_of(told)


# Files --------------------------------------------------------------------------------------------


def test_what_is_shown_is_never_changed_afterwards(head: Head) -> None:
    """Any thread may look through it at any time; `smile` has axes that the model does not know."""
    head.go_on(1.0)
    head.ask("pose", name="smile")
    told: list[tuple[Snapshot, dict[str, float]]] = []
    mover, show = head.chain.mover, head.chain.mover._show

    def shown(*what: Any) -> None:
        show(*what)
        told.append((mover.snapshot, dict(mover.snapshot.pose)))

    mover._show = shown  # type: ignore[method-assign]
    head.go_on(0.5)
    assert told
    assert all(snapshot.pose == before for snapshot, before in told)
    assert "mouthSmileLeft" in told[-1][1]


def sound(path: Path, value: int, seconds: float) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(np.full(int(seconds * RATE_HZ), value, "<i2").tobytes())
    return path


def test_files_are_spoken_one_after_the_other_instead_of_what_is_heard(
    head: Head, tmp_path: Path
) -> None:
    one, two = sound(tmp_path / "1.wav", 500, 0.5), sound(tmp_path / "2.wav", -700, 0.25)
    assert head.ask("say-file", one)["waiting"] == 1
    assert head.ask("say-file", two)["waiting"] == 2
    spoken = head.carry(200)
    assert (spoken == 500).sum() == 8000, "half a second, to the sample"
    assert (spoken == -700).sum() == 4000
    first, second = np.flatnonzero(spoken == 500), np.flatnonzero(spoken == -700)
    assert first[-1] < second[0]
    assert (spoken[second[-1] + RATE_HZ // 10 :] == 1000).all(), "then what it hears again"
    between = spoken[first[0] : second[-1]]
    assert not (between == 1000).any(), "nobody talks in between"
    heard = np.zeros(RATE_HZ, np.int16)
    head.heard.read_into(heard)
    assert (heard != 0).any()
    assert head.desk._speech.waiting == 0


def test_hush_forgets_what_waits(head: Head, tmp_path: Path) -> None:
    long = sound(tmp_path / "long.wav", 500, 60.0)
    head.ask("say-file", long)
    head.ask("say-file", long)
    assert (head.carry(5) == 500).any()
    head.ask("hush")
    spoken = head.carry(4)
    assert (spoken[BLOCK:] == 1000).all(), "what was in the ring is not heard"
    assert head.desk._speech.waiting == 0
    assert head.ask("say-file", sound(tmp_path / "new.wav", 300, 0.1))["waiting"] == 1
    assert (head.carry(20) == 300).sum() == 1600


def test_the_same_open_file_twice_is_spoken_twice(head: Head, tmp_path: Path) -> None:
    """A descriptor that is passed on shares its offset with the client's, and with its twin."""
    path = sound(tmp_path / "1.wav", 500, 1.0)
    with path.open("rb") as opened:
        for expected in (1, 2):
            line = b'{"v":1,"cmd":"say-file"}\n'
            socket.send_fds(head.client, [line], [opened.fileno()])
            head.go_on(4 * TICK_S)
            assert json.loads(head.client.recv(1 << 16))["waiting"] == expected
        opened.seek(1234)  # the client goes on with it as it likes
        spoken = head.carry(200)
    assert (spoken == 500).sum() == 2 * RATE_HZ


def test_too_many_files(head: Head, tmp_path: Path) -> None:
    long = sound(tmp_path / "long.wav", 500, 10.0)
    answers = [head.ask("say-file", long) for _ in range(MOST_FILES + 2)]
    assert [a["ok"] for a in answers] == [True] * (MOST_FILES + 1) + [False], "one is spoken"
    assert [a["waiting"] for a in answers[:-1]] == list(range(1, MOST_FILES + 2))
    assert answers[-1]["error"]["code"] == "busy"


class Failing:
    """A file on a stick that is pulled out."""

    rate_hz = RATE_HZ
    warnings: tuple[str, ...] = ()
    closed = False

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, n_samples: int) -> Samples:
        raise self._error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), AudioError("It is cut off.")])
def test_a_file_that_cannot_be_read_on_stops_nothing(error: Exception) -> None:
    courier = BlockCourier(Ring(RATE_HZ), Bell(), 0)
    speech, failing = Speech(courier, RATE_HZ), Failing(error)
    speech.say(lambda: failing)  # type: ignore[arg-type, return-value]
    for _ in range(5):
        speech.step()
    assert failing.closed
    assert speech.waiting == 0
    assert not courier.speaking


class Hanging(Failing):
    """A file on a network that is gone: its reader never comes back, and is not called."""

    def __init__(self) -> None:
        self.n_reads = 0

    def read(self, n_samples: int) -> Samples:
        self.n_reads += 1
        assert self.n_reads == 1, "who reads on hangs"
        return np.full(n_samples, 500, np.int16)


@pytest.mark.parametrize("n_blocks", [2, 50])
def test_hush_helps_where_a_file_hangs(n_blocks: int) -> None:
    """With sound of it in the ring, and after that is over."""
    courier = BlockCourier(Ring(RATE_HZ), Bell(), 0)
    speech = Speech(courier, RATE_HZ)
    speech.say(Hanging)  # type: ignore[arg-type]
    for _ in range(3):
        speech.step()
    out = np.zeros((n_blocks, BLOCK), np.int16)
    for block in out:
        courier.carry(np.full(BLOCK, 1000, np.int16), block, 0.0, 0.0, False)
    assert (out == 500).any()
    assert not (out == 1000).any()
    speech.hush()  # whose thread does not step
    after = np.zeros((2, BLOCK), np.int16)
    for block in after:
        courier.carry(np.full(BLOCK, 1000, np.int16), block, 0.0, 0.0, False)
    assert (after[1] == 1000).all(), "what it hears is heard again"
    # The read comes back; then its thread sees the hush.
    speech.ring.write(np.full(2 * BLOCK, 500, np.int16))
    courier.speaking = True
    speech.step()
    for block in out:
        courier.carry(np.full(BLOCK, 1000, np.int16), block, 0.0, 0.0, False)
        speech.step()
    assert not (out == 500).any(), "nothing of it bursts in"
    assert speech.waiting == 0


def test_a_float_file_with_nan_is_spoken_with_silence_there(head: Head, tmp_path: Path) -> None:
    """The client refuses such a file; whoever sends one over the socket harms nobody."""
    import struct

    data = np.array([0.5, np.nan] * 800, "<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, RATE_HZ, 4 * RATE_HZ, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data))
    path = tmp_path / "nan.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data)
    assert head.ask("say-file", path)["ok"]
    spoken = head.carry(20)
    assert (spoken == 16384).sum() == 800


def test_a_file_that_is_only_named_is_refused(head: Head, tmp_path: Path) -> None:
    """O_PATH: every access to what is behind it fails."""
    path = sound(tmp_path / "1.wav", 500, 0.1)
    head.go_on(TICK_S)  # it is let in
    before = len(os.listdir("/proc/self/fd"))
    fd = os.open(path, os.O_PATH)
    socket.send_fds(head.client, [b'{"v":1,"cmd":"say-file"}\n'], [fd])
    os.close(fd)
    head.go_on(4 * TICK_S)
    error = json.loads(head.client.recv(1 << 16))["error"]
    assert (error["code"], error["message"]) == (
        "failed", "the file cannot be read: Bad file descriptor."
    )  # fmt: skip
    assert len(os.listdir("/proc/self/fd")) == before, "and closed"
    assert head.ask("say-file", path)["ok"]


def test_what_is_no_file_and_what_is_too_large_are_told_apart(head: Head, tmp_path: Path) -> None:
    assert "no regular file" in head.ask("say-file", Path("/dev/null"))["error"]["message"]
    large = sound(tmp_path / "large.wav", 500, 0.1)
    os.truncate(large, LARGEST + 1)
    assert "larger than 512 MB" in head.ask("say-file", large)["error"]["message"]


# One servo by hand --------------------------------------------------------------------------------

JAW = {"servo": "jaw", "to_us": 2200.0}


def test_a_jog_goes_slowly_while_somebody_holds_on_and_no_further(head: Head) -> None:
    head.go_on(2.0)
    jaw = head.servo("jaw")
    assert head.ask("jog", **JAW, hold_s=1.0)["us"] == 1400, "where it was: closed"
    sent_us = head.go_on(0.8)
    others = np.delete(sent_us, jaw, axis=1)
    assert np.isnan(others).all(), "all others are off"
    assert np.diff(sent_us[:, jaw]) == pytest.approx(100 * TICK_S), "100 us/s"
    assert sent_us[-1, jaw] > 1470
    stopped_us = head.go_on(2.0)[:, jaw]
    assert stopped_us[-1] == pytest.approx(1400 + 100 * 1.0, abs=3), "one second of lease"
    assert len(set(stopped_us[-50:])) == 1, "it holds"
    assert np.isnan(head.go_on(1.5)[-1, jaw]), "three seconds after the lease it is off"
    told = head.ask("status")["status"]["setup"]
    assert (told["servo"], told["released"]) == ("jaw", True)
    assert told["us"] == stopped_us[-1]


def test_leases_that_are_renewed_lead_beyond_the_configs_limits_not_beyond_the_hard_ones(
    head: Head,
) -> None:
    head.go_on(2.0)
    jaw, seen = head.servo("jaw"), []
    for _ in range(40):
        assert head.ask("jog", servo="jaw", to_us=3000, us_per_s=4000, hold_s=0.1)["ok"]
        seen.append(head.go_on(TICK_S)[-1, jaw])
    assert max(seen) == 3000, "what any config may set at the most"
    assert head.ask("jog", servo="jaw", to_us=3001)["error"]["code"] == "value"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"servo": "jow"}, "unknown"),
        ({"servo": 3}, "unknown"),
        ({"to_us": 100}, "value"),
        ({"to_us": "far"}, "value"),
        ({"us_per_s": 1e6}, "value"),
        ({"hold_s": 60}, "value"),
    ],
)
def test_a_jog_that_cannot_be_is_refused(head: Head, more: dict[str, Any], code: str) -> None:
    answer = head.ask("jog", **{**JAW, **more})
    assert answer["error"]["code"] == code
    assert head.ask("status")["status"]["setup"] is None


def test_the_set_up_ends_after_a_minute_without_a_word_and_all_wake(head: Head) -> None:
    head.go_on(2.0)
    head.ask("jog", **JAW)
    head.go_on(58.0)
    assert head.ask("status")["status"]["setup"] is not None
    sent_us = head.go_on(6.0)
    assert head.ask("status")["status"]["setup"] is None
    assert not np.isnan(sent_us[-1]).any()
    first = np.argmax(~np.isnan(sent_us[:, head.servo("jaw")]))
    jaw_us = sent_us[first:, head.servo("jaw")]
    assert jaw_us[0] == pytest.approx(1440, abs=3), "from where it was left: 0.4 s of 100 us/s"
    assert jaw_us[-1] == 1400


def test_who_follows_ends_it_and_who_releases_does_not(head: Head) -> None:
    head.go_on(2.0)
    head.ask("jog", **JAW, hold_s=1.0)
    head.ask("release")
    assert np.isnan(head.go_on(0.1)[-1]).all()
    assert head.ask("pose", name="open")["error"]["code"] == "busy"
    head.ask("follow")
    assert not np.isnan(head.go_on(1.0)[-1]).any()


def test_a_buzz_is_small_and_ends_off(head: Head) -> None:
    head.go_on(2.0)
    corner = head.servo("corner_up_left")
    head.ask("buzz", servo="corner_up_left")
    sent_us = head.go_on(2.0)
    moved_us = sent_us[~np.isnan(sent_us[:, corner]), corner]
    assert set(moved_us) >= {1460.0, 1540.0}
    assert moved_us.min() >= 1460
    assert moved_us.max() <= 1540
    assert np.isnan(sent_us[-1]).all()


def test_quick_taps_on_buzz_do_not_carry_the_horn_away(head: Head) -> None:
    head.go_on(2.0)
    corner, seen = head.servo("corner_up_left"), []
    for _ in range(20):
        head.ask("buzz", servo="corner_up_left")
        seen.append(head.go_on(0.1)[:, corner])
    seen.append(head.go_on(2.0)[:, corner])
    moved_us = np.concatenate(seen)
    moved_us = moved_us[~np.isnan(moved_us)]
    assert (moved_us.min(), moved_us.max()) == (1460, 1540)
    head.ask("buzz", servo="corner_up_left")
    head.go_on(0.1)
    head.ask("release")
    head.go_on(0.1)
    assert head.chain.mover.set_up is not None
    assert head.chain.mover.set_up.where_us(corner) == 1500


def test_a_jog_goes_on_from_where_the_servo_stopped_when_the_bus_was_away(head: Head) -> None:
    head.go_on(2.0)
    jaw, board = head.servo("jaw"), head.chain.mover._board
    far = {**JAW, "to_us": 2000, "hold_s": 1.0}
    head.ask("jog", **far)
    last_us = head.go_on(0.5)[-1, jaw]
    write, board.write = board.write, lambda _: False  # type: ignore[method-assign]
    for _ in range(10):
        head.ask("jog", **far)
        assert np.isnan(head.go_on(0.5)).all()
    board.write = write  # type: ignore[method-assign]
    head.ask("jog", **far)
    sent_us = head.go_on(0.2)[:, jaw]
    assert sent_us[~np.isnan(sent_us)][0] == pytest.approx(last_us, abs=15)


@pytest.mark.parametrize("order", ["pose", "jog"])
def test_at_the_end_no_pose_is_held_and_nothing_moved_by_hand(head: Head, order: str) -> None:
    head.go_on(2.0)
    said: dict[str, Any] = {"name": "open"} if order == "pose" else {**JAW, "hold_s": 1.0}
    head.ask(order, **said)
    sent_us = head.go_on(0.4)[:, head.servo("jaw")]
    begun_s = head.clock.now()
    head.chain.mover.park(head.clock, TICK_S)
    if order == "pose":
        assert sent_us[-1] > 1600
        assert head.chain.mover.snapshot.widths_us["jaw"] == 1400, "at rest before it is off"
    assert head.clock.now() - begun_s < 0.45 if order == "pose" else TICK_S
    assert np.isnan(head.chain.mover._board.sent_us()).all()


def test_detach_is_at_once_wherever_the_horns_are(head: Head) -> None:
    head.go_on(2.0)
    head.ask("pose", name="open")
    assert (open_us := head.go_on(1.0)[-1, 0]) > 1690
    head.ask("detach")
    assert np.isnan(head.chain.mover.tick(-math.inf, head.clock.now())).all()
    assert head.ask("status")["status"]["resting"]
    assert head.ask("jog", **JAW)["error"]["code"] == "off"
    head.client.sendall(b'{"v":1,"cmd":"wake"}\n')
    sent_us = head.go_on(2.0)[:, 0]
    began_us = sent_us[~np.isnan(sent_us)]
    assert began_us[0] == pytest.approx(open_us, abs=5), "it is believed to be where it was"
    assert began_us[-1] == 1400


def test_detach_ends_a_set_up(head: Head) -> None:
    head.go_on(2.0)
    head.ask("jog", **JAW, hold_s=1.0)
    head.ask("detach")
    assert np.isnan(head.go_on(5.0)[5:]).all()
    assert head.ask("status")["status"]["setup"] is None


# What a page asks ---------------------------------------------------------------------------------


def test_describe_tells_who_the_servos_are_and_where_their_values_belong(head: Head) -> None:
    told = head.ask("describe")["describe"]
    jaw = next(servo for servo in told["servos"] if servo["name"] == "jaw")
    assert (jaw["min_us"], jaw["neutral_us"], jaw["max_us"]) == (1400, 1400, 1800)
    assert (jaw["role"], jaw["hard_us"]) == ("jaw", [300, 3000])
    assert jaw["keys"]["max_us"] == ["servos", "jaw", "max_us"]
    assert told["axes"]["jawOpen"] == [0, 1]
    assert set(told["poses"]) == set(POSES)


def test_motion_is_of_the_newest_tick(head: Head) -> None:
    head.go_on(2.0)
    head.client.sendall(b'{"v":1,"cmd":"watch","detail":"motion","hz":50}\n')
    head.go_on(4 * TICK_S)
    first, *_, last = head.client.recv(1 << 16).splitlines()
    assert json.loads(first) == {"v": 1, "ok": True}
    told = json.loads(last)["motion"]
    assert told["at_s"] == pytest.approx(head.clock.now(), abs=2.1 * TICK_S)
    assert told["widths_us"]["jaw"] == 1400
    assert told["heard_s"] is None, "nothing was heard yet"


@pytest.mark.parametrize("more", [{"detail": "motion", "hz": 51}, {"detail": "all"}, {"detail": 1}])
def test_what_cannot_be_watched_is_refused(head: Head, more: dict[str, Any]) -> None:
    assert head.ask("watch", **more)["error"]["code"] == "value"


def test_check_tells_line_key_and_remedy(head: Head) -> None:
    text = "servos:\n  jaw:\n    max_us: 9000\n"
    (wrong,) = head.ask("check", text=text)["problems"]
    assert (wrong["line"], wrong["key"], wrong["severity"]) == (3, "servos.jaw.max_us", "error")
    assert "3000" in wrong["message"] + wrong["remedy"]
    (wrong,) = head.ask("check", text="# mine\nservos:\n  nose: {}\n")["problems"]
    assert (wrong["line"], wrong["key"]) == (3, "servos.nose")
    assert wrong["message"] == "the head has no servo nose"
    (wrong,) = head.ask("check", text="servos: {jaw: {max_us: 1300}}\n")["problems"]
    assert (wrong["line"], wrong["key"]) == (None, "servos.jaw.min_us")  # of another file
    assert re.fullmatch(r"min_us \d+ must .* \(mouth10\.yaml, line \d+\)", wrong["message"])
    told = head.ask("check", text="servos: {jaw: {max_us: 1900}}\naudio: {rate_hz: 48000}\n")
    assert told["problems"] == []
    assert told["changed"] == ["audio.rate_hz", "head.servos.jaw.max_us"]
    assert told["needs_restart"] == ["audio.rate_hz"]
    assert head.ask("check", text=7)["error"]["code"] == "value"
    assert head.applied == []


def test_a_trial_ends_by_itself_and_a_broken_one_does_not_begin(head: Head) -> None:
    head.go_on(1.0)
    text = "servos: {jaw: {max_us: 1900}}"
    assert head.ask("try-config", text=text, hold_s=5)["changed"] == ["head.servos.jaw.max_us"]
    assert head.ask("status")["status"]["trial"] is True
    assert head.ask("try-config", text="servos: 3")["error"]["code"] == "config"
    assert [c.head.servos[0].options.max_us for c in head.applied] == [1900]
    head.go_on(6.0)
    assert [c.head.servos[0].options.max_us for c in head.applied] == [1900, 1800]
    assert head.ask("status")["status"]["trial"] is False
    assert head.ask("blink", digits="471")["led"] is False
    assert head.ask("blink", digits="4a")["error"]["code"] == "value"
