"""What the page for trying texts shows of answers of every kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.pages.drawn import Part
from taskbank.pages.leave_out import Effect, Word
from taskbank.pages.try_page import BARS, Input, answer_of, inputs_for, nearest, why
from tests.helpers.versions import version


def test_the_form_has_the_texts_of_the_kind(demo: Bank) -> None:
    """One text, or two; for tasks of any kind a second one that may stay empty."""
    assert inputs_for(demo["spam@1"], ("a",)) == (Input("input1", "text", "a", True),)
    assert [one.title for one in inputs_for(demo["same-question@1"], ())] == [
        "first text",
        "second text",
    ]
    assert [one.required for one in inputs_for(None, ())] == [True, False]


def test_the_highest_probabilities_are_shown(demo: Bank) -> None:
    """Bars are in order, say which labels are in the answer, and the rest is counted."""
    probabilities = {f"label {number}": number / 100 for number in range(BARS + 3)}
    found = answer_of(
        demo["spam@1"],
        ("a text",),
        {"label": "label 10", "score": 0.1, "probabilities": probabilities},
    )
    assert [bar.label for bar in found.bars[:2]] == ["label 10", "label 9"]
    assert [bar.chosen for bar in found.bars[:2]] == [True, False]
    assert (len(found.bars), found.more, found.ref) == (BARS, 3, "spam@1")


def test_a_withheld_answer_is_shown_as_what_it_would_have_been(demo: Bank) -> None:
    """With the most likely candidate as its label and among its bars, and marked as withheld."""
    probabilities = {"ham": 0.6, "spam": 0.4}
    candidates = [{"label": name, "probability": share} for name, share in probabilities.items()]
    answer = {"score": 0.6, "probabilities": probabilities, "candidates": candidates}
    found = answer_of(demo["spam@1"], ("a text",), {"label": None, **answer})
    assert (found.label, found.withheld) == ("ham", True)
    assert [bar.chosen for bar in found.bars] == [True, False]
    given = answer_of(demo["spam@1"], ("a text",), {"label": "ham", **answer})
    assert not given.withheld


def test_entities_and_spans_are_drawn(demo: Bank) -> None:
    """Each is marked where it stands, with its type; an answer without a place is not drawn."""
    record = demo["spam@1"]
    entity = {"text": "Ada", "type": "PER", "start": 3, "end": 6, "score": 0.5}
    found = answer_of(
        record, ("Hi Ada!",), {"label": "Ada (PER)", "score": 0.5, "entities": [entity]}
    )
    assert found.drawn is not None
    assert found.drawn.parts == (Part("Hi "), Part("Ada", "found", "PER 0.50"), Part("!"))
    answer = {"label": "Ada", "score": 0.5, "answer": "Ada", "start": 0, "end": 3}
    found = answer_of(record, ("Who?", "Ada did"), answer)
    assert found.drawn is not None
    assert found.drawn.parts == (Part("Ada", "found"), Part(" did"))
    nothing = {"label": "", "score": 0.5, "answer": "", "start": None, "end": None}
    assert answer_of(record, ("Who?", "Ada"), nothing).drawn is None
    assert answer_of(record, ("a",), {"label": "3", "score": 3.0, "value": 3.0}).score is None


def test_words_are_marked_by_strength(demo: Bank) -> None:
    """A word for the answer and one against it differ, and weak ones are in no table."""
    effects = [
        Effect(Word(0, 0, 4), 0.5, 3, "ham"),
        Effect(Word(0, 5, 9), -0.05, 1, "spam"),
        Effect(Word(0, 10, 13), 0.0, 0, "spam"),
    ]
    found = why(demo["spam@1"], ("free cash now",), "spam", effects, 3)
    assert found is not None
    assert [part.mark for part in found.texts[0].parts if part.mark] == [
        "for-3",
        "against-1",
        "tried",
    ]
    assert [(one.word, one.other) for one in found.strongest] == [("free", "ham"), ("cash", None)]
    assert why(demo["spam@1"], ("free",), "spam", [], 1) is None


def test_the_nearest_examples_have_what_was_recorded(own: Bank) -> None:
    """An example comes with its label and the version's recorded answer, which may be wrong."""
    own.put(version(36))
    found = nearest(own, own["mood@1"], ("text 38",))
    assert found is not None
    assert (found.split, found.compared, found.of_all) == ("test", 40, 40)
    first = found.examples[0]
    assert (first.number, first.text, first.label, first.answer) == (39, "text 38", "bad", "good")
    assert first.correct is False
    assert first.similarity == pytest.approx(1.0)


def test_without_a_stored_split_there_are_no_examples(demo: Bank) -> None:
    """A version whose splits are not stored has none to show."""
    assert nearest(demo, replace(demo["spam@1"], splits=()), ("a",)) is None
