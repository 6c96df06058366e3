"""The effects of words, compared with numbers made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.pages.leave_out import CHARACTERS, Word, effects, first_words, without, words_of


def test_words_are_left_out_with_their_space() -> None:
    """A text without a word has neither a gap nor a lost sign, and other texts stay."""
    row = ("a good film, truly good", "one two")
    words = words_of(row)
    assert [row[word.text][word.start : word.end] for word in words] == [
        "a", "good", "film", "truly", "good", "one", "two",
    ]  # fmt: skip
    assert [without(row, word)[word.text] for word in words] == [
        "good film, truly good",
        "a film, truly good",
        "a good , truly good",
        "a good film, good",
        "a good film, truly ",
        "two",
        "one ",
    ]


def test_no_text_becomes_empty() -> None:
    """The only word of a text is never left out, and signs are no words."""
    assert words_of(("single!", "??", "")) == []


def test_long_inputs_have_fewer_words_left_out() -> None:
    """All inputs together have at most so many characters."""
    row = ("word " * 4000,)
    assert len(first_words(words_of(row), row, 1000)) == CHARACTERS // 20_000
    assert len(first_words(words_of(("a b c",)), ("a b c",), 2)) == 2
    assert list(first_words(words_of(("a b",)), ("a b",), 0)) == []


WORDS = [Word(0, 0, 1), Word(0, 2, 3)]


@pytest.mark.parametrize(
    ("answer", "others", "unit", "changes", "levels"),
    [
        (
            {"label": "x", "score": 0.9, "probabilities": {"x": 0.9, "y": 0.1}},
            [
                {"label": "y", "score": 0.6, "probabilities": {"x": 0.4, "y": 0.6}},
                {"label": "x", "score": 0.95, "probabilities": {"x": 0.95, "y": 0.05}},
            ],
            1.0,
            [0.5, -0.05],
            [3, 1],
        ),
        (
            {"label": "x", "labels": ["x"], "probabilities": {"x": 0.9, "y": 0.5}},
            [
                {"label": "", "labels": [], "probabilities": {"x": 0.4, "y": 0.5}},
                {"label": "x, y", "labels": ["x", "y"], "probabilities": {"x": 0.9, "y": 0.7}},
            ],
            1.0,
            [0.25, 0.18],
            [2, 2],
        ),
        (
            {"label": "3", "value": 3.0},
            [{"label": "5", "value": 5.0}, {"label": "3", "value": 3.0}],
            4.0,
            [-2.0, 0.0],
            [3, 0],
        ),
        (
            {"label": "Paris", "answer": "Paris", "score": 0.8},
            [
                {"label": "Rome", "answer": "Rome", "score": 0.9},
                {"label": "Paris", "answer": "Paris", "score": 0.75},
            ],
            1.0,
            [0.8, 0.05],
            [3, 1],
        ),
    ],
)
def test_an_effect_is_the_support_that_is_lost(
    answer: dict[str, Any],
    others: list[dict[str, Any]],
    unit: float,
    changes: list[float],
    levels: list[int],
) -> None:
    """For a class, labels, a number and a span it is what the same answer loses."""
    found = effects(answer, WORDS, others, unit)
    assert [one.change for one in found] == pytest.approx(changes)
    assert [one.level for one in found] == levels
    assert [one.label for one in found] == [other["label"] for other in others]


def test_entities_have_no_one_number() -> None:
    """Nothing is said of answers that no number supports."""
    assert effects({"label": "x", "entities": []}, WORDS, [{}, {}]) == []
