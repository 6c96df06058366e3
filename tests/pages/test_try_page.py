"""What the page for trying texts shows of answers of every kind."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.pages.drawn import Part
from taskbank.pages.try_page import BARS, answer_of


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
