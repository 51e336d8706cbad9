"""What happens to a block on the sound card's thread."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.clock import Bell

NAN = float("nan")


def carry(courier: BlockCourier, n_samples: int, captured: np.ndarray | None = None) -> np.ndarray:
    out = np.full(n_samples, 77, np.int16)
    courier.carry(captured, out, 0.0, NAN, False)
    return out


@pytest.mark.parametrize("lookahead", [0, 1, 100, 9600])
@pytest.mark.parametrize("block", [1, 31, 256, 8192])
def test_a_source_is_heard_exactly_the_lookahead_later(lookahead: int, block: int) -> None:
    sound = np.arange(1, 12_001).astype(np.int16)
    source, heard = Ring(16_384), Ring(65_536)
    source.write(sound)
    source.end()
    courier = BlockCourier(heard, Bell(), lookahead, source)
    played = np.concatenate([carry(courier, block) for _ in range(-(-22_000 // block))])
    assert (played[:lookahead] == 0).all()
    assert (played[lookahead : lookahead + 12_000] == sound).all()
    assert (played[lookahead + 12_000 :] == 0).all()
    analyzed = np.zeros(12_000, np.int16)
    assert heard.read_into(analyzed) == (0, 12_000)
    assert (analyzed == sound).all()
    assert courier.end_sample == 12_000
    assert courier.at_sample == len(played)
    assert courier.underruns == 0


def test_what_is_captured_goes_to_the_analyzer_at_once_and_to_the_speaker_later() -> None:
    heard, bell = Ring(1000), Bell()
    courier = BlockCourier(heard, bell, 10)
    captured = np.arange(1, 17).astype(np.int16)
    out = carry(courier, 16, captured)
    assert bell.wait(0)
    assert heard.available == 16
    assert out.tolist() == [0] * 10 + [1, 2, 3, 4, 5, 6]
    assert courier.end_sample == -1


def test_a_late_source_is_silence_and_counted_until_it_ends() -> None:
    source = Ring(1000)
    courier = BlockCourier(Ring(1000), Bell(), 0, source)
    source.write(np.full(10, 5, np.int16))
    assert carry(courier, 16).tolist() == [5] * 10 + [0] * 6
    assert courier.underruns == 1
    source.write(np.full(10, 6, np.int16))
    source.end()
    assert carry(courier, 16).tolist() == [6] * 10 + [0] * 6
    assert not carry(courier, 16).any()
    assert courier.underruns == 1
    assert courier.end_sample == 26


def test_a_held_source_waits_without_a_loss() -> None:
    source = Ring(1000)
    courier = BlockCourier(Ring(1000), Bell(), 0, source)
    source.write(np.arange(1, 11).astype(np.int16))
    source.end()
    courier.held = True
    assert not carry(courier, 16).any()
    assert (courier.underruns, courier.end_sample) == (0, -1)
    courier.held = False
    assert carry(courier, 16).tolist() == [*range(1, 11), *[0] * 6]
    assert courier.end_sample == 26


def test_without_a_source_and_a_microphone_there_is_silence() -> None:
    courier = BlockCourier(Ring(100), Bell(), 0)
    assert not carry(courier, 16).any()
    assert courier.underruns == 0


def test_muted_sound_keeps_its_place() -> None:
    courier = BlockCourier(Ring(100), Bell(), 4)
    courier.muted = True
    assert not carry(courier, 8, np.arange(1, 9).astype(np.int16)).any()
    courier.muted = False
    assert carry(courier, 8, np.arange(9, 17).astype(np.int16)).tolist() == list(range(5, 13))


def test_empty_blocks_are_fine_and_xruns_are_counted() -> None:
    courier = BlockCourier(Ring(100), Bell(), 4, Ring(10))
    courier.carry(None, np.zeros(0, np.int16), 1.0, 0.01, True)
    courier.carry(np.zeros(0, np.int16), np.zeros(0, np.int16), 1.0, 0.01, False)
    assert (courier.blocks, courier.xruns, courier.at_sample) == (2, 1, 0)


def test_stamps_are_told_once_in_order_and_the_newest_after_a_long_pause() -> None:
    courier, told = BlockCourier(Ring(100), Bell(), 0), []

    def observe(at_sample: int, now_s: float, dac_s: float, xrun: bool) -> None:
        told.append((at_sample, now_s, dac_s, xrun))

    for k in range(3):
        courier.carry(None, np.zeros(16, np.int16), k / 10, 0.02, k == 1)
    courier.drain_stamps(observe)
    assert told == [(0, 0.0, 0.02, False), (16, 0.1, 0.02, True), (32, 0.2, 0.02, False)]
    courier.drain_stamps(observe)
    assert len(told) == 3
    for _ in range(1000):
        courier.carry(None, np.zeros(16, np.int16), 1.0, 0.02, False)
    courier.drain_stamps(observe)
    assert told[-1][0] == 16 * 1002
    assert len(told) == 3 + courier.N_STAMPS // 2


def speaker(n_samples: int, value: int = 8000) -> BlockCourier:
    courier = BlockCourier(Ring(65_536), Bell(), 0)
    courier.spoken, courier.speaking = Ring(65_536), True
    courier.spoken.write(np.full(n_samples, value, np.int16))
    return courier


@pytest.mark.parametrize("block", [1, 2, 31, 256, 480, 1024, 5000, 8192])
def test_what_is_hushed_fades_within_a_block(block: int) -> None:
    courier = speaker(20_000)
    assert courier.spoken is not None
    assert (carry(courier, block) == 8000).all()
    courier.hushed_to = courier.spoken.write_index
    fading = carry(courier, block).astype(int)
    assert fading[0] == 8000
    assert (np.diff(fading) <= 0).all()
    if block >= 256:
        assert np.diff(fading).min() >= -70, "8000 / 128 samples: nothing clicks"
    assert block == 1 or fading[-1] <= 8000 / block * 2
    assert (carry(courier, block) == 0).all()
    assert courier.spoken.available == 0
    assert courier.spoken.lost == 0


def test_what_is_spoken_after_a_hush_is_whole() -> None:
    courier = speaker(1000)
    assert courier.spoken is not None
    carry(courier, 256)
    courier.hushed_to = courier.spoken.write_index
    courier.spoken.write(np.arange(1, 513).astype(np.int16))
    carry(courier, 256)
    assert carry(courier, 512).tolist() == list(range(1, 513))


def test_a_hush_of_the_last_samples_takes_nothing_of_what_comes_next() -> None:
    courier = speaker(100)
    assert courier.spoken is not None
    assert (carry(courier, 20) == 8000).all()
    courier.hushed_to = courier.spoken.write_index
    courier.spoken.write(np.arange(1, 1025).astype(np.int16))
    fading = carry(courier, 512)
    assert (fading[:64] > 0).any()
    assert not fading[64:].any()
    assert carry(courier, 1024).tolist() == list(range(1, 1025))


def test_what_is_hushed_while_the_servos_wake_is_never_heard() -> None:
    courier = speaker(1000)
    assert courier.spoken is not None
    courier.held = True
    courier.hushed_to = courier.spoken.write_index
    assert not carry(courier, 256).any()
    courier.held = False
    assert not carry(courier, 256).any()
