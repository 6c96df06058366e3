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


def entity(text: str, start: int, score: float, kind: str = "PER") -> dict[str, Any]:
    """Return an entity of an answer."""
    end = start + len(text)
    return {"text": text, "type": kind, "start": start, "end": end, "score": score}


def tagged(*entities: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with entities."""
    return {"label": ", ".join(one["text"] for one in entities), "score": 0.5, "entities": entities}


def test_a_word_moves_the_mean_confidence_in_the_same_entities() -> None:
    """An entity that is gone or has another type counts as none; one that only lost the word is
    the same, and one that is nothing but the word does not count."""
    row = ("Ada Lovelace met Bo",)
    answer = tagged(entity("Ada Lovelace", 0, 0.9), entity("Bo", 17, 0.7))
    others = [
        tagged(entity("Lovelace", 0, 0.5), entity("Bo", 13, 0.7)),  # without Ada
        tagged(entity("Ada", 0, 0.9), entity("Bo", 8, 0.5, "ORG")),  # without Lovelace
        tagged(entity("Ada Lovelace", 0, 0.9), entity("Bo", 13, 0.8)),  # without met
        tagged(entity("Ada Lovelace", 0, 0.8)),  # without Bo
    ]
    found = effects(answer, words_of(row), others)
    assert [one.change for one in found] == pytest.approx([0.2, 0.35, -0.05, 0.1])


def test_without_an_entity_no_word_has_an_effect() -> None:
    """Nothing that was found can be lost, and a word that is the only entity tells nothing."""
    words = words_of(("Bo sat",))
    assert effects(tagged(), words, [tagged(), tagged()]) == []
    alone = effects(tagged(entity("Bo", 0, 0.7)), words, [tagged(), tagged(entity("Bo", 0, 0.7))])
    assert [one.change for one in alone] == [0.0, 0.0]
