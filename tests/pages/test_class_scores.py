"""The scores of classes and their confusions, compared with counts made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.kinds.definition import Definition
from tests.helpers.evidence import evidence_of
from tests.helpers.versions import version


def test_the_matrix_counts_labels_and_answers(four_wrong: Bank) -> None:
    """Each cell has the number of its examples, and opens exactly those."""
    found = evidence_of(four_wrong, "mood@1")
    cells = {(cell.label, cell.predicted): cell.count for _, row in found.matrix for cell in row}
    assert cells == {
        ("bad", "bad"): 18,
        ("bad", "good"): 2,
        ("good", "bad"): 2,
        ("good", "good"): 18,
    }
    opened = evidence_of(four_wrong, "mood@1", label="bad", predicted="good")
    assert opened.found == 2
    assert {(one.label, one.predicted) for one in opened.examples} == {("bad", "good")}
    assert [one.number for one in opened.examples] == [37, 39]


def test_classes_have_intervals(four_wrong: Bank) -> None:
    """Recall is 18 of 20 for each class, with the interval that 20 examples allow."""
    for one in evidence_of(four_wrong, "mood@1").classes:
        assert (one.recall, one.support) == (0.9, 20)
        assert one.recall_interval == pytest.approx((0.699, 0.972), abs=1e-3)


def test_many_classes_have_a_list_in_place_of_a_matrix(own: Bank) -> None:
    """Beyond 16 classes, the most frequent confusions are listed."""
    names = tuple(f"class-{number:02}" for number in range(20))
    own.put(replace(version(30, definition=Definition(names, {}), labels=names * 2), task="many"))
    found = evidence_of(own, "many@1")
    assert found.matrix == ()
    assert len(found.confusions) == 10
