"""Stored examples that are like a text."""

from __future__ import annotations

import pytest

from taskbank.pages.similar import COMPARED, most_similar

EXAMPLES = ("the parcel is late", "the invoice is wrong", "the app is slow", "Nobody RANG!")


def test_rare_words_count_more() -> None:
    """Of two examples that share one word each, the one with the rarer word comes first."""
    found = most_similar("the parcel", EXAMPLES, 3)
    assert found[0][0] == 0
    assert found[0][1] > 2 * found[1][1]


def test_the_same_words_are_the_same() -> None:
    """Order, signs and case do not count, and a text with the same words has the similarity 1."""
    ((place, similarity),) = most_similar("rang, nobody?", EXAMPLES, 5)
    assert place == 3
    assert similarity == pytest.approx(1.0)


def test_without_a_shared_word_nothing_is_found() -> None:
    """Neither other words nor signs alone make texts alike."""
    assert most_similar("wholly different", EXAMPLES, 5) == []
    assert most_similar("!?", EXAMPLES, 5) == []
    assert most_similar("parcel", (), 5) == []


def test_only_so_many_examples_are_compared() -> None:
    """What comes after the limit is not looked at."""
    assert most_similar("last", ["first"] * COMPARED + ["last"], 1) == []
