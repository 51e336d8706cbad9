"""A certificate for the names of this computer, so that a browser lends the page its microphone.

Nobody but the owner can vouch for a robot in a living room: it is signed by itself, and a browser
says so until it is told to trust it. The program openssl makes it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lipsync_edge.errors import LipsyncError

DAYS = 825
"""Apple's devices trust none that is longer good."""
KEY, CERTIFICATE = "https.key", "https.crt"


def load(folder: Path) -> ssl.SSLContext | None:
    """What https needs; None where no certificate was made. LipsyncError where it is damaged."""
    if not (folder / CERTIFICATE).exists():
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as error:
        raise LipsyncError(
            f"The certificate in {folder} cannot be used ({error.strerror or error}).",
            "Make a new one: lipsync-edge-web certificate",
        ) from error
    return context


def make(folder: Path, names: Sequence[str]) -> str:
    """Make key and certificate for names and addresses; its SHA-256 fingerprint, as browsers show
    it. Raises LipsyncError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, made = folder / f".{KEY}.part", folder / f".{CERTIFICATE}.part"
    name = next((name for name in names if name.endswith(".local")), names[0])
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-sha256", "-days", str(DAYS), "-subj", f"/CN={name[:64]}",
        "-addext", f"subjectAltName={_alternatives(names)}",
        "-addext", "extendedKeyUsage=serverAuth",
        "-keyout", str(key), "-out", str(made),
    )  # fmt: skip
    shown = _openssl("x509", "-in", str(made), "-noout", "-fingerprint", "-sha256")
    owner = folder.stat()
    for part, name in ((key, KEY), (made, CERTIFICATE)):
        part.chmod(0o600)
        if os.geteuid() == 0:  # `sudo`, for a page that runs as another user
            os.chown(part, owner.st_uid, owner.st_gid)
        part.replace(folder / name)
    return shown.partition("=")[2].strip()


def _alternatives(names: Sequence[str]) -> str:
    return ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _openssl(*arguments: str) -> str:
    program = shutil.which("openssl")
    if not program:
        raise LipsyncError("The program openssl is missing.", "sudo apt-get install openssl")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, umask=0o077
    )
    if done.returncode:
        why = re.sub(r"\s+", " ", done.stderr).strip()[-200:]
        raise LipsyncError(f"openssl could not make a certificate: {why}")
    return done.stdout
