"""Classes of phones: every phone of the usual inventories has one, and it is what a face shows."""

from __future__ import annotations

import pytest

from lipsync_tools.articulation import CLOSED, NAMES, ROUNDED, class_of_arpabet, class_of_ipa
from lipsync_tools.labels import CLOSED as CLOSED_ARPABET
from lipsync_tools.labels import ROUND as ROUND_ARPABET

# The CMU dictionary's alphabet, http://www.speech.cs.cmu.edu/cgi-bin/cmudict
PHONES = (
    "SIL", "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH",
    "UW", "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S",
    "SH", "T", "TH", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("p", "bilabial"), ("bʲ", "bilabial"), ("mː", "bilabial nasal"), ("w", "labial glide"),
        ("tʃ", "postalveolar"), ("ts", "sibilant"), ("t", "coronal stop"), ("aɪ", "open"),
        ("uː", "close round"), ("y", "close round"), ("ɛ̃", "mid spread"), ("ʲ", None), ("", None),
    ],
)  # fmt: skip
def test_ipa(phone: str, expected: str | None) -> None:
    assert class_of_ipa(phone) == expected


def test_every_arpabet_phone_has_a_class() -> None:
    assert all(class_of_arpabet(phone) in NAMES for phone in PHONES)


def test_both_alphabets_agree_on_closures_and_rounding() -> None:
    assert all(class_of_arpabet(phone) in CLOSED for phone in CLOSED_ARPABET)
    assert all(class_of_arpabet(phone) in ROUNDED for phone in ROUND_ARPABET)
    assert not any(class_of_arpabet(p) in CLOSED for p in PHONES if p not in CLOSED_ARPABET)
