"""The program as a service: what it tells systemd and the journal, and what it remembers of itself.

All of it is for the main thread, and does nothing that a desktop would notice.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from lipsync_edge.errors import LipsyncError
from lipsync_edge.health import Vitals, detail_line, flows, stale, status_line
from lipsync_edge.notify import Notifier
from lipsync_edge.options import ServiceOptions
from lipsync_edge.runs import Runs, boot_id
from lipsync_edge.store import Store

log = logging.getLogger(__name__)

FEEDS = 3  # of the watchdog within its time, so that one may be late and one be lost


def state_folder(options: ServiceOptions, environment: Mapping[str, str] = os.environ) -> str:
    """Where state is kept, or empty. systemd.exec(5) lists several folders with colons."""
    return options.state_dir or environment.get("STATE_DIRECTORY", "").partition(":")[0]


def socket_path(options: ServiceOptions, environment: Mapping[str, str] = os.environ) -> str:
    """Where the control socket is, or empty."""
    folder = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return options.socket or (f"{folder}/control.sock" if folder else "")


class Service:
    """Readiness, status, watchdog, troubles, crashes. Made at the start, before anything else."""

    STATUS_S = 1.0

    def __init__(self, options: ServiceOptions, notifier: Notifier | None = None) -> None:
        self._notifier = notifier or Notifier()
        self.store = Store(state_folder(options))
        self._runs = Runs(self.store, options.safe_mode_after, boot_id())
        self.unattended = bool(self._notifier.listening or state_folder(options))
        self.is_ready = False
        self._told = ""
        self._tell_s = self._feed_s = float("-inf")
        self._troubles = Troubles()

    @property
    def safe_mode(self) -> str:
        """Why the servos must stay off; empty where they need not."""
        return self._runs.safe_mode

    def begin(self) -> None:
        """A start begins; from here on an end without :meth:`end` or :meth:`refuse` is a crash."""
        self._runs.begin()
        if self.safe_mode:
            log.error("safe mode: %s", self.safe_mode)
        self._notifier.status("starting")

    def tell(self, vitals: Vitals, now_s: float, age_s: float) -> None:
        """To be called some times a second, with ``age_s`` seconds since the start."""
        if not self.is_ready and flows(vitals):
            self.is_ready = True
            self._notifier.ready()
        if now_s >= self._feed_s and not stale(vitals):
            self._feed_s = now_s + self._notifier.watchdog_s / FEEDS
            self._notifier.feed()
        if now_s >= self._tell_s:
            self._tell_s = now_s + self.STATUS_S
            self._tell_status(vitals)
            self._runs.alive(age_s)

    def _tell_status(self, vitals: Vitals) -> None:
        text = status_line(vitals)
        if text != self._told:
            self._told = text
            self._notifier.status(text)
        log.debug("%s", detail_line(vitals))
        self._troubles.tell(vitals)

    def reloading(self, now_s: float) -> None:
        """A reload begins."""
        self._notifier.reloading(now_s)

    def reloaded(self) -> None:
        """It ended, whether with the new config or the old one."""
        self._notifier.ready()
        self._told = ""

    def stopping(self) -> None:
        """The end begins."""
        self._notifier.stopping()

    def refuse(self, error: LipsyncError) -> None:
        """The start failed with a sentence."""
        self._notifier.status(str(error))
        self._runs.refuse(error)

    def end(self, reason: str, failed: bool) -> None:
        """All is off and closed."""
        self._notifier.status(f"{'failed' if failed else 'ended'}: {reason}")
        self._runs.end(reason, failed)
        self._notifier.close()


class Troubles:
    """What goes wrong while all goes on: said each second (the journal thins it out), and its end.

    The words before the colon are the kind by which lines are limited; hence no placeholders there.
    """

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._refused = self._failures = 0

    def tell(self, vitals: Vitals) -> None:
        """To be called once a second."""
        troubles = self._of(vitals)
        for kind, text in troubles.items():
            log.warning(kind + ": %s", text)
        for kind in sorted(self._now - set(troubles)):
            log.warning(kind + ": well again")
        self._now = set(troubles)

    def _of(self, vitals: Vitals) -> dict[str, str]:
        troubles = {}
        if not vitals.board_ok or vitals.board_failures > self._failures:
            troubles["servo board"] = vitals.board_message
        if refused := vitals.refused_poses - self._refused:
            troubles["model"] = f"{refused} poses were no numbers, and were not used"
        if dead := stale(vitals):
            troubles["no sign of life"] = dead
        if vitals.lost:
            troubles["sound device"] = f"lost, waiting for it ({vitals.lost})"
        if vitals.input_lost:
            troubles["sound input"] = f"lost, waiting for it ({vitals.input_lost})"
        self._refused, self._failures = vitals.refused_poses, vitals.board_failures
        return troubles
