"""Sentences to synthesise, in many languages: words, names, towns and trades from Faker (MIT).

Where Faker has no words of a language, its names of people, towns, streets and trades serve: the
sounds of the language are in them too.
"""

from __future__ import annotations

LEARNED: dict[str, str] = {
    "en-us": "en_US", "en": "en_GB", "de": "de_DE", "nl": "nl_NL", "fr": "fr_FR", "es": "es_ES",
    "pl": "pl_PL", "cs": "cs_CZ", "ru": "ru_RU", "uk": "uk_UA", "el": "el_GR", "vi": "vi_VN",
    "fa": "fa_IR", "da": "da_DK", "ar": "ar_AA", "bn": "bn_BD", "sv": "sv_SE", "fi": "fi_FI",
    "hu": "hu_HU", "tr": "tr_TR", "hi": "hi_IN", "az": "az_AZ",
}  # fmt: skip
"""Languages to learn from: eSpeak NG's name -> Faker's."""

KEPT_ASIDE: dict[str, str] = {
    "it": "it_IT", "pt": "pt_PT", "ro": "ro_RO", "sk": "sk_SK", "hr": "hr_HR", "bg": "bg_BG",
    "id": "id_ID", "ka": "ka_GE", "ne": "ne_NP", "et": "et_EE", "lt": "lt_LT", "sl": "sl_SI",
}  # fmt: skip
"""Languages that are only ever judged, never learned from."""

_WITH_WORDS = {
    "en_US", "de_DE", "nl_NL", "fr_FR", "es_ES", "pl_PL", "cs_CZ", "ru_RU", "uk_UA", "el_GR",
    "vi_VN", "fa_IR", "da_DK", "ar_AA", "bn_BD", "az_AZ", "it_IT",
}  # fmt: skip


def sentences(locale: str, n: int, seed: int) -> list[str]:
    """``n`` sentences of about ten words; the same for the same seed."""
    from faker import Faker

    words_of = {"de_DE": "de_AT", "en_GB": "en_US"}.get(locale, locale)
    faker = Faker(words_of if words_of in _WITH_WORDS or locale == "de_DE" else locale)
    faker.seed_instance(seed)
    named = locale not in _WITH_WORDS and locale != "en_GB"
    return [_names(faker) if named or k % 4 == 3 else faker.sentence(11) for k in range(n)]


def _names(faker: object) -> str:
    """People and where they live, as a list that is read aloud."""
    kinds = ("name", "city", "last_name", "street_name", "first_name")
    return ", ".join(str(getattr(faker, kind)()) for kind in kinds) + "."
