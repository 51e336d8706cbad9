"""A large body, streamed to a file on the disk that has no name: memory stays small, and nothing is
left behind, whatever happens."""

from __future__ import annotations

import tempfile
from typing import IO

from tornado.http1connection import HTTP1Connection
from tornado.web import stream_request_body

from lipsync_edge.errors import LipsyncError
from lipsync_edge.web.base import Api
from lipsync_edge.web.refusal import HttpRefused

MOST = 64 << 20
BODY_S = 300.0
"""64 MB take as long at 1.7 Mbit a second."""


@stream_request_body
class Upload(Api):
    """A handler whose ``post`` finds what was sent in :meth:`sent`."""

    most = MOST
    _file: IO[bytes] | None = None
    _let_in = False

    def prepare(self) -> None:
        """The checks of every request, before the body is read."""
        super().prepare()
        length = self.request.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise HttpRefused(400, "value", "Content-Length is a number of bytes.")
        if int(length) > self.most:
            raise HttpRefused(413, "too-long", f"At most {self.most >> 20} MB can be sent.")
        if not self.parts.uploads.enter(self.peer):
            raise HttpRefused(503, "busy", "Another sound is being sent.", "Wait for it.", 5.0)
        self._let_in = True
        self._file = self._make_file()
        if isinstance(self.request.connection, HTTP1Connection):
            self.request.connection.set_max_body_size(self.most)
            self.request.connection.set_body_timeout(BODY_S)

    def data_received(self, chunk: bytes) -> None:
        """A piece came."""
        if self._file:
            try:
                self._file.write(chunk)
            except OSError as error:
                self._drop()
                raise _no_room(error) from error

    def sent(self) -> IO[bytes]:
        """What was sent, from its beginning; it ends with the answer."""
        assert self._file, "a body comes after prepare"
        self._file.seek(0)
        return self._file

    def on_finish(self) -> None:
        """Answered."""
        self._drop()

    def on_connection_close(self) -> None:
        """Whoever sent it is gone."""
        self._drop()

    def _make_file(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self.parts.folder)
        except OSError as error:
            self._drop()
            raise _no_room(error) from error

    def _drop(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
        if self._let_in:
            self.parts.uploads.leave(self.peer)
            self._let_in = False


def _no_room(error: OSError) -> LipsyncError:
    return HttpRefused(507, "no-room", f"The sound cannot be kept: {error.strerror}.")
