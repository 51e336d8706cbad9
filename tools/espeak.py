"""Speech in a hundred languages with exact phone times, from eSpeak NG's C interface.

The program espeak-ng (Debian package ``espeak-ng``) synthesises by rule, GPL-3.0; its output is
ours. Its voice variants change pitch, formants and roughness, so that one language has many voices.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_edge.errors import LipsyncError

RATE_HZ = 16000
Phone = tuple[str, float, float]
SILENT, AS_IPA_EVENTS, UTF8 = 2, 0x0001 | 0x0002, 1
PHONEME_EVENT, LAST_EVENT = 7, 0
VOICELESS_STOPS = ("p", "t", "k")
CLOSURE_S, BURST_S = 0.12, 0.015
STEP = 80
STEP_S = STEP / RATE_HZ
RATE, PITCH, RANGE = 1, 3, 4  # numbers of espeak_SetParameter


class _Name(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8),
    ]  # fmt: skip


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("uid", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Name),
    ]  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """A speaker: language and variant (``de+f3``), words per minute, pitch and its range 0..99."""

    name: str
    rate_wpm: int = 165
    pitch: int = 50
    range: int = 50


class Espeak:
    """The synthesiser; one per process, since the library has one state."""

    def __init__(self) -> None:
        found = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        try:
            self._library = ctypes.CDLL(found)
        except OSError:
            raise LipsyncError(
                "The synthesiser espeak-ng is not installed: sudo apt-get install espeak-ng"
            ) from None
        self._sound = bytearray()
        self._events: list[tuple[float, str]] = []
        callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = callback(self._take)  # the library keeps no reference
        self._rate_hz = self._library.espeak_Initialize(SILENT, 0, None, AS_IPA_EVENTS)
        if self._rate_hz <= 0:
            raise LipsyncError("espeak-ng finds no voices: is the package espeak-ng-data there?")
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], n: int,
              events: ctypes._Pointer[_Event]) -> int:  # fmt: skip
        if samples and n:
            self._sound.extend(ctypes.string_at(samples, n * 2))
        k = 0
        while events[k].type != LAST_EVENT:
            if events[k].type == PHONEME_EVENT:
                raw = bytes(events[k].id.string).split(b"\0")[0]
                self._events.append(
                    (events[k].audio_position / 1000, raw.decode("utf-8", "ignore"))
                )
            k += 1
        return 0

    def say(self, text: str, voice: Voice) -> tuple[NDArray[np.float32], list[Phone]]:
        """Samples (n,) at 16 kHz in -1..1, and phones: IPA, begin and end in s; "" is a pause."""
        self._sound.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(voice.name.encode()):
            raise LipsyncError(f"espeak-ng has no voice {voice.name}: see espeak-ng --voices")
        for number, value in ((RATE, voice.rate_wpm), (PITCH, voice.pitch), (RANGE, voice.range)):
            self._library.espeak_SetParameter(number, value, 0)
        raw = text.encode() + b"\0"
        self._library.espeak_Synth(
            ctypes.c_char_p(raw), ctypes.c_size_t(len(raw)), 0, 1, 0, UTF8, None, None
        )
        self._library.espeak_Synchronize()
        sound = np.frombuffer(bytes(self._sound), np.int16).astype(np.float32) / 32768
        sound_16k = _to_16k(sound, self._rate_hz)
        spans = _spans(self._events, len(sound) / self._rate_hz)
        return sound_16k, with_closures(sound_16k, spans)


def _to_16k(sound: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    import samplerate

    return np.asarray(samplerate.resample(sound, RATE_HZ / rate_hz, "sinc_fastest"), np.float32)


def _spans(events: list[tuple[float, str]], end_s: float) -> list[Phone]:
    """Each phone lasts until the next one begins; marks of a change of language are left out."""
    ends = [begin for begin, _ in events[1:]] + [end_s]
    return [
        ("" if phone.startswith("(") else phone, begin, end)
        for (begin, phone), end in zip(events, ends, strict=True)
        if end > begin
    ]


def with_closures(sound: NDArray[np.float32], phones: list[Phone]) -> list[Phone]:
    """The same phones with the silence of p, t and k given to them, and cut at their burst.

    eSpeak NG tells a voiceless stop where it bursts: the closure before counts to the phone
    before. It is found where the sound falls 25 dB below its peak, at most ``CLOSURE_S`` before.
    What follows the burst by over ``BURST_S`` is breath ("h").
    """
    n = len(sound) // STEP
    level_db = 10 * np.log10((sound[: n * STEP].reshape(n, STEP) ** 2).mean(axis=1) + 1e-10)
    quiet = level_db < level_db.max() - 25.0 if n else np.zeros(0, bool)
    out: list[Phone] = []
    for phone, burst_s, end_s in phones:
        if not phone.startswith(VOICELESS_STOPS):
            out.append((phone, burst_s, end_s))
            continue
        begin_s = burst_s
        least_s = max(burst_s - CLOSURE_S, sum(out[-1][1:]) / 2 if out else 0.0)
        while begin_s - STEP_S > least_s and quiet[min(int(begin_s / STEP_S) - 1, n - 1)]:
            begin_s -= STEP_S
        if out:
            out[-1] = (out[-1][0], out[-1][1], min(out[-1][2], begin_s))
        closed_until_s = min(end_s, burst_s + BURST_S)
        out.append((phone, begin_s, closed_until_s))
        if end_s > closed_until_s:
            out.append(("h", closed_until_s, end_s))
    return out
