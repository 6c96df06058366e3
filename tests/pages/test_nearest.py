"""What is shown of the stored examples that are most like an input."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.pages.nearest import nearest
from tests.helpers.versions import version


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
