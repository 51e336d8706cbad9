"""What all handlers share: made once by ``server``, handed to each of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipsync_edge.web.engine import Engine
    from lipsync_edge.web.hosts import Hosts
    from lipsync_edge.web.limits import Crowd, Pace
    from lipsync_edge.web.live import Live
    from lipsync_edge.web.options import WebOptions
    from lipsync_edge.web.pairing import Pairing
    from lipsync_edge.web.sessions import Sessions


@dataclass
class Parts:
    """The web process, as its handlers see it. ``folder``: its state.

    ``programs``: places for checkers and doctors of a head that is down, since each takes as much
    memory as a head. ``tls_port``: 0 where there is no https."""

    options: WebOptions
    folder: Path
    engine: Engine
    live: Live
    hosts: Hosts
    sessions: Sessions
    pairing: Pairing
    pace: Pace
    uploads: Crowd
    programs: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    tls_port: int = field(default=0)
