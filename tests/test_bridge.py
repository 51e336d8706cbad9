"""Two cards whose crystals differ: a tone recorded by one and played by the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from two_cards import WINDOW, Card, Ear, TwoCards, tone

CLICK_LSB = 4.0
"""Rounding leaves up to 2 (half an LSB, weighted 1, 2, 1), the recording's own rounding up to 1, a
tone that is 300 ppm off 12000 x 0.13^2 x 2 x 300e-6 = 0.1. A click leaves its own height."""
SETTLED_S = 90


def ran(mic: Card, speaker: Card, seconds: float, late_s: float = 0.002, sound=tone) -> TwoCards:
    cards = TwoCards(mic, speaker, late_s, sound)
    cards.run(seconds)
    return cards


def must_be_clean(cards: TwoCards, from_s: int = 2) -> None:
    """No click in any sample, nothing but the tone in any spectrum; what is lost is counted."""
    assert max(cards.ear.click[from_s:]) <= CLICK_LSB
    assert max(cards.ear.purity_db[from_s:]) < -75.0
    assert cards.courier.underruns == 0
    assert cards.bridge.jumps == 0
    assert cards.ring.lost == 0
    assert abs(slip_ms(cards.ear, from_s)) < 0.05, "not by a cycle, which its phase would not show"


def slip_ms(ear: Ear, from_s: int = 2) -> float:
    """By how much more the delay has changed than the phase of the tone shows."""
    n, end = 8, len(ear.at_s) - 1
    shown = np.mean(ear.delay_ms[end - n : end]) - np.mean(ear.delay_ms[from_s : from_s + n])
    return ear.true_delay_ms(end - n, end) - ear.true_delay_ms(from_s, from_s + n) - float(shown)


def must_take_as_long_as_it_says(cards: TwoCards) -> None:
    """From recording to playing, by what is heard, it takes what the bridge measures; which counts
    up to the moment that a block is handed over, and leaves the filter's own delay out."""
    block_ms = 1e3 * cards.speaker.block / cards.speaker.rate_hz
    end = len(cards.ear.at_s) - 1
    heard_ms = cards.ear.true_delay_ms(end - 8, end) + block_ms
    assert heard_ms == pytest.approx(1e3 * cards.bridge.delay_s, abs=4.0)


@pytest.mark.parametrize("slip", [1, 48, 480, 512, 960, 4800, 48_000 // 7])
def test_the_ear_hears_each_slip(slip: int) -> None:
    """By a sample, by a cycle or so, by blocks: with a click, and in the delay."""
    mic, speaker = Card(48_000), Card(48_000)
    ear = Ear(mic, speaker)
    for at_sample in range(0, 24 * 48_000, 480):
        begin = at_sample + 48_000 - (slip if at_sample >= 12 * 48_000 else 0)
        ear.hear(tone(begin, 480, 48_000))
    assert max(ear.click[11:13]) > CLICK_LSB
    assert max(*ear.click[1:11], *ear.click[14:]) <= CLICK_LSB
    later_ms = ear.true_delay_ms(14, 22) - ear.true_delay_ms(1, 10)
    assert later_ms == pytest.approx(slip / 48, abs=0.01)


@pytest.mark.parametrize(("mic_ppm", "speaker_ppm"), [(300, 0), (-300, 0), (-150, 150)])
def test_a_tone_passes_two_clocks_without_a_click(mic_ppm: float, speaker_ppm: float) -> None:
    cards = ran(Card(48_000, mic_ppm, 480, 0.006), Card(48_000, speaker_ppm, 512, 0.006), 20)
    must_be_clean(cards)
    assert np.ptp(cards.ear.delay_ms[2:]) < 4.0, "20 s at 300 ppm are 6 ms, unbridged"
    assert cards.bridge.trim_ppm == pytest.approx(speaker_ppm - mic_ppm, abs=100)
    must_take_as_long_as_it_says(cards)
    measured_ms = 1e3 * cards.bridge.delay_s  # which leaves the filter's own delay out
    assert measured_ms == pytest.approx(1e3 * cards.bridge.target_s, abs=4.0)


@pytest.mark.slow
@pytest.mark.parametrize(("mic_ppm", "speaker_ppm"), [(300, 0), (-300, 0), (150, -150)])
def test_half_an_hour_of_drift(mic_ppm: float, speaker_ppm: float) -> None:
    """540 ms of drift; the delay stays within 1 ms once the clocks are known, without a click."""
    cards = ran(Card(48_000, mic_ppm, 480, 0.006), Card(48_000, speaker_ppm, 512, 0.006), 1800)
    must_be_clean(cards)
    delays_ms = np.array(cards.ear.delay_ms)
    assert len(delays_ms) > 1790
    must_take_as_long_as_it_says(cards)
    settled = delays_ms[SETTLED_S:]
    assert np.ptp(delays_ms) < 6.0
    assert np.ptp(settled) < 1.0
    assert abs(settled[-60:].mean() - settled[:60].mean()) < 0.5, "it does not grow"
    assert np.abs(cards.trims_ppm).max() <= 1000.0
    late = np.array(cards.trims_ppm[len(cards.trims_ppm) // 2 :])
    assert np.ptp(late) < 150.0, "a quarter of a cent: nobody hears it"


@pytest.mark.parametrize(
    ("mic_ms", "speaker_ms", "waits_ms"),
    [
        (-3.0, 5.0, -2.0),  # as a sound server does after it stumbled
        *(
            pytest.param(*some, marks=pytest.mark.slow)
            for some in (
                (0.0, 3.0, -3.0),
                (-12.0, 2.0, 10.0),
                (0.0, 90.0, -10.7),  # more than there is in reserve
                (math.nan, 3.0, 0.0),  # a driver that does not know
                (-5000.0, 3.0, 0.0),  # nor this one
            )
        ),
    ],
)
def test_the_sound_takes_equally_long_whatever_the_drivers_keep(
    mic_ms: float, speaker_ms: float, waits_ms: float
) -> None:
    cards = TwoCards(Card(48_000, 100, 512, 0.004), Card(48_000, -50, 512, 0.004))
    random = np.random.default_rng(5)

    def kept_s(now_s: float) -> tuple[float, float]:
        noise_s = random.normal(0, 0.002, 2)
        if now_s < 4.0:  # as of a stream that has just begun
            return 0.4, 0.9
        strange = abs(mic_ms) > 100 or math.isnan(mic_ms)
        mic = mic_ms if now_s > 60 or strange else 0.0
        speaker = speaker_ms if now_s > 60 else 0.0
        return 0.02 + mic / 1e3 + noise_s[0], 0.03 + speaker / 1e3 + noise_s[1]

    cards.kept_s = kept_s
    cards.run(360.0)
    must_be_clean(cards)
    before_ms, after_ms = np.mean(cards.ear.delay_ms[45:60]), np.mean(cards.ear.delay_ms[-15:])
    assert after_ms - before_ms == pytest.approx(waits_ms, abs=0.5)


def test_a_pause_that_nobody_saw_does_not_change_how_long_the_sound_takes() -> None:
    """As when the whole computer sleeps: both cards are back before the bridge looks again. What
    starves meanwhile is slack, and nothing else is added."""
    cards = TwoCards(Card(48_000, 100), Card(48_000, -50))
    cards.kept_s = lambda _: (0.02, 0.03)
    for card in (cards.mic, cards.speaker):
        card.away.append((60.0, 63.0))
    cards.asleep = (60.0, 63.03)
    cards.run(59.0)
    before_s = cards.bridge.target_s - cards.bridge._slack.now_s
    for until_s in range(64, 110):
        cards.run(float(until_s))
        after_s = cards.bridge.target_s - cards.bridge._slack.now_s
        assert after_s == pytest.approx(before_s, abs=1e-3), until_s
        assert cards.bridge.delay_s == pytest.approx(cards.bridge.target_s, abs=5e-3), until_s


@pytest.mark.parametrize(
    ("speaker_ms", "waits_ms"),
    [
        (5.0, -5.0),
        pytest.param(-15.0, 15.0, marks=pytest.mark.slow),
        pytest.param(60.0, 0.0, marks=pytest.mark.slow),  # that is another card
    ],
)
def test_a_break_does_not_change_how_long_the_sound_takes(
    speaker_ms: float, waits_ms: float
) -> None:
    cards = TwoCards(Card(48_000, 100), Card(48_000, -50))
    cards.speaker.away.append((60.0, 60.5))
    cards.kept_s = lambda now_s: (0.02, 0.03 + (speaker_ms / 1e3 if now_s > 60 else 0.0))
    cards.run(59.0)
    before_s = cards.bridge.delay_s
    cards.run(300.0)
    assert cards.bridge.flowing
    assert 1e3 * (cards.bridge.delay_s - before_s) == pytest.approx(waits_ms, abs=1.0)


@pytest.mark.parametrize(
    ("in_hz", "out_hz"), [(44_100, 48_000), (16_000, 48_000), (48_000, 44_100), (48_000, 16_000)]
)
def test_cards_of_other_rates(in_hz: int, out_hz: int) -> None:
    mic, speaker = Card(in_hz, 100, 512, 0.002), Card(out_hz, -100, 480, 0.002)
    cards = ran(mic, speaker, 12)
    must_take_as_long_as_it_says(cards)
    assert cards.courier.underruns == 0
    assert cards.bridge.jumps == 0
    assert max(cards.ear.purity_db[2:]) < -70.0
    assert np.ptp(cards.ear.delay_ms[2:]) < 3.0


def test_bursts_are_survived_by_taking_more_slack() -> None:
    """A sound server calls three times at once and then not for a while."""
    cards = ran(Card(48_000, 100, 480, 0.035), Card(48_000, 0, 480, 0.035), 30, late_s=0.01)
    assert cards.bridge.jumps == 0, "the silence that stood in for what was late stays"
    assert 1 <= cards.courier.underruns <= 12
    assert max(cards.ear.click[20:]) <= CLICK_LSB, "by then it has what it needs"
    assert cards.bridge.delay_s < 0.15


def test_the_delay_comes_back_after_the_computer_was_busy() -> None:
    mic = Card(48_000, 50, 480, 0.004, stalls=[(20.0, 20.04)])
    cards = TwoCards(mic, Card(48_000, 0, 480, 0.004))
    delays_ms = []
    for until_s in (19, 60, 300):
        cards.run(until_s)
        delays_ms.append(1e3 * cards.bridge.delay_s)
    before, after, late = delays_ms
    assert after - before > 4.0
    assert abs(late - before) < 1.0
    assert max(cards.ear.click[23:]) <= CLICK_LSB, "given back without a click"
    assert cards.bridge.jumps == 0


@pytest.mark.parametrize("away", ["mic", "speaker"])
def test_a_card_goes_and_comes_back(away: str) -> None:
    mic, speaker = Card(48_000, 200), Card(48_000, 0)
    (mic if away == "mic" else speaker).away.append((10.0, 13.0))
    cards = TwoCards(mic, speaker)
    cards.run(10.0)
    before_s = cards.bridge.delay_s
    cards.run(12.9)
    assert not cards.bridge.flowing
    assert math.isnan(cards.bridge.delay_s)
    assert cards.ring.ended, "silence is no underrun now"
    n_played = cards.courier.at_sample
    cards.run(30.0)
    assert cards.bridge.flowing
    assert cards.bridge.delay_s == pytest.approx(before_s, abs=0.003), "nothing piled up"
    if away == "mic":
        assert n_played == pytest.approx(12.9 * 48_000, abs=960), "the speaker's clock went on"
    assert max(cards.ear.click[-10:]) <= CLICK_LSB
    assert cards.courier.end_sample == -1


def test_silence_until_both_clocks_are_known_then_the_tone() -> None:
    heard: list[np.ndarray] = []
    cards = TwoCards(Card(48_000), Card(48_000))
    hear = cards.ear.hear
    cards.ear.hear = lambda block: (heard.append(block.copy()), hear(block))[1]  # type: ignore[method-assign]
    cards.run(2.0)
    sound = np.concatenate(heard)
    assert not sound[:20_000].any()
    assert np.abs(sound[-WINDOW:].astype(int)).max() > 10_000
    assert cards.courier.underruns == 0


def test_a_microphone_that_loses_sound_does_not_shift_what_follows() -> None:
    """A tenth of a second is lost: silence is put in its place, once."""
    mic, speaker = Card(48_000, 50), Card(48_000, 0)
    mic.away.append((10.0, 10.1))
    cards = ran(mic, speaker, 69)  # the trim gives back 1 ms a second, slack stays for 60 s
    assert cards.bridge.delay_s == pytest.approx(cards.bridge.target_s, abs=0.005)
    assert max(cards.ear.click[-10:]) <= CLICK_LSB
