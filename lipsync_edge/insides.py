"""What the orders of the control socket reach of a whole head: its config, its LED, its doctor."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lipsync_edge import config as configs
from lipsync_edge.about import describe, hard_us, problems_of, warnings_of
from lipsync_edge.config import Config
from lipsync_edge.control import Request
from lipsync_edge.errors import ConfigError, LipsyncError, UsageError
from lipsync_edge.orders import POSES
from lipsync_edge.reload import compare, live_changes
from lipsync_edge.supervisor import Supervisor

log = logging.getLogger(__name__)

DOCTOR_S = 60.0
Reread = Callable[[str | None], Config]


class Inside:
    """For the main thread."""

    def __init__(
        self,
        config: Config,
        model: str,
        axes: Sequence[str],
        reread: Reread | None,
        apply: Callable[[Config], None],
        restart: Callable[[], None] | None,
        blink: Callable[[str], bool],
        supervisor: Supervisor,
    ) -> None:
        """``reread``: the config anew from its file, or with a text for its content; ``apply``:
        makes a running head move by another one; ``restart``: in safe mode, in which a reload is a
        restart, else None; ``blink``: see :meth:`blink`."""
        self._config, self._model, self._axes = config, model, tuple(axes)
        self._reread, self._apply, self._restart = reread, apply, restart
        self._blink, self._supervisor = blink, supervisor
        self._before: Config | None = None  # the trial
        self._examining = False

    def describe(self) -> Mapping[str, Any]:
        """See :func:`lipsync_edge.about.describe`."""
        return describe(self._config, self._model, self._axes, tuple(POSES))

    def hard_us(self) -> tuple[float, float]:
        """See :func:`lipsync_edge.about.hard_us`."""
        return hard_us(self._config)

    def check(self, text: str) -> Mapping[str, Any]:
        """What the checker says of a config's text, and which keys it would change: of them those
        that want a restart."""
        try:
            new = self._read(text)
        except LipsyncError as error:
            told = error if isinstance(error, ConfigError) else ConfigError([str(error)])
            return {
                "problems": problems_of(told, self._config.source),
                "changed": [],
                "needs_restart": [],
            }
        changed, fixed = compare(self._before or self._config, new)
        return {"problems": warnings_of(new), "changed": changed, "needs_restart": fixed}

    def reload(self, text: str | None = None) -> Mapping[str, Any]:
        """Take over what a running head can; refuse all where something else changed too."""
        if self._reread is None:
            raise UsageError("This head was started without a config file.")
        if self._restart is not None:
            if text is None:
                self._restart()
                return {"changed": [], "restarts": True}
            raise UsageError("In safe mode nothing can be tried.", "End that first: reload.")
        new = self._read(text)
        before = self._before or self._config
        changed = self._move_by(new)
        self._before = before if text is not None else None
        for warning in new.warnings if text is None else ():
            log.warning("%s", warning)
        return {"changed": changed, "restarts": False}

    def revert(self) -> None:
        """End a trial: the config that was in force before it."""
        before, self._before = self._before, None
        if before is not None:
            self._move_by(before)

    def blink(self, digits: str) -> bool:
        """Let the LED tell digits; False: there is none."""
        return self._blink(digits)

    def examine(self, request: Request) -> None:
        """Run the doctor in a process of its own, which may wait for a card as long as it likes."""
        if self._examining:
            request.refuse("busy", "The doctor is at work already.", "Ask again in a moment.")
            return
        self._examining = True
        self._supervisor.join("doctor")  # the last one has ended, but for a moment
        self._supervisor.spawn("doctor", lambda: self._examine(request))

    def _examine(self, request: Request) -> None:
        source = [self._config.source] if self._config.source != configs.BUILT_IN else []
        words = [sys.executable, "-m", "lipsync_edge", "doctor", *source, "--json"]
        try:
            told = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCTOR_S, check=False
            )
            checks = [_check(finding) for finding in json.loads(told.stdout)]
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
            log.warning("the doctor failed: %s", error)
            request.refuse("failed", "The doctor did not come to an end.", "lipsync-edge doctor")
        else:
            request.reply(checks=checks)
        self._examining = False

    def _read(self, text: str | None) -> Config:
        return self._reread(text) if self._reread else configs.load(None, text=text)

    def _move_by(self, new: Config) -> list[str]:
        changed = live_changes(self._config, new)
        if changed:
            self._apply(new)
            self._config = new
        return changed


def _check(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ok": bool(finding["ok"]), "name": str(finding["name"]), "message": str(finding["words"]),
        "remedy": str(finding["remedy"]),
    }  # fmt: skip
