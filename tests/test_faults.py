"""The fault language of the dummies."""

from __future__ import annotations

import pytest

from lipsync_edge.faults import Fault, parse_faults

KINDS = {"nack": "no acknowledge, for so many seconds", "dead": "gone, for so many seconds"}


def test_words_become_faults_ordered_by_start() -> None:
    faults = parse_faults(" dead@5:2, nack@1.5  nack@2:0.25 ", KINDS)
    assert faults == (Fault("nack", 1.5), Fault("nack", 2.0, 0.25), Fault("dead", 5.0, 2.0))


def test_nothing_written_means_no_fault() -> None:
    assert parse_faults("", KINDS) == ()


@pytest.mark.parametrize(
    "text", ["nack", "nack@", "nack@x", "nack@-1", "nack@nan", "nack@1:", "nack@1:inf", "@1"]
)
def test_malformed_words_are_refused_with_the_known_kinds(text: str) -> None:
    with pytest.raises(ValueError, match=r"Known: nack \(no acknowledge.*dead \(gone"):
        parse_faults(text, KINDS)


def test_unknown_kind_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean 'nack'"):
        parse_faults("nak@1", KINDS)


def test_active_covers_start_to_end() -> None:
    fault = Fault("nack", 2.0, 0.5)
    assert [fault.active(t) for t in (1.9, 2.0, 2.4, 2.5)] == [False, True, True, False]
    assert Fault("dead", 5.0).active(1e9)
    assert not Fault("nack", 2.0).active(2.2, lasting_s=0.1)
