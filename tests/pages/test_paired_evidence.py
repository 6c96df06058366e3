"""What two versions answer to the same examples, compared with counts made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewResult, NewVerification
from taskbank.data.examples import Examples
from taskbank.errors import InputError, NotFoundError
from taskbank.kinds.definition import Definition
from taskbank.pages.paired_evidence import SHOWN_ROWS, AskedPairs, PairedEvidence, Side, read_pairs
from tests.helpers.versions import version


def pairs_of(bank: Bank, first: str, second: str, **asked: object) -> PairedEvidence:
    """Return what two versions answer."""
    return read_pairs(
        bank, Side(bank[first]), Side(bank[second]), AskedPairs(**asked)  # type: ignore[arg-type]
    )  # fmt: skip


def renamed(new: NewAdapter, start: int) -> NewAdapter:
    """Return a version whose texts are those of rows from another one on."""
    examples = Examples.from_bytes(new.splits[0].examples, "test.csv")
    texts = tuple(f"text {start + row}" for row in range(len(examples)))
    moved = Examples({**examples.columns, "text": texts}, "test.csv")
    return replace(new, splits=(replace(new.splits[0], examples=moved.to_bytes()),))


def test_every_example_is_in_one_bucket(own: Bank) -> None:
    """Versions that answer the first 38 and the first 30 of 40 rightly: 8 regressed, 2 wrong."""
    own.put(version(38))
    own.put(version(30, seed=1), new_version=True)
    found = pairs_of(own, "mood@1", "mood@2")
    assert found.counts == {"regressed": 8, "fixed": 0, "wrong": 2, "unchanged": 30}
    assert (found.same_split, found.left_out, found.relabelled) == (True, 0, 0)
    assert sorted(one.number for one in found.examples) == list(range(31, 39))
    assert {one.correct for one in found.examples} == {(1.0, 0.0)}
    back = pairs_of(own, "mood@2", "mood@1")
    assert back.bucket == "fixed"
    assert back.counts["fixed"] == 8
    (accuracy,) = (one for one in found.metrics if one.name == "accuracy")
    assert (accuracy.first, accuracy.second) == (38 / 40, 30 / 40)
    assert accuracy.gain == pytest.approx(-0.2)
    recorded = own["mood@1"].metrics
    assert accuracy.first_error == next(m for m in recorded if m.name == "accuracy").standard_error


def test_filters_and_pages_hold_what_they_say(demo: Bank) -> None:
    """Pages hold each example once, and a text or a label leaves only the examples with it."""
    numbers, start = [], 0
    while start is not None:
        page = pairs_of(demo, "ticket-topic@3", "ticket-topic@4", bucket="unchanged", start=start)
        numbers += [one.number for one in page.examples]
        start = page.next
    assert len(numbers) == len(set(numbers)) == page.counts["unchanged"] > SHOWN_ROWS
    refs = ("ticket-topic@3", "ticket-topic@4")
    found = pairs_of(demo, *refs, bucket="unchanged", label="billing", text="INVOICE")
    assert 0 < found.counts["unchanged"] < page.counts["unchanged"]
    for one in found.examples:
        assert one.label == "billing"
        assert "invoice" in one.inputs[0][1].casefold()
    labels = pairs_of(demo, "review-aspects@1", "review-aspects@2", label="price")
    assert all("price" in one.label for one in labels.examples)
    assert labels.labels == ("price", "quality", "service")


def test_numbers_have_errors_that_grow_or_shrink(demo: Bank) -> None:
    """No number is right or wrong; the largest change of an error comes first."""
    found = pairs_of(demo, "review-stars@1", "review-stars@2", bucket="fixed")
    assert found.numeric
    assert found.counts["wrong"] == 0
    assert sum(found.counts.values()) == 200
    shrunk = [one.correct[1] - one.correct[0] for one in found.examples]
    assert shrunk == sorted(shrunk, reverse=True)
    assert shrunk[-1] > 0


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
    log.observe(run, record, "sha256:" + "a" * 64, {"test": (moved, 1e-6)})
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


def test_what_cannot_be_shown_is_refused(demo: Bank) -> None:
    """Another kind, another bucket, and a split that both do not have."""
    with pytest.raises(InputError, match="only answers of one kind"):
        pairs_of(demo, "spam@1", "review-stars@1")
    with pytest.raises(InputError, match="regressed, fixed, wrong, unchanged"):
        pairs_of(demo, "spam@1", "spam@2", bucket="best")
    with pytest.raises(NotFoundError, match="no split 'june' in common"):
        pairs_of(demo, "spam@1", "spam@2", split="june")


def test_predictions_may_be_infinite(own: Bank) -> None:
    """An answer that became infinite is compared like any other."""
    new = version(40)
    own.put(new)
    broken = np.full((40, 2), np.inf, dtype=np.float32)
    split = replace(new.splits[0], logits=save({"logits": broken}))
    own.put(replace(version(40, seed=1), splits=(split,)), new_version=True)
    assert pairs_of(own, "mood@1", "mood@2").counts["regressed"] == 20
