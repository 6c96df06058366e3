"""Comparisons of predictions with their references."""

from __future__ import annotations

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
