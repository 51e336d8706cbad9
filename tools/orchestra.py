"""Music with the sound of real instruments: made-up tunes, played by FluidSynth.

The Debian packages ``fluidsynth`` and ``fluid-soundfont-gm`` (FluidR3 by F. Wen, MIT) hold recorded
instruments. The tunes are drawn at random, so nobody's music is learned from.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError
from lipsync_tools.soundscape import RATE_HZ, Rng

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
VOICES = {52, 53, 54, 85, 91}  # General MIDI's choirs: voices are not music here
EFFECTS = set(range(120, 128))
PROGRAMS = [p for p in range(128) if p not in VOICES | EFFECTS]
DRUM_CHANNEL = 9
TICKS = 480  # per beat


def is_there() -> bool:
    """Whether this machine can play."""
    return bool(shutil.which("fluidsynth")) and FONT.exists()


def play(seconds: float, rng: Rng) -> NDArray[np.float32]:
    """A tune (n,) at 16 kHz, loudest 1: other key, tempo, style and instruments each time."""
    import samplerate
    import soundfile

    if not is_there():
        raise LipsyncError("No orchestra here: sudo apt-get install fluidsynth fluid-soundfont-gm")
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = f"{folder}/tune.mid", f"{folder}/tune.wav"
        _compose(seconds, rng).save(midi)
        subprocess.run(
            ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", "32000", "-F", wav, str(FONT), midi],
            check=True, capture_output=True,
        )  # fmt: skip
        sound, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    mono = samplerate.resample(sound.mean(axis=1), RATE_HZ / rate_hz, "sinc_fastest")
    mono = np.resize(mono, int(seconds * RATE_HZ))
    return np.asarray(mono / max(float(np.abs(mono).max()), 1e-6), np.float32)


def _compose(seconds: float, rng: Rng):  # type: ignore[no-untyped-def]  # mido is of the tools
    import mido

    file = mido.MidiFile(ticks_per_beat=TICKS)
    track = mido.MidiTrack()
    file.tracks.append(track)
    bpm = float(rng.uniform(55, 180))
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
    beats = int(seconds * bpm / 60) + 1
    events: list[tuple[int, object]] = []
    for channel, program in enumerate(rng.choice(PROGRAMS, 4, replace=False)):
        events.append((0, mido.Message("program_change", channel=channel, program=int(program))))
    for channel, at, long, wanted, loud in _notes(beats, rng):
        key = int(np.clip(wanted, 24, 100))
        on = mido.Message("note_on", channel=channel, note=key, velocity=int(loud))
        off = mido.Message("note_off", channel=channel, note=key)
        events += [(int(at * TICKS), on), (int((at + long) * TICKS), off)]
    now = 0
    for at, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=at - now))  # type: ignore[attr-defined]
        now = at
    return file


def _notes(beats: int, rng: Rng) -> list[tuple[int, float, float, int, float]]:
    """(channel, beat, length in beats, key, velocity) of a tune: chords, bass, melody, drums."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.random() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    tonic, density = int(rng.integers(50, 62)), float(rng.uniform(0.2, 1.0))
    parts = rng.random(4) < np.array([0.75, 0.7, 0.8, 0.6])
    parts[int(rng.integers(3))] = True
    broken, loud = rng.random() < 0.4, rng.uniform(50, 120, 4)
    rhythm = rng.random((3, 8)) < np.array([[0.35], [0.25], [0.6]])

    def key(step: int) -> int:
        return tonic + int(scale[step % 7]) + 12 * (step // 7)

    out: list[tuple[int, float, float, int, float]] = []
    root, step = 0, 7
    for beat in range(beats):
        if beat % 4 == 0:
            root = int(rng.choice([0, 1, 3, 4, 5]))
            if parts[0]:
                out += [(0, beat + (0.5 * k if broken else 0.0), 3.8, key(root + 2 * k), loud[0])
                        for k in range(3)]  # fmt: skip
        if parts[1] and rng.random() < 0.8:
            out.append((1, float(beat), 0.9, key(root) - 24, loud[1]))
        for half in (0.0, 0.5):
            if parts[2] and rng.random() < density:
                step = int(np.clip(step + rng.integers(-3, 4), 0, 16))
                long = float(rng.choice([0.25, 0.5, 1.0, 2.0]))
                out.append((2, beat + half, long, key(step), loud[2] * rng.uniform(0.7, 1)))
            if parts[3]:
                place = (2 * beat + int(2 * half)) % 8
                out += [(DRUM_CHANNEL, beat + half, 0.2, drum, loud[3])
                        for drum, row in zip((36, 38, 42), rhythm, strict=True)
                        if row[place]]  # fmt: skip
    return out
