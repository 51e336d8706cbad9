"""`lipsync-edge-web` as a process of its own: command line, settings, https, what it costs."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import yaml
from web_room import Room, in_room

from lipsync_edge.errors import ConfigError
from lipsync_edge.web import certificate, cli, options
from lipsync_edge.web.options import WebOptions

PAGE = [sys.executable, "-m", "lipsync_edge.web"]


def test_a_page_from_start_to_end_without_a_head(tmp_path: Path) -> None:
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(20)
    words = ["--socket", str(tmp_path / "none"), "--port", "0", "--state-dir", str(tmp_path / "s")]
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    page = subprocess.Popen([*PAGE, *words], stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert told.recv(99) == b"READY=1"
        assert page.stderr
        port = int(re.search(r"Open http://\S+:(\d+)", page.stderr.readline())[1])
        assert re.search(r"PIN is \d{3} \d{3}", page.stderr.readline())
        maps = Path(f"/proc/{page.pid}/maps").read_text()
        assert "numpy" not in maps  # its libraries would be mapped
        rss_kb = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{page.pid}/status").read_text())[1])
        assert rss_kb < 45_000
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(b"GET /api/v1/hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b'"engine":"down"' in browser.recv(65_536)
        page.send_signal(signal.SIGTERM)
        assert told.recv(99) == b"STOPPING=1"
        assert page.wait(20) == 0
        assert "Traceback" not in page.stderr.read()
        assert (tmp_path / "s").stat().st_mode & 0o77 == 0
        assert all(path.stat().st_mode & 0o77 == 0 for path in (tmp_path / "s").iterdir())
    finally:
        page.kill()
        page.wait()
        told.close()


def test_numpy_is_never_imported() -> None:
    """Not by any of its modules: it would double what the page costs."""
    package = Path(cli.__file__).parent
    names = ", ".join(f"lipsync_edge.web.{path.stem}" for path in package.glob("*.py")
                      if path.stem not in ("__main__", "__init__"))  # fmt: skip
    script = f"import sys, {names}; print([m for m in sys.modules if m.startswith('numpy')])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_settings_come_from_file_and_command_line(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text("web:\n  port: 80\n  names: Robi.example robi\n  public_live: false\n")
    chosen = options.load(file, {"port": "8123"})
    assert (chosen.port, chosen.public_live, chosen.max_viewers) == (8123, False, 8)
    assert chosen.name_list == ("robi.example", "robi")


def test_settings_that_cannot_be_are_told_with_file_line_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text("web:\n  prot: 80\n  port: eighty\n  names: http://robi\n  max_viewers: 0\n")
    with pytest.raises(ConfigError) as error:
        options.load(file, {"tls_port": "70000", "anywhere": "maybe"})
    told = "\n".join(error.value.problems)
    assert f"{file}:2: web.prot: there is no such option; did you mean port?" in told
    assert f"{file}:3: web.port: eighty" in told
    assert f"{file}:4: web.names: http://robi is no name" in told
    assert "0 is too small; allowed is 1 to 64" in told
    assert "command line: web.tls_port: 70000 is too large" in told
    assert "command line: web.anywhere: maybe" in told
    assert len(error.value.problems) == 6


def test_the_documented_settings_are_the_defaults() -> None:
    text = (Path(__file__).parents[1] / "docs/web.md").read_text()
    block = re.search(r"```yaml\n(web:\n.*?)```", text, re.DOTALL)[1]
    assert yaml.safe_load(block) == {"web": dataclasses.asdict(WebOptions())}


def test_the_heads_config_names_its_socket(tmp_path: Path) -> None:
    config = tmp_path / "robot.yaml"
    for text, socket_path in (
        ("service:\n  socket: /run/x.sock\n", "/run/x.sock"),
        ("service: 7\n", ""), ("audio:\n  rate_hz: 1\n", ""), ("- : {", ""), ("", ""),
    ):  # fmt: skip
        config.write_text(text)
        assert options.head_socket(config) == socket_path
    with pytest.raises(ConfigError, match="none"):
        options.head_socket(tmp_path / "none")


def test_the_folder_of_state() -> None:
    assert WebOptions(state_dir="/a").state_folder({"STATE_DIRECTORY": "/b"}) == Path("/a")
    assert WebOptions().state_folder({"STATE_DIRECTORY": "/b:/c"}) == Path("/b")


@pytest.mark.parametrize("words", [["pin"], ["certificate"], ["--forget"]])
def test_what_the_services_page_keeps_is_roots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:  # fmt: skip
    """A PIN for another folder opens nothing, and nobody would be logged out."""
    monkeypatch.setattr(options, "SERVICE_STATE", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    assert cli.main(words) == 2
    assert f"sudo lipsync-edge-web {words[0]}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_pins_and_forgetting_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lipsync_edge.web.pairing import Pairing
    from lipsync_edge.web.sessions import Sessions

    words = ["--state-dir", str(tmp_path / "new" / "state")]
    assert cli.main(["pin", *words]) == 0
    pin = "".join(re.search(r"(\d{3}) (\d{3})", capsys.readouterr().out).groups())
    folder = tmp_path / "new" / "state"
    Pairing(folder).check(pin, "here", 0.0)
    sessions = Sessions(folder)
    token = sessions.make("a phone")
    assert cli.main(["--forget", *words]) == 0
    assert sessions.find(token) is None


def test_what_keeps_it_from_serving_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        here = ["--address", "127.0.0.1", "--state-dir", str(tmp_path / "s")]
        assert cli.main(["--port", port, *here]) == 1
        assert f"127.0.0.1 {port}: Address already in use" in capsys.readouterr().err
    assert cli.main(["--state-dir", str(tmp_path / "file/s")]) == 1
    assert "Set --state-dir" in capsys.readouterr().err
    assert cli.main(["--port", "x"]) == 2
    assert "command line: web.port: x" in capsys.readouterr().err


@in_room()
async def test_https_with_a_certificate_of_ones_own(room: Room) -> None:
    import asyncio

    from tornado.netutil import bind_sockets

    from lipsync_edge.web.server import Server

    assert certificate.load(room.parts.folder) is None
    shown = certificate.make(room.parts.folder, ["localhost", "robi.local", "127.0.0.1", "::1"])
    assert re.fullmatch("([0-9A-F]{2}:){31}[0-9A-F]{2}", shown)
    assert (room.parts.folder / "https.key").stat().st_mode & 0o77 == 0
    tls = Server.make(room.parts, room.crowd, certificate.load(room.parts.folder), headers_s=0.1)
    sockets = bind_sockets(0, "127.0.0.1")
    tls.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(room.parts.folder / "https.crt"))

    def fetch() -> tuple[dict, str]:
        from lipsync_edge.web.pairing import make_pin

        browser = HTTPSConnection(
            "127.0.0.1", port, context=trusting, timeout=10
        )  # checks the name
        browser.request("GET", "/api/v1/hello")
        hello = json.loads(browser.getresponse().read())
        body = json.dumps({"pin": make_pin(room.parts.folder)})
        browser.request("POST", "/api/v1/login", body, {"Content-Type": "application/json"})
        return hello, browser.getresponse().headers["Set-Cookie"]

    hello, cookie = await asyncio.to_thread(fetch)
    assert hello["https"] is True
    assert cookie.startswith("lipsync_session_tls=")
    assert "Secure" in cookie
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 10) == b""  # who never shakes hands is let go
    writer.close()
    tls.stop()
    await tls.close_all_connections()


def test_a_damaged_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "https.crt").write_text("nonsense")
    with pytest.raises(certificate.LipsyncError, match="lipsync-edge-web certificate"):
        certificate.load(tmp_path)
