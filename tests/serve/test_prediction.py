"""A prediction keeps the input, the answer and the details apart."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.serve.prediction import Prediction

CLASSES = {"label": "good", "score": 0.75, "probabilities": {"bad": 0.25, "good": 0.75}}
ANSWER = {"label": "", "score": 0.5, "answer": None, "start": None, "end": None}
TAGS = {"label": "", "score": 0.9, "entities": [], "words": ["sad", "film"], "tags": ["O", "O"]}


@pytest.mark.parametrize(
    ("texts", "answer", "details"),
    [
        (("good day",), CLASSES, {"probabilities": {"bad": 0.25, "good": 0.75}}),
        (("who?", "nobody"), ANSWER, {"answer": None, "start": None, "end": None}),
        ((["sad", "film"],), TAGS, {"entities": [], "words": ["sad", "film"], "tags": ["O", "O"]}),
    ],
)
def test_a_prediction_has_the_texts_the_label_the_score_and_the_other_values_as_details(
    texts: tuple[Any, ...], answer: dict[str, Any], details: dict[str, Any]
) -> None:
    """`of` takes label and score out of a kind's answer and keeps all other values, None too."""
    found = Prediction.of(texts, answer)
    assert (found.text, found.text_pair) == (texts[0], texts[1] if len(texts) == 2 else None)
    assert (found.label, found.score) == (answer["label"], answer["score"])
    assert found.details == details


def test_the_json_form_has_the_input_first_and_a_second_text_only_if_there_is_one() -> None:
    """`to_json` lists text, text_pair, label, score, truncated and the details in this order."""
    one = Prediction.of(("good day",), CLASSES).to_json()
    two = Prediction.of(("who?", "nobody"), ANSWER, truncated=True).to_json()
    assert list(one) == ["text", "label", "score", "truncated", "probabilities"]
    assert one == {"text": "good day", "truncated": False, **CLASSES}
    first = ["text", "text_pair", "label", "score", "truncated"]
    assert list(two) == [*first, *(key for key in ANSWER if key not in first)]
    assert two == {"text": "who?", "text_pair": "nobody", "truncated": True, **ANSWER}


def test_a_withheld_answer_has_a_best_label() -> None:
    """Its label is None, and its best label that of its first candidate; else both are equal."""
    candidates = [{"label": "good", "probability": 0.75}, {"label": "bad", "probability": 0.25}]
    withheld = Prediction.of(("good day",), {**CLASSES, "label": None, "candidates": candidates})
    assert (withheld.label, withheld.best_label) == (None, "good")
    assert withheld.to_json()["label"] is None
    assert Prediction.of(("good day",), CLASSES).best_label == "good"
