"""Labels and inputs as texts for people."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank import plugins
from taskbank.kinds.definition import Definition
from taskbank.pages.shown_text import SHOWN_TEXT, as_text, shown_inputs, shown_label

PEOPLE = ["B-PER", "O", "B-PER"]
CONTEXT = {"question": ("who",), "context": ("Ada",)}
LABELS = [
    ("tagging", {"words": (("Ada", "met", "Bo"),)}, "tags", PEOPLE, "Ada (PER), Bo (PER)"),
    ("multilabel", {"text": ("a",)}, "labels", ["price", "service"], "price, service"),
    ("span", CONTEXT, "answers", ["Ada", "Ada L."], "Ada, Ada L."),
    ("regression", {"text": ("a",)}, "label", 2.50, "2.5"),
    ("single", {"text": ("a",)}, "label", "x" * 500, "x" * SHOWN_TEXT),
]


@pytest.mark.parametrize(("kind", "inputs", "name", "value", "shown"), LABELS)
def test_labels_are_shown_as_answers_are(
    kind: str, inputs: dict[str, tuple[Any, ...]], name: str, value: object, shown: str
) -> None:
    """Entities have their words and types, and several labels or answers stand apart."""
    definition = Definition(("B-PER", "O") if kind == "tagging" else ())
    columns = {**inputs, name: (value,)}
    assert shown_label(plugins.load("kinds", kind), columns, definition, 0) == shown


def test_long_inputs_are_shortened_and_counted() -> None:
    """Only the beginning is shown, with the number of characters of all texts."""
    long = "a" * (SHOWN_TEXT + 1)
    columns = {"text_a": ("b", long), "text_b": ("c", "d"), "label": ("x", "y")}
    assert shown_inputs(columns, "label", 0) == ((("text_a", "b"), ("text_b", "c")), None)
    inputs, characters = shown_inputs(columns, "label", 1)
    assert inputs[0] == ("text_a", "a" * SHOWN_TEXT)
    assert characters == SHOWN_TEXT + 2


def test_a_text_within_an_object_is_found() -> None:
    """What is stored with further keys is shown by its text."""
    assert as_text([{"text": "Ada"}, 1]) == "{'text': 'Ada'} 1"
    assert as_text({"text": "Ada", "start": 3}) == "Ada"
