"""Hours of continuous speech from a microphone to a speaker on a real sound server, and a verdict.

    python -m lipsync_tools.soak SECONDS

prints JSON, and once a minute on standard error how it goes. The delay is measured from outside:
what the microphone heard is found in what the speaker played, by cross-correlation. Both are the
channels of one recording of one sound card, so that it is right to the sample.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.clock import MonotonicClock
from lipsync_tools.drill.sound import write_speech
from lipsync_tools.soundserver import RATE_HZ, SoundServer, missing

SETTINGS = ("audio.driver=portaudio", "audio.input=mic", "audio.output=speaker",
            f"audio.rate_hz={RATE_HZ}", "board.driver=dummy", "motion.rate_hz=50")  # fmt: skip
EVERY_S = 10.0
PIECE_S, REACH_S = 1.0, 2.5  # what is looked for, and how much later it may come
WARM_UP = 0.1  # share of the time after which all has been used once, and clocks are known
MAX_RSS_GROWTH, MAX_DRIFT_MS = 1.0, 1.0  # per cent, ms


class Recorder:
    """Listens to both channels of the card without a break; :meth:`piece` gives what came."""

    KEPT_S = 20
    PLAYED, HEARD = 0, 1

    def __init__(self, server: SoundServer) -> None:
        self._kept = np.zeros((self.KEPT_S * RATE_HZ, 2), np.int16)
        self.n_samples = 0
        self._process = subprocess.Popen(
            ("parec", "--latency-msec=50", "-d", "card.monitor", "--format=s16le", "--channels=2",
             "--channel-map=front-left,front-right", f"--rate={RATE_HZ}", "--raw"),
            env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def piece(self, channel: int, begin: int, seconds: float) -> NDArray[np.float64]:
        """Samples (n,) of a channel from index ``begin``, which must not be older than 20 s."""
        index = np.arange(begin, begin + int(seconds * RATE_HZ)) % len(self._kept)
        return self._kept[index, channel].astype(np.float64)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(5)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while data := self._process.stdout.read(4 * RATE_HZ // 50):
            block = np.frombuffer(data[: len(data) // 4 * 4], np.int16).reshape(-1, 2)
            index = np.arange(self.n_samples, self.n_samples + len(block)) % len(self._kept)
            self._kept[index] = block
            self.n_samples += len(block)


def lag_ms(heard: NDArray[np.float64], played: NDArray[np.float64]) -> float:
    """How much later ``heard`` (n,) comes in ``played`` (m > n,), in ms between samples; NaN where
    it does not: a correlation below one half."""
    size = 1 << (len(heard) + len(played)).bit_length()
    spectrum = np.fft.rfft(played, size) * np.conj(np.fft.rfft(heard, size))
    match = np.fft.irfft(spectrum, size)[: len(played) - len(heard)]
    k = int(match.argmax())
    energy = np.sqrt((heard**2).sum() * (played[k : k + len(heard)] ** 2).sum())
    if not 0 < k < len(match) - 1 or match[k] < 0.5 * energy:
        return float("nan")
    left, top, right = match[k - 1 : k + 2]  # a parabola through the top
    return float(1e3 * (k + (left - right) / (2 * (left - 2 * top + right))) / RATE_HZ)


def rss_kb_and_threads(pid: int) -> tuple[int, int]:
    """What the kernel counts for a process. OSError where it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = {name: text.split() for name, _, text in (line.partition(":") for line in lines)}
    if "VmRSS" not in told:
        raise ProcessLookupError(pid)
    return int(told["VmRSS"][0]), int(told["Threads"][0])


def judge(
    rss_kb: Sequence[float],
    threads: Sequence[int],
    lags_ms: Sequence[float],
    summary: dict[str, Any],
) -> dict[str, Any]:
    """The figures and the verdict. The series are of equal steps in time; NaN: not measured."""
    n_warm = int(WARM_UP * len(rss_kb)) + 1
    tenth = max(1, len(rss_kb) // 10)
    lags = np.array(lags_ms[n_warm:])
    lags = lags[np.isfinite(lags)]
    first_kb = float(np.median(rss_kb[n_warm : n_warm + tenth]))
    growth = 100 * (float(np.median(rss_kb[-tenth:])) / first_kb - 1)
    few = max(1, len(lags) // 10)
    drift_ms = float(np.median(lags[-few:]) - np.median(lags[:few])) if len(lags) else float("nan")
    per_hour = 3600 / max(summary["heard_s"], 1.0)
    sound = summary["sound"]
    figures = {
        "seconds": summary["heard_s"],
        "rss_mb": round(first_kb / 1024, 1),
        "rss_growth_percent": round(growth, 2),
        "threads": threads[-1],
        "threads_leaked": threads[-1] - threads[min(n_warm, len(threads) - 1)],
        "delay_ms": round(float(np.median(lags)), 2) if len(lags) else None,
        "delay_drift_ms": None if np.isnan(drift_ms) else round(drift_ms, 3),
        "delay_jumps": int((np.abs(np.diff(lags)) > 2.0).sum()),
        "delays_not_found": len(lags_ms[n_warm:]) - len(lags),
        "xruns_per_hour": round(sound["xruns"] * per_hour, 2),
        "input_xruns_per_hour": round((sound["input"] or {}).get("xruns", 0) * per_hour, 2),
        "underruns_per_hour": round(sound["underruns"] * per_hour, 2),
        "late_ticks_per_hour": round(summary["mover"]["late"] * per_hour, 2),
        "ticks": summary["mover"]["ticks"],
        "input": sound["input"],
    }
    wrong = []
    if growth >= MAX_RSS_GROWTH:
        wrong.append(f"memory grew by {growth:.1f} %")
    if figures["threads_leaked"] > 0:
        wrong.append(f"{figures['threads_leaked']} threads leaked")
    if not abs(drift_ms) < MAX_DRIFT_MS:
        wrong.append(f"the delay drifted by {drift_ms:.2f} ms")
    if summary["failed"]:
        wrong.append(f"it failed: {summary['reason']}")
    return {**figures, "wrong": wrong}


def soak(seconds: float, folder: Path) -> dict[str, Any]:
    """Run the robot for so long and judge it. RuntimeError where it does not end well."""
    clock = MonotonicClock()
    speech = folder / "speech.wav"
    write_speech(speech, 60.0)
    command = [sys.executable, "-m", "lipsync_edge", "run", "--json", "--for", str(seconds)]
    for setting in SETTINGS:
        command += ["--set", setting]
    rss_kb: list[float] = []
    threads: list[int] = []
    lags: list[float] = []
    with SoundServer(folder / "server", one_clock=True) as server, server.fed(speech):
        ear = Recorder(server)
        robot = subprocess.Popen(
            command, env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        next_s = clock.now() + EVERY_S
        try:
            while robot.poll() is None:
                clock.sleep_until(min(next_s, clock.now() + 0.5))
                if clock.now() >= next_s and robot.poll() is None:
                    next_s += EVERY_S
                    kb, n_threads = rss_kb_and_threads(robot.pid)
                    rss_kb.append(kb)
                    threads.append(n_threads)
                    lags.append(_lag(ear))
                    if len(lags) % 6 == 0:
                        figures = f"{kb / 1024:.1f} MB, {n_threads} threads, {lags[-1]:.2f} ms"
                        print(f"{len(lags) // 6} of {seconds / 60:.0f} min: {figures}",
                              file=sys.stderr, flush=True)  # fmt: skip
        finally:
            robot.terminate()
            out, err = robot.communicate(timeout=30)
            ear.stop()
    if robot.returncode or len(lags) < 3:
        last = (err.strip().splitlines() or ["no word"])[-1]
        raise RuntimeError(f"it ended with {robot.returncode}: {last}")
    return judge(rss_kb, threads, lags, json.loads(out))


def _lag(ear: Recorder) -> float:
    """Of what was heard some seconds ago, which has been played by now."""
    begin = ear.n_samples - int((PIECE_S + REACH_S) * RATE_HZ)
    if begin < 0:
        return float("nan")
    heard = ear.piece(ear.HEARD, begin, PIECE_S)
    return lag_ms(heard, ear.piece(ear.PLAYED, begin, PIECE_S + REACH_S))


def main() -> int:
    """0: as it should be; 1: not, or it could not be tried."""
    if len(sys.argv) != 2 or missing():
        print(missing() or "how many seconds?", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="lipsync-soak-") as folder:
        try:
            found = soak(float(sys.argv[1]), Path(folder))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
