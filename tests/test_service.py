"""The whole program as a service: what systemd reads, when it is fed, and what comes of crashes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lipsync_edge import app, config, health
from lipsync_edge.app import Robot
from lipsync_edge.audio.wav import open_source
from lipsync_edge.cli import SAMPLE
from lipsync_edge.clock import VirtualClock
from lipsync_edge.errors import ConfigError
from lipsync_edge.health import Vitals
from lipsync_edge.notify import Notifier
from lipsync_edge.options import ServiceOptions
from lipsync_edge.runs import boot_id
from lipsync_edge.service import Service, socket_path, state_folder
from lipsync_edge.servos.off import NoBoard
from lipsync_edge.store import Store
from lipsync_edge.summary import Summary
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.telemetry import Scene


class Systemd:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.address = str(path)
        self.heard: list[str] = []

    def hear(self, timeout_s: float = 0.0) -> list[str]:
        """Everything that was said so far; with a timeout, wait for the next word first."""
        self._socket.settimeout(timeout_s)
        try:
            while True:
                self.heard.append(self._socket.recv(4096).decode())
                self._socket.settimeout(0)
        except (BlockingIOError, TimeoutError):
            return self.heard

    def wait_for(self, word: str) -> None:
        while not any(said.startswith(word) for said in self.heard):
            before = len(self.heard)
            self.hear(20)
            assert len(self.heard) > before, f"no {word} came: {self.heard}"

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    listener = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", listener.address)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    yield listener
    listener.close()


def speak(systemd: Systemd, seconds: float, **options: str) -> Summary:
    overrides = [("audio.driver", "dummy"), ("board.driver", "simulator")]
    overrides += [("model.runtime", "dummy")]
    overrides += [(key.replace("__", "."), value) for key, value in options.items()]
    settings = config.load(None, overrides, head="jaw")

    def draw(_: Scene) -> None:
        systemd.hear()

    summary = Robot(settings, open_source(str(SAMPLE)), seconds).run(draw)
    systemd.hear()
    return summary


# In this process ----------------------------------------------------------------------------------


def test_ready_once_status_and_food_while_all_is_well(systemd: Systemd) -> None:
    speak(systemd, 2.5)
    heard = systemd.heard
    assert heard[0] == "STATUS=starting"
    assert heard.count("READY=1") == 1
    assert "STATUS=speaking, look-ahead 200 ms, 0 xruns, board ok" in heard
    assert 12 <= heard.count("WATCHDOG=1") <= 26, "a third of 0.3 s apart"
    assert heard[-2:] == ["STOPPING=1", "STATUS=ended: ran for 2 s"]
    statuses = [said for said in heard if said.startswith("STATUS=")]
    assert len(statuses) <= 2 + 3 + 1, "at most one a second"


def test_ready_in_silence(systemd: Systemd) -> None:
    """A microphone that hears nothing: the head is ready all the same."""
    options = [("audio.driver", "dummy"), ("audio.input", "mic"), ("board.driver", "simulator")]
    settings = config.load(None, [*options, ("audio.faults", "silence@0:10")], head="jaw")
    Robot(settings, None, 1.3).run(lambda _: None)
    assert "READY=1" in systemd.hear()
    assert "STATUS=silent, look-ahead 200 ms, 0 xruns, board ok" in systemd.heard


@pytest.mark.slow
def test_a_lost_device_is_told_and_the_watchdog_fed_all_the_same(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH_S", 0.5)
    speak(systemd, 2.5, audio__faults="end@0.5", audio__retry_s="60")
    (lost_at,) = [k for k, said in enumerate(systemd.heard) if "waiting for the sound" in said]
    fed = systemd.heard[lost_at:].count("WATCHDOG=1")
    assert fed >= 7, "for longer than a block may take"


@pytest.mark.slow
def test_a_model_that_hangs_starves_the_watchdog_and_stops_the_program(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH_S", 0.4)
    monkeypatch.setattr(app, "HUNG_S", 1.6)
    summary = speak(systemd, 20.0, model__faults="slow@0.3:2")
    assert summary.failed
    assert summary.reason.startswith("the analyzer hangs since ")
    (told_at,) = [k for k, said in enumerate(systemd.heard) if "analyzer hangs" in said][:1]
    assert "READY=1" in systemd.heard[:told_at]
    assert systemd.heard[told_at:].count("WATCHDOG=1") <= 1, "no more food from then on"
    assert summary.board["silenced"]


def test_nothing_is_ready_before_motion_flows(systemd: Systemd, tmp_path: Path) -> None:
    """The order of things, without a robot: neither sound nor motion alone are enough."""
    service = Service(ServiceOptions(), Notifier())
    well = {"sound_clock": True, "hops": 1, "ticks": 1, "sound_age_s": 0.0}
    for missing in ({"sound_clock": False}, {"hops": 0}, {"ticks": 0}):
        service.tell(Vitals(**(well | missing)), 0.0, 0.0)  # type: ignore[arg-type]
        assert "READY=1" not in systemd.hear()
    service.tell(Vitals(**well), 0.1, 0.1)  # type: ignore[arg-type]
    assert "READY=1" in systemd.hear()


@pytest.mark.slow
def test_where_nobody_stands_by_a_missing_board_is_waited_for(systemd: Systemd) -> None:
    summary = speak(systemd, 2.5, board__faults="dead@0:0.8")
    assert "READY=1" in systemd.heard, "the sound goes on meanwhile"
    statuses = [said for said in systemd.heard if said.startswith("STATUS=")]
    assert [said for said in statuses if "board: The servo board at 0x40 does not answer" in said]
    assert summary.board["writes"] > 20
    assert statuses[-2].endswith("board ok"), "before the last word"


def test_a_refused_start_says_why(systemd: Systemd) -> None:
    with pytest.raises(ConfigError):
        speak(systemd, 1.0, board__driver="dummy", board__faults="nonsense@1")
    assert systemd.hear()[-1].startswith("STATUS=board.faults: 'nonsense@1': no fault is called")
    assert "READY=1" not in systemd.heard


def test_folders_are_ours_or_those_of_systemd() -> None:
    environment = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "RUNTIME_DIRECTORY": "/run/a"}
    assert state_folder(ServiceOptions(), environment) == "/var/lib/a"
    assert socket_path(ServiceOptions(), environment) == "/run/a/control.sock"
    own = ServiceOptions(state_dir="state", socket="s")
    assert (state_folder(own, environment), socket_path(own, environment)) == ("state", "s")
    assert (state_folder(ServiceOptions(), {}), socket_path(ServiceOptions(), {})) == ("", "")


def test_no_board_moves_nothing() -> None:
    board = NoBoard(2)
    assert board.write(np.array([1500.0, 1500.0]))
    assert np.isnan(board.sent_us()).all()
    with pytest.raises(ValueError, match="3 widths for 2 servos"):
        board.write(np.zeros(3))


def test_a_wait_that_took_too_long_makes_no_thread_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [("audio.driver", "dummy"), ("board.driver", "simulator"), ("model.runtime", "dummy")]
    robot, clock = Robot(config.load(None, options, head="jaw"), None), VirtualClock()
    supervisor = Supervisor(clock)
    robot._clock, robot._supervisor = clock, supervisor
    supervisor.loop("mover", lambda: supervisor.stop("over"))
    assert supervisor.join("mover")

    def slept(seconds: float) -> bool:
        clock.sleep_until(clock.now() + seconds)
        return False

    monkeypatch.setattr(supervisor, "wait", slept)
    for _ in range(100):
        robot._wait()
    assert supervisor.beat_ages_s()["mover"] == pytest.approx(5.0), "it alone is silent"
    monkeypatch.setattr(supervisor, "wait", lambda _: slept(30.0))
    robot._wait()
    assert supervisor.beat_ages_s()["mover"] == pytest.approx(6.0), "nobody ran; a second counts"


def test_a_card_that_came_back_may_take_its_time_to_begin() -> None:
    """How long it was away counts for nothing: else the watchdog would go hungry."""
    options = [("audio.driver", "dummy"), ("board.driver", "simulator"), ("model.runtime", "dummy")]
    robot = Robot(config.load(None, options, head="jaw"), None)
    robot._vitals(0.0)
    assert robot._vitals(1.0).sound_age_s == 1.0
    robot._sound.lost = "unplugged"
    assert robot._vitals(8.0).sound_age_s == 8.0
    robot._sound.lost = ""
    assert robot._vitals(9.0).sound_age_s == 0.0
    assert robot._vitals(10.0).sound_age_s == 1.0


# In processes of their own ------------------------------------------------------------------------


def start(
    folder: Path, systemd: Systemd, *options: str, program: tuple[str, ...] = ("-m", "lipsync_edge")
) -> subprocess.Popen[str]:
    sets = ["audio.driver=dummy", "audio.input=mic", "board.driver=simulator", *options]
    arguments = [word for option in sets for word in ("--set", option)]
    return subprocess.Popen(
        [sys.executable, *program, "run", "--json", "--head", "jaw", *arguments],
        env=os.environ | {"STATE_DIRECTORY": str(folder), "NOTIFY_SOCKET": systemd.address},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_killed_three_times_it_speaks_without_servos(systemd: Systemd, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    for _ in range(3):
        systemd.heard.clear()
        robot = start(folder, systemd)
        systemd.wait_for("READY=1")
        assert not [said for said in systemd.heard if "SAFE MODE" in said]
        robot.kill()
        robot.communicate()
        systemd.hear()
    systemd.heard.clear()
    robot = start(folder, systemd)
    systemd.wait_for("READY=1")
    systemd.wait_for("STATUS=SAFE MODE: servos off, since the last 3 runs crashed")
    robot.send_signal(signal.SIGTERM)
    out, err = robot.communicate(timeout=20)
    assert robot.returncode == 0
    summary = json.loads(out)
    assert summary["board"]["name"] == "no board (safe mode)"
    assert summary["sound"]["blocks"] > 0
    assert "safe mode: servos off" in err
    assert Store(folder).load("runs") is not None
    systemd.heard.clear()
    robot = start(folder, systemd)  # a restart leaves it
    systemd.wait_for("READY=1")
    assert not [said for said in systemd.heard if "SAFE MODE" in said]
    robot.terminate()
    robot.communicate(timeout=20)


@pytest.mark.slow
def test_stopped_for_long_and_continued_it_goes_on(systemd: Systemd, tmp_path: Path) -> None:
    """Longer than HUNG_S: its threads did not hang, they were kept from running as it was."""
    sooner = "from lipsync_edge import app, cli; app.HUNG_S = 1.2; raise SystemExit(cli.main())"
    robot = start(tmp_path / "state", systemd, program=("-c", sooner))
    systemd.wait_for("READY=1")
    robot.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        robot.wait(1.8)
    robot.send_signal(signal.SIGCONT)
    systemd.heard.clear()
    systemd.wait_for("STATUS=s")  # speaking or silent
    assert not [said for said in systemd.heard if "hangs" in said]
    robot.terminate()
    out, _ = robot.communicate(timeout=20)
    assert json.loads(out)["reason"] == "SIGTERM"


def test_a_broken_config_is_told_to_systemd(systemd: Systemd, tmp_path: Path) -> None:
    robot = start(tmp_path / "state", systemd, "board.driver=wrong")
    robot.communicate(timeout=20)
    assert robot.returncode == 2
    (said,) = systemd.hear()
    assert said.startswith("STATUS=command line: board.driver: wrong is not one of auto, pca9685")


RESTARTED = """
import os
from lipsync_edge import cli
from lipsync_edge.app import Robot
tell = Robot._tell
def tell_and_ask(robot):  # once ready, ask for a new start; the new one goes on
    tell(robot)
    if robot.vitals.safe_mode and robot.vitals.ticks:
        robot.actions.restart()
Robot._tell = tell_and_ask
stop = Robot._stop
def stop_and_end(robot):  # the computer is shut down just then
    if "END" in os.environ:
        os.kill(os.getpid(), 15)
    stop(robot)
Robot._stop = stop_and_end
raise SystemExit(cli.main(["run", "--json", "--head", "jaw", "--set", "audio.driver=dummy", "--set",
    "audio.input=mic", "--set", "board.driver=simulator"]))
"""


def restarted(systemd: Systemd, folder: Path, **more: str) -> subprocess.Popen[str]:
    history = {"boot": boot_id(), "running": True, "crashes": 2, "reason": "x"}
    assert Store(folder).save("runs", history)
    told = {"STATE_DIRECTORY": str(folder), "NOTIFY_SOCKET": systemd.address, **more}
    return subprocess.Popen(
        [sys.executable, "-c", RESTARTED], env=os.environ | told,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_who_ends_a_head_that_was_to_restart_ends_it(systemd: Systemd, tmp_path: Path) -> None:
    robot = restarted(systemd, tmp_path / "state", END="yes")
    out, err = robot.communicate(timeout=20)
    assert robot.returncode == 0, err
    assert json.loads(out)["board"]["silenced"], "one run, one summary"
    assert "STOPPING=1" in systemd.hear()


def test_a_new_start_on_request_leaves_safe_mode(systemd: Systemd, tmp_path: Path) -> None:
    robot = restarted(systemd, tmp_path / "state")
    systemd.wait_for("STATUS=ended: asked to start anew")
    assert [said for said in systemd.heard if "SAFE MODE" in said]
    assert [said for said in systemd.heard if said.startswith("RELOADING=1\nMONOTONIC_USEC=")]
    assert "STOPPING=1" not in systemd.heard
    assert "WATCHDOG_USEC=60000000" in systemd.heard, "to load all takes a slow Pi longer than 5 s"
    systemd.heard.clear()
    systemd.wait_for("READY=1")
    assert not [said for said in systemd.heard if "SAFE MODE" in said]
    robot.terminate()
    out, err = robot.communicate(timeout=20)
    assert json.loads(out)["reason"] == "SIGTERM", err
    assert robot.returncode == 0
