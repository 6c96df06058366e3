"""Buckets of examples by two answers to each, and their filters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from safetensors.numpy import save

from taskbank.bank.bank import Bank
from taskbank.pages.paired_evidence import SHOWN_ROWS
from tests.helpers.evidence import pairs_of
from tests.helpers.versions import version


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


def test_predictions_may_be_infinite(own: Bank) -> None:
    """An answer that became infinite is compared like any other."""
    new = version(40)
    own.put(new)
    broken = np.full((40, 2), np.inf, dtype=np.float32)
    split = replace(new.splits[0], logits=save({"logits": broken}))
    own.put(replace(version(40, seed=1), splits=(split,)), new_version=True)
    assert pairs_of(own, "mood@1", "mood@2").counts["regressed"] == 20
