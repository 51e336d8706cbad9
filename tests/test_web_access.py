"""Who gets in: the PIN, sessions, and what may be asked without."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from web_room import Room, code, in_room, until

from lipsync_edge.store import Store
from lipsync_edge.web import pairing
from lipsync_edge.web.pairing import FREE, MOST_WRONG, Guesses, Pairing, make_pin
from lipsync_edge.web.refusal import HttpRefused
from lipsync_edge.web.sessions import MOST, Sessions, forget


def wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 1_000_000:06d}"


@in_room()
async def test_hello_tells_a_stranger_what_the_page_must_know(room: Room) -> None:
    await until(lambda: room.parts.live.is_up)
    answer = await room.fetch("/api/v1/hello")
    assert answer.code == 200
    told = json.loads(answer.body)
    assert told.pop("version")
    assert told == {"name": "mouth10", "api": 1, "engine": "up", "needs_pin": True,
                    "logged_in": False, "live_public": True, "https": False}  # fmt: skip


@in_room()
async def test_the_pin_opens_and_once_only(room: Room) -> None:
    pin = make_pin(room.parts.folder)
    assert pin not in "".join(p.read_text() for p in room.parts.folder.iterdir())
    answer = await room.fetch("/api/v1/login", {"pin": f"{pin[:3]} {pin[3:]}"})
    cookie = answer.headers["Set-Cookie"]
    assert answer.code == 200
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age=7776000" in cookie
    assert "Secure" not in cookie  # this is http
    token = re.search("lipsync_session=([^;]+)", cookie)[1]
    assert token not in (room.parts.folder / "sessions.json").read_text()
    room.cookie = f"lipsync_session={token}"
    session = json.loads((await room.fetch("/api/v1/session")).body)
    assert session == {"logged_in": True, "csrf": json.loads(answer.body)["csrf"]}
    assert not json.loads((await room.fetch("/api/v1/hello")).body)["needs_pin"]
    assert code(await room.fetch("/api/v1/login", {"pin": pin})) == (409, "no-pin")


@in_room()
async def test_guessing_is_locked_out(room: Room) -> None:
    pin = make_pin(room.parts.folder)
    answers = [
        code(await room.fetch("/api/v1/login", {"pin": wrong(pin)})) for _ in range(FREE + 1)
    ]
    assert answers == [(403, "wrong-pin")] * (FREE - 1) + [(429, "locked")] * 2
    late = await room.fetch("/api/v1/login", {"pin": pin})
    assert code(late) == (429, "locked")  # the right one, too
    assert 20 <= int(late.headers["Retry-After"]) <= 30
    for bad in ({}, {"pin": 123456}, {"pin": None}):
        assert code(await room.fetch("/api/v1/login", bad)) == (400, "value")


def test_pauses_grow_and_a_right_pin_ends_them() -> None:
    guesses = Guesses()
    pauses = [guesses.wrong("a", 0.0) for _ in range(FREE + 8)]
    assert pauses == [0.0] * (FREE - 1) + [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert guesses.wait_s("a", 3599.0) == 1.0
    assert guesses.wait_s("b", 0.0) == 0.0
    guesses.right("a")
    assert guesses.wait_s("a", 0.0) == 0.0
    for k in range(pairing.MOST_ADDRESSES + 5):
        guesses.wrong(str(k), 0.0)
    assert len(guesses._wrong) == pairing.MOST_ADDRESSES


def test_a_pin_that_many_addresses_guess_at_is_spoilt(tmp_path: Path) -> None:
    desk = Pairing(tmp_path)
    pin = desk.show(0.0)
    for k in range(MOST_WRONG):
        with pytest.raises(HttpRefused):
            desk.check(wrong(pin), f"fe80::{k}", 1.0)
    with pytest.raises(HttpRefused, match="no PIN now"):
        desk.check(pin, "another", 1.0)
    with pytest.raises(HttpRefused, match="in 60 s"):
        desk.show(1.0)
    desk.check(desk.show(61.0), "another", 61.0)  # right: begins anew
    with pytest.raises(HttpRefused, match="in 10 s"):
        desk.show(61.0)


def test_a_head_is_not_made_to_speak_pins_all_night(tmp_path: Path) -> None:
    desk, now_s, shown_s = Pairing(tmp_path), 0.0, []
    while now_s < 3600.0:
        try:
            desk.show(now_s)
            shown_s.append(now_s)
        except HttpRefused as refused:
            now_s += refused.wait_s
    assert shown_s == [0, 10, 30, 70, 150, 310, 630, 1270, 1910, 2550, 3190]
    desk.show(now_s + 2 * pairing.LIFE_S + 1)  # and forgets it
    with pytest.raises(HttpRefused, match="in 10 s"):
        desk.show(now_s + 2 * pairing.LIFE_S + 1)


@pytest.mark.parametrize("change", [{"boot": "another"}, {"until_s": 1.0}, {"until_s": "x"}])
def test_a_pin_ends_with_its_time_and_with_the_boot(tmp_path: Path, change: dict) -> None:
    pin = make_pin(tmp_path)
    store = Store(tmp_path)
    store.save("pin", store.load("pin") | change)
    with pytest.raises(HttpRefused, match="no PIN now"):
        Pairing(tmp_path).check(pin, "a", 0.0)


@in_room()
async def test_changes_need_session_and_token(room: Room) -> None:
    assert code(await room.fetch("/api/v1/logout", {})) == (401, "login")
    await room.log_in()
    token, room.csrf = room.csrf, "0" * 32
    assert code(await room.fetch("/api/v1/logout", {})) == (403, "csrf")
    room.csrf = ""
    assert code(await room.fetch("/api/v1/logout", {})) == (403, "csrf")
    room.csrf = token
    assert (await room.fetch("/api/v1/logout", {})).code == 200
    assert code(await room.fetch("/api/v1/logout", {})) == (401, "login")


@in_room()
async def test_the_head_tells_a_pin_when_asked(room: Room) -> None:
    answer = await room.fetch("/api/v1/pin/show", {})
    how = json.loads(answer.body)["how"]
    assert (answer.code, how[0]) == (200, "terminal")
    blink = next(request for request in room.head.taken if request.name == "blink")
    pin = blink.arguments["digits"]
    assert re.fullmatch("[0-9]{6}", pin)
    said = [request for request in room.head.taken if request.name == "say-file"]
    assert len(said) == ("speech" in how)
    assert code(await room.fetch("/api/v1/pin/show", {})) == (429, "too-fast")
    assert (await room.fetch("/api/v1/login", {"pin": pin})).code == 200


def test_sessions_outlive_a_restart_until_they_are_forgotten(tmp_path: Path) -> None:
    here = Sessions(tmp_path)
    token = here.make("a phone")
    csrf = here.find(token).csrf
    again = Sessions(tmp_path)
    assert again.find(token).csrf == csrf
    assert again.find(token[:-1] + "?") is again.find("") is again.find("x" * 5000) is None
    forget(tmp_path)
    forget(tmp_path)
    assert again.find(token) is here.find(token) is None
    tokens = [here.make("a phone") for _ in range(MOST + 1)]
    assert here.find(tokens[0]) is None
    assert here.find(tokens[1])
    assert here.find(tokens[-1])
    assert len(here) == MOST


def test_an_old_session_is_none(tmp_path: Path) -> None:
    token = Sessions(tmp_path).make("a phone")
    store = Store(tmp_path)
    rows = store.load("sessions")["sessions"]
    rows[0]["until_s"] = 1.0
    store.save("sessions", {"sessions": [*rows, {"hash": 1}, 7]})
    assert Sessions(tmp_path).find(token) is None
