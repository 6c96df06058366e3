"""Texts that look alike have one normal form."""

from __future__ import annotations

import unicodedata

import pytest

from taskbank.data.normal_text import INVISIBLE, escaped, visible_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("billing", "bil\u200bling"),
        ("billing", "billing\ufeff"),
        ("billing", "bil\u00adling"),
        ("billing", "billing\x1b"),
        ("a b", "a\u00a0 b "),
        ("42", "\uff14\uff12"),
        ("fine", "\ufb01ne"),
        ("\u2764", "\u2764\ufe0f"),
    ],
)
def test_texts_that_look_alike_are_equal(one: str, other: str) -> None:
    """Forms of Unicode, invisible characters and white space make no difference."""
    assert one != other
    assert visible_text(one) == visible_text(other)


def test_every_format_character_is_invisible() -> None:
    """Characters of the category Cf are left out, but for those that are drawn or are spaces."""
    drawn = {"ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "SHORTHAND"}
    for code in range(0x110000):
        if unicodedata.category(chr(code)) == "Cf" and not INVISIBLE.fullmatch(chr(code)):
            assert unicodedata.name(chr(code)).split()[0] in drawn, hex(code)


def test_an_escaped_text_shows_what_is_invisible() -> None:
    """What cannot be seen or told apart is written in ASCII."""
    assert escaped("bil\u200bling") == r"'bil\u200bling'"
