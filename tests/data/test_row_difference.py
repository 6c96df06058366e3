"""What new data adds to known rows: added, relabelled, known, held out and contradicting rows."""

from __future__ import annotations

import time

import pytest

from taskbank.data.examples import Examples
from taskbank.data.row_difference import divide, join, row_difference
from taskbank.data.row_digests import RowDigests, digests_of


def examples(*rows: tuple[str, str]) -> Examples:
    """Return examples of some texts and labels."""
    texts, labels = zip(*rows, strict=True)
    return Examples({"text": texts, "label": labels}, "rows")


OLD = examples(("a", "x"), ("b", "x"), ("c", "y"))
DIGESTS = RowDigests.of(digests_of(OLD, "label"))


def test_every_new_row_is_of_one_sort() -> None:
    """Rows of held-out inputs are set apart, whatever their label; the others are compared."""
    new = examples(("a", "x"), ("b", "y"), ("d", "x"), ("e", "x"), ("d", "y"))
    held_out = {digests_of(examples(("e", "z")), "label")[0].inputs}
    found = row_difference(DIGESTS, held_out, new, "label")
    assert (found.known, found.relabelled, found.added) == ((0,), (1,), (2, 4))
    assert found.held_out == (3,)
    assert found.contradicting == (2, 4)
    assert found.absent == 2
    assert not found.is_empty


def test_equal_data_has_nothing_new() -> None:
    """In any order, and with repeats."""
    new = examples(("c", "y"), ("a", "x"), ("b", "x"), ("a", "x"))
    found = row_difference(DIGESTS, (), new, "label")
    assert found.is_empty
    assert found.absent == 0


def test_the_union_has_the_new_label_of_a_relabelled_row() -> None:
    """Everything else stays, in order; a row that the new data has with both labels has both."""
    new = examples(("b", "y"), ("d", "x"), ("a", "x"))
    joined = join(divide(OLD, new, row_difference(DIGESTS, (), new, "label"), "label"))
    assert list(zip(*joined.columns.values(), strict=True)) == [
        ("a", "x"),
        ("c", "y"),
        ("b", "y"),
        ("d", "x"),
    ]
    both = examples(("b", "y"), ("b", "x"))
    joined = join(divide(OLD, both, row_difference(DIGESTS, (), both, "label"), "label"))
    assert sorted(zip(*joined.columns.values(), strict=True)) == [
        ("a", "x"),
        ("b", "x"),
        ("b", "y"),
        ("c", "y"),
    ]


@pytest.mark.slow
def test_twice_a_hundred_thousand_rows_are_compared_in_5_seconds() -> None:
    """Of the processor's time, as the machine may have other work."""
    count = 100_000
    texts = [f"the ticket number {number} of a customer who waits" for number in range(2 * count)]
    old = Examples({"text": tuple(texts[:count]), "label": ("a", "b") * (count // 2)}, "old")
    new = Examples({"text": tuple(texts[10:-10:2]), "label": ("b", "a") * (count // 2 - 5)}, "new")
    started = time.process_time()
    found = row_difference(RowDigests.of(digests_of(old, "label")), (), new, "label")
    assert time.process_time() - started < 5
    assert len(found.added) + len(found.relabelled) + len(found.known) == len(new)
