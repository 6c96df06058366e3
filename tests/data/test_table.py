"""Finding a column by the name that a user gives."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from taskbank.data.remarks import Remark
from taskbank.errors import DataError
from tests.helpers.sources import read, read_texts, write


@pytest.mark.parametrize("header", ["text, Label", "TEXT,label", "text,label\u200b", "text,label "])
def test_a_name_that_differs_in_space_or_case_is_taken_and_said(
    tmp_path: Path, header: str
) -> None:
    """A header as people write it is understood if only one column can be meant."""
    (tmp_path / "a.csv").write_text(f"{header}\nx,a\n")
    with pytest.warns(Remark, match="the column '.*' of .*a.csv is read as '(text|label)'"):
        assert list(read(str(tmp_path / "a.csv")).rows()) == [{"text": "x", "label": "a"}]


def test_a_column_of_exactly_the_name_is_preferred(tmp_path: Path) -> None:
    """Columns that look alike do not stand in its way."""
    (tmp_path / "a.csv").write_text("text,label,Label\nx,a,b\n")
    with warnings.catch_warnings(action="error"):
        assert read(str(tmp_path / "a.csv")).columns["label"] == ("a",)


def test_names_that_look_alike_are_not_guessed(tmp_path: Path) -> None:
    """Of two such columns none is taken, and the error shows what is in their names."""
    (tmp_path / "a.csv").write_text("text, label,Label\nx,a,b\n")
    with pytest.raises(DataError, match="no column 'label'; its columns are text, ' label', Label"):
        read(str(tmp_path / "a.csv"))


def test_a_nested_field_has_a_dotted_name(tmp_path: Path) -> None:
    """Fields inside of fields are read from JSON, Parquet and Arrow alike."""
    rows = [{"data": {"text": "x", "more": {"label": "a"}}}]
    for name in ("a.jsonl", "a.parquet", "a.arrow", "saved"):
        path = write(tmp_path / name, rows)
        found = read(path, text="data.text", label_column="data.more.label")
        assert list(found.rows()) == [{"text": "x", "label": "a"}]
        with pytest.raises(DataError, match=r"no column 'data\.no'"):
            read_texts(path, text="data.no")
