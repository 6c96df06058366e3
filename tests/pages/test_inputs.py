"""Which texts the form of the page Try asks for."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.pages.inputs import Input, inputs_for


def test_the_form_has_the_texts_of_the_kind(demo: Bank) -> None:
    """One text, or two; for tasks of any kind a second one that may stay empty."""
    assert inputs_for(demo["spam@1"], ("a",)) == (Input("input1", "text", "a", True),)
    assert [one.title for one in inputs_for(demo["same-question@1"], ())] == [
        "first text",
        "second text",
    ]
    assert [one.required for one in inputs_for(None, ())] == [True, False]
