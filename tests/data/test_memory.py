"""Data in memory: every usual form gives the rows that the same data gives from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pyarrow as pa
import pytest

from taskbank.errors import DataError, InputError
from taskbank.kinds.multilabel import MULTILABEL
from tests.helpers.sources import ODD_ROWS, read, write

FORMS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "records": list,
    "tuple": tuple,
    "columns": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    "DataFrame": pandas.DataFrame,
    "Dataset": datasets.Dataset.from_list,
    "Table": pa.Table.from_pylist,
    "stream": lambda rows: _Stream(pa.Table.from_pylist(rows)),
}


class _Stream:
    """Speaks Arrow's C stream and nothing else, as data frames of other libraries do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.columns = table.column_names

    def __arrow_c_stream__(self, requested: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested)


@pytest.mark.parametrize("form", FORMS)
def test_data_in_memory_reads_as_from_a_file(tmp_path: Path, form: str) -> None:
    """Every form gives the same examples as JSON lines of the same rows."""
    examples = read(FORMS[form](ODD_ROWS), role="train")
    assert examples.digest == read(write(tmp_path / "a.jsonl", ODD_ROWS)).digest
    assert examples.origin.startswith("train (")


@pytest.mark.parametrize("form", FORMS)
def test_lists_and_missing_values_are_as_in_a_file(form: str) -> None:
    """Lists of labels are lists, and a missing text is named by its row."""
    rows = [{"text": "x", "labels": ["a", "b"]}, {"text": "y", "labels": ["a"]}]
    found = read(FORMS[form](rows), MULTILABEL)
    assert found.columns["labels"] == (["a", "b"], ["a"])
    gap: list[dict[str, Any]] = [{"text": "x", "label": "a"}, {"text": None, "label": "b"}]
    with pytest.raises(DataError, match=r"train .* no text in column 'text': row 2"):
        read(FORMS[form](gap), role="train")


def test_a_path_is_a_file(tmp_path: Path) -> None:
    """A `Path` is read as its text is."""
    path = Path(write(tmp_path / "a.csv", ODD_ROWS))
    assert read(path).digest == read(str(path)).digest


def test_columns_that_nobody_asks_for_may_hold_anything() -> None:
    """Objects that Arrow cannot hold do not stop their neighbours."""
    frame = pandas.DataFrame({"text": ["x", "y"], "label": ["a", "b"], "o": [object(), {1: 2}]})
    assert read(frame).columns["label"] == ("a", "b")
    frame["label"] = [object(), "b"]
    with pytest.raises(DataError, match="column 'label' of train"):
        read(frame, role="train")


def test_labels_of_other_types_have_their_names() -> None:
    """Categories, class labels, truth values and numbers of numpy are read by name."""
    text = ["x", "y"]
    frame = pandas.DataFrame({"text": text, "label": pandas.Categorical(["a", "b"])})
    assert read(frame).columns["label"] == ("a", "b")
    names = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    data = datasets.Dataset.from_dict({"text": text, "label": [1, 0]}, features=features)
    assert read(data).columns["label"] == ("yes", "no")
    assert read(data.select([1])).columns == {"text": ("y",), "label": ("no",)}
    assert read({"text": text, "label": np.array([True, False])}).columns["label"] == (
        "true",
        "false",
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (5, "train is a int: give a path"),
        (b"a.csv", "train is a bytes"),
        (["x", "y"], "train is a list"),
        (None, "train is a NoneType"),
        ({"text": ["x"], "label": []}, "columns of different lengths"),
        (datasets.DatasetDict(train=datasets.Dataset.from_list(ODD_ROWS)), "has the splits train"),
        (pandas.DataFrame(), "no column 'text'"),
        (pandas.DataFrame({"text": [], "label": []}), "has no rows"),
    ],
)
def test_what_is_no_table_is_refused(data: Any, says: str) -> None:
    """Each is named by its role and type, with what is taken instead."""
    with pytest.raises(InputError, match=says):
        read(data, role="train")
