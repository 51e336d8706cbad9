"""The API of the page as a program sees it, with a real head behind: what is done and answered."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import socket
import wave
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.websocket import WebSocketClientConnection, websocket_connect
from web_described import DOCUMENT, check_answer, check_body, check_refusal
from web_stage import CONFIG, Stage

from lipsync_edge.web import support
from lipsync_edge.web.upload import MOST
from lipsync_tools.webstage import Answer, Asker, until


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="module")
def program(stage: Stage) -> Asker:
    return stage.asker()


def get(program: Asker, path: str) -> Any:
    answer = done(program.ask("GET", f"/api/v1/{path}"))
    check_answer("get", f"/api/v1/{path}", answer)
    return answer


def post(program: Asker, path: str, body: Any) -> Any:
    answer = done(program.ask("POST", f"/api/v1/{path}", body))
    check_body(f"/api/v1/{path}", body)
    check_answer("post", f"/api/v1/{path}", answer)
    return answer


def done(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def refused(program: Asker, path: str, body: Any) -> tuple[int, str]:
    return code(program.ask("POST", f"/api/v1/{path}", body))


def code(answer: Answer) -> tuple[int, str]:
    """Of a refusal, which has a sentence."""
    check_refusal(answer.json)
    error = answer.json["error"]
    assert error["message"]
    return answer.status, str(error["code"])


# ---- coming and going


def test_hello_login_and_logout_are_as_described(stage: Stage) -> None:
    guest = Asker(stage.page.port)
    assert get(guest, "hello")["needs_pin"]
    assert get(guest, "session") == {"logged_in": False, "csrf": None}
    csrf = post(guest, "login", {"pin": stage.pin()})["csrf"]
    guest = stage.asker()
    assert get(guest, "session")["logged_in"]
    assert len(csrf) == len(get(guest, "session")["csrf"])
    assert get(guest, "openapi.json") == DOCUMENT
    assert post(guest, "logout", {}) == {}
    assert code(guest.ask("GET", "/api/v1/status")) == (401, "login")


# ---- orders


def test_what_the_head_is(program: Asker) -> None:
    told = get(program, "describe")
    assert told["head"] == "jaw-lips"
    assert {"smile", "open", "closed"} <= set(told["poses"])
    assert told["axes"]["jawOpen"] == [0, 1]
    jaw = next(servo for servo in told["servos"] if servo["name"] == "jaw")
    assert jaw["max_us"] == 1790
    assert jaw["keys"]["max_us"] == ["servos", "jaw", "max_us"]
    status = get(program, "status")
    assert status["ready"]
    assert set(status["widths_us"]) == {servo["name"] for servo in told["servos"]}


def test_orders(program: Asker) -> None:
    for cmd, key, value in (("mute", "muted", True), ("unmute", "muted", False),
                            ("detach", "resting", True), ("wake", "resting", False)):  # fmt: skip
        assert post(program, "do", {"cmd": cmd}) == {key: value}
        assert get(program, "status")[key] is value
    assert post(program, "do", {"cmd": "neutral"})["hold_s"] == 10
    assert get(program, "status")["posing"]
    assert post(program, "do", {"cmd": "follow"}) == {}
    assert not get(program, "status")["posing"]
    assert post(program, "do", {"cmd": "reload"}) == {"changed": [], "restarts": False}
    for cmd in ("stop", "say-file", "watch", None, 7, ["mute"], {"cmd": "mute"}):
        assert refused(program, "do", {"cmd": cmd}) == (400, "unknown")


def test_poses(program: Asker) -> None:
    assert post(program, "pose", {"name": "open", "hold_s": 2}) == {"hold_s": 2, "unmoved": []}
    until(lambda: get(program, "status")["pose"].get("jawOpen", 0) > 0.2, word="an open mouth")
    axes = {"jawOpen": 0.5, "headYaw": -0.2}
    assert post(program, "pose", {"axes": axes})["unmoved"] == ["headYaw"]
    post(program, "do", {"cmd": "follow"})
    for body, code in (({"name": "smille"}, "unknown"), ({"axes": {"jawOpen": 2}}, "value"),
                       ({"axes": {"nose": 1}}, "unknown"), ({}, "value"),
                       ({"name": "open", "hold_s": 4000}, "value")):  # fmt: skip
        assert refused(program, "pose", body) == (400, code), body
    post(program, "do", {"cmd": "detach"})
    assert refused(program, "pose", {"name": "open"}) == (409, "off")
    post(program, "do", {"cmd": "wake"})


# ---- sounds and texts


def sent(program: Asker, sound: bytes, **headers: str) -> Answer:
    return program.ask("POST", "/api/v1/say", sound, {"Content-Type": "audio/wav", **headers})


def tone(seconds: float) -> bytes:
    """A WAV file."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\0\x10\0\xf0" * int(seconds * 8000))
    return made.getvalue()


def spoken(program: Asker) -> int:
    """Files that are spoken or wait."""
    return int(get(program, "status")["spoken_files"])


def test_a_sound_that_breaks_off_is_not_spoken(program: Asker, stage: Stage) -> None:
    lines = ["POST /api/v1/say HTTP/1.1", "Host: localhost", "Content-Type: audio/wav"]
    lines += [f"Cookie: {program.cookie}", f"X-CSRF: {program.csrf}", "Content-Length: 99999"]
    before = sorted(stage.state.iterdir())
    with socket.create_connection(("127.0.0.1", stage.page.port)) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode() + tone(1))
    assert done(sent(program, tone(0.1))) == {"waiting": 1}  # the only one
    assert sorted(stage.state.iterdir()) == before
    until(lambda: not spoken(program), word="silence")


def test_sounds(program: Asker) -> None:
    assert done(sent(program, tone(60))) == {"waiting": 1}
    assert done(sent(program, tone(60)))["waiting"] == 2
    until(lambda: spoken(program) == 2, word="two that wait")
    post(program, "do", {"cmd": "hush"})
    until(lambda: spoken(program) <= 1, word="the end of what waits")
    sound = tone(0.1)
    for body in (b"", sound[:30], b"ID3\x04" + sound[4:]):
        assert code(sent(program, body)) == (409, "failed"), body[:8]
    cut = sent(program, sound[: len(sound) // 2])
    assert code(cut) == (409, "failed")
    assert "cut off" in cut.json["error"]["message"]
    too_long = sent(program, b"", **{"Content-Length": str(MOST + 1)})
    assert code(too_long) == (413, "too-long")
    assert spoken(program) <= 1  # what the card has already


def test_texts(program: Asker) -> None:
    engines = {engine["name"]: engine for engine in get(program, "voices")["engines"]}
    assert set(engines) == {"espeak-ng", "piper"}
    assert engines["espeak-ng"]["installed"] == bool(shutil.which("espeak-ng"))
    for body in ({}, {"text": " "}, {"text": 7}, {"text": "x" * 2001},
                 {"text": "hi", "engine": "/bin/sh"}):  # fmt: skip
        assert refused(program, "say-text", body) == (400, "value"), body
    if not engines["espeak-ng"]["installed"]:
        assert refused(program, "say-text", {"text": "hi"}) == (409, "failed")
        return
    assert {"id", "name", "language"} == set(engines["espeak-ng"]["voices"][0])
    for body in ({"voice": "-f/etc/passwd"}, {"rate": 1000}, {"rate": True}, {"pitch": "high"}):
        assert refused(program, "say-text", {"text": "hi", **body}) == (400, "value"), body
    told = {"text": "-w x.wav <b>hi</b>\0", "voice": "de", "rate": 200, "pitch": 60}
    assert post(program, "say-text", told)["waiting"] >= 1
    post(program, "do", {"cmd": "hush"})


# ---- config

CHANGES = [{"path": ["servos", "jaw", "max_us"], "value": 1750}]
CHANGED = ["head.servos.jaw.max_us"]


def test_a_config_from_reading_to_undo(program: Asker, stage: Stage) -> None:
    read = get(program, "config")
    assert (read["path"], read["text"]) == (str(stage.config), CONFIG)
    assert (read["writable"], read["backups"]) == (True, [])
    (problem,) = post(program, "config/check", {"text": CONFIG + "nose: 1\n"})["problems"]
    assert (problem["line"], problem["severity"]) == (8, "error")
    shown = post(program, "config/preview", {"changes": CHANGES})
    assert shown["text"] == CONFIG.replace("1790", "1750")
    assert "-    max_us: 1790    # not yet measured\n" in shown["diff"]
    assert (shown["problems"], shown["needs_restart"]) == ([], [])
    assert stage.config.read_text() == CONFIG
    saved = post(
        program, "config/save", {"changes": CHANGES, "revision": read["revision"], "note": "jaw"}
    )
    assert (saved["diff"], saved["changed"]) == (shown["diff"], CHANGED)
    assert saved["in_force"]
    assert stage.config.read_text() == shown["text"]
    jaw = next(s for s in get(program, "describe")["servos"] if s["name"] == "jaw")
    assert jaw["max_us"] == 1750  # the head moves by it
    stale = {"text": CONFIG, "revision": read["revision"]}
    assert refused(program, "config/save", stale) == (409, "changed")
    wrong = {"text": "head: nobody\n", "revision": saved["revision"]}
    assert refused(program, "config/save", wrong) == (400, "config")
    assert stage.config.read_text() == shown["text"]
    (backup,) = get(program, "config")["backups"]
    assert (backup["note"], backup["size"]) == ("jaw", len(CONFIG))
    assert post(program, "config/undo", {"id": backup["id"]})["changed"] == CHANGED
    assert stage.config.read_text() == CONFIG
    assert refused(program, "config/undo", {"id": "../../etc/passwd"}) == (404, "unknown")


def test_a_file_that_was_edited_meanwhile_is_not_overwritten(program: Asker, stage: Stage) -> None:
    revision = get(program, "config")["revision"]
    stage.config.write_text(CONFIG + "# by hand\n")
    mine = {"changes": CHANGES, "revision": revision}
    assert refused(program, "config/save", mine) == (409, "changed")
    assert stage.config.read_text() == CONFIG + "# by hand\n"
    stage.config.write_text(CONFIG)


def test_a_config_may_be_tried(program: Asker, stage: Stage) -> None:
    assert post(program, "config/try", {"changes": CHANGES, "hold_s": 300}) == {
        "changed": CHANGED, "hold_s": 300,
    }  # fmt: skip
    assert get(program, "status")["trial"] is True
    assert stage.config.read_text() == CONFIG
    post(program, "do", {"cmd": "reload"})
    assert get(program, "status")["trial"] is False
    assert refused(program, "config/try", {"text": CONFIG, "hold_s": 1}) == (400, "value")
    fixed = {"text": CONFIG.replace("jaw-lips", "jaw"), "hold_s": 10}
    assert refused(program, "config/try", fixed) == (409, "restart")


# ---- what helps


def test_the_doctor_of_a_head_that_runs(program: Asker) -> None:
    checks = {check["name"]: check for check in get(program, "doctor")["checks"]}
    assert "head" not in checks  # it is there
    assert checks["servo board"]["ok"]
    assert all(set(check) == {"ok", "name", "message", "remedy"} for check in checks.values())
    assert all(check["remedy"] for check in checks.values() if not check["ok"])


def test_the_bundle_for_whoever_helps(program: Asker, stage: Stage) -> None:
    pin = stage.pin()
    answer = program.ask("GET", "/api/v1/support")
    assert answer.headers["Content-Type"] == "application/zip"
    assert "attachment" in answer.headers["Content-Disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(files) == {
        "versions.json", "config.yaml", "doctor.json", "describe.json", "statuses.jsonl",
        "lipsync-edge.log", "lipsync-edge-web.log",
    }  # fmt: skip
    assert files["config.yaml"] == CONFIG
    assert "servo board" in [c["name"] for c in json.loads(files["doctor.json"])["checks"]]
    assert json.loads(files["describe.json"])["describe"]["head"] == "jaw-lips"
    assert json.loads(files["statuses.jsonl"].splitlines()[-1])["head"] == "jaw-lips"
    assert "tornado" in json.loads(files["versions.json"])
    secrets = [pin, program.csrf, program.cookie.partition("=")[2]]
    secrets += [json.loads((stage.state / "pin.json").read_text())["state"]["hash"]]
    kept = json.loads((stage.state / "sessions.json").read_text())["state"]["sessions"]
    secrets += [session["hash"] for session in kept]
    assert all(len(secret) >= 6 for secret in secrets)
    for name, text in files.items():
        assert not [secret for secret in secrets if secret in text], name
        assert "RIFF" not in text


def test_pins_in_a_journal_are_left_out() -> None:
    told = "web: The PIN is 012 345, for ten minutes.\nweb: PIN: 678901\nchannel 123456\n"
    assert support.without_pins(told) == (
        "web: The PIN is (left out), for ten minutes.\nweb: PIN: (left out)\nchannel 123456\n"
    )


# ---- set-up


Told = dict[str, Any]


class Hand:
    """A page that sets up a servo."""

    def __init__(self, line: WebSocketClientConnection) -> None:
        self.line = line

    async def hear(self) -> Told | None:
        async with asyncio.timeout(10):
            message = await self.line.read_message()
        return json.loads(message) if message else None

    async def say(self, **told: Any) -> Told:
        await self.line.write_message(json.dumps(told))
        heard = await self.hear()
        assert heard is not None
        return heard


Connect = Callable[[], Awaitable[Hand]]
Play = Callable[[Connect], Awaitable[None]]


def set_up(stage: Stage) -> Told:
    return dict(stage.head.status()["setup"] or {"servo": "", "released": True})


def driven(stage: Stage) -> set[str]:
    """The servos that get pulses."""
    return {name for name, us in stage.head.status()["widths_us"].items() if us is not None}


async def soon(holds: Callable[[], Any]) -> None:
    await asyncio.to_thread(until, holds, 10.0)


def in_set_up(stage: Stage, program: Asker, play: Play) -> None:
    """Play with hands that are let go in the end, whatever comes."""
    hands = []

    async def connect() -> Hand:
        told = HTTPHeaders({"Cookie": program.cookie})
        url = f"ws://127.0.0.1:{stage.page.port}/api/v1/setup"
        hands.append(Hand(await websocket_connect(HTTPRequest(url, headers=told))))
        return hands[-1]

    async def to_the_end() -> None:
        try:
            await play(connect)
        finally:
            for hand in hands:
                hand.line.close()
            await soon(lambda: set_up(stage)["released"])
            stage.head.ask("follow")

    asyncio.run(to_the_end())


def test_a_servo_by_hand(stage: Stage, program: Asker) -> None:
    async def play(connect: Connect) -> None:
        hand = await connect()
        assert await hand.say(csrf=program.csrf) == {"ok": True}
        wish = {"cmd": "jog", "servo": "jaw", "to_us": 1600, "us_per_s": 4000, "hold_s": 1}
        first = await hand.say(id=7, **wish)
        assert (first["id"], first["ok"]) == (7, True)
        await soon(lambda: set_up(stage)["servo"] == "jaw")
        await soon(lambda: driven(stage) == {"jaw"})
        assert (await hand.say(cmd="buzz", servo="upper_lip"))["ok"]
        nobody = await hand.say(id="x", **{**wish, "servo": "nose"})
        assert (nobody["id"], nobody["ok"], nobody["error"]["code"]) == ("x", False, "unknown")
        for cmd in ("detach", "watch", "stop", None, ["jog"]):
            assert (await hand.say(cmd=cmd))["error"]["code"] == "unknown"
        assert (await hand.say(cmd="release"))["ok"]
        await soon(lambda: set_up(stage)["released"])
        assert (await hand.say(cmd="follow"))["ok"]
        await soon(lambda: stage.head.status()["setup"] is None)

    in_set_up(stage, program, play)


def test_one_hand_at_a_time_and_going_away_releases(stage: Stage, program: Asker) -> None:
    async def play(connect: Connect) -> None:
        held = {"servo": "jaw", "us": 0, "released": False}
        first, second = await connect(), await connect()
        assert await first.say(csrf=program.csrf) == {"ok": True}
        assert (await second.say(csrf=program.csrf))["error"]["code"] == "busy"
        assert await second.hear() is None
        assert second.line.close_code == 1013
        await first.say(cmd="jog", servo="jaw", to_us=1700, us_per_s=10, hold_s=1)
        await soon(lambda: set_up(stage) | {"us": 0} == held)
        first.line.close()
        await soon(lambda: set_up(stage)["released"])
        third = await connect()
        assert await third.say(csrf=program.csrf) == {"ok": True}  # there is room again
        third.line.close()

    in_set_up(stage, program, play)


def test_a_hand_without_the_token_moves_nothing(stage: Stage, program: Asker) -> None:
    async def play(connect: Connect) -> None:
        for told in ({"csrf": "0" * 32}, {"cmd": "jog", "servo": "jaw", "to_us": 1600}, {}):
            hand = await connect()
            await hand.line.write_message(json.dumps(told))
            assert await hand.hear() is None
            assert hand.line.close_code == 1008
        assert stage.head.status()["setup"] is None

    in_set_up(stage, program, play)


# ---- the last one, since it ends the head


def test_without_a_head_all_that_needs_one_says_so(stage: Stage, program: Asker) -> None:
    assert stage.head.end() == 0
    for path, body in (("do", {"cmd": "mute"}), ("pose", {"name": "open"}),
                       ("config/try", {"text": CONFIG, "hold_s": 10})):  # fmt: skip
        assert refused(program, path, body) == (503, "engine-down")
    assert code(sent(program, tone(0.1))) == (503, "engine-down")
    assert program.ask("GET", "/api/v1/status").status == 503
    assert get(program, "config")["text"] == CONFIG
