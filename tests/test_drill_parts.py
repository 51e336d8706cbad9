"""What the drill stands on: the unit's values, the record of a board, the board that lives on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lipsync_edge import config
from lipsync_edge.servos import BoardSpec
from lipsync_edge.servos.remote import RemoteBus
from lipsync_tools.drill import record
from lipsync_tools.drill.board import Board, Moment
from lipsync_tools.drill.unit import placed, read_unit, span_s

OFF = (math.nan,) * 16


def pulses(channel: int, us: float) -> tuple[float, ...]:
    return (*OFF[:channel], us, *OFF[channel + 1 :])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("500ms", 0.5), ("1min 20s", 80.0), ("2.5", 2.5), ("infinity", math.inf)],
)
def test_time_spans_as_systemd_writes_them(text: str, seconds: float) -> None:
    assert span_s(text) == seconds


def test_the_unit_is_read_as_systemd_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "x.service"
    path.write_text(
        "[Service]\nType=notify\nExecStart=/opt/lipsync-edge/bin/lipsync-edge run \\\n"
        "  /etc/lipsync-edge/config.yaml --ui none\nExecStopPost=/forgotten\nExecStopPost=\n"
        "ExecStopPost=-/opt/lipsync-edge/bin/lipsync-edge detach /etc/lipsync-edge/config.yaml\n"
        "Restart=on-failure\nRestartSec=1\nRestartSteps=4\nRestartMaxDelaySec=16\n#WatchdogSec=1\n"
        "WatchdogSec=5\nTimeoutStopSec=10\n"
    )
    unit = read_unit(path)
    assert (unit.watchdog_s, unit.stop_timeout_s, unit.abort_timeout_s) == (5.0, 10.0, 10.0)
    assert [unit.pause_s(n) for n in (0, 2, 4, 9)] == [1.0, 4.0, 16.0, 16.0]
    (detach,) = unit.stop_post
    assert placed(detach, Path("/x.yaml"))[1:] == ["-m", "lipsync_edge", "detach", "/x.yaml"]
    assert placed(unit.start, Path("/x.yaml"), "other")[1:3] == ["-m", "other"]
    assert placed(("/bin/true",), Path("/x.yaml")) == [], "what is not ours is not run"


def test_the_record_tells_when_outputs_were_off_and_spoke_again() -> None:
    outputs = record.Outputs(config.load(None, [], head="jaw").head)
    (servo,) = config.load(None, [], head="jaw").head.servos
    o = servo.options
    wide = o.max_us if o.max_us - o.neutral_us > 60 else o.min_us
    moments = [
        Moment(0.0, True, OFF),
        Moment(1.0, True, pulses(o.channel, wide)),
        Moment(2.5, True, OFF),
        Moment(4.0, True, pulses(o.channel, o.neutral_us)),
        Moment(4.5, True, pulses(o.channel, wide)),
    ]
    assert record.first_off_s(moments, 0.5) == 0.5
    assert record.first_off_s(moments, 1.5) == 2.5
    assert record.first_off_s(moments, 4.2) == math.inf
    assert record.first_spoken_s(moments, 2.0, outputs) == 4.5
    story = record.story(moments, 1.5, 5.0)
    assert (story.off_s, story.on_s, story.held_s) == (1.0, 2.5, 1.0)
    assert outputs.outside(moments) == []
    wrong = [Moment(5.0, True, pulses(o.channel, o.max_us + 5)), Moment(6.0, True, OFF),
             Moment(7.0, True, pulses((o.channel + 1) % 16, o.neutral_us))]  # fmt: skip
    assert outputs.outside(wrong) == [wrong[0], wrong[2]]


def test_a_board_in_another_process_answers_refuses_and_is_held(tmp_path: Path) -> None:
    with Board(tmp_path / "bus", [BoardSpec(0x41)]) as board:
        bus = RemoteBus(str(tmp_path / "bus"))
        mode1 = bytearray(1)
        bus.writeto_then_readfrom(0x41, b"\x00", mode1)
        assert mode1[0] == 0x11, "MODE1 after power-up: SLEEP and ALLCALL, data sheet table 5"
        with pytest.raises(OSError, match="Remote I/O"):
            bus.writeto(0x42, b"\x00")
        board.hold(0.01)
        with pytest.raises(TimeoutError):
            bus.writeto(0x41, b"\x00")
        board.release()
        bus.writeto(0x41, b"\x00")
        assert [m.acknowledged for m in board.moments] == [True, False, False, True]
        bus.deinit()
