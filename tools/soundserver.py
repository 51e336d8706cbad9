"""A private sound server without sound hardware: a headless PulseAudio with null sinks.

    python -m lipsync_tools.soundserver [--mic SPEECH.wav] [--capture OUT.wav] -- COMMAND...

runs COMMAND with the environment of such a server. In it PortAudio finds, through a minimal ALSA
configuration, the devices ``speaker``, ``mic``, ``monitor`` (records what the speaker plays) and
``default`` (speaker and mic), and nothing else. ``--mic`` feeds a WAV file to the microphone, over
and over; ``--capture`` records what the speaker played, for as long as the command runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

from lipsync_edge.audio.wav import open_source, resampled
from lipsync_edge.clock import MonotonicClock
from lipsync_edge.errors import AudioError

RATE_HZ = 48_000

SERVER_CONF = """\
.fail
load-module module-native-protocol-unix auth-anonymous=1 socket={dir}/native
load-module module-null-sink sink_name=speaker {form} sink_properties=device.description=speaker
load-module module-null-sink sink_name=micfeed {form} sink_properties=device.description=micfeed
load-module module-remap-source source_name=mic master=micfeed.monitor
set-default-sink speaker
set-default-source mic
"""

ONE_CLOCK = """\
.fail
load-module module-native-protocol-unix auth-anonymous=1 socket={dir}/native
load-module module-null-sink sink_name=card rate={rate} format=s16le channels=2 channel_map=front-left,front-right
load-module module-remap-sink sink_name=speaker master=card remix=no channels=1 channel_map=mono master_channel_map=front-left
load-module module-remap-sink sink_name=micfeed master=card remix=no channels=1 channel_map=mono master_channel_map=front-right
load-module module-remap-source source_name=mic master=card.monitor remix=no channels=1 channel_map=mono master_channel_map=front-right
set-default-sink speaker
set-default-source mic
"""  # noqa: E501

ALSA_CONF = """\
pcm.speaker {{ type pulse server "unix:{dir}/native" device "speaker" hint {{ show on description "speaker" }} }}
pcm.mic {{ type pulse server "unix:{dir}/native" device "mic" hint {{ show on description "mic" }} }}
pcm.monitor {{ type pulse server "unix:{dir}/native" device "speaker.monitor" hint {{ show on description "monitor" }} }}
pcm.!default {{ type asym playback.pcm "speaker" capture.pcm "mic" }}
ctl.!default {{ type pulse server "unix:{dir}/native" }}
"""  # noqa: E501  (ALSA knows no line continuation inside strings)


def missing() -> str:
    """Why no server can be started here, or nothing."""
    absent = [name for name in ("pulseaudio", "pactl", "parec", "pacat") if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)} not installed (apt install pulseaudio pulseaudio-utils)"
    if not list(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA cannot reach PulseAudio (apt install libasound2-plugins)"
    return ""


class SoundServer:
    """One PulseAudio daemon in a folder of its own. Use as a context manager."""

    def __init__(self, folder: Path, rate_hz: int = RATE_HZ, one_clock: bool = False) -> None:
        """``one_clock``: speaker and microphone are the two channels of one sink, ``card``: what
        ``card.monitor`` gives is what both carried, sample by sample. Else each is a sink of its
        own, whose clock is its own too: by some ppm, for a null sink counts whole microseconds.
        This one card also moves on as evenly as hardware does: in steps of about 1 ms, and its
        thread before others. With steps of 5 ms the delay through the server's streams was 3 to
        9 ms longer or shorter from one late wake-up to another, for minutes.
        """
        self.folder = folder
        self.rate_hz = rate_hz
        self._one_clock = one_clock
        self._clock = MonotonicClock()
        self._helpers: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find this server and no other."""
        return {
            "PULSE_SERVER": f"unix:{self.folder}/native",
            "PULSE_RUNTIME_PATH": str(self.folder / "run"),
            "PULSE_STATE_PATH": str(self.folder / "state"),
            "ALSA_CONFIG_PATH": str(self.folder / "asound.conf"),
            "JACK_NO_START_SERVER": "1",
        }

    def __enter__(self) -> SoundServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the daemon and wait until it answers. Raises AudioError."""
        for name in ("run", "state"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        form = f"rate={self.rate_hz} channels=1 format=s16le"
        conf = self.folder / "server.pa"
        text = ONE_CLOCK if self._one_clock else SERVER_CONF
        conf.write_text(text.format(dir=self.folder, form=form, rate=self.rate_hz))
        (self.folder / "asound.conf").write_text(ALSA_CONF.format(dir=self.folder))
        first = "yes" if self._one_clock else "no"  # where it may; else it does without
        self.run(
            "pulseaudio", "-n", "-F", str(conf), "--daemonize=yes", "--exit-idle-time=-1",
            "--disallow-exit=1", "--use-pid-file=yes", f"--log-target=file:{self.folder}/log",
            f"--realtime={first}", f"--high-priority={first}", "--disable-shm=yes",
        )  # fmt: skip
        # A null sink that nobody records runs with seconds of latency; two listeners keep it brisk.
        step = "--latency-msec=1" if self._one_clock else "--latency-msec=5"
        for sink in ("card",) if self._one_clock else ("speaker", "micfeed"):
            self._spawn("parec", step, "-d", f"{sink}.monitor", "--raw")
        self._wait(self._is_brisk)

    def stop(self) -> None:
        """Stop the daemon and its helpers, by their process ids."""
        for helper in self._helpers:
            helper.terminate()
        for helper in self._helpers:
            helper.wait(5)
        self._helpers.clear()
        pid_file = self.folder / "run" / "pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGTERM)
            self._wait_until_gone(pid)

    def run(self, *command: str) -> str:
        """Run a program in the server's environment, return what it prints. Raises AudioError."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise AudioError(f"{command[0]} failed: {said}", f"See {self.folder}/log.")
        return done.stdout.decode()

    @contextlib.contextmanager
    def recording(self, source: str = "speaker.monitor") -> Iterator[Path]:
        """Record a source, raw 16 bit, into a file that is complete after the ``with``."""
        path = self.folder / f"{source}.raw"
        count = len(self.run("pactl", "list", "short", "source-outputs").splitlines())
        with path.open("wb") as file:
            recorder = self._spawn(
                "parec", "--latency-msec=5", "-d", source, "--format=s16le", "--channels=1",
                f"--rate={self.rate_hz}", "--raw", stdout=file.fileno(),
            )  # fmt: skip
            self._wait(lambda: len(self._outputs()) > count)
            try:
                yield path
            finally:
                self._end(recorder)

    @contextlib.contextmanager
    def fed(self, path: Path) -> Iterator[None]:
        """Play a WAV file into the microphone, over and over."""
        looper = self._spawn(
            sys.executable, "-m", "lipsync_tools.soundserver", "--loop", str(path),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert looper.stdout is not None
        player = self._spawn(
            "pacat", "--latency-msec=20", "-d", "micfeed", "--format=s16le", "--channels=1",
            f"--rate={RATE_HZ}", "--raw", stdin=looper.stdout.fileno(),
        )  # fmt: skip
        looper.stdout.close()
        try:
            yield
        finally:
            self._end(looper)
            self._end(player)

    def _end(self, helper: subprocess.Popen[bytes]) -> None:
        self._helpers.remove(helper)
        helper.terminate()
        helper.wait(5)

    def _spawn(
        self, *command: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        helper = subprocess.Popen(
            command,
            env={**os.environ, **self.environment},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
        self._helpers.append(helper)
        return helper

    def _outputs(self) -> list[str]:
        return self.run("pactl", "list", "short", "source-outputs").splitlines()

    def _is_brisk(self) -> bool:
        """Whether the sinks have played the two seconds that they had rendered ahead."""
        said = self.run("pactl", "list", "sinks")
        return all(int(us) < 50_000 for us in re.findall(r"Latency: (\d+) usec", said))

    def _wait_until_gone(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            for _ in range(100):
                os.kill(pid, 0)
                self._pause()

    def _wait(self, condition: Callable[[], bool]) -> None:
        for _ in range(250):
            if condition():
                return
            self._pause()
        raise AudioError(
            "the sound server does not do what it was asked.", f"See {self.folder}/log."
        )

    def _pause(self) -> None:
        self._clock.sleep_until(self._clock.now() + 0.02)


def loop(path: str) -> None:
    """Write a sound file to standard output over and over, 16 bit mono at 48 kHz."""
    with contextlib.suppress(BrokenPipeError):
        while True:
            source = resampled(open_source(path), RATE_HZ)
            while len(samples := source.read(4800)):
                sys.stdout.buffer.write(samples.tobytes())
            source.close()


def main() -> int:
    """Run a command beside a server of its own; the exit code is the command's."""
    parser = argparse.ArgumentParser(
        prog="lipsync_tools.soundserver",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mic", type=Path, metavar="WAV", help="what the microphone hears")
    parser.add_argument("--capture", type=Path, metavar="OUT.wav", help="record the speaker")
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", metavar="COMMAND")
    arguments = parser.parse_args()
    if arguments.loop:
        loop(arguments.loop)
        return 0
    if not arguments.command:
        parser.error("which command shall run beside the server?")
    if missing():
        print(f"no sound server: {missing()}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="lipsync-sound-") as folder:
        try:
            with SoundServer(Path(folder)) as server:
                return _run_beside(server, arguments)
        except AudioError as error:
            print(error, file=sys.stderr)
            return 1


def _run_beside(server: SoundServer, arguments: argparse.Namespace) -> int:
    environment = {**os.environ, **server.environment}
    with contextlib.ExitStack() as stack:
        if arguments.mic:
            stack.enter_context(server.fed(arguments.mic))
        if not arguments.capture:
            return _call(arguments.command, environment)
        with server.recording() as raw:
            code = _call(arguments.command, environment)
    write_wav(arguments.capture, raw.read_bytes())
    return code


def _call(command: list[str], environment: dict[str, str]) -> int:
    """Run the command; Ctrl-C is for it, we wait for its end."""
    with subprocess.Popen(command, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def write_wav(path: Path, raw: bytes) -> None:
    """Mono 16-bit samples at the server's rate as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(raw)


if __name__ == "__main__":
    raise SystemExit(main())
