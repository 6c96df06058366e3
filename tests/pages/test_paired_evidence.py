"""What two versions answer to the same examples, compared with counts made by hand."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError, NotFoundError
from tests.helpers.evidence import pairs_of
from tests.helpers.versions import version


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


def test_what_cannot_be_shown_is_refused(demo: Bank) -> None:
    """Another kind, another bucket, and a split that both do not have."""
    with pytest.raises(InputError, match="only answers of one kind"):
        pairs_of(demo, "spam@1", "review-stars@1")
    with pytest.raises(InputError, match="regressed, fixed, wrong, unchanged"):
        pairs_of(demo, "spam@1", "spam@2", bucket="best")
    with pytest.raises(NotFoundError, match="no split 'june' in common"):
        pairs_of(demo, "spam@1", "spam@2", split="june")
