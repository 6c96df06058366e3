"""Lists of labels in other forms: divided texts, marks, and one column per label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.data.label_lists import name_marks
from taskbank.data.remarks import Remark
from taskbank.errors import DataError
from taskbank.kinds.multilabel import MULTILABEL
from tests.helpers.sources import read, write

EXPECTED: tuple[list[str], ...] = (["rude", "loud"], ["loud"], [])


@pytest.mark.parametrize("separator", [";", "|", "; "])
def test_labels_in_one_text_are_divided(tmp_path: Path, separator: str) -> None:
    """A cell such as `a;b` has two labels, a blank one has none, and this is said."""
    labels = [separator.join(row) for row in EXPECTED]
    rows = [{"text": "x", "labels": label} for label in labels]
    with pytest.warns(Remark, match=f"are divided at '[{separator.strip()}]'"):
        found = read(write(tmp_path / "a.csv", rows), MULTILABEL)
    assert found.columns["labels"] == EXPECTED


def test_texts_without_a_separator_are_no_lists(tmp_path: Path) -> None:
    """A column of single words is likely the wrong one, and a comma may be part of a label."""
    for label in ("rude", "rude, loud"):
        path = write(tmp_path / "a.csv", [{"text": "x", "labels": label}])
        with pytest.raises(DataError, match="not a list of labels"):
            read(path, MULTILABEL)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("marks", [(0, 1), (False, True), (0.0, 1.0), ("FALSE", "True")])
def test_one_column_per_label(tmp_path: Path, name: str, marks: tuple[Any, Any]) -> None:
    """Columns of zeros and ones, or of truth values, give the labels that they are named for."""
    rows = [
        {"text": "x", **{label: marks[label in row] for label in ("rude", "loud")}}
        for row in EXPECTED
    ]
    path = write(tmp_path / name, rows)
    assert read(path, MULTILABEL, label_column="rude,loud").columns["labels"] == EXPECTED


def test_a_value_that_is_no_mark_is_named(tmp_path: Path) -> None:
    """The row and the column of a 2, or of nothing, are in the error."""
    rows: list[dict[str, Any]] = [{"text": "x", "rude": 0, "loud": 1}]
    for value in (2, None):
        path = write(tmp_path / "a.jsonl", [*rows, {"text": "x", "rude": value, "loud": 1}])
        with pytest.raises(DataError, match=f"row 2 of .* has {value} in column 'rude'"):
            read(path, MULTILABEL, label_column="rude, loud")
    with pytest.raises(DataError, match="no column 'rude,quiet'"):
        read(write(tmp_path / "a.jsonl", rows), MULTILABEL, label_column="rude,quiet")


def test_marks_in_a_list_need_names(tmp_path: Path) -> None:
    """A list of zeros and ones is not taken for labels 0 and 1."""
    rows = [{"text": "x", "labels": marks} for marks in ([1, 1, 0], [0, 1, 0], [0, 0, 0])]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=r"a 0 or 1 for each of 3 labels.*--label-names"):
        read(path, MULTILABEL)
    names = ["rude", "loud", "long"]
    assert read(path, MULTILABEL, label_names=names).columns["labels"] == EXPECTED


def test_numbers_of_labels_are_no_marks() -> None:
    """Lists of the numbers 0 and 1 without repetition are labels."""
    assert name_marks("here", "c", [[0, 1], [1, 0]], ["a", "b"]) is None
    assert name_marks("here", "c", [[0], [1]], None) is None
