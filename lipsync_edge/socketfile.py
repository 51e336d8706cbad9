"""The file of a unix socket: made for owner and group, and not taken from a head that runs."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from lipsync_edge.errors import ControlError

MODE = 0o660
ASK_S = 1.0


def listen(path: Path, most: int) -> socket.socket:
    """A socket at ``path``, in whose queue ``most`` may wait. ControlError where it cannot be made,
    or another head has it."""
    try:
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            _admit(path)
            listener.listen(most)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ControlError(
            f"The control socket {path} cannot be made: {error.strerror or error}.",
            "Its folder must exist and be writable, and its path shorter than 108 letters; "
            "set service.socket.",
        ) from error
    return listener


def _remove_stale(path: Path) -> None:
    """A socket that a killed head left behind; one at which somebody listens is left alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "a file that is no socket is in its place")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ASK_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except (BlockingIOError, TimeoutError):
            pass  # it has no room for one more to wait, but it is there
    raise ControlError(
        f"Another head is running: it listens at {path}.",
        "Stop that one first: lipsync-edge stop.",
    )


def _admit(path: Path) -> None:
    """For owner and group, the group being that of the folder."""
    with contextlib.suppress(PermissionError):  # not one of ours: then our own group may
        os.chown(path, -1, path.parent.stat().st_gid)
    path.chmod(MODE)
