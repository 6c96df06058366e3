"""Inputs that are in train and in another split, and equal inputs with different labels."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.data.examples import Examples
from taskbank.data.repeats import Contradictions, Place, contradictions, rows_in_train

# For each kind: the label's column, an input, another input, and two different labels.
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any], Any, Any]] = {
    "single": ("label", {"text": "a"}, {"text": "b"}, "x", "y"),
    "pair": ("label", {"text_a": "a", "text_b": "b"}, {"text_a": "b", "text_b": "a"}, "x", "y"),
    "regression": ("label", {"text": "a"}, {"text": "b"}, 1.0, 2.0),
    "multilabel": ("labels", {"text": "a"}, {"text": "b"}, ["x"], []),
    "span": (
        "answers",
        {"question": "q", "context": "c"},
        {"question": "q", "context": "d"},
        {"text": ["c"], "answer_start": [0]},
        {"text": [], "answer_start": []},
    ),
    "tagging": ("tags", {"words": ["a", "b"]}, {"words": ["a", "c"]}, ["O", "O"], ["O", "B-a"]),
}


def examples(label: str, rows: list[tuple[dict[str, Any], Any]]) -> Examples:
    """Return examples of some inputs and labels."""
    columns = {name: tuple(row[name] for row, _ in rows) for name in rows[0][0]}
    return Examples(columns | {label: tuple(value for _, value in rows)}, "here")


@pytest.mark.parametrize("kind", KINDS)
def test_repeats_are_found_for_every_kind(kind: str) -> None:
    """The rows of a split whose input is in train are counted, and contradictions are named."""
    label, one, other, first, second = KINDS[kind]
    train = examples(label, [(one, first), (one, second), (one, first)])
    test = examples(label, [(other, first), (one, first), (one, second)])
    assert rows_in_train(train, test, label) == 2
    assert rows_in_train(test, train, label) == 3
    found = contradictions({"train": train, "test": test}, label)
    places = (Place("train", 1, first), Place("train", 2, second))
    assert found == Contradictions(1, 5, (places,))
    assert contradictions({"train": examples(label, [(one, first), (other, second)])}, label) == (
        Contradictions(0, 0, ())
    )


def test_contradictions_across_splits_are_named() -> None:
    """A test row that contradicts train is named with its split, as is one of many."""
    train = examples("label", [({"text": f"t{n}"}, "x") for n in range(20)])
    test = examples("label", [({"text": f"T{n} "}, "y") for n in range(20)])
    found = contradictions({"train": train, "test": test}, "label")
    assert (found.inputs, found.rows, len(found.first)) == (20, 40, 5)
    assert found.first[1] == (Place("train", 2, "x"), Place("test", 2, "y"))
    assert found.to_json()["first"][0][1] == {"split": "test", "row": 1, "label": "y"}
