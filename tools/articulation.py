"""What the lips do in a phone, whatever the language: classes of phones by what a face shows.

A phone has one class. The classes follow the places of articulation of the International Phonetic
Association's chart, joined where the face looks the same (visemes).
"""

from __future__ import annotations

CLASSES: dict[str, str] = {
    "silence": "",
    "bilabial": "p b ɓ ʙ",
    "bilabial nasal": "m",
    "bilabial fricative": "ɸ β",
    "labiodental": "f v ʋ ɱ ⱱ",
    "labial glide": "w ʍ ɥ",
    "dental": "θ ð",
    "coronal stop": "t d ʈ ɖ ɗ ǀ ǃ",
    "coronal nasal": "n ɳ ɲ",
    "sibilant": "s z ɕ ʑ",
    "postalveolar": "ʃ ʒ ʂ ʐ",
    "lateral": "l ɫ ɭ ʎ ɬ ɮ",
    "rhotic": "r ɹ ɾ ɻ ɽ ʀ",
    "palatal": "j ç ʝ",
    "dorsal": "k g ɡ q ɢ c ɟ ŋ ɴ ɠ",
    "guttural": "x ɣ χ ʁ h ɦ ħ ʕ ʔ ɰ ɧ",
    "close spread": "i ɪ ɨ ᵻ",
    "mid spread": "e ɛ ɘ ɜ ɝ",
    "central": "ə ɐ ɚ ʌ ɤ ɵ ɞ",
    "open": "a ɑ æ ä",
    "close round": "u ʊ ʉ ɯ y ʏ",
    "mid round": "o ɔ ø œ ɒ ɶ",
}
"""Class -> IPA letters. ɯ is unrounded by the chart, but the lips stay as narrow."""

NAMES: tuple[str, ...] = tuple(CLASSES)
CLOSED = frozenset({"bilabial", "bilabial nasal"})
ROUNDED = frozenset({"labial glide", "close round", "mid round"})
OPENED = frozenset({"open"})
SPREAD = frozenset({"close spread", "mid spread"})
UNROUNDED = frozenset("ɯ")

_OF_LETTER = {letter: name for name, letters in CLASSES.items() for letter in letters.split()}
_OF_ARPABET = {
    "SIL": "silence", "P": "bilabial", "B": "bilabial", "M": "bilabial nasal", "F": "labiodental",
    "V": "labiodental", "W": "labial glide", "TH": "dental", "DH": "dental", "T": "coronal stop",
    "D": "coronal stop", "N": "coronal nasal", "S": "sibilant", "Z": "sibilant",
    "SH": "postalveolar", "ZH": "postalveolar", "CH": "postalveolar", "JH": "postalveolar",
    "L": "lateral", "R": "rhotic", "Y": "palatal", "K": "dorsal", "G": "dorsal", "NG": "dorsal",
    "HH": "guttural", "IY": "close spread", "IH": "close spread", "EY": "mid spread",
    "EH": "mid spread", "ER": "central", "AH": "central", "AA": "open", "AE": "open", "AY": "open",
    "AW": "open", "UW": "close round", "UH": "close round", "AO": "mid round", "OW": "mid round",
    "OY": "mid round",
}  # fmt: skip


def class_of_ipa(phone: str) -> str | None:
    """The class of a phone written in IPA, by its first letter that has one; None: no such letter.

    Affricates count as what they end in for the lips (tʃ is postalveolar, ts a sibilant).
    """
    found = [_OF_LETTER[letter] for letter in phone if letter in _OF_LETTER]
    if not found:
        return None
    if found[0] == "coronal stop" and found[-1] in ("sibilant", "postalveolar"):
        return found[-1]
    return found[0]


def class_of_arpabet(phone: str) -> str | None:
    """The class of a phone of the CMU dictionary's alphabet, with or without its stress."""
    return _OF_ARPABET.get(phone.rstrip("012"))
