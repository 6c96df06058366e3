"""Which drops of a metric matter."""

from __future__ import annotations

from dataclasses import replace

from taskbank.bank.bank import Bank
from taskbank.verify.compare import compare
from tests.helpers.findings import judged


def test_a_tolerance_is_what_it_says(mood: Bank) -> None:
    """A drop of exactly the tolerance is let pass, whatever 0.9 - 0.88 is in binary."""
    record = mood["mood"]
    split = record.splits[1]
    reference = mood.reference(record, "test")
    found = compare(record, split, mood.examples(record, "test"), reference, reference + 1, 1e-5)
    for before in range(10, 100):
        exact = replace(found, metrics={"accuracy": (before / 100, (before - 2) / 100)})
        assert judged(record, exact, tolerance=0.02).status == "changed"
        assert judged(record, exact, tolerance=0.0199).status == "regressed"
