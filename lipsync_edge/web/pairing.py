"""The PIN: six digits that the head tells who stands beside it, and how often one may guess.

A PIN must be told, so it cannot be one of which a hash alone was kept: each wish to see it makes a
new one, good for ten minutes. Its salted scrypt hash lies in the state folder, so that
`lipsync-edge-web pin` can make one for a page that runs already.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from lipsync_edge.errors import LipsyncError
from lipsync_edge.runs import boot_id
from lipsync_edge.store import Store
from lipsync_edge.web.refusal import HttpRefused

LIFE_S = 600.0
FREE = 5
"""Wrong PINs of one address without a pause."""
MOST_WRONG = 20
"""Wrong ones in all: then this PIN is good for nothing, however many addresses there are."""
FIRST_S, LONGEST_S = 30.0, 3600.0
SHOW_S = 10.0
MOST_ADDRESSES = 256
NAME = "pin"


@dataclass
class _Wrong:
    times: int = 0
    until_s: float = 0.0


class Guesses:
    """Counts wrong PINs by address: five are free, then each doubles the pause. Pure."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, _Wrong] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """How long this address has to wait."""
        return max(0.0, self._wrong.get(address, _Wrong()).until_s - now_s)

    def wrong(self, address: str, now_s: float) -> float:
        """One more wrong PIN; how long to wait now."""
        told = self._wrong.pop(address, _Wrong())
        told.times += 1
        pause_s = min(LONGEST_S, FIRST_S * 2.0 ** min(told.times - FREE, 20))
        told.until_s = now_s + (pause_s if told.times >= FREE else 0.0)
        self._wrong[address] = told
        if len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        return told.until_s - now_s

    def right(self, address: str) -> None:
        """The PIN was right: all is forgiven."""
        self._wrong.pop(address, None)


class Pairing:
    """The valid PIN, if there is one, and who guessed how often."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / f"{NAME}.json"
        self._store = Store(folder)
        self._guesses = Guesses()
        self._salt, self._wrong = "", 0
        self._show_s, self._spoilt = float("-inf"), 0
        self._shows, self._shown_s = 0, float("-inf")

    def show(self, now_s: float) -> str:
        """A new PIN to tell. Raises HttpRefused where the last one was made just now, or where
        the last ones were guessed at too often. While nobody logs in the pauses double, lest a
        joker in the Wi-Fi has the head speak PINs all night."""
        if now_s < self._show_s:
            wait_s = self._show_s - now_s
            raise HttpRefused(
                429, "too-fast", f"A new PIN can be had in {wait_s:.0f} s.", _TERMINAL, wait_s
            )
        if now_s - self._shown_s > 2 * LIFE_S:
            self._shows = 0
        self._show_s = now_s + SHOW_S * 2.0 ** min(self._shows, 6)
        self._shows, self._shown_s = self._shows + 1, now_s
        return make_pin(self._folder)

    @property
    def is_open(self) -> bool:
        """There is a PIN in force."""
        return _is_valid(self._store.load(NAME) or {})

    def check(self, pin: str, address: str, now_s: float) -> None:
        """Raises HttpRefused where this is not the PIN, or too many were wrong."""
        wait_s = self._guesses.wait_s(address, now_s)
        if wait_s:
            raise _too_many(wait_s)
        kept = self._store.load(NAME) or {}
        if not _is_valid(kept):
            raise HttpRefused(409, "no-pin", "There is no PIN now.", "Let the head tell a new one.")
        if kept["salt"] != self._salt:
            self._salt, self._wrong = kept["salt"], 0
        if hmac.compare_digest(_hash(pin, kept["salt"]), kept["hash"]):
            self._guesses.right(address)
            self._spoilt = self._shows = 0
            self._show_s = min(self._show_s, now_s + SHOW_S)
            self._path.unlink(missing_ok=True)  # a PIN opens once
            return
        self._note_wrong(address, now_s)

    def _note_wrong(self, address: str, now_s: float) -> None:
        self._wrong += 1
        if self._wrong >= MOST_WRONG:
            self._path.unlink(missing_ok=True)
            self._spoilt += 1
            self._show_s = now_s + min(LONGEST_S, FIRST_S * 2.0 ** min(self._spoilt, 20))
        wait_s = self._guesses.wrong(address, now_s)
        if wait_s:
            raise _too_many(wait_s)
        raise HttpRefused(403, "wrong-pin", "That is not the PIN.", "Look again, or get a new one.")


_TERMINAL = "On its terminal: lipsync-edge-web pin; on a robot with sudo."


def _too_many(wait_s: float) -> HttpRefused:
    sentence = f"Too many wrong PINs. Try again in {wait_s:.0f} s."
    return HttpRefused(429, "locked", sentence, _TERMINAL, wait_s)


def make_pin(folder: Path) -> str:
    """A fresh PIN, whose hash lies in the state folder: it is in force from now on. LipsyncError
    where nothing can be kept there."""
    pin, salt = f"{secrets.randbelow(1_000_000):06d}", secrets.token_hex(16)
    until_s = time.clock_gettime(time.CLOCK_BOOTTIME) + LIFE_S  # a Pi has no clock with a battery
    told = {"salt": salt, "hash": _hash(pin, salt), "until_s": until_s, "boot": boot_id()}
    if not Store(folder).save(NAME, told):
        raise LipsyncError(
            f"Nothing can be kept in {folder}.", "Is the disk full? See --state-dir."
        )
    if os.geteuid() == 0:  # `sudo`, for a page that runs as another user
        owner = folder.stat()
        os.chown(folder / f"{NAME}.json", owner.st_uid, owner.st_gid)
    return pin


def _is_valid(kept: dict[str, object]) -> bool:
    until_s = kept.get("until_s")
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return isinstance(until_s, float) and now_s < until_s and kept.get("boot") == boot_id()


def _hash(pin: str, salt: str) -> str:
    """4 MB and some 15 ms on a desktop: a million PINs take hours, and one lives ten minutes."""
    return hashlib.scrypt(pin[:32].encode(), salt=salt.encode(), n=4096, r=8, p=1).hex()
