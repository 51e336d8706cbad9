"""All addresses that are answered, in one place: add what is new here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.web import HTTPError, StaticFileHandler

from lipsync_edge.web import access, configpage, head
from lipsync_edge.web.base import Guarded
from lipsync_edge.web.live import LiveSocket
from lipsync_edge.web.setupsocket import SetUpSocket
from lipsync_edge.web.support import Support

STATIC = Path(__file__).parent / "static"
API = "/api/v1"


class File(Guarded, StaticFileHandler):
    """A file of the page. tornado's handler refuses what lies outside of the folder."""

    def parse_url_path(self, url_path: str) -> str:
        """As tornado has it; a NUL is in no name, and Python's file functions raise on it."""
        if "\0" in url_path:
            raise HTTPError(404)
        return super().parse_url_path(url_path)

    def compute_etag(self) -> str | None:
        """tornado's own looks into a file once and for ever; this one sees that it changed."""
        stat = Path(self.absolute_path or "").stat()
        return f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'

    def set_extra_headers(self, path: str) -> None:
        """Browsers ask again each time and are told 304: an update is seen at once."""
        self.set_header("Cache-Control", "no-cache")


def routes() -> list[tuple[Any, ...]]:
    """(pattern, handler[, arguments]), the first match wins."""
    return [
        (f"{API}/hello", access.Hello),
        (f"{API}/session", access.WhoAmI),
        (f"{API}/pin/show", access.ShowPin),
        (f"{API}/login", access.Login),
        (f"{API}/logout", access.Logout),
        (f"{API}/live", LiveSocket),
        (f"{API}/setup", SetUpSocket),
        (f"{API}/status", head.Status),
        (f"{API}/describe", head.Describe),
        (f"{API}/do", head.Do),
        (f"{API}/pose", head.Pose),
        (f"{API}/say", head.Say),
        (f"{API}/say-text", head.SayText),
        (f"{API}/voices", head.Voices),
        (f"{API}/doctor", head.Doctor),
        (f"{API}/support", Support),
        (f"{API}/config", configpage.Config),
        (f"{API}/config/check", configpage.Check),
        (f"{API}/config/preview", configpage.Preview),
        (f"{API}/config/save", configpage.Save),
        (f"{API}/config/undo", configpage.Undo),
        (f"{API}/config/try", configpage.Try),
        (f"{API}/(openapi\\.json)", File, {"path": str(Path(__file__).parent)}),
        (r"/()", File, {"path": str(STATIC), "default_filename": "index.html"}),
        (r"/static/(.+)", File, {"path": str(STATIC)}),
        (r"/(favicon\.ico)", File, {"path": str(STATIC)}),
    ]
