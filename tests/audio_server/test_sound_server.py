"""The sound card edge on a real sound server: contents and counts, never times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyaudio
import pytest
from waiting import wait_until

from lipsync_edge.audio import Samples
from lipsync_edge.audio.cards import has_output, list_devices
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.portaudio import PortAudioStream, Way
from lipsync_edge.audio.ring import Ring
from lipsync_edge.audio.wav import WavSource
from lipsync_edge.clock import Bell, MonotonicClock
from lipsync_edge.errors import AudioError
from lipsync_edge.options import AudioOptions
from lipsync_edge.sampleclock import SampleClock
from lipsync_tools.soundserver import RATE_HZ, SoundServer, write_wav

pytestmark = pytest.mark.server

MARK = 31_000
MARK_AT = RATE_HZ // 4  # the server cuts off the first milliseconds of a stream
PIECE = 1200


def noise(n_samples: int, seed: int = 0) -> Samples:
    """White noise, quieter than the mark; no stretch of it occurs twice."""
    return np.random.default_rng(seed).integers(-9000, 9000, n_samples).astype(np.int16)


def opened(output: str = "speaker", source: str = "", **options) -> PortAudioStream:
    audio = AudioOptions(output=output, input=source, **{"rate_hz": RATE_HZ, **options})
    way: Way = "duplex" if source else "play"
    return PortAudioStream(audio, clock=MonotonicClock(), way=way)


def find_exact(piece: Samples, sound: Samples) -> list[int]:
    """Where ``piece`` occurs in ``sound``, sample for sample."""
    starts = np.flatnonzero(sound[: max(0, len(sound) - len(piece) + 1)] == piece[0])
    return [int(k) for k in starts if np.array_equal(sound[k : k + len(piece)], piece)]


class Marking:
    """Marks one output sample by its index; all else is left to another courier."""

    def __init__(self, courier: BlockCourier) -> None:
        self._courier = courier

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        at_sample = self._courier.at_sample
        self._courier.carry(captured, out, now_s, dac_s, xrun)
        if at_sample <= MARK_AT < at_sample + len(out):
            out[MARK_AT - at_sample] = MARK


class Loop:
    """Plays one sound and keeps all that is captured."""

    def __init__(self, sound: Samples, n_kept: int) -> None:
        self.source, self.heard = Ring(len(sound)), Ring(n_kept)
        self.source.write(sound)

    def carry(
        self, captured: Samples | None, out: Samples, now_s: float, dac_s: float, xrun: bool
    ) -> None:
        assert captured is not None
        self.heard.write(captured)
        n_samples = self.source.read_into(out)[1]
        out[n_samples:] = 0

    def captured(self) -> Samples:
        out = np.zeros(self.heard.available, np.int16)
        self.heard.read_into(out)
        return out


@pytest.mark.parametrize(("lookahead_ms", "block"), [(0, 256), (80, 128), (200, 480)])
def test_sound_arrives_bit_exact_and_exactly_the_lookahead_late(
    server: SoundServer, lookahead_ms: int, block: int
) -> None:
    sound = noise(RATE_HZ // 2)
    source, lookahead = Ring(2 * RATE_HZ), RATE_HZ * lookahead_ms // 1000
    source.write(np.zeros(2 * MARK_AT, np.int16))
    source.write(sound)
    source.end()
    courier = BlockCourier(Ring(RATE_HZ), Bell(), lookahead, source)
    with server.recording() as path:
        stream = opened(frames_per_buffer=block)
        stream.start(Marking(courier))
        wait_until(lambda: courier.at_sample > 1.8 * RATE_HZ)
        stream.stop()
    recorded = np.frombuffer(path.read_bytes(), np.int16)
    marks = np.flatnonzero(recorded == MARK)
    assert len(marks) == 1
    # Source sample 2 * MARK_AT begins the noise; heard, it lies MARK_AT + lookahead after the mark.
    begin = marks[0] + MARK_AT + lookahead
    due = [(k, int(begin) + k) for k in range(0, len(sound), PIECE)]
    in_place = [np.array_equal(recorded[at : at + PIECE], sound[k : k + PIECE]) for k, at in due]
    assert in_place[0]
    if courier.xruns == 0:  # under load the server may lose a block, and shift what follows
        assert sum(in_place) >= 0.9 * len(due)
    assert courier.underruns == 0
    assert courier.at_sample == courier.blocks * block
    assert courier.end_sample == 2 * MARK_AT + len(sound)


def test_captured_sound_is_what_was_played(server: SoundServer) -> None:
    """Full duplex through the speaker's own monitor."""
    sound = noise(RATE_HZ, seed=1)
    loop = Loop(sound, 10 * RATE_HZ)
    stream = opened("speaker", "monitor")
    assert stream.name == "monitor > speaker"
    stream.start(loop)
    wait_until(lambda: loop.heard.available > 2.5 * RATE_HZ)
    assert stream.is_active()
    stream.stop()
    captured = loop.captured()
    found = [find_exact(sound[k : k + PIECE], captured) for k in range(0, len(sound), PIECE)]
    assert sum(map(bool, found)) >= len(found) // 2  # it may stumble while it starts


def test_the_microphone_hears_the_file_that_is_fed_to_it(
    server: SoundServer, tmp_path: Path
) -> None:
    sound = noise(RATE_HZ, seed=2)
    write_wav(tmp_path / "mic.wav", sound.tobytes())
    heard, bell = Ring(10 * RATE_HZ), Bell()
    with server.fed(tmp_path / "mic.wav"):
        stream = opened("speaker", "mic")
        stream.start(BlockCourier(heard, bell, 0))
        wait_until(lambda: heard.available > 4 * RATE_HZ)
        stream.stop()
    assert bell.wait(0)
    captured = np.zeros(heard.available, np.int16)
    heard.read_into(captured)
    places = [find_exact(sound[k : k + PIECE], captured) for k in range(0, len(sound), PIECE)]
    assert sum(map(bool, places)) >= len(places) // 2


def test_devices_are_listed_with_their_rates(server: SoundServer) -> None:
    devices = {device.name: device for device in list_devices()}
    assert set(devices) == {"speaker", "mic", "monitor", "default"}
    assert devices["default"].is_default_output
    assert {16_000, 44_100, 48_000} <= set(devices["speaker"].rates_hz)
    assert {16_000, 44_100, 48_000} <= set(devices["mic"].rates_hz)
    assert has_output()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("speker", "no sound device that can play is called 'speker' (did you mean 'speaker'?)"),
        ("xyzzy", "There are: 'speaker', 'mic', 'monitor', 'default'"),
        ("m", "2 sound devices match 'm'. There are: 'mic', 'monitor'"),
    ],
)
def test_a_wrong_name_lists_the_devices(server: SoundServer, name: str, said: str) -> None:
    with pytest.raises(AudioError) as caught:
        opened(name)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["speaker", "SPEAK", "default"])
def test_names_may_be_parts_in_any_case(server: SoundServer, name: str) -> None:
    stream = opened(name, rate_hz=0)
    assert stream.name in ("speaker", "default")
    assert stream.rate_hz == 44_100  # what PortAudio calls the native rate of a flexible device
    assert 0 < stream.output_latency_s < 1
    assert not stream.is_active()
    stream.stop()
    stream.stop()


def test_an_impossible_rate_is_a_sentence(server: SoundServer) -> None:
    with pytest.raises(AudioError, match=r"speaker cannot be opened at 500 Hz.*audio\.rate_hz"):
        opened(rate_hz=500)


def test_a_device_without_mono_plays_the_same_on_all_channels(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that refuses one channel, as many do; the server averages the two again."""
    real = pyaudio.PyAudio.open

    def stereo_only(self: pyaudio.PyAudio, **wanted):
        if wanted["channels"] == 1:
            raise OSError(pyaudio.paInvalidChannelCount, "Invalid number of channels")
        return real(self, **wanted)

    monkeypatch.setattr(pyaudio.PyAudio, "open", stereo_only)
    sound, heard = noise(RATE_HZ // 2, seed=3), Ring(RATE_HZ)
    source = Ring(len(sound))
    source.write(sound)
    source.end()
    courier = BlockCourier(heard, Bell(), 0, source)
    with server.recording() as path:
        stream = opened()
        stream.start(courier)
        wait_until(lambda: courier.at_sample > RATE_HZ)
        stream.stop()
    recorded = np.frombuffer(path.read_bytes(), np.int16)
    pieces = [sound[k : k + PIECE] for k in range(0, len(sound), PIECE)]
    assert sum(bool(find_exact(piece, recorded)) for piece in pieces) >= len(pieces) // 2


def test_a_failing_callback_is_told_by_a_flag(server: SoundServer) -> None:
    class Failing:
        n_calls = 0

        def carry(self, *_: object) -> None:
            self.n_calls += 1
            if self.n_calls == 5:
                raise ValueError("boom")

    failing, stream = Failing(), opened()
    stream.start(failing)
    wait_until(lambda: not stream.is_active())
    assert stream.failure == "the audio callback failed: ValueError: boom"
    assert failing.n_calls == 5
    stream.stop()
    assert not stream.is_active()


def test_the_sample_clock_follows_the_real_stream(server: SoundServer) -> None:
    courier, clock = BlockCourier(Ring(RATE_HZ), Bell(), 0), SampleClock(RATE_HZ)
    stream = opened()
    stream.start(courier)
    wait_until(lambda: courier.at_sample > 2 * RATE_HZ)
    courier.drain_stamps(clock.observe)
    stream.stop()
    assert clock.ready
    assert clock.implausible < courier.blocks / 2
    ahead = courier.at_sample - clock.sample_at(MonotonicClock().now())
    assert -RATE_HZ < ahead < RATE_HZ


def test_an_unplugged_device_is_noticed_and_comes_back(server: SoundServer) -> None:
    """The server dies: nothing plays, nothing can be opened; it returns, and all goes on."""
    courier = BlockCourier(Ring(RATE_HZ), Bell(), 0)
    stream = opened()
    stream.start(courier)
    wait_until(lambda: courier.blocks > 20)
    assert stream.is_active()
    server.stop()
    wait_until(lambda: not stream.is_active())
    assert "speaker" in stream.failure
    n_samples = courier.at_sample
    stream.stop()
    with pytest.raises(AudioError, match="no sound device that can play was found"):
        opened()
    server.start()
    again = opened()
    again.start(courier)
    wait_until(lambda: courier.at_sample > n_samples + RATE_HZ // 2)
    assert again.is_active()
    again.stop()


def test_the_shipped_capture_is_a_readable_wav(server: SoundServer, tmp_path: Path) -> None:
    with server.recording() as raw:
        wait_until(lambda: raw.stat().st_size > 20_000)
    write_wav(tmp_path / "out.wav", raw.read_bytes())
    source = WavSource(tmp_path / "out.wav")
    assert source.rate_hz == RATE_HZ
    assert source.n_samples >= 10_000
    source.close()
