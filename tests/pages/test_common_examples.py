"""Which examples two versions, or two verifications, have in common."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewResult, NewVerification
from taskbank.data.examples import Examples
from taskbank.errors import InputError, NotFoundError
from taskbank.kinds.definition import Definition
from taskbank.pages.common_examples import Side
from taskbank.pages.paired_evidence import AskedPairs, read_pairs
from tests.helpers.evidence import pairs_of
from tests.helpers.versions import version


def renamed(new: NewAdapter, start: int) -> NewAdapter:
    """Return a version whose texts are those of rows from another one on."""
    examples = Examples.from_bytes(new.splits[0].examples, "test.csv")
    texts = tuple(f"text {start + row}" for row in range(len(examples)))
    moved = Examples({**examples.columns, "text": texts}, "test.csv")
    return replace(new, splits=(replace(new.splits[0], examples=moved.to_bytes()),))


def test_other_splits_are_matched_by_their_inputs(bank: Bank) -> None:
    """Of splits that share 30 of 40 texts, those 30 are compared; without any, that is said."""
    bank.put(version(40))
    bank.put(renamed(version(40, seed=1), 10), new_version=True)
    bank.put(renamed(version(40, seed=2), 100), new_version=True)
    found = pairs_of(bank, "mood@1", "mood@2")
    assert (found.same_split, found.sizes, found.paired.examples) == (False, (40, 40), 30)
    assert found.counts["unchanged"] == 30
    assert {one.number for one in found.examples} == set(range(1, 31))
    with pytest.raises(InputError, match="no example in common"):
        pairs_of(bank, "mood@1", "mood@3")


def test_tasks_with_other_labels_are_compared_where_both_can_answer(own: Bank) -> None:
    """Examples with a label that the first lacks are left out, and the difference is named."""
    own.put(version(40))
    three = Definition(("bad", "good", "new"), {})
    labels = tuple(("bad", "good", "new", "bad")[row % 4] for row in range(40))
    own.put(replace(version(40, definition=three, labels=labels), task="other"))
    found = pairs_of(own, "mood@1", "other@1")
    assert (found.left_out, found.labels_differ, found.paired.examples) == (10, True, 30)
    assert found.relabelled == 10  # each fourth is `good` in the first split


def test_verifications_are_compared_by_what_they_predicted(bank: Bank) -> None:
    """Predictions of a verification are compared with the reference, where they are stored."""
    bank.put(version(40))
    record, log = bank["mood@1"], bank.verification_log
    moved = bank.reference(record, "test").copy()
    moved[:3] = moved[:3, ::-1]
    run = log.start_run("full", [], {})
    log.observe(run, [(record, "sha256:" + "a" * 64, {"test": (moved, 1e-6)})])
    result = NewResult(
        "mood", 1, "changed", "accuracy", 1.0, 37 / 40, 3, 40, 2.0, "sha256:" + "a" * 64, {}
    )
    for number in (run, None):
        log.record(
            NewVerification(
                level="full", ok=True, checked=1, tolerance=0.0, environment={}, started_at="2026",
                finished_at="2026", run=number, confirmed=0, results=(result,), findings=(),
            )
        )  # fmt: skip
    found = read_pairs(bank, Side(record), Side(record, 1), AskedPairs())
    assert found.counts == {"regressed": 3, "fixed": 0, "wrong": 0, "unchanged": 37}
    assert sorted(one.number for one in found.examples) == [1, 2, 3]
    accuracy = next(one for one in found.metrics if one.name == "accuracy")
    assert accuracy.second == 37 / 40
    with pytest.raises(NotFoundError, match="no predictions of verification 2"):
        read_pairs(bank, Side(record, 1), Side(record, 2), AskedPairs())
    with pytest.raises(NotFoundError, match="no verification 9"):
        read_pairs(bank, Side(record), Side(record, 9), AskedPairs())
