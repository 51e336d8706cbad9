"""Who logged in: random tokens, of which only a hash is kept, for 90 days or until forgotten."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipsync_edge.store import Store

LIFE_S = 90 * 86_400.0
MOST = 32
"""Phones; the one that came longest ago goes."""
NAME = "sessions"


@dataclass(frozen=True)
class Session:
    """A browser that knew the PIN. ``until_s``: Unix time. The token itself is not kept."""

    hash: str
    name: str
    until_s: float
    csrf: str = ""


class Sessions:
    """The sessions in a folder of state. Another process may remove them: see :func:`forget`."""

    def __init__(self, folder: Path) -> None:
        self._store, self._path = Store(folder), folder / f"{NAME}.json"
        self._known: dict[str, Session] = {}
        self._read_at: tuple[int, int] | None = None

    def make(self, name: str) -> str:
        """Admit a browser (``name``: how it calls itself); its token, for the cookie."""
        self._refresh()
        token = secrets.token_urlsafe(32)
        kept = list(self._known.values())[-(MOST - 1) :]
        kept.append(Session(_hash(token), name[:100], time.time() + LIFE_S))
        self._keep(kept)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, with what its page must say; None where it has none."""
        if not 20 <= len(token) <= 100:
            return None
        self._refresh()
        found = self._known.get(_hash(token))
        if found is None or found.until_s < time.time():
            return None
        return Session(found.hash, found.name, found.until_s, _csrf(token))

    def end(self, session: Session) -> None:
        """Log one out."""
        self._refresh()
        self._keep([kept for kept in self._known.values() if kept.hash != session.hash])

    def __len__(self) -> int:
        self._refresh()
        return len(self._known)

    def _keep(self, sessions: list[Session]) -> None:
        self._known = {session.hash: session for session in sessions}
        rows = [{k: v for k, v in asdict(s).items() if k != "csrf"} for s in sessions]
        self._store.save(NAME, {"sessions": rows})
        self._read_at = self._stamp()

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self._read_at:
            return
        rows = (self._store.load(NAME) or {}).get("sessions", [])
        read = [session for row in rows if (session := _session(row))]
        self._known = {session.hash: session for session in read}
        self._read_at = stamp

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino


def forget(folder: Path) -> None:
    """End all sessions, also those of a page that runs."""
    with contextlib.suppress(FileNotFoundError):
        (folder / f"{NAME}.json").unlink()


def _session(row: Any) -> Session | None:
    try:
        return Session(str(row["hash"]), str(row["name"]), float(row["until_s"]))
    except (TypeError, KeyError, ValueError):
        return None


def _hash(token: str) -> str:
    """Tokens are random, hence no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _csrf(token: str) -> str:
    """Made of the token, which no other page can read: nothing more to keep."""
    return hashlib.sha256(b"csrf:" + token.encode()).hexdigest()[:32]
