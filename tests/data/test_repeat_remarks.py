"""What is said about repeated inputs; nothing is said where there are none."""

from __future__ import annotations

from taskbank.data.repeat_remarks import contradictions_remark, describe_split, in_train_remark

PLACES = [
    {"split": "train", "row": 3, "label": "spam"},
    {"split": "test", "row": 1700, "label": "ham"},
]


def course(in_train: int, inputs: int) -> dict[str, object]:
    """Return the course of a training with some repeats."""
    first = [PLACES] if inputs else []
    contradictions = {"inputs": inputs, "rows": 2 * inputs, "first": first}
    return {"repeats": {"in_train": {"test": in_train}, "contradictions": contradictions}}


def test_inputs_that_are_also_in_train_are_counted() -> None:
    """Some, all and none of a split, and a training that is older than the count."""
    assert describe_split("test", 30, "a.csv", course(3, 0)) == (
        "30 examples of a.csv; 3 of their inputs are also in train"
    )
    assert "all of their inputs" in str(in_train_remark("test", 30, course(30, 0)))
    for old in (course(0, 0), {}):
        assert describe_split("test", 30, "a.csv", old) == "30 examples of a.csv"


def test_contradictions_are_named_with_their_rows() -> None:
    """The first are listed, and that there are more is shown."""
    assert contradictions_remark(course(0, 1)) == (
        "1 input has different labels: train row 3 'spam', test row 1,700 'ham'"
    )
    assert str(contradictions_remark(course(0, 2))).endswith("'ham'; …")
    assert contradictions_remark(course(0, 0)) is contradictions_remark({}) is None
