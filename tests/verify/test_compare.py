"""Comparisons of predictions with their references."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.verify.compare import compare
from tests.helpers.findings import judged


def test_flips_between_near_ties_are_told_apart(mood: Bank) -> None:
    """A flip within rounding noise is counted but changes nothing; one beyond it is a change."""
    record = mood["mood"]
    split = record.splits[1]
    examples = mood.examples(record, "test")
    reference = mood.reference(record, "test").copy()
    chosen = int(reference[0].argmax())
    reference[0, [chosen, 1 - chosen]] = [1.00001, 1.0]
    close, far = reference.copy(), reference.copy()
    close[0, [chosen, 1 - chosen]] = [1.0, 1.00001]
    far[0, [chosen, 1 - chosen]] = [1.0, 1.2]
    near = compare(record, split, examples, reference, close, 1e-4)
    assert (len(near.flips), near.real_flips, near.moved) == (1, 0, 0)
    assert judged(record, near).status == "ok"
    sharper = compare(record, split, examples, reference, close, 1e-6)
    assert (sharper.real_flips, judged(record, sharper).status) == (1, "changed")
    real = compare(record, split, examples, reference, far, 1e-4)
    assert (len(real.flips), real.real_flips, real.moved) == (1, 1, 1)
    assert "row 1" in real.describe()


def test_a_comparison_keeps_few_flips_however_many_there_are(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are counted, and one beyond the noise is shown though the first ones are within it."""
    monkeypatch.setattr("taskbank.verify.compare.SHOWN_FLIPS", 2)
    record = mood["mood"]
    split, examples = record.splits[1], mood.examples(record, "test")
    reference = mood.reference(record, "test").copy()
    for row in range(2):
        reference[row] = [1.00001, 1.0]
    found = compare(record, split, examples, reference, reference[:, ::-1].copy(), 1e-4)
    assert [flip.row for flip in found.flips] == [1, 2]
    assert (found.changed, found.real_flips) == (len(examples), len(examples) - 2)
    assert "row 3" in found.describe()
    assert judged(record, found).flips == len(examples)
