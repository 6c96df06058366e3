"""Label spaces: ordered as people expect, and refused where they make no task."""

from __future__ import annotations

import pytest

from taskbank.errors import DataError
from taskbank.kinds.labels import label_space, rarest
from taskbank.kinds.single import SINGLE


def test_the_rarest_label_is_the_one_that_fewest_examples_have() -> None:
    """Labels are counted once an example; of equally rare ones the first by name is taken."""
    assert rarest([["b", "a"], ["b", "b", "b"], [], ["a"], ["a"]]) == ["b", "b", "", "a", "a"]
    assert rarest([["d", "c"], ["c", "d"]]) == ["c", "c"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["1.5 stars", "2.5 stars"], ("1.5 stars", "2.5 stars")),
        (["9" * 5000, "1"], ("1", "9" * 5000)),
    ],
)
def test_classes_are_in_the_order_people_expect(
    labels: list[str], expected: tuple[str, ...]
) -> None:
    """Names sort as text, whole numbers as numbers."""
    assert label_space(labels, "here") == expected
    assert SINGLE.define({"label": labels}, "here", {}).labels == expected


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a", "a"], "every label of here is 'a'"),
        (["0.5", "1"], "fractions such as 0.5"),
        (["1e-3", "nan"], "fractions such as 1e-3"),
        (["1", "-inf"], "fractions such as -inf"),
        (["a", "b", "a "], "'a' and 'a ' of here differ only in the space"),
        (["x" * 999] * 2, "every label of here is '[x]{40}'…"),
        ([f"id {i}" for i in range(30)], "label of its own"),
    ],
)
def test_labels_that_make_no_task_are_refused(labels: list[str], says: str) -> None:
    """One class, fractions, and a label a row are errors that say so."""
    with pytest.raises(DataError, match=says):
        label_space(labels, "here")
    with pytest.raises(DataError, match=says):
        SINGLE.define({"label": labels}, "here", {})
