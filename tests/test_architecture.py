"""The law of imports and a few habits, read from the source itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lipsync_edge"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"errors", "clock"}
PURE = {
    *("frames", "features", "face", "faults", "timeline", "motion", "idle", "rest", "budget"),
    *("sampleclock",),
    *("config", "options", "head", "schema", "yamlnodes"),
    *("audio.bridge", "audio.slack", "audio.stamps"),
    *("audio", "audio.ring", "audio.delay", "audio.resample", "audio.pcm", "audio.riff"),
    *("model", "model.card", "model.cardnodes", "model.quantize"),
    *("servos", "servos.rig", "servos.gate", "servos.dynamics"),
    *("planner", "emphasis", "personality", "horns"),
    *("care", "wake", "heat", "panel", "servos.thermal"),
    *("calibration", "pulses", "yamledit"),
    *("drawing", "mouth", "portrait", "visemes", "alive"),
    *("health", "ratelimit", "protocol"),
    *("jog", "loudness"),
}
DEVICES = {
    "audio.probe",
    *("audio.portaudio", "audio.cards", "audio.wav", "audio.stdin", "audio.dummy"),
    *("model.tflite", "model.dummy", "servos.dummy", "servos.off"),
    *("servos.pca9685", "servos.driver", "servos.i2c", "servos.registers", "servos.chip"),
    "servos.remote",
    "servos.guardian",
    *("gpio", "gpio_dummy", "raster", "ffmpeg"),
}
RUNTIME = {"audio.courier", "engine", "listener", "supervisor", "telemetry", "summary", "system"}
RUNTIME |= {"memory", "store", "supply", "notify", "realtime", "logs", "runs", "service"}
RUNTIME |= {"control", "peer", "socketfile", "client", "webclient", "webplace", "speech"}
APP = {
    "app",
    "attendant",
    "sound",
    "build",
    "enabled",
    "calibrate",
    "oscillator",
    "checkup",
    "desk",
    "orders",
    "reload",
    "cli",
    "cli_calibrate",
    "cli_parts",
    "cli_control",
    "doctor",
    "render",
    "rewrite",
    "view",
    "__main__",
    "",
}
APP |= {"about", "gauges", "insides"}
APP |= {"actions", "live", "cli_face", "facefilm", "sheet"}
# A process of its own, which asks the head by its socket alone and stays small.
WEB_MAY = BASE | {"protocol", "client", "notify", "ratelimit", "store", "runs"}
WEB_MAY |= {"options", "schema", "yamlnodes", "yamledit"}
WEB_LIBRARIES = {"tornado", "yaml"}
PURE_LIBRARIES = {"numpy", "yaml", "samplerate"}
DRIVERS = {
    "audio.cards": {"pyaudio"},
    "model.tflite": {"ai_edge_litert", "tflite_runtime"},
    "servos.driver": {"adafruit_servokit", "adafruit_bus_device"},
    "servos.i2c": {"board"},
    "gpio": {"RPi"},
    "raster": {"PIL"},
}
# Parts of one device that stand in files of their own.
BESIDE = {
    "audio.portaudio": {"audio.cards"},
    "audio.probe": {"audio.portaudio"},
    "audio.wav": {"audio.stdin"},
    "servos.pca9685": {"servos.driver", "servos.i2c", "servos.guardian"},
    "servos.driver": {"servos.i2c"},
    "servos.registers": {"servos.chip"},
}
NEVER = {"torch", "tensorflow", "mediapipe", "matplotlib", "scipy", "lipsync_tools"}


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return name.removesuffix("__init__").removesuffix(".")


MODULES = {module_name(path): ast.parse(path.read_text()) for path in FILES}
WEB = {name for name in MODULES if name.split(".")[0] == "web"}


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {f"lipsync_edge.{name}" for name in MODULES}
            found |= (submodules & known) or {node.module}
    return found


def own(tree: ast.Module) -> set[str]:
    """The project's modules that ``tree`` imports, without the package's name."""
    names = {name for name in imports(tree) if name.split(".")[0] == "lipsync_edge"}
    return {name.removeprefix("lipsync_edge").removeprefix(".") for name in names} - {""}


def foreign(tree: ast.Module) -> set[str]:
    """Top-level names of other people's packages that ``tree`` imports."""
    import sys

    names = {name.split(".")[0] for name in imports(tree)}
    return names - set(sys.stdlib_module_names) - {"lipsync_edge"}


def calls(tree: ast.Module, name: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name == getattr(node.func, "attr", getattr(node.func, "id", None))
    ]


def test_every_module_has_a_layer() -> None:
    assert set(MODULES) == BASE | PURE | DEVICES | RUNTIME | APP | WEB


@pytest.mark.parametrize("name", sorted(BASE))
def test_base_imports_the_standard_library_alone(name: str) -> None:
    assert own(MODULES[name]) == set()
    assert foreign(MODULES[name]) == set()


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_import_pure_modules(name: str) -> None:
    assert own(MODULES[name]) <= PURE | {"errors"}
    assert foreign(MODULES[name]) <= PURE_LIBRARIES
    assert not imports(MODULES[name]) & {"time", "threading", "socket", "subprocess"}


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_devices_import_their_own_driver_only(name: str) -> None:
    beside = BESIDE.get(name, set())
    assert own(MODULES[name]) <= PURE | BASE | beside, "devices never import each other"
    assert foreign(MODULES[name]) <= PURE_LIBRARIES | DRIVERS.get(name, set())


@pytest.mark.parametrize("name", sorted(DRIVERS))
def test_drivers_are_imported_lazily(name: str) -> None:
    top = {
        alias.name.split(".")[0]
        for node in MODULES[name].body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in getattr(node, "names", [])
    } | {
        (node.module or "").split(".")[0]
        for node in MODULES[name].body
        if isinstance(node, ast.ImportFrom)
    }
    assert not top & DRIVERS[name]


@pytest.mark.parametrize("name", sorted(RUNTIME))
def test_runtime_knows_protocols_not_devices(name: str) -> None:
    assert own(MODULES[name]) <= PURE | BASE | RUNTIME


@pytest.mark.parametrize("name", sorted(WEB))
def test_the_web_page_knows_the_head_by_its_socket_alone(name: str) -> None:
    assert own(MODULES[name]) <= WEB | WEB_MAY
    assert foreign(MODULES[name]) <= WEB_LIBRARIES


@pytest.mark.parametrize("name", sorted(BASE | PURE | DEVICES | RUNTIME | APP))
def test_the_head_knows_nothing_of_its_web_page(name: str) -> None:
    assert not own(MODULES[name]) & WEB


@pytest.mark.parametrize("name", sorted(MODULES))
def test_robot_code_stays_lean(name: str) -> None:
    assert not foreign(MODULES[name]) & NEVER


@pytest.mark.parametrize("name", sorted(MODULES))
def test_habits(name: str) -> None:
    tree = MODULES[name]
    if name != "clock":
        assert calls(tree, "sleep") == [], "sleep belongs to the clock"
    if name != "supervisor":
        assert calls(tree, "Thread") == [], "threads are made by the supervisor"
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in line {node.lineno}"
            caught = ast.unparse(node.type)
            if name != "supervisor":
                assert "Exception" not in caught.split("(")[-1].rstrip(")").split(", ")
    if name != "model.quantize":
        assert "astype(np.int8)" not in ast.unparse(tree), "int8 casts belong to quantize"


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_name(path) or "__init__")
def test_sizes(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length < 60, f"{node.name} has {length} lines"


def test_tools_import_only_what_is_pure_of_the_robot() -> None:
    """Learning and evaluation share the features, the card and the face with the robot."""
    driving = {"bench", "picture", "i2c_traffic", "soundserver", "check_wheels"}
    driving |= {"soak", "motion_runs", "motion_pictures", "viewers", "webstage", "webpictures"}
    for path in sorted((ROOT / "tools").rglob("*.py")):
        if path.stem not in driving and path.parent.name not in ("drill", "RPi"):
            used = own(ast.parse(path.read_text()))
            assert used <= PURE | {"errors", "model.tflite"}, f"{path.name}: {used}"
