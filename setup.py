"""Installs the robot's package, and beside it the trained bundles and the desktop tools.

The robot needs REQUIRES alone; everything that learns, draws or tests is an extra.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "lipsync_edge/__init__.py").read_text())[1]

REQUIRES = [
    "numpy>=1.26",  # arrays, FFT
    "ai-edge-litert>=2.1,<3",  # the TFLite interpreter (the maintained tflite-runtime)
    "pyaudio>=0.2.14",  # PortAudio; compiles, since it has no Linux wheels
    "samplerate>=0.2.3",  # streaming sample-rate conversion (libsamplerate), wheels for the Pi
    "adafruit-circuitpython-servokit>=1.3.20,<2",  # PCA9685 and its I2C device
    # Blinka, which servokit needs, asks for gpiod on a Pi without declaring it.
    'gpiod>=2.2; platform_machine == "aarch64" and sys_platform == "linux"',
    "pyyaml>=6.0",  # config, head profiles, model cards
]

EXTRAS = {
    # RPi.GPIO compiles on a Pi (no wheels). On a Pi 5 install rpi-lgpio instead, never both.
    "gpio": ["RPi.GPIO>=0.7.1"],
    "gpio-pi5": ["rpi-lgpio>=0.6"],
    # The older runtime, for those who have it already. It ends at Python 3.11 and NumPy 1.
    "tflite-runtime": ['tflite-runtime==2.14.0; python_version < "3.12"', "numpy<2"],
    "learn": [
        "torch==2.13.0",
        "litert-torch==0.10.0",
        "scipy>=1.11",
        "soundfile>=0.12",
        "tqdm>=4.66",
        "matplotlib>=3.8",
        "pocketsphinx>=5.0.4",
        "mido>=1.3",  # tunes to play
        "faker>=37",  # words and names in many languages, to synthesise
        "onnx>=1.17",
    ],
    # The last MediaPipe that wants no newer NumPy and has the tasks; it ends at Python 3.12.
    "extract": [
        'mediapipe==0.10.21; python_version < "3.13"',
        "numpy<2",
        "soundfile>=0.12",
        "tqdm>=4.66",
        "pillow>=10",
        "ray>=2.40",  # the core alone: for several machines
    ],
    # To convert SavedModels and Keras models, in an environment of its own (1.5 GB).
    "convert-tf": ["tensorflow-cpu>=2.18", "ai-edge-quantizer==0.10.0", "soundfile>=0.12"],
    "draw": ["matplotlib>=3.8"],
    "face": ["pillow>=10.1"],  # `lipsync-edge face`; 10.1: a font of its own in every size
    # The page: tornado has no dependencies, WebSockets, uploads by the piece and limits; 28 MB.
    # Older ones have known weaknesses, up to CVE-2026-49855 and what 6.5.9 mended.
    "web": ["tornado>=6.5.10"],
    "test": [
        "tornado>=6.5.10",
        "pillow>=10.1",
        "pytest>=8",
        "pytest-xdist>=3.6",  # the light tests on all processors: many wait in real time
        "hypothesis>=6.100",
        "ruff==0.17.6",
        "mypy==2.4.1",
        "types-PyYAML",
    ],
    "test-web": ["playwright>=1.50"],  # drives Debian's Chromium; it downloads no browser here
}

setup(
    name="lipsync-edge",
    version=VERSION,
    description="Live lip sync for hobby robot heads: sound in, servo pulses out, in step",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["lipsync_edge*"]),
        "lipsync_tools",
        "lipsync_tools.drill",
        "lipsync_models",
    ],
    package_dir={"lipsync_tools": "tools", "lipsync_models": "models"},
    package_data={
        "lipsync_edge": ["default.yaml", "heads/*.yaml", "samples/*"],
        "lipsync_edge.web": ["openapi.json", "static/*", "static/*/*"],
        "lipsync_models": ["*/*"],
    },
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "lipsync-edge = lipsync_edge.cli:main",
            "lipsync-edge-web = lipsync_edge.web.cli:main",
            "lipsync-tools = lipsync_tools.cli:main",
        ]
    },
)
