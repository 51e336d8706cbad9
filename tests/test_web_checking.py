"""Checker, doctor and saving while no head answers: what one needs most then."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from web_room import Room, code, in_room, until

from lipsync_edge.web import child

CONFIG = (
    "head: jaw\naudio: {driver: dummy}\nboard: {driver: dummy}\nservos:\n  jaw:\n    max_us: 1790\n"
)
WRONG = CONFIG.replace("max_us", "max_su")


async def after_a_head(room: Room) -> Path:
    """The config of a head that was there and is gone."""
    path = room.folder / "robot.yaml"
    path.write_text(CONFIG)
    room.head.status["config"] = str(path)
    await until(lambda: room.parts.live.history and room.parts.live.history[-1][1].get("config"))
    await room.head.stop()
    await until(lambda: not room.parts.live.is_up)
    await room.log_in()
    return path


async def asked(room: Room, path: str, body: Any = None) -> Any:
    answer = await room.fetch(f"/api/v1/{path}", body, request_timeout=60)
    assert answer.code == 200, answer.body
    return json.loads(answer.body)


@in_room()
async def test_a_config_is_checked_saved_and_undone_without_a_head(room: Room) -> None:
    path = await after_a_head(room)
    (problem,) = (await asked(room, "config/check", {"text": WRONG}))["problems"]
    assert (problem["line"], problem["severity"]) == (6, "error")
    assert "max_us" in problem["message"] + problem["remedy"]
    other = CONFIG.replace("1790", "1300")
    (problem,) = (await asked(room, "config/check", {"text": other}))["problems"]
    assert problem["line"] is None
    assert "(jaw.yaml, line " in problem["message"]  # below min_us, which stands there
    changes = [{"path": ["servos", "jaw", "max_us"], "value": 1750}]
    shown = await asked(room, "config/preview", {"changes": changes})
    assert (shown["problems"], shown["needs_restart"]) == ([], [])
    assert "+    max_us: 1750" in shown["diff"]
    revision = (await asked(room, "config"))["revision"]
    refused = await room.fetch("/api/v1/config/save", {"text": WRONG, "revision": revision})
    assert code(refused) == (400, "config")
    assert path.read_text() == CONFIG
    saved = await asked(room, "config/save", {"changes": changes, "revision": revision})
    assert (saved["changed"], saved["needs_restart"], saved["in_force"]) == ([], [], False)
    assert path.read_text() == shown["text"] == CONFIG.replace("1790", "1750")
    await asked(room, "config/undo", {})
    assert path.read_text() == CONFIG
    tried = await room.fetch("/api/v1/config/try", {"text": CONFIG, "hold_s": 5})
    assert code(tried) == (503, "engine-down")


@in_room()
async def test_the_doctor_comes_without_a_head(room: Room) -> None:
    path = await after_a_head(room)
    first, *others = (await asked(room, "doctor"))["checks"]
    assert (first["ok"], first["name"]) == (False, "head")
    assert "sudo systemctl start lipsync-edge" in first["remedy"]
    assert {"ok", "name", "message", "remedy"} == set.union(*map(set, others))
    found = {check["name"]: check for check in others}
    assert found["servo board"]["ok"]
    assert "board.driver: dummy" in found["servo board"]["message"]  # read from the file
    path.write_text(WRONG)
    found = {check["name"]: check for check in (await asked(room, "doctor"))["checks"]}
    assert any(not check["ok"] and "max_su" in check["message"] for check in found.values())


@in_room()
async def test_a_text_that_fits_in_no_line_of_the_head_is_checked_all_the_same(room: Room) -> None:
    await room.log_in()
    (room.folder / "robot.yaml").write_text(CONFIG)
    room.head.status["config"] = str(room.folder / "robot.yaml")
    text = WRONG + '#""\n' * 12_000  # as JSON it is longer than 64 KiB
    (problem,) = (await asked(room, "config/check", {"text": text}))["problems"]
    assert problem["line"] == 6


@in_room()
async def test_a_head_without_a_file_has_none_to_change(room: Room) -> None:
    await room.log_in()
    room.head.status["config"] = "built-in defaults"
    assert code(await room.fetch("/api/v1/config")) == (404, "unknown")


async def told(code: str, **more: Any) -> child.Ended:
    return await child.run([sys.executable, "-c", code], **more)


@in_room()
async def test_programs_end_with_the_waiting(room: Room) -> None:
    assert await told("print(input()[::-1])", told=b"abc\n") == (0, b"cba\n")
    assert (await told("raise SystemExit(3)")).code == 3
    with (room.folder / "out").open("wb") as out:
        assert await told("print('x' * 5)", out=out) == (0, b"")
    assert (room.folder / "out").read_text() == "xxxxx\n"
    note = room.folder / "pid"
    endless = f"import os, signal; open({str(note)!r}, 'w').write(str(os.getpid())); signal.pause()"
    with pytest.raises(TimeoutError):
        await told(endless, wait_s=0.5)
    assert not Path(f"/proc/{note.read_text()}").exists()
    with pytest.raises(FileNotFoundError):
        await child.run([str(room.folder / "none")])
