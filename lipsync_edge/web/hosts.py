"""Who may ask, and under which names: the local network, and names that are ours.

A page of another site can let its own name point to our address (DNS rebinding); its requests then
carry that name in ``Host``. So only names and addresses that this computer has are answered to.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lipsync_edge.web.refusal import HttpRefused

log = logging.getLogger(__name__)

REFRESH_S = 5.0
"""Addresses come and go with Wi-Fi and cables."""
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(:[0-9]{1,5})?", re.ASCII)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Interface(NamedTuple):
    """An address of this computer, and the network that is reached through it without a router."""

    address: Address
    network: Network


# netlink(7), rtnetlink(7)
_HEADER, _ADDRESS, _ATTRIBUTE = (
    struct.Struct("=IHHII"),
    struct.Struct("=BBBBI"),
    struct.Struct("=HH"),
)
_GET_ADDRESSES, _NEW_ADDRESS, _DONE, _ERROR, _DUMP = 22, 20, 3, 2, 0x301
_FAR, _LOCAL = 1, 2


def interfaces() -> list[Interface]:
    """All addresses that the kernel has. Raises OSError."""
    found: list[Interface] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as kernel:
        kernel.settimeout(1.0)
        question = _HEADER.pack(_HEADER.size + _ADDRESS.size, _GET_ADDRESSES, _DUMP, 1, 0)
        kernel.send(question + _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        while True:
            for kind, message in _messages(kernel.recv(65_536)):
                if kind in (_DONE, _ERROR):
                    return found
                if kind == _NEW_ADDRESS:
                    found += _interface(message)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(max(length, _HEADER.size) + 3) & ~3 :]


def _interface(message: bytes) -> list[Interface]:
    family, prefix, _, _, _ = _ADDRESS.unpack_from(message)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return []
    told, rest = {}, message[_ADDRESS.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        told[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[(max(length, _ATTRIBUTE.size) + 3) & ~3 :]
    far = told.get(_FAR, b"")  # on a link between two: the other end
    own = told.get(_LOCAL, far)
    if not own:
        return []
    network = ipaddress.ip_network((far or own, prefix), strict=False)
    return [Interface(ipaddress.ip_address(own), network)]


class Hosts:
    """Checks the peer's address and the name that it asked for."""

    def __init__(
        self,
        names: Sequence[str] = (),
        anywhere: bool = False,
        read: Callable[[], list[Interface]] = interfaces,
    ) -> None:
        """``names``: more names of ours; ``anywhere``: answer every address."""
        self._more, self._anywhere, self._read = names, anywhere, read
        self._interfaces: list[Interface] = []
        self._names: set[str] = set()
        self._due_s = float("-inf")

    def check_peer(self, peer: str) -> None:
        """Raises HttpRefused where an address is not on a network of ours."""
        if not self._anywhere and not self.is_near(peer):
            raise HttpRefused(
                403, "far", "This page answers the local network alone.",
                "Join the head's Wi-Fi; its owner may allow more with --anywhere.",
            )  # fmt: skip

    def is_near(self, peer: str) -> bool:
        """Whether an address is reached without a router, or is this computer itself."""
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if address.is_loopback or address.is_link_local:
            return True
        self._refresh()
        return any(address in interface.network for interface in self._interfaces)

    def check_host(self, told: Sequence[str]) -> None:
        """Raises HttpRefused where the header Host is not once there, or names somebody else."""
        if len(told) != 1 or not self.is_ours(told[0]):
            raise HttpRefused(
                403, "host", "This computer does not go by that name.",
                f"Open http://{socket.gethostname()}.local or its address; "
                "more names: --names or web.yaml.",
            )  # fmt: skip

    def is_ours(self, host: str) -> bool:
        """Whether ``NAME``, ``NAME:PORT``, ``ADDRESS`` or ``ADDRESS:PORT`` is this computer."""
        match = _HOST.fullmatch(host.lower())
        if not match:
            return False
        self._refresh()
        name = match[1].strip("[]")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name.removesuffix(".") in self._names
        return address.is_loopback or any(address == own.address for own in self._interfaces)

    def names(self) -> list[str]:
        """All names and addresses of ours, such as a certificate is for."""
        self._refresh()
        return sorted(self._names) + sorted({str(own.address) for own in self._interfaces})

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + REFRESH_S
        name = socket.gethostname().lower()
        short = name.partition(".")[0]
        self._names = {"localhost", name, short, f"{short}.local", *self._more}
        try:
            self._interfaces = self._read()
        except OSError as error:
            log.warning("The addresses of this computer cannot be read: %s.", error.strerror)
