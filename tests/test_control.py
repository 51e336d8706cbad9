"""The control socket: what it answers, what it refuses, and that nothing sent to it does harm."""

from __future__ import annotations

import json
import math
import os
import socket
import stat
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge.client import Client
from lipsync_edge.clock import VirtualClock
from lipsync_edge.control import MOST_CLIENTS, MOST_WAITING, ControlServer, Request
from lipsync_edge.errors import ControlError
from lipsync_edge.protocol import LONGEST_LINE, Refused, parse, request_line


class Bench:
    """A server whose thread and main thread are we."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "control.sock")
        self.clock = VirtualClock()
        self.server = ControlServer(self.path, self.clock, ("mute", "say-file"))
        self.server.open()
        self.server.publish(lambda: {"line": "fine"})
        self.keep: list[socket.socket] = []

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(self.path)
        peer.settimeout(0.2)
        self.work()
        return peer

    def work(self, rounds: int = 12) -> None:
        for _ in range(rounds):
            self.server.step(0.0)

    def ask(self, peer: socket.socket, line: bytes) -> list[dict]:
        peer.sendall(line)
        self.work()
        return self.read(peer)

    def read(self, peer: socket.socket) -> list[dict]:
        data = b""
        peer.setblocking(False)
        for _ in range(200):
            self.work(1)
            try:
                more = peer.recv(65536)
            except BlockingIOError:
                break
            if not more:
                break
            data += more
        return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.server.close()
    for peer in made.keep:
        peer.close()


def line(**told: object) -> bytes:
    return json.dumps({"v": 1, **told}).encode() + b"\n"


def test_status_is_answered_at_once_with_the_id_that_was_asked_with(bench: Bench) -> None:
    (answer,) = bench.ask(bench.connect(), line(cmd="status", id=7))
    assert answer == {"v": 1, "id": 7, "ok": True, "status": {"line": "fine"}}


def test_the_socket_is_for_owner_and_group(bench: Bench) -> None:
    assert stat.S_IMODE(os.stat(bench.path).st_mode) == 0o660


def test_what_acts_waits_for_the_main_thread(bench: Bench) -> None:
    peer = bench.connect()
    assert bench.ask(peer, line(cmd="mute", id="a")) == []
    (request,) = bench.server.take()
    assert request.name == "mute"
    request.reply(muted=True)
    assert bench.read(peer) == [], "it comes with a snapshot that shows it"
    bench.server.publish(lambda: {"muted": True})
    assert bench.read(peer) == [{"v": 1, "id": "a", "ok": True, "muted": True}]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"hello\n", "syntax"),
        (b"\xff\xfe\n", "syntax"),
        (b"[1,2]\n", "syntax"),
        (b'{"v":1}\n', "syntax"),
        (b'{"v":1,"cmd":NaN}\n', "syntax"),
        (b"[" * 60_000 + b"\n", "syntax"),
        (b'{"v":2,"cmd":"status"}\n', "version"),
        (b'{"v":true,"cmd":"status"}\n', "version"),
        (line(cmd="dance"), "unknown"),
        (line(cmd="status", id={"a": 1}), "value"),
        (line(cmd="watch", hz=1e9), "value"),
        (line(cmd="watch", hz=True), "value"),
        (b'{"v":1,"cmd":"watch","hz":1e999}\n', "value"),
        (b"x" * (LONGEST_LINE + 2), "too-long"),
    ],
)
def test_what_is_no_request_is_told_why(bench: Bench, sent: bytes, code: str) -> None:
    (answer,) = bench.ask(bench.connect(), sent)
    assert answer["ok"] is False
    assert answer["error"]["code"] == code
    assert bench.server.take() == []
    assert bench.ask(bench.connect(), line(cmd="status"))[0]["ok"]


def test_an_answer_is_json_whatever_number_is_in_it(bench: Bench) -> None:
    bench.server.publish(lambda: {"a": [math.inf, (1.5, -math.inf)], "b": {"c": math.nan}, "d": 1})
    peer = bench.connect()
    peer.sendall(line(cmd="status"))
    bench.work()
    told = json.loads(peer.recv(1000), parse_constant=pytest.fail)["status"]
    assert told == {"a": [None, [1.5, None]], "b": {"c": None}, "d": 1}


def test_half_a_line_waits_for_its_other_half(bench: Bench) -> None:
    peer = bench.connect()
    assert bench.ask(peer, b'{"v":1,"cm') == []
    assert bench.ask(peer, b'd":"status"}\n{"v":1,"cmd":"status"}\n')[1]["ok"]


def test_who_asks_too_fast_has_to_wait_and_nobody_else(bench: Bench) -> None:
    peer, other = bench.connect(), bench.connect()
    short = b'{"v":1,"cmd":"status"}\n'  # 22 bytes: 1 + 22 / 1024 of the bucket's 100
    assert len(bench.ask(peer, short * 150)) == 97
    assert bench.ask(peer, b"") == [], "not read any more"
    assert len(bench.ask(other, short)) == 1
    bench.clock.sleep_until(0.5)
    assert len(bench.ask(peer, b"")) == 25, "half a second's 50 a second, and the rest"
    bench.clock.sleep_until(10.0)
    assert len(bench.ask(peer, b"")) == 150 - 97 - 25, "none is lost"


def test_long_lines_cost_more_than_short_ones(bench: Bench) -> None:
    peer = bench.connect()
    long = line(cmd="status", more="x" * 60_000)
    assert len(bench.ask(peer, long)) == 1
    assert len(bench.ask(peer, long)) == 1, "a bucket may go below nothing once"
    assert bench.ask(peer, long) == []
    bench.clock.sleep_until(1.0)
    assert len(bench.ask(peer, b"")) == 1


def test_callers_without_end_are_let_in_slowly(bench: Bench) -> None:
    for _ in range(100):
        bench.connect().close()
        bench.work(2)
    late = bench.connect()
    assert bench.ask(late, line(cmd="status")) == []
    bench.clock.sleep_until(0.5)
    assert len(bench.ask(late, b"")) == 1


def test_who_said_nothing_for_long_gives_way(bench: Bench) -> None:
    peers = []
    for _ in range(MOST_CLIENTS):
        peers.append(bench.connect())
        bench.clock.sleep_until(bench.clock.now() + 1.0)
    bench.ask(peers[0], line(cmd="watch", hz=1))
    bench.clock.sleep_until(40.0)
    bench.ask(peers[1], line(cmd="status"))
    late = bench.connect()
    assert bench.ask(late, line(cmd="status"))[0]["ok"]
    assert peers[2].recv(1) == b"", "idle for the longest time: 38 s"
    for kept in (peers[0], peers[1], peers[3]):
        assert bench.ask(kept, line(cmd="status"))[-1]["v"] == 1


def test_a_misspelt_command_is_guessed(bench: Bench) -> None:
    (answer,) = bench.ask(bench.connect(), line(cmd="statis"))
    assert answer["error"]["remedy"] == "Did you mean status?"
    (answer,) = bench.ask(bench.connect(), line(cmd="xyzzy"))
    assert answer["error"]["remedy"] == "There are: mute, say-file, status, watch."


def test_the_socket_has_the_group_of_its_folder(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder to any group")
    os.chown(tmp_path, -1, 4321)
    server = ControlServer(str(tmp_path / "control.sock"), VirtualClock(), ())
    server.open()
    assert os.stat(tmp_path / "control.sock").st_gid == 4321
    server.close()


def test_a_full_queue_is_busy(bench: Bench) -> None:
    peer = bench.connect()
    answers = bench.ask(peer, line(cmd="mute") * (MOST_WAITING + 3))
    assert [a["error"]["code"] for a in answers] == ["busy"] * 3
    assert len(bench.server.take()) == MOST_WAITING


def test_too_many_programs(bench: Bench) -> None:
    peers = [bench.connect() for _ in range(MOST_CLIENTS)]
    late = bench.connect()
    (busy,) = bench.read(late)
    assert (busy["v"], busy["error"]["code"]) == (1, "busy")
    peers[0].close()
    bench.work()
    assert bench.ask(bench.connect(), line(cmd="status"))[0]["ok"]


def test_one_who_never_reads_is_let_go_and_nobody_waits(bench: Bench) -> None:
    bench.server.publish(lambda: {"much": "x" * 20_000})
    peer = bench.connect()
    for _ in range(90):
        try:
            peer.sendall(line(cmd="status"))
        except OSError:  # let go
            break
        bench.work(2)
    else:
        pytest.fail("it was never let go")
    assert bench.ask(bench.connect(), line(cmd="status"))[0]["ok"]


def test_watching_skips_what_was_not_read(bench: Bench) -> None:
    peer = bench.connect()
    assert bench.ask(peer, line(cmd="watch", hz=10))[0]["ok"]
    for k in range(5):
        bench.server.publish(partial(dict, k=k))
        bench.clock.sleep_until(0.1 * (k + 1))
        bench.work(1)
    told = [a["watch"] for a in bench.read(peer) if "watch" in a]
    assert told[-1] == {"k": 4}


def n_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def content(request: Request) -> bytes:
    """Of the file that came along, which is closed then."""
    with open(request.take_fd(), "rb") as file:
        return file.read()


def test_files_go_along_and_none_stays_open(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("hello")
    peer = bench.connect()
    before = n_open_files()
    with path.open("rb") as file:
        for wanted in (line(cmd="say-file"), line(cmd="status"), line(cmd="say-file"), b"junk\n"):
            socket.send_fds(peer, [wanted], [file.fileno()])
            bench.work()
    first, second = bench.server.take()
    assert content(first) == b"hello"
    first.reply()
    second.refuse("no", "No.")
    bench.server.publish(dict)
    assert n_open_files() == before


def test_no_order_takes_the_file_of_the_next_one(bench: Bench, tmp_path: Path) -> None:
    files = []
    for name in "ab":
        (tmp_path / name).write_text(name)
        files.append(os.open(tmp_path / name, os.O_RDONLY))
    peer, before = bench.connect(), n_open_files()
    socket.send_fds(peer, [line(cmd="mute") + line(cmd="say-file")], files[:1])
    bench.work()
    mute, say = bench.server.take()
    assert mute.take_fd() == -1
    assert content(say) == b"a"
    socket.send_fds(peer, [line(cmd="mute") * MOST_WAITING + line(cmd="say-file")], files[:1])
    bench.work()
    assert len(bench.server.take()) == MOST_WAITING
    socket.send_fds(peer, [line(cmd="say-file")], files[1:])
    bench.work()
    (say,) = bench.server.take()
    assert content(say) == b"b", "the one that was busy took its own along"
    assert n_open_files() == before
    for fd in files:
        os.close(fd)


def test_who_ends_what_it_says_gets_its_answers(bench: Bench) -> None:
    """As ``echo ... | socat - UNIX:...`` does."""
    peer = bench.connect()
    peer.sendall(line(cmd="mute", id=1) + line(cmd="status", id=2) + line(cmd="mute", id=3))
    peer.shutdown(socket.SHUT_WR)
    bench.work()
    assert [a["id"] for a in bench.read(peer)] == [2]
    first, second = bench.server.take()
    for request in (second, first):
        request.reply()
        bench.server.publish(dict)
        assert len(bench.read(peer)) == 1
    peer.settimeout(0.2)
    bench.work()
    assert peer.recv(1) == b"", "then it is let go"
    assert bench.server._peers == set()


def test_who_ends_and_waits_for_nothing_is_let_go(bench: Bench) -> None:
    for said in (b"", line(cmd="watch", hz=10), b'{"v":1,"cmd'):
        peer = bench.connect()
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        bench.work()
        bench.read(peer)
        assert bench.server._peers == set()


def test_who_ends_and_reads_nothing_may_stay_no_longer_than_others(bench: Bench) -> None:
    bench.server.publish(lambda: {"much": "x" * 200_000})
    for _ in range(MOST_CLIENTS):
        peer = bench.connect()
        peer.sendall(line(cmd="status") + line(cmd="mute"))
        peer.shutdown(socket.SHUT_WR)
        bench.work()
        bench.keep.append(peer)
    assert len(bench.server._peers) == MOST_CLIENTS
    bench.clock.sleep_until(40.0)
    assert len(bench.ask(bench.connect(), line(cmd="status"))) == 1
    assert len(bench.server._peers) <= MOST_CLIENTS


def test_who_left_is_not_waited_for(bench: Bench) -> None:
    for _ in range(MOST_CLIENTS + 1):
        peer = bench.connect()
        peer.sendall(line(cmd="mute"))
        peer.close()
        bench.work()
        assert bench.server._peers == set(), "it reads no answer"
    assert len(bench.server.take()) == MOST_CLIENTS + 1


def test_a_killed_head_leaves_a_socket_that_does_no_harm(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(path)
    server = ControlServer(path, VirtualClock(), ())
    server.open()
    other = ControlServer(path, VirtualClock(), ())
    with pytest.raises(ControlError, match="Another head"):
        other.open()
    server.close()
    assert not os.path.exists(path)


def crowd(path: str) -> list[socket.socket]:
    """So many callers that no one more may wait."""
    callers = []
    while True:
        callers.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        callers[-1].setblocking(False)
        try:
            callers[-1].connect(path)
        except BlockingIOError:
            return callers


def test_a_head_that_lets_in_nobody_keeps_its_socket(bench: Bench) -> None:
    callers = crowd(bench.path)
    with pytest.raises(ControlError, match="Another head"):
        ControlServer(bench.path, VirtualClock(), ()).open()
    for caller in callers:
        caller.close()
    bench.work(100)
    bench.clock.sleep_until(1.0)
    assert bench.ask(bench.connect(), line(cmd="status"))[0]["ok"], "it is reached as before"


def test_the_socket_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(ControlError, match="cannot be made"):
            ControlServer(str(path), VirtualClock(), ()).open()
    assert path.is_socket()


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ControlError, match=r"service\.socket"):
        ControlServer(str(path), VirtualClock(), ()).open()
    assert path.read_text() == "mine"


def test_the_client_tells_that_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="systemctl start"):
        Client(str(tmp_path / "none.sock"))


def test_the_client_waits_for_a_place_in_the_queue(bench: Bench) -> None:
    callers = crowd(bench.path)
    with pytest.raises(ControlError, match="too many at once"):
        Client(bench.path, timeout_s=0.1)

    def make_room() -> None:
        for caller in callers:
            caller.close()
        bench.work(100)

    timer = threading.Timer(0.2, make_room)
    timer.start()
    Client(bench.path, timeout_s=5.0).close()
    timer.join()


class Answering:
    """A program at a socket that says one thing to whoever comes, then reads nothing."""

    def __init__(self, path: Path, said: bytes, reads: bool = True) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._said, self._reads = said, reads
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        peer, _ = self._listener.accept()
        with peer:
            if self._reads:
                peer.recv(1000)
            peer.sendall(self._said)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@pytest.mark.parametrize(
    "said",
    [
        b'{"ok":true}\n',
        b'{"v":1,"ok":true}\n',
        b'{"v":1,"ok":true,"status":null}\n',
        b'{"ok":false,"error":"no"}\n',
        b'{"ok":false,"error":null}\n',
        b'{"ok":false}\n',
        b"{}\n",
        b"null\n",
        b"[" * 60_000 + b"\n",
        b"220 mail.example.org\r\n",
    ],
)
def test_another_program_is_told_from_a_head(tmp_path: Path, said: bytes) -> None:
    other = Answering(tmp_path / "other.sock", said)
    client = Client(str(tmp_path / "other.sock"), 5.0)
    with pytest.raises(ControlError, match="is no head"):
        client.status()
    client.close()
    other.close()


def test_the_reason_is_told_by_a_head_that_reads_no_more(tmp_path: Path) -> None:
    why = b'{"ok":false,"error":{"code":"busy","message":"16 programs ask already."}}\n'
    other = Answering(tmp_path / "busy.sock", why, reads=False)
    with Client(str(tmp_path / "busy.sock"), 5.0) as client:
        other.close()
        with pytest.raises(ControlError, match="16 programs ask already"):
            client.mute()
        with pytest.raises(ControlError, match="went away"):
            client.mute()


def test_an_answer_from_before_is_none_to_what_was_not_sent(tmp_path: Path) -> None:
    other = Answering(tmp_path / "late.sock", b'{"v":1,"ok":true}\n', reads=False)
    with Client(str(tmp_path / "late.sock"), 5.0) as client:
        other.close()
        with pytest.raises(ControlError, match="went away"):
            client.mute()


def test_letters_of_any_script_take_no_more_room_than_in_a_file() -> None:
    told = {"v": 1, "cmd": "check", "text": "# Привет, робот \U0001f916\n" * 1000}
    assert len(request_line(told)) < 1.1 * len(told["text"].encode())  # type: ignore[attr-defined]
    assert parse(request_line(told)[:-1]) == told
    half = {"v": 1, "cmd": "pose", "name": "\udcff"}  # a byte that is no UTF-8, of a command line
    assert parse(request_line(half)[:-1]) == half


WORDS = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"v": st.sampled_from([1, 2, "1", None]), "cmd": st.sampled_from(["status", "mute", "x"])},
        optional={"id": st.text() | st.integers() | st.lists(st.integers())},
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=200, deadline=None)
@given(sent=WORDS)
def test_any_line_is_a_request_or_is_refused(sent: bytes) -> None:
    codes = {"syntax", "version", "value", "too-long"}
    try:
        told = parse(sent)
    except Refused as refusal:
        told = refusal.reply
    refused = told.get("ok") is False and "error" in told
    assert (told["error"]["code"] in codes) if refused else isinstance(told["cmd"], str)
