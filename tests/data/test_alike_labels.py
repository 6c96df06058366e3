"""Classes that only look different are refused, reported or merged, in all splits together."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from taskbank.data.alike_labels import check_alike
from taskbank.data.examples import Examples
from taskbank.data.fields import Field
from taskbank.data.remarks import Remark
from taskbank.errors import DataError

FIELDS = {
    "class": Field("label", "class", "--label"),
    "classes": Field("label", "classes", "--label"),
    "tags": Field("label", "tags", "--label"),
    "number": Field("label", "number", "--label"),
}


def examples(labels: list[Any], origin: str = "train.csv") -> Examples:
    """Return examples with some labels."""
    return Examples({"label": tuple(labels)}, origin)


def column(labels: list[str], kind: str) -> list[Any]:
    """Return the values of a column that has each label once."""
    return list(labels) if kind == "class" else [[label] for label in labels]


@pytest.mark.parametrize("kind", ["class", "classes", "tags"])
@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("billing", "bil\u200bling", r"'bil\\u200bling'"),
        ("caf\u00e9", "cafe\u0301", r"'cafe\\u0301'"),
        ("billing", "billing\ufeff", r"'billing\\ufeff'"),
        ("42", "\uff14\uff12", r"'\\uff14\\uff12'"),
        ("a b", "a\u00a0b", r"'a\\xa0b'"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_that_cannot_be_told_apart_are_refused(
    kind: str, one: str, other: str, shown: str, split: str
) -> None:
    """Both rows are named, with the characters escaped, within a split and across splits."""
    labels = [one, "else"] + [other] * (split == "train")
    given = {"train": examples(column(labels, kind))}
    if split == "test":
        given["test"] = examples(column(["else", other], kind), "test.csv")
    row = "row 3 of train.csv" if split == "train" else "row 2 of test.csv"
    says = rf"\(row 1 of train.csv\) and {shown} \({row}\) differ only in invisible"
    for merge in (False, True):
        with pytest.raises(DataError, match=says):
            check_alike(given, FIELDS[kind], merge=merge)


def test_a_label_that_cannot_be_seen_is_refused() -> None:
    """A label of invisible characters alone is no label."""
    with pytest.raises(DataError, match=r"row 2 of train.csv has the label '\\u200b'"):
        check_alike({"train": examples(["a", "\u200b"])}, FIELDS["class"], merge=True)


@pytest.mark.parametrize("kind", ["class", "classes", "tags"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("billing", "BILLING"),
        ("1", "01"),
        ("true", "True"),
        ("1", "1.0"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_labels_that_differ_in_case_or_as_numbers_are_reported_or_merged(
    kind: str, one: str, other: str
) -> None:
    """A remark names their rows; merged, they are the most common spelling of train."""
    given = {
        "train": examples(column([other, one, one, "else"], kind)),
        "test": examples(column([other], kind), "test.csv"),
    }
    with pytest.warns(Remark, match=r"\(row 1 of train.csv\), .* \(row 2 of train.csv\).*--merge"):
        assert check_alike(given, FIELDS[kind], merge=False) is given
    with pytest.warns(Remark, match=re.escape(f"are read as {one!a}")):
        merged = check_alike(given, FIELDS[kind], merge=True)
    assert list(merged["train"].columns["label"]) == column([one, one, one, "else"], kind)
    assert list(merged["test"].columns["label"]) == column([one], kind)


def test_another_spelling_in_test_is_refused_unless_merged() -> None:
    """What train does not have is named with what train has."""
    given = {"train": examples(["billing", "a"]), "test": examples(["BILLING"], "test.csv")}
    says = "row 1 of test.csv has the label 'BILLING', and train has 'billing', .* letter case"
    with pytest.raises(DataError, match=says):
        check_alike(given, FIELDS["class"], merge=False)
    with pytest.warns(Remark):
        merged = check_alike(given, FIELDS["class"], merge=True)
    assert merged["test"].columns["label"] == ("billing",)


def test_a_label_is_not_repeated_by_merging() -> None:
    """Several labels of one example become one where they are the same, and tags stay in place."""
    given = {"train": examples([["a", "A", "b"], ["a"]])}
    with pytest.warns(Remark):
        merged = check_alike(given, FIELDS["classes"], merge=True)
    assert merged["train"].columns["label"] == (["a", "b"], ["a"])
    with pytest.warns(Remark):
        merged = check_alike(given, FIELDS["tags"], merge=True)
    assert merged["train"].columns["label"] == (["a", "a", "b"], ["a"])


def test_labels_that_differ_are_left_alone() -> None:
    """Nothing is said of labels that differ, nor of a column of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for labels, kind in (
            (["a", "b", "1", "2", "1.5", "-1", "a b"], "class"),
            ([1.0], "number"),
        ):
            given = {"train": examples(labels)}
            assert check_alike(given, FIELDS[kind], merge=False) is given
