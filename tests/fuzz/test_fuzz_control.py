"""The control socket of a head, given lines that nobody would write, by a real socket.

Time is given to the server, so that no bucket of requests runs empty unless a test wants it.
"""

from __future__ import annotations

import json
import math
import os
import socket
import string
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import BESIDE, COUNTS, SHARE, examples

from lipsync_edge import config
from lipsync_edge.actions import Actions
from lipsync_edge.audio import Source
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.build import make_board, make_care, make_chain, make_model
from lipsync_edge.clock import Bell, VirtualClock
from lipsync_edge.config import Config
from lipsync_edge.control import ControlServer, Request
from lipsync_edge.errors import ConfigError
from lipsync_edge.face import AXES
from lipsync_edge.insides import Inside
from lipsync_edge.orders import POSES, Orders
from lipsync_edge.protocol import LONGEST_LINE
from lipsync_edge.servos.rig import Rig
from lipsync_edge.speech import Speech
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Telemetry

RATE_HZ = 16_000
N_LINES = 20
N_FLOOD = 10_000 if SHARE >= 1 else 1000


class Broken(Inside):
    """The insides of a head whose config file is never right, and whose doctor is out."""

    def __init__(self, settings: Config, supervisor: Supervisor) -> None:
        super().__init__(
            settings, "", (), self._never, self._nothing, None, self._no_led, supervisor
        )

    def _never(self, text: str | None) -> Config:
        if text is None:
            raise ConfigError(["robot.yaml:1: this file is never right"])
        return config.load(None, text=text)

    def _nothing(self, new: Config) -> None:
        raise AssertionError(f"a text was taken for the config of a head that runs: {new}")

    def _no_led(self, digits: str) -> bool:
        assert digits.isdigit()
        return False

    def examine(self, request: Request) -> None:
        request.refuse("failed", "The doctor is out.")


class Head:
    """The whole way from the socket to the mover of a head of ten servos, without threads."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "control.sock")
        self.clock = VirtualClock()
        settings = config.load(None, [("model.runtime", "dummy"), ("board.driver", "dummy")])
        model = make_model(settings, self.clock)
        rig = Rig(settings.head, model.axes)
        self.board = make_board(settings, rig, self.clock)
        self.board.open()
        ring, telemetry = Ring(2 * RATE_HZ), Telemetry()
        self.care = make_care(settings, rig)
        self.rig = rig
        self.chain = make_chain(
            settings, model, rig, self.board, ring, RATE_HZ, self.clock, telemetry, self.care
        )
        self.courier = BlockCourier(ring, Bell(), self.chain.lookahead_samples)
        self.supervisor = Supervisor(self.clock)
        self.actions = Actions(self.courier, self.care, self.chain.mover, self.supervisor)
        self.speech = Speech(self.courier, RATE_HZ)
        self.orders = Orders(
            self.actions, self.speech, self._no_file, Broken(settings, self.supervisor), self.clock
        )
        self.server = ControlServer(self.path, self.clock, Orders.COMMANDS)
        self.server.open()

    def _no_file(self, fd: int) -> Source:
        raise AssertionError(f"no file was sent, and yet here is {fd}")

    def go_on(self, seconds: float = 0.02) -> None:
        """Time goes by: the server looks, the main thread obeys, the mover ticks."""
        self.clock.sleep_until(self.clock.now() + seconds)
        self.server.step(0.0)
        for request in self.server.take():
            self.orders.obey(request)
        self.orders.step()
        told = {"muted": self.actions.muted, "resting": self.actions.resting}
        self.server.publish(lambda: told)
        self.server.step(0.0)

    def tick(self) -> None:
        sent_us = self.chain.mover.tick(-math.inf, self.clock.now())
        low_us, high_us = self.rig.min_us, self.rig.max_us
        if self.actions.set_up is not None:
            low_us, high_us = 300.0 + 0 * low_us, 3000.0 + 0 * high_us  # what options.py says
            assert np.isfinite(sent_us).sum() <= 1
        inside = (sent_us >= low_us) & (sent_us <= high_us)
        assert (inside | np.isnan(sent_us)).all()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        client.settimeout(5.0)
        self.go_on()
        return client

    def close(self) -> None:
        self.server.close()
        self.speech.close()


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    head = Head(tmp_path_factory.mktemp("socket"))
    yield head
    head.close()


class Conversation:
    """One connection; ``tell`` sends a line and returns all replies to it."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.socket = head.connect()
        self._unread = b""

    def tell(self, line: bytes) -> list[dict[str, Any]]:
        self.socket.sendall(line + b"\n")
        self.head.go_on(2.0)  # the bucket is full again, even after a longest line
        self.socket.setblocking(False)
        data = b""
        try:
            while part := self.socket.recv(1 << 20):
                data += part
        except BlockingIOError:
            pass
        finally:
            self.socket.setblocking(True)
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [json.loads(reply) for reply in lines]

    def status(self) -> dict[str, Any]:
        (reply,) = self.tell(b'{"v":1,"id":"how","cmd":"status"}')
        assert (reply["ok"], reply["id"]) == (True, "how")
        return dict(reply["status"])

    def close(self) -> None:
        self.socket.close()
        self.head.go_on()


# What is sent -------------------------------------------------------------------------------------

WORDS = (*Orders.COMMANDS, "status", "watch", "", "Status", "mute ", "obey", "__init__", "step")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([1, -1, 0, 1e308, 2**63, -(2**70), "1", "open", "\ud800", "\0", "jawOpen"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
axes = st.dictionaries(
    st.sampled_from([*AXES, "jawopen", "neck"]), st.one_of(st.floats(-1, 1), scalars), max_size=6
)
requests = st.fixed_dictionaries(
    {
        "v": st.one_of(st.just(1), scalars),
        "cmd": st.one_of(st.sampled_from(WORDS), st.text(max_size=8), values),
    },
    optional={
        "id": st.one_of(st.integers(0, 99), st.text(max_size=120), values),
        "name": st.one_of(st.sampled_from([*POSES, "opem"]), values),
        "axes": st.one_of(axes, values),
        "hold_s": st.one_of(st.floats(), st.floats(0, 4000), values),
        "hz": st.one_of(st.floats(0, 60), values),
        "detail": st.one_of(st.sampled_from(["motion", "status"]), values),
        "servo": st.one_of(st.sampled_from(["jaw", "lip_tuck", "Jaw"]), values),
        "to_us": st.one_of(st.floats(200, 3100), values),
        "us_per_s": st.one_of(st.floats(0, 5000), values),
        "text": st.one_of(
            st.sampled_from(["", "servos: {jaw: {max_us: 1}}", "head: nobody"]), values
        ),
        "digits": st.one_of(st.integers(0, 10**9).map(str), values),
        "request": values,
        "self": values,
    },
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()  # NaN and Infinity as JavaScript writes them: not JSON


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request with a few bytes changed, left out or put in."""
    line = bytearray(encoded(draw(requests)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        line[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(line)


numbers = st.sampled_from(["NaN", "-Infinity", "1e999", "-1e400", "1" * 5000, "0.1e-999", "--1"])
odd = st.one_of(
    st.integers(1, 20_000).map(lambda n: b'{"v":1,"cmd":' + b"[" * n),
    st.integers(1, 3000).map(lambda n: b'{"v":1,"id":' + b'{"a":' * n + b"1" + b"}" * n + b"}"),
    numbers.map(lambda n: b'{"v":1,"cmd":"watch","hz":' + n.encode() + b"}"),
    numbers.map(lambda n: b'{"v":1,"cmd":"pose","axes":{"jawOpen":' + n.encode() + b"}}"),
    numbers.map(lambda n: b'{"id":' + n.encode() + b',"v":1,"cmd":"mute"}'),
    st.integers(1, 30_000).map(lambda n: encoded({"v": 1, "cmd": "x" * n, "id": "y"})),
    st.text(string.printable, max_size=60).map(str.encode),
    st.text(max_size=60).map(lambda text: encoded({"v": 1, "cmd": text})),
)
lines = st.one_of(st.binary(max_size=80), mutated(), requests.map(encoded), odd)


def whole(line: bytes) -> bytes:
    """Line breaks end a line, and lines of nothing are no lines."""
    return line.replace(b"\n", b" ").replace(b"\r", b" ").strip() or b"."


# What must hold -----------------------------------------------------------------------------------


def check(reply: dict[str, Any]) -> None:
    assert reply["v"] == 1
    if reply["ok"]:
        assert "error" not in reply
        return
    error = reply["error"]
    assert error["code"].isascii()
    if error["code"] == "config":  # as `check` says it: place, key and problem, a line each
        assert ": " in error["message"]
    else:
        assert error["message"].endswith((".", "right"))
    assert isinstance(error["remedy"], str)
    assert len(error["message"]) < 500
    assert "Error" not in error["message"]


def state(head: Head) -> tuple[Any, ...]:
    shown = head.chain.mover.shown
    return (
        head.actions.muted,
        head.actions.resting,
        head.actions.set_up is None,
        shown,
        head.orders._until_s,
        head.supervisor.stopping,
        head.speech.waiting,
    )


@examples(4000)
@given(st.lists(lines.map(whole), min_size=N_LINES // 2, max_size=N_LINES))
def test_any_line_is_answered_once_and_what_is_refused_changes_nothing(
    head: Head, said: list[bytes]
) -> None:
    talk = Conversation(head)
    for line in said:
        head.orders.step()
        before = state(head)
        replies = talk.tell(line)
        COUNTS["control lines"] += 1
        answers = [reply for reply in replies if "watch" not in reply and "motion" not in reply]
        assert len(answers) == 1, line
        check(answers[0])
        if not answers[0]["ok"] and before[4] > head.clock.now():
            assert state(head) == before, line
        head.tick()
    talk.close()
    other = Conversation(head)
    assert set(other.status()) == {"muted", "resting"}
    other.close()
    assert not head.server._peers
    head.orders._follow_again()
    head.actions.end_set_up()
    if head.supervisor.stopping:  # a good stop or restart: begin anew
        head.supervisor = Supervisor(head.clock)
        head.actions._supervisor = head.supervisor


@examples(3000)
@given(
    st.one_of(st.binary(min_size=200, max_size=3000), st.lists(lines, min_size=4).map(b"\n".join)),
    st.lists(st.integers(1, 80), min_size=6, max_size=16),
)
def test_bytes_in_any_pieces_do_no_harm(head: Head, data: bytes, cuts: list[int]) -> None:
    """Half lines, many lines at once, and a connection that ends in the middle of one."""
    client = head.connect()
    for cut in [*cuts, len(data)]:
        piece, data = data[:cut], data[cut:]
        if not piece:
            break
        try:
            client.sendall(piece)
        except OSError:  # it hung up on us
            break
        COUNTS["control pieces"] += 1
        head.go_on(1.0)
    client.close()
    for _ in range(8):  # it reads 16 KiB at a time, and hears the end after all that was sent
        head.go_on(1.0)
    assert not head.server._peers


@examples(600)
@given(st.integers(LONGEST_LINE - 3, LONGEST_LINE + 40_000), st.binary(min_size=1, max_size=7))
def test_a_line_without_an_end_is_cut_off(head: Head, size: int, pattern: bytes) -> None:
    data = (pattern.replace(b"\n", b"x") * (size // len(pattern) + 1))[:size]
    client = head.connect()
    client.setblocking(False)
    sent = 0
    while sent < size and head.server._peers:
        try:
            sent += client.send(data[sent:])
        except BlockingIOError:
            pass
        except OSError:
            break
        head.go_on(1.0)
    for _ in range(8):
        head.go_on(1.0)
    COUNTS["control lines without an end"] += 1
    if size > LONGEST_LINE:
        assert json.loads(client.recv(4096))["error"]["code"] == "too-long"
        assert not head.server._peers
    client.close()
    head.go_on()
    assert not head.server._peers


def test_a_flood_has_to_wait_and_nobody_else(head: Head) -> None:
    """Requests as fast as they go: a burst is answered, the rest is left in the pipe."""
    flood, other = Conversation(head), Conversation(head)
    flood.socket.setblocking(False)
    data, sent, got = b'{"v":1,"cmd":"status"}\n' * N_FLOOD, 0, b""
    begun_s = head.clock.now() - 2.0  # its bucket was filled
    for step in range(20_000):
        with suppress(BlockingIOError):
            sent += flood.socket.send(data[sent : sent + 5000])
        head.go_on(0.1)
        with suppress(BlockingIOError):
            got += flood.socket.recv(1 << 20)
        passed_s = head.clock.now() - begun_s
        assert got.count(b"\n") <= 100 + 50 * passed_s, "not more than 50 a second"
        if step % 100 == 0:
            assert "muted" in other.status()
        if got.count(b"\n") == N_FLOOD:
            break
    answers = [json.loads(answer) for answer in got.splitlines()]
    assert len(answers) == N_FLOOD, "each is answered in the end"
    assert all(answer["ok"] for answer in answers)
    BESIDE["control lines of a flood"] += N_FLOOD
    flood.close()
    other.close()


def test_no_file_stays_open(head: Head) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for k in range(50):
        talk = Conversation(head)
        spare = os.open("/dev/null", os.O_RDONLY)
        command = ["status", "mute", "unmute", "nonsense", "{"][k % 5]
        line = json.dumps({"v": 1, "cmd": command}).encode() + b"\n"
        socket.send_fds(talk.socket, [line], [spare] * (k % 4 + 1))
        os.close(spare)
        head.go_on(1.0)
        talk.close()
    assert len(os.listdir("/proc/self/fd")) == before
