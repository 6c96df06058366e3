"""Words of a text."""

from __future__ import annotations

import pytest

from taskbank.errors import DataError, InputError
from taskbank.kinds.definition import Definition
from taskbank.kinds.tagging import TAGGING

BIO = ("B-loc", "B-per", "I-loc", "I-per", "O")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada's dog.", ["Ada's", "dog", "."]),
        ("the U.S. today", ["the", "U.S", ".", "today"]),
        ("an e-mail, twenty-one", ["an", "e-mail", ",", "twenty-one"]),
        ("@ada #tag!?", ["@ada", "#tag", "!", "?"]),
        ("3.14 (or so)", ["3.14", "(", "or", "so", ")"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("a \U0001f642 b", ["a", "\U0001f642", "b"]),
        ("\u2028x\u00a0y", ["x", "y"]),
        ("...", [".", ".", "."]),
    ],
)
def test_a_text_is_split_into_words_and_signs(text: str, words: list[str]) -> None:
    """Words keep what joins their parts and the marks on their letters; other signs stand alone."""
    assert TAGGING.parse([(text,)], Definition(BIO))["words"] == [words]


def test_words_can_be_given_as_they_are() -> None:
    """A list of words is taken as it is, spaces inside and all."""
    columns = TAGGING.parse([(["New York", "."],), (("a", "b"),)], Definition(BIO))
    assert columns == {"text": ["New York .", "a b"], "words": [["New York", "."], ["a", "b"]]}
    with pytest.raises(InputError, match=r"input 2, .*NUL"):
        TAGGING.parse([("a",), (["b", "c\0"],)], Definition(BIO))
    with pytest.raises(DataError, match=r"input 1 is \('a', 'b'\): .*or a list of words"):
        TAGGING.parse([("a", "b")], Definition(BIO))
