"""The page as a service of a booted robot: its user, its rights, its port, its memory."""

from __future__ import annotations

import json
import re

from tests.machine.conftest import Figures
from tests.machine.guest import Guest
from tests.machine.speaking import CONFIG

PAGE = "lipsync-edge-web.service"
PYTHON = "/opt/lipsync-edge/bin/python"
ASK = """
import http.client, json, re, sys
def ask(method, path, body=None, headers={}):
    page = http.client.HTTPConnection("127.0.0.1", 80, timeout=30)
    told = {"Content-Type": "application/json", **headers} if body is not None else headers
    page.request(method, path, None if body is None else json.dumps(body), told)
    answer = page.getresponse()
    return answer.status, dict(answer.getheaders()), json.loads(answer.read() or b"null")
"""


def ask(guest: Guest, script: str) -> object:
    """What the script prints, as JSON."""
    guest.until(PAGE, "ActiveState", "active")
    done = guest.run(PYTHON, "-c", ASK + script)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_the_page_answers_beside_the_head(guest: Guest, figures: Figures) -> None:
    status, _, hello = ask(guest, 'print(json.dumps(ask("GET", "/api/v1/hello")))')
    assert (status, hello["engine"], hello["logged_in"]) == (200, "up", False)
    pid = guest.properties(PAGE, "MainPID", "NRestarts")
    assert pid["NRestarts"] == "0"
    facts = guest.run("cat", f"/proc/{pid['MainPID']}/status").out
    rss_mb = int(re.findall(r"VmRSS:\s+(\d+) kB", facts)[0]) / 1024
    figures["page"] = {"rss_mb": round(rss_mb, 1)}
    assert rss_mb < 45
    assert re.findall(r"CapEff:\s+(\w+)", facts) == [f"{1 << 10:016x}"]  # ports under 1024
    log = guest.run("journalctl", "-b", "-u", PAGE, "-o", "cat").out
    assert "Traceback" not in log
    assert guest.run("systemctl", "--failed", "--no-legend", "--plain").out.split() == []


def test_it_may_save_the_config_and_so_may_root(guest: Guest) -> None:
    folder = CONFIG.rpartition("/")[0]
    told = guest.run("stat", "-c", "%U %G %a", folder, CONFIG, f"{folder}/web.yaml").out
    assert told.splitlines() == [
        "root lipsync-web 775", "lipsync-web lipsync-web 644", "root root 644",
    ]  # fmt: skip
    guest.until(PAGE, "ActiveState", "active")
    # As on Raspberry Pi OS; in a sticky folder not even root may open a file that is another's.
    protected = guest.run("sysctl", "-w", "fs.protected_regular=2")
    assert protected.code == 0, protected.err
    edited = guest.run("sh", "-c", f'echo "# edited by root" >> {CONFIG}')
    assert edited.code == 0, edited.err
    before = guest.run("cat", CONFIG).out
    assert before.endswith("# edited by root\n")
    pin = guest.run("lipsync-edge-web", "pin").out
    digits = "".join(re.findall(r"\d", pin))
    script = f"""
status, headers, told = ask("POST", "/api/v1/login", {{"pin": "{digits}"}})
assert status == 200, told
mine = {{"Cookie": headers["Set-Cookie"].partition(";")[0], "X-CSRF": told["csrf"]}}
_, _, config = ask("GET", "/api/v1/config", headers=mine)
text = config["text"] + "# saved on the page\\n"
status, _, saved = ask("POST", "/api/v1/config/save",
                       {{"text": text, "revision": config["revision"]}}, mine)
undone, _, _ = ask("POST", "/api/v1/config/undo", {{}}, mine)
print(json.dumps([config["writable"], status, saved, undone]))
"""
    writable, status, saved, undone = ask(guest, script)
    assert (writable, status, undone) == (True, 200, 200), saved
    assert guest.run("cat", CONFIG).out == before
    told = guest.run("stat", "-c", "%U %G %a", CONFIG).out
    assert told.strip() == "lipsync-web lipsync-web 644"
    check = guest.run("lipsync-edge", "status")
    assert check.code == 0, check.err


def test_what_root_reads_too_is_not_the_pages_to_change(guest: Guest) -> None:
    """`sudo lipsync-edge-web pin` believes web.yaml; the folder alone would let it be replaced."""
    guest.until(PAGE, "ActiveState", "active")
    path = f"{CONFIG.rpartition('/')[0]}/web.yaml"
    before = guest.run("cat", path).out
    pid = guest.properties(PAGE, "MainPID")["MainPID"]
    page = ("nsenter", "--target", pid, "--mount", "setpriv", "--reuid=lipsync-web",
            "--regid=lipsync-web", "--clear-groups")  # fmt: skip
    may = guest.run(*page, "sh", "-c", f"cp {CONFIG} {CONFIG}.mine && mv -f {CONFIG}.mine {CONFIG}")
    assert may.code == 0, may.err
    for attempt in ("echo '#' >> {}", "cp {0} {0}.mine && mv -f {0}.mine {0}", "rm -f {}"):
        assert guest.run(*page, "sh", "-c", attempt.format(path)).code != 0, attempt
    assert guest.run("cat", path).out == before
    assert guest.run("stat", "-c", "%U", path).out.strip() == "root"
