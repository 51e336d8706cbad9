"""Where the page of a head is, and how a program knows that it is the right one."""

from __future__ import annotations

import hashlib
import os
import ssl
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from lipsync_edge.errors import ControlError


class Place:
    """An address, and for https what is trusted: ``cafile``, a SHA-256 ``fingerprint``, or both;
    else the authorities of this computer."""

    def __init__(self, address: str, cafile: str | Path = "", fingerprint: str = "") -> None:
        """Raises ControlError where one of them cannot be."""
        try:
            parts = urlsplit(address)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            parts, self._host = urlsplit(""), ""
        is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
        if parts.scheme not in ("http", "https") or not self._host or not is_plain:
            raise ControlError(
                f"{address!r} is no address of a page.", "Like this: http://robot.local"
            )
        self._address, self._tls = f"{parts.scheme}://{parts.netloc}", parts.scheme == "https"
        self.cookie = "lipsync_session_tls" if self._tls else "lipsync_session"
        if (cafile or fingerprint) and not self._tls:
            raise ControlError(
                "A certificate is for https.", f"Ask https://{self._host}, or leave it out."
            )
        self._digest = _digest(fingerprint) if fingerprint else b""
        self._context = _trusting(cafile, bool(fingerprint and not cafile)) if self._tls else None

    def connection(self, wait_s: float) -> HTTPConnection:
        """A new one, over which nothing was sent yet."""
        if self._context is None:
            return HTTPConnection(self._host, self._port, timeout=wait_s)
        return _Pinned(self._host, self._port, wait_s, self._context, self._digest)

    def unreachable(self, error: Exception) -> ControlError:
        """What to do about a request that got no answer."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return ControlError(
                f"The certificate of {self._address} is not trusted: {error.verify_message}.",
                "Give its fingerprint, which `lipsync-edge-web certificate` prints, or cafile.",
            )
        if isinstance(error, TimeoutError):
            return ControlError(f"{self._address} does not answer.", _LOOK)
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ControlError(f"No page answers at {self._address} ({why}).", _LOOK)


_LOOK = "Is the robot on? On it: systemctl status lipsync-edge-web"


class _Pinned(HTTPSConnection):
    """Knows its peer by the certificate itself, where a digest is given."""

    def __init__(
        self, host: str, port: int | None, wait_s: float, context: ssl.SSLContext, digest: bytes
    ) -> None:
        super().__init__(host, port, timeout=wait_s, context=context)
        self._digest = digest

    def connect(self) -> None:
        """Shake hands; ControlError where it is another one, before anything is said."""
        super().connect()
        assert isinstance(self.sock, ssl.SSLSocket)
        shown = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").digest()
        if self._digest and shown != self._digest:
            raise ControlError(
                f"{self.host} shows another certificate: {shown.hex(':').upper()}.",
                "If you made a new one there, give its fingerprint; else somebody is in between.",
            )


def _digest(fingerprint: str) -> bytes:
    try:
        digest = bytes.fromhex(fingerprint.replace(":", " "))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise ControlError(
            "A fingerprint has 32 pairs of hexadecimal digits (SHA-256).",
            "lipsync-edge-web certificate prints it.",
        )
    return digest


def _trusting(cafile: str | Path, is_pinned: bool) -> ssl.SSLContext:
    """By authorities, unless the certificate itself is known; see :class:`_Pinned`."""
    try:
        context = ssl.create_default_context(cafile=str(cafile) or None)
    except (OSError, ssl.SSLError) as error:
        raise unusable(cafile, "used as a certificate", error) from error
    if is_pinned:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def unusable(path: str | os.PathLike[str], how: str, error: OSError) -> ControlError:
    """A file of the one who asks. ``how``: read, say."""
    return ControlError(f"{os.fspath(path)} cannot be {how}: {error.strerror or error}.")
