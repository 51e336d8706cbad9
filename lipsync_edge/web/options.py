"""What can be set of the web page: a section ``web:`` of a YAML file, above it the command line.

Declared, read and checked as the head's config is, with the same messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from lipsync_edge.client import default_socket
from lipsync_edge.errors import UsageError
from lipsync_edge.options import option
from lipsync_edge.schema import Entries, Group, Walker, group, override_node
from lipsync_edge.yamlnodes import Problems, read

FILE = Path("/etc/lipsync-edge/web.yaml")
SERVICE_STATE = Path("/var/lib/lipsync-edge-web")
COMMAND_LINE = "command line"
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII)


@dataclass(frozen=True)
class WebOptions:
    """The options of ``web:``."""

    socket: str = option("", "the head's control socket; empty: /run/lipsync-edge/control.sock")
    address: str = option("", "the address to listen at; empty: all that this computer has")
    port: int = option(8080, "port of http; 0: any that is free", "", 0, 65_535)
    tls_port: int = option(
        -1,
        "port of https, once there is a certificate; -1: 443 beside port 80, else 8443; "
        "0: any that is free",
        "",
        -1,
        65_535,
    )
    state_dir: str = option(
        "", "folder for sessions and certificate; empty: systemd's, else ~/.local/state"
    )
    names: str = option("", "more names of this computer that a browser may ask for, with blanks")
    public_live: bool = option(True, "whether the face may be watched without a PIN")
    anywhere: bool = option(False, "whether to answer addresses outside of the local network")
    max_viewers: int = option(8, "live views at once", "", 1, 64)

    @property
    def socket_path(self) -> str:
        """Where the head listens."""
        return self.socket or default_socket()

    @property
    def tls_port_chosen(self) -> int:
        """``tls_port``, where that is left to us: the usual one beside the usual one."""
        return self.tls_port if self.tls_port >= 0 else 443 if self.port == 80 else 8443

    @property
    def name_list(self) -> tuple[str, ...]:
        """``names``, lower case."""
        return tuple(self.names.lower().split())

    def state_folder(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Where sessions, PIN and certificate lie: not made yet, perhaps."""
        told = self.state_dir or environment.get("STATE_DIRECTORY", "").partition(":")[0]
        if told or (os.geteuid() == 0 and SERVICE_STATE.is_dir()):
            return Path(told) if told else SERVICE_STATE
        home = environment.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        return Path(home) / "lipsync-edge-web"


def command_folder(options: WebOptions, words: str) -> Path:
    """The state folder for ``lipsync-edge-web WORDS``, which changes what a page keeps. UsageError
    where that is the service's, into which only root may write."""
    told = options.state_dir or os.environ.get("STATE_DIRECTORY")
    if not told and os.geteuid() != 0 and SERVICE_STATE.is_dir():
        raise UsageError(
            f"The service's page keeps that in {SERVICE_STATE}, where only root may write.",
            f"sudo lipsync-edge-web {words}; or name another page's folder: --state-dir",
        )
    return options.state_folder()


_SCHEMA = Group({"web": group(WebOptions)})


def load(path: Path | None, overrides: Mapping[str, str]) -> WebOptions:
    """The options of a file (None: where one usually lies, if it does) under ``overrides``, which
    are options by name as they were typed. Raises ConfigError with all problems at once."""
    problems = Problems()
    written = Walker(str(path or FILE), problems)
    if path or FILE.exists():
        node = read(path or FILE, problems)
        if node is not None:
            written.walk(node, _SCHEMA)
    said = Walker(COMMAND_LINE, problems)
    for name, text in overrides.items():
        said.walk(override_node(("web", name), text), _SCHEMA)
    entries = written.entries | said.entries
    _check(entries, problems)
    problems.raise_all()
    given = {f.name: entries[("web", f.name)].value for f in fields(WebOptions)
             if ("web", f.name) in entries}  # fmt: skip
    return WebOptions(**given)


def _check(entries: Entries, problems: Problems) -> None:
    key = ("web", "names")
    told, place = entries.get(key, ("", ""))
    for name in str(told or "").lower().split():
        if not _NAME.fullmatch(name):
            text = f"{name} is no name of a computer; write robot.local, without http:// and port"
            problems.add(place, key, text)


def head_socket(path: Path) -> str:
    """``service.socket`` of a head's config; empty where it says nothing.

    The head checks its config itself, so a file that is wrong elsewhere does no harm here; one that
    cannot be read at all is a ConfigError.
    """
    problems = Problems()
    node = read(path, problems)
    if not path.is_file():
        problems.raise_all()
    for key in ("service", "socket"):
        node = _item(node, key)
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _item(node: Any, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    found = (value for name, value in node.value if name.value == key)
    return next(found, None)
