"""What makes a robot of a computer: the unit, the system's files, the installer, the boot config.

Judges are systemd's own `systemd-analyze` and `systemd-sysusers` and ALSA's own parser. All that is
installed goes into a folder.
"""

from __future__ import annotations

import errno
import fnmatch
import importlib.machinery
import importlib.util
import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_edge import config
from lipsync_edge.realtime import PRIORITIES
from lipsync_edge.servos.chip import Chip
from lipsync_edge.web.options import load

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "systemd/lipsync-edge.service"
WEB_UNIT = ROOT / "systemd/lipsync-edge-web.service"
UNITS = Path("usr/local/lib/systemd/system")
FRAGMENT = (ROOT / "firmware/config.txt").read_bytes()


def script(path: str) -> ModuleType:
    """A script without a suffix as a module; no cache is left beside it."""
    loader = importlib.machinery.SourceFileLoader(path.replace("/", "_"), str(ROOT / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


merge, pulses_off = script("firmware/merge"), script("systemd/pulses-off")


def need(program: str) -> str:
    found = shutil.which(program)
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def run(
    *command: object, timeout_s: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], env={**os.environ, **environment}, text=True,
        capture_output=True, check=False, timeout=timeout_s,
    )  # fmt: skip


def install(root: Path, what: str = "files", **words: str) -> str:
    result = run("sh", ROOT / "tools/install.sh", what, DESTDIR=str(root), **words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and link below ``root``: its mode and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = (0, os.readlink(path).encode())
        elif path.is_file():
            found[str(path.relative_to(root))] = (path.stat().st_mode, path.read_bytes())
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    install(tmp_path)
    return tmp_path


def option(name: str, unit: Path = UNIT) -> str:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)[-1]


# ---- the unit


@pytest.mark.parametrize("ours", [UNIT, WEB_UNIT], ids=lambda path: path.stem)
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, ours: Path) -> None:
    verify = need("systemd-analyze"), "verify", "--recursive-errors=yes", "--man=no"
    unit = tmp_path / ours.name
    text = re.sub(r"/opt/lipsync-edge/bin/\S+", shutil.which("true") or "", ours.read_text())
    unit.write_text(text)
    result = run(*verify, unit)
    assert (result.returncode, result.stderr) == (0, "")
    unit.write_text(text.replace("RestartSec=2", "RestartSeconds=2"))
    assert run(*verify, unit).returncode != 0  # it does look


def test_the_service_is_shut_in_and_reaches_its_devices() -> None:
    security = need("systemd-analyze"), "security", "--offline=true", "--threshold=20"
    result = run(*security, UNIT)
    assert result.returncode == 0, result.stdout
    # Names as in /proc/devices: of ALSA, i2c-dev, gpiolib, and of the Pi's drivers for gpiomem.
    allowed = re.findall(r"^DeviceAllow=char-(\S+) rw$", UNIT.read_text(), re.MULTILINE)
    for name in ("alsa", "i2c", "gpiochip", "bcm2835-gpiomem", "rpi-gpiomem"):
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed), name
    for name in ("mem", "tty", "hidraw", "video4linux", "nvme"):
        assert not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed), name


def test_the_head_needs_no_network() -> None:
    words = re.findall(r"^(?:Wants|After|Requires|Requisite|BindsTo|PartOf|Upholds)=(.*)$",
                       UNIT.read_text(), re.MULTILINE)  # fmt: skip
    assert "local-fs.target" in " ".join(words)
    assert not [word for line in words for word in line.split() if "network" in word]


def test_a_crash_long_after_failed_starts_costs_seconds() -> None:
    """systemd counts restarts for as long as it runs, through starts that went well, too."""
    backoff = ROOT / "systemd/backoff.conf"
    assert float(option("RestartSec")) < float(option("RestartMaxDelaySec", backoff)) <= 10


def test_the_page_is_shut_in_and_gives_way_to_the_head() -> None:
    security = need("systemd-analyze"), "security", "--offline=true", "--threshold=20"
    result = run(*security, WEB_UNIT)
    assert result.returncode == 0, result.stdout
    text = WEB_UNIT.read_text()
    assert option("CapabilityBoundingSet", WEB_UNIT) == "CAP_NET_BIND_SERVICE"
    assert re.findall(r"^ReadWritePaths=-?(.*)$", text, re.MULTILINE) == ["/etc/lipsync-edge"]
    # What `sudo lipsync-edge-web pin` believes.
    assert option("ReadOnlyPaths", WEB_UNIT) == "-/etc/lipsync-edge/web.yaml"
    assert "DeviceAllow" not in text
    assert option("User", WEB_UNIT) != option("User")
    assert option("SupplementaryGroups", WEB_UNIT) == option("Group")  # the socket's
    assert int(option("Nice", WEB_UNIT)) > 0
    assert int(option("OOMScoreAdjust", WEB_UNIT)) > int(option("OOMScoreAdjust"))
    # A head that its owner switched off is not switched on by its page.
    assert not re.search(r"^(Wants|Requires|BindsTo)=", text, re.MULTILINE)


def test_the_page_is_found_by_the_name_of_the_computer(root: Path) -> None:
    group = ElementTree.parse(root / "etc/avahi/services/lipsync-edge.service").getroot()
    ports = {s.findtext("type"): s.findtext("port") for s in group.iter("service")}
    assert set(ports) == {"_lipsync-edge._tcp", "_http._tcp"}
    assert set(ports.values()) == {str(load(root / "etc/lipsync-edge/web.yaml", {}).port)}


@pytest.mark.slow
def test_the_service_may_make_every_system_call_that_a_run_makes(tmp_path: Path) -> None:
    trace, analyze = tmp_path / "trace", need("systemd-analyze")
    run(need("strace"), "-f", "-qq", "-o", trace, sys.executable, "-m", "lipsync_edge", "run",
        "--ui", "none", "--for", "1", "--set", "audio.driver=dummy")  # fmt: skip
    used = set(re.findall(r"^\d+\s+(\w+)\(", trace.read_text(), re.MULTILINE))
    assert {"execve", "sched_setscheduler", "futex"} <= used
    assert used <= system_calls(analyze, "@system-service") - system_calls(analyze, "@privileged")
    executable = re.compile(r"m(?:map|protect)\(.*PROT_WRITE\|PROT_EXEC")
    assert not executable.search(trace.read_text())  # MemoryDenyWriteExecute


def system_calls(analyze: str, name: str) -> set[str]:
    """The calls of a set of systemd's, with those of the sets in it."""
    words = {line.strip() for line in run(analyze, "syscall-filter", name).stdout.splitlines()[1:]}
    found = {word for word in words if re.fullmatch(r"\w+", word)}
    return found.union(*(system_calls(analyze, word) for word in words if word[:1] == "@"))


def test_the_service_has_the_real_time_that_the_program_asks_for() -> None:
    assert int(option("LimitRTPRIO")) >= max(PRIORITIES.values())
    assert option("LimitMEMLOCK") == "infinity"


def test_the_end_of_the_service_needs_no_bus(tmp_path: Path) -> None:
    """ExecStopPost with a dash may fail; it must say why, and not hang."""
    command = option("ExecStopPost")
    assert command.startswith("-/opt/lipsync-edge/bin/lipsync-edge detach ")
    if list(Path("/dev").glob("i2c-*")):
        pytest.skip("this computer has an I2C bus")
    settings = tmp_path / "config.yaml"
    settings.write_text("board: {driver: pca9685}\n")
    result = run(sys.executable, "-m", "lipsync_edge", "detach", settings)
    assert result.returncode == 1
    assert "no I2C bus" in result.stderr
    assert "Traceback" not in result.stderr


class Wires:
    """What pulses-off wants of a bus, with chips on it that know their data sheet."""

    def __init__(self, *chips: Chip, deaf: int = 0, failing: int = errno.EREMOTEIO) -> None:
        self.chips, self.deaf, self.failing = chips, deaf, failing
        self.written: list[tuple[int, bytes]] = []

    def select(self, address: int) -> None:
        self.address = address

    def _chip(self) -> Chip:
        for chip in self.chips:
            if chip.answers(self.address):
                if self.deaf:
                    self.deaf -= 1
                    break
                return chip
        raise OSError(self.failing, "as the kernel says it")

    def write(self, data: bytes) -> None:
        self._chip().write(data)
        self.written.append((self.address, data))

    def read(self) -> int:
        return self._chip().read(1)[0]


def test_pulses_end_without_any_library() -> None:
    boards = [Chip(0x40, warm={0: 307, 15: 400}), Chip(0x41, warm={3: 300})]
    stranger = Chip(0x44, warm={0: 307})
    stranger.registers[0x02] = 0x39  # its registers are others: no PCA9685
    assert boards[0].pulses_us()[15] > 0
    wires = Wires(*boards, stranger, deaf=2)  # and a bad contact
    assert pulses_off.switch_off(wires) == ([0x40, 0x41], [])
    assert all(math.isnan(pulse) for board in boards for pulse in board.pulses_us())
    assert stranger.pulses_us()[0] > 0
    assert all(len(data) == 1 for address, data in wires.written if address == 0x44)
    assert 0x70 not in {address for address, _ in wires.written}


def test_a_stuck_bus_is_not_tried_sixty_times() -> None:
    with pytest.raises(OSError, match="kernel says"):
        pulses_off.switch_off(Wires(Chip(0x40), deaf=99, failing=errno.ETIMEDOUT))


def test_the_unit_ends_pulses_first_of_all(root: Path) -> None:
    first = re.findall(r"^ExecStopPost=-(.*)$", UNIT.read_text(), re.MULTILINE)[0].split()
    assert first[0] == "/opt/lipsync-edge/bin/python"
    if Path("/dev/i2c-1").exists():
        pytest.skip("this computer has an I2C bus")
    result = run(sys.executable, *first[1:-1], root / first[-1].lstrip("/"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# ---- the installer


def test_installing_twice_is_installing_once(root: Path) -> None:
    once = tree(root)
    assert len(once) >= 15
    install(root)
    assert tree(root) == once


def make_accounts(root: Path) -> None:
    """What every system has."""
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def test_all_of_systemds_files_are_where_systemd_looks(root: Path) -> None:
    link = root / "etc/systemd/system/multi-user.target.wants/lipsync-edge.service"
    assert (root / os.readlink(link).lstrip("/")).read_bytes() == UNIT.read_bytes()
    make_accounts(root)
    result = run(need("systemd-sysusers"), f"--root={root}", "lipsync-edge.conf")
    assert result.returncode == 0, result.stderr
    groups = dict(re.findall(r"^(\w+):.*:(\w*)$", (root / "etc/group").read_text(), re.MULTILINE))
    assert {name: groups[name] for name in option("SupplementaryGroups").split()} == {
        "audio": "lipsync", "i2c": "lipsync", "gpio": "lipsync",
    }  # fmt: skip
    assert re.search(r"^lipsync:.*:/usr/sbin/nologin$", (root / "etc/passwd").read_text(), re.M)


def root_may_write(path: Path) -> bool:
    """Whether the kernel lets root open the file with O_CREAT, as editors and shells do, where
    ``fs.protected_regular`` is 2, as systemd sets it: may_create_in_sticky in its fs/namei.c."""
    folder, file = path.parent.stat(), path.stat()
    shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return not shared or file.st_uid in (0, folder.st_uid)


def test_root_the_page_and_the_head_get_at_the_config(root: Path) -> None:
    setpriv, _ = need("setpriv"), need("systemd-tmpfiles")
    if os.getuid():
        pytest.skip("only root makes users")
    make_accounts(root)
    settings = root / "etc/lipsync-edge/config.yaml"
    settings.parent.chmod(0o1775)  # of an earlier install
    os.chown(settings, 1000, 1000)
    assert not root_may_write(settings)
    install(root)
    user = re.search(r"^lipsync-web:x:(\d+):(\d+):", (root / "etc/passwd").read_text(), re.M)
    assert root_may_write(settings)
    assert (settings.stat().st_uid, settings.stat().st_mode & 0o777) == (int(user[1]), 0o644)
    become = f"{setpriv} --reuid={user[1]} --regid={user[2]} --clear-groups"
    save = "cp config.yaml new && mv -f new config.yaml"
    saved = run("sh", "-c", f"cd {settings.parent} && exec {become} sh -c '{save}'")
    assert saved.returncode == 0, saved.stderr
    stranger = f"cd {settings.parent} && exec {setpriv} --reuid=65534 --clear-groups sh -c "
    assert run("sh", "-c", f"{stranger} 'cat config.yaml'").returncode == 0  # so may the head
    assert run("sh", "-c", f"{stranger} 'touch new'").returncode != 0
    install(root, WEB="no")
    for path, mode in ((settings, 0o644), (settings.parent, 0o755)):
        told = path.stat()
        assert (told.st_uid, told.st_gid, told.st_mode & 0o7777) == (0, 0, mode)
    install(root)
    install(root, "uninstall")
    assert (settings.stat().st_uid, settings.parent.stat().st_gid) == (0, 0)


def test_a_config_that_is_gone_keeps_nobody_from_uninstalling(root: Path) -> None:
    (root / "etc/lipsync-edge/config.yaml").unlink()
    install(root, "uninstall")
    assert not list((root / UNITS).rglob("*.service"))


def test_a_config_that_was_changed_stays(root: Path) -> None:
    mine = root / "etc/lipsync-edge/config.yaml"
    beside = mine.with_name("config.yaml.new")
    mine.write_text("head: face26\n")
    install(root)
    assert mine.read_text() == "head: face26\n"
    assert not beside.exists()  # the default is the one that was changed
    (root / "opt/lipsync-edge/share/config.yaml").write_text("head: jaw  # of an older version\n")
    assert "config.yaml.new" in install(root)
    assert mine.read_text() == "head: face26\n"
    assert beside.read_bytes() == (ROOT / "systemd/config.yaml").read_bytes()


def test_a_config_that_nobody_touched_follows_the_default(root: Path) -> None:
    for name in ("etc/lipsync-edge/config.yaml", "opt/lipsync-edge/share/config.yaml"):
        (root / name).write_text("head: jaw  # of an older version\n")
    install(root)
    assert config.load(root / "etc/lipsync-edge/config.yaml").audio.input == "robot_ear"
    assert not (root / "etc/lipsync-edge/config.yaml.new").exists()


def test_the_first_config_says_what_was_asked_for(tmp_path: Path) -> None:
    asked = {"DESTDIR": str(tmp_path), "HEAD": "face26", "OUTPUT": "USB Audio"}
    installer, path = ROOT / "tools/install.sh", tmp_path / "etc/lipsync-edge/config.yaml"
    assert run("sh", installer, "files", **{**asked, "HEAD": 'ja"w'}).returncode == 1
    assert not tree(tmp_path)
    assert run("sh", installer, "files", **asked).returncode == 0
    made = config.load(path)
    assert (made.head.name, made.audio.output, made.board.driver) == (
        "face26", "USB Audio", "pca9685",
    )  # fmt: skip
    again = run("sh", installer, "files", **asked)
    assert (again.returncode, "HEAD" in again.stdout) == (0, False)
    other = run("sh", installer, "files", **{**asked, "HEAD": "jaw"})
    assert other.returncode == 0
    assert config.load(path).head.name == "face26"  # it was chosen, so it is its owner's
    assert "note: HEAD and OUTPUT are for a new config" in other.stdout


def test_head_and_output_are_heard_while_the_config_is_untouched(root: Path) -> None:
    path = root / "etc/lipsync-edge/config.yaml"
    assert "HEAD" not in install(root, HEAD="jaw-lips", OUTPUT="USB")
    assert (config.load(path).head.name, config.load(path).audio.output) == ("jaw-lips", "USB")
    path.write_bytes((ROOT / "systemd/config.yaml").read_bytes())
    install(root, "uninstall")  # the config stays, and with it nothing to compare it to
    install(root, HEAD="face26")
    assert config.load(path).head.name == "face26"


@pytest.mark.parametrize(
    "folder", ["/home/pi", "/root", "~", "/run/user/1000", "/tmp", "/var/tmp", "."]
)
def test_a_profile_that_the_service_cannot_see_is_refused(tmp_path: Path, folder: str) -> None:
    installer, head = ROOT / "tools/install.sh", f"{folder}/bird.yaml"
    refused = run("sh", installer, "files", DESTDIR=str(tmp_path), HEAD=head)
    assert refused.returncode == 1
    assert f"the service cannot read {head}: copy it" in refused.stderr
    assert "/etc/lipsync-edge/bird.yaml; then say HEAD=bird.yaml" in refused.stderr
    assert not tree(tmp_path)


@pytest.mark.parametrize("head", ["bird.yaml", "/etc/lipsync-edge/bird.yaml"])
def test_a_profile_beside_the_config_is_taken(tmp_path: Path, head: str) -> None:
    folder = tmp_path / "etc/lipsync-edge"
    folder.mkdir(parents=True)
    (folder / "bird.yaml").write_text("servos: {}\n")
    install(tmp_path, HEAD=head)
    assert f'head: "{head}"\n' in (folder / "config.yaml").read_text()


def test_who_disabled_the_service_keeps_it_so(root: Path) -> None:
    link = root / "etc/systemd/system/multi-user.target.wants/lipsync-edge.service"
    link.unlink()
    install(root)
    assert not link.is_symlink()


def test_an_install_that_broke_off_is_ended_by_the_next(tmp_path: Path) -> None:
    wall = tmp_path / "etc/alsa"
    wall.parent.mkdir()
    wall.touch()  # no folder: what goes there cannot be copied, and the unit was copied before
    broken = run("sh", ROOT / "tools/install.sh", "files", DESTDIR=str(tmp_path))
    assert broken.returncode != 0
    assert (tmp_path / UNITS / UNIT.name).exists()
    wall.unlink()
    install(tmp_path)
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in wants.iterdir()} == {UNIT.name, WEB_UNIT.name}


def test_the_services_may_read_what_a_cautious_user_installs(tmp_path: Path) -> None:
    root = tmp_path / "root"
    command = 'umask 077 && exec sh "$0" files'
    done = run("sh", "-c", command, ROOT / "tools/install.sh", DESTDIR=str(root))
    assert done.returncode == 0, done.stderr
    assert not [path for path in root.rglob("*") if not path.lstat().st_mode & stat.S_IROTH]


def test_a_head_without_a_page(root: Path) -> None:
    with_page = set(tree(root))
    install(root, WEB="no")
    gone = with_page - set(tree(root))
    assert all("web" in name or "avahi" in name for name in gone)
    assert UNITS / WEB_UNIT.name in {Path(name) for name in gone}
    assert [name for name in tree(root) if "web" in name] == ["etc/lipsync-edge/web.yaml"]
    install(root)
    assert set(tree(root)) == with_page


def test_uninstall_leaves_config_and_state_and_purge_nothing(tmp_path: Path) -> None:
    boot = tmp_path / "boot/firmware/config.txt"
    boot.parent.mkdir(parents=True)
    boot.write_text("dtparam=audio=on\n")
    install(tmp_path)
    assert "i2c_arm_baudrate=400000" in boot.read_text()
    state = tmp_path / "var/lib/lipsync-edge/pose.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    install(tmp_path, "uninstall")
    backup = "boot/firmware/config.txt.before-lipsync-edge"
    left = {
        "etc/lipsync-edge/config.yaml",
        "etc/lipsync-edge/web.yaml",
        "var/lib/lipsync-edge/pose.json",
    }
    assert set(tree(tmp_path)) == {*left, "boot/firmware/config.txt", backup}
    assert boot.read_text() == "dtparam=audio=on\n"
    install(tmp_path, "purge")
    assert set(tree(tmp_path)) == {"boot/firmware/config.txt", backup}


@pytest.mark.slow
def test_the_whole_program_in_a_root_file_system(tmp_path: Path) -> None:
    before = {path.name for path in ROOT.iterdir()}
    root, wheels = tmp_path / "root", tmp_path / "wheels"
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    collected = run("sh", ROOT / "tools/install.sh", "wheels", timeout_s=600, WHEELS=str(wheels))
    assert collected.returncode == 0, collected.stderr
    trees = []
    for _ in range(2):
        done = run("sh", ROOT / "tools/install.sh", "install", timeout_s=600,
                   DESTDIR=str(root), WHEELS=str(wheels), **nowhere)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        trees.append({k: v for k, v in tree(root).items() if not k.endswith(".pyc")})
    assert trees[0] == trees[1]
    assert {path.name for path in ROOT.iterdir()} == before  # nothing of root's in there
    assert not [name for name, (_, content) in trees[0].items() if str(root).encode() in content]
    program = root / "opt/lipsync-edge/bin/lipsync-edge"
    assert program.read_text().startswith("#!/opt/lipsync-edge/bin/python\n")
    python, sample = program.with_name("python"), ROOT / "lipsync_edge/samples/hello.wav"
    said = run(python, "-IB", "-m", "lipsync_edge", "render", sample, "--json", "-o", os.devnull)
    assert json.loads(said.stdout)["complete"], said.stderr
    install(root, "uninstall")
    assert set(tree(root)) == {"etc/lipsync-edge/config.yaml", "etc/lipsync-edge/web.yaml"}


@pytest.mark.parametrize(("version", "has_it"), [(252, False), (254, True), (257, True)])
def test_backoff_is_for_systemd_that_knows_it(tmp_path: Path, version: int, has_it: bool) -> None:
    library = tmp_path / f"usr/lib/aarch64-linux-gnu/systemd/libsystemd-shared-{version}.so"
    library.parent.mkdir(parents=True)
    library.touch()
    install(tmp_path)
    assert (tmp_path / UNITS / "lipsync-edge.service.d/backoff.conf").exists() is has_it


def test_only_root_may_install() -> None:
    setpriv = need("setpriv")
    if os.getuid():
        pytest.skip("only root can become somebody else")
    for what in ("install", "uninstall", "purge"):
        result = run(setpriv, "--reuid=65534", "sh", ROOT / "tools/install.sh", what, DESTDIR="")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"lipsync-edge: this needs root: sudo make {what}\n"


# ---- the sound card `robot`


def test_alsa_knows_the_sound_card(root: Path) -> None:
    fragment = root / "etc/alsa/conf.d/70-lipsync-edge.conf"
    alsa = Path("/usr/share/alsa/alsa.conf")
    if not alsa.exists():
        pytest.skip("ALSA is not installed")
    aplay, paths = need("aplay"), {"ALSA_CONFIG_PATH": f"{alsa}:{fragment}"}
    listed = run(aplay, "-L", **paths)
    assert {"robot", "robot_ear"} <= set(listed.stdout.splitlines())
    # Without the loopback card ALSA comes as far as to ask the kernel for it.
    if Path("/proc/asound/robot").exists():
        pytest.skip("the card is there; make test-machine plays to it")
    for program, name in ((aplay, "robot"), (need("arecord"), "robot_ear")):
        said = run(program, "-D", name, "-d", "1", "/dev/null", **paths)
        assert said.returncode != 0
        assert re.search(r"[Cc]annot get card index for robot", said.stderr), said.stderr


def test_alsa_and_kernel_mean_the_same_card() -> None:
    fragment = (ROOT / "systemd/alsa/lipsync-edge.conf").read_text()
    options = (ROOT / "systemd/modprobe.d/lipsync-edge.conf").read_text()
    card = re.search(r"^options snd-aloop id=(\w+) ", options, re.MULTILINE)[1]
    assert set(re.findall(r'"hw:(\w+),[01],0"', fragment)) == {card}
    formats = re.findall(r"format (\w+)\s+rate (\d+)\s+channels (\d+)", fragment)
    assert len(formats) == 2  # a loopback has one format: both sides must say the same
    assert len(set(formats)) == 1
    rules = (ROOT / "systemd/udev/lipsync-edge.rules").read_text()
    assert f'ATTR{{id}}=="{card}"' in rules


# ---- the boot configuration


LINES = st.sampled_from(
    [b"", b"# comment", b"[all]", b"[pi4]", b"[none]", b"dtparam=i2c_arm=off", b"dtparam=audio=on",
     b"dtoverlay=vc4-kms-v3d", b"dtparam=i2c_arm_baudrate=100000,i2c_arm", b"\xff\x00 broken"]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r\n", b""])
FILES = st.builds(
    lambda lines, newline, end: newline.join(lines) + end, st.lists(LINES), ENDS, ENDS
) | st.binary(max_size=80)


@settings(max_examples=400, deadline=None)
@given(old=FILES)
def test_merging_twice_is_merging_once_and_undo_gives_the_old_bytes(old: bytes) -> None:
    new = merge.merge(old, FRAGMENT)
    assert new.startswith(old)
    assert b"dtparam=i2c_arm_baudrate=400000" in new
    assert merge.merge(new, FRAGMENT) == new
    assert merge.unmerge(new) == old
    newer = merge.merge(new, b"dtparam=spi=on\n")  # an update of the fragment
    assert merge.unmerge(newer) == old


@settings(max_examples=200, deadline=None)
@given(old=FILES, after=st.lists(LINES, min_size=1).map(b"\n".join))
def test_lines_behind_the_block_stay_for_the_boards_that_they_were_for(
    old: bytes, after: bytes
) -> None:
    merged = merge.merge(old, FRAGMENT) + after
    assert merge.merge(merged, FRAGMENT).endswith(after)
    assert in_force(merge.unmerge(merged)) == in_force(old) + in_force(after)


def in_force(text: bytes) -> list[tuple[bytes, bytes]]:
    """(section, setting) of each line that sets something, as the Pi's firmware reads them."""
    section, found = b"[all]", []
    for line in map(bytes.strip, re.split(rb"[\r\n]+", text)):
        if re.fullmatch(rb"\[.*\]", line):
            section = line
        elif line and not line.startswith(b"#"):
            found.append((section, line))
    return found


def test_an_overlay_that_was_switched_on_stays_on() -> None:
    mine = merge.merge(b"[pi4]\narm_boost=1\n", FRAGMENT).replace(
        b"#dtoverlay=hifiberry-dac\n", b"dtoverlay=hifiberry-dac\ndtoverlay=my-mic,gain=3\n"
    )
    mine = mine.replace(b"watchdog=on", b"watchdog=off")
    again = merge.merge(mine, FRAGMENT)
    assert b"\ndtoverlay=hifiberry-dac\n" in again
    assert b"\ndtoverlay=my-mic,gain=3\n" in again
    assert b"#dtoverlay=hifiberry-dac\n" not in again
    assert b"watchdog=off" not in again  # what the robot needs is put right
    assert merge.merge(again, FRAGMENT) == again


def test_a_slower_bus_stays_slower() -> None:
    ours, mine = b"\ndtparam=i2c_arm_baudrate=400000\n", b"\ndtparam=i2c_arm_baudrate=100000\n"
    old = merge.merge(b"dtparam=audio=on\n", FRAGMENT).replace(ours, mine)
    again = merge.merge(old, FRAGMENT)
    assert mine in again
    assert ours not in again
    assert merge.merge(again, FRAGMENT) == again
    assert merge.conflicts(again + mine, FRAGMENT) == []  # the block says it too
    assert merge.unmerge(again) == b"dtparam=audio=on\n"
    assert ours in merge.merge(old.replace(mine, b"\ndtparam=i2c_arm_baudrate=slow\n"), FRAGMENT)


def test_other_values_are_told() -> None:
    old = b"dtparam=i2c_arm=on\n[pi5]\ndtparam=audio=on,i2c_arm_baudrate=100000\n"
    told = merge.conflicts(merge.merge(old, FRAGMENT), FRAGMENT)
    assert told == [
        "line 3 in [pi5] sets i2c_arm_baudrate to 100000, the block to 400000: the block counts."
    ]


def test_the_merge_tool_shows_keeps_and_undoes(tmp_path: Path) -> None:
    tool, path = ROOT / "firmware/merge", tmp_path / "config.txt"
    old = b"dtparam=audio=on\n[pi4]\ndtparam=i2c_arm=off\n"
    path.write_bytes(old)
    path.chmod(0o640)
    dry = run(sys.executable, tool, "--dry-run", path)
    assert path.read_bytes() == old
    done = run(sys.executable, tool, path)
    assert done.returncode == 0, done.stderr
    assert "+dtparam=i2c_arm_baudrate=400000" in dry.stdout
    assert "+dtparam=i2c_arm_baudrate=400000" in done.stdout
    assert "line 3 in [pi4] sets i2c_arm to off" in done.stdout
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["config.txt", "config.txt.before-lipsync-edge"]
    assert path.with_name("config.txt.before-lipsync-edge").read_bytes() == old
    assert "as it should be" in run(sys.executable, tool, path).stdout
    assert run(sys.executable, tool, "--undo", path).returncode == 0
    assert path.read_bytes() == old


def test_a_damaged_block_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.txt"
    damaged = merge.merge(b"", FRAGMENT).replace(merge.END, b"# lost")
    path.write_bytes(damaged)
    result = run(sys.executable, ROOT / "firmware/merge", path)
    assert result.returncode == 1
    assert "damaged" in result.stderr
    assert path.read_bytes() == damaged
