"""CSV and TSV: the rows of a file, and what is wrong with it."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pytest

from taskbank.data.remarks import Remark
from taskbank.data.style import Style
from taskbank.errors import DataError
from tests.helpers.sources import read, read_texts, write


def test_a_byte_order_mark_is_no_part_of_a_column_name(tmp_path: Path) -> None:
    """A CSV file saved by a spreadsheet reads as any other."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext,label\nx,a\ny,b\n")
    assert read(str(tmp_path / "a.csv")).columns["label"] == ("a", "b")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist: give a file|cannot be read"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"text,label\n", "has no rows"),
        (b"text,class\nx,a\n", "no column 'label'; its columns are text, class.*--label"),
        (b"body,label\nx,a\n", "no column 'text'.*--text"),
        (b"text,label\nx,a\n,b\n  ,c\n", "2 rows .* have no text .*row 2, 3"),
        (b"text,label\nx,a\ny,\n", "1 rows .* have no label .*row 2"),
        (
            b"text,label\nx,a\nlonely\n",
            "row 2 .* 1 values between commas and the header 2.*'lonely'",
        ),
        (
            b"text,label\nx,a,too,many\n",
            "row 1 .*line 2.* 4 values between commas and the header 2",
        ),
        (b'text,label\nx,a\n"y\nz",b\nu,"open\nv,c\n', "never closed.* line 5"),
        (b'text,label\n"a"b,x\n', "begins on line 2"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"one\x1b[31m,label\nx,a\n", r"its columns are 'one\\x1b\[31m', label"),
        (b"word " * 999 + b",label\nx,a\n", "its columns are '[word ]{40}'…, label"),
        (b"text,text,label\nx,y,a\n", "more than one column 'text'"),
        (b"text,label\n\xe9t\xe9,a\n", "not UTF-8"),
        (b"text,label\na\x00b,a\n", "NUL"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not UTF-8"),
    ],
)
def test_a_csv_file_that_is_not_usable_says_why(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    """Each defect of a CSV file is an error that names the file, the place and the way out."""
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read(str(path))
    assert "a.csv" in str(caught.value)


def test_blank_rows_are_no_rows(tmp_path: Path) -> None:
    """Blank lines and rows of delimiters alone do no harm, and are said in predictions."""
    (tmp_path / "two.csv").write_text("\ntext,label\nx,a\n\n , \ny,b\n,\n\n")
    assert read(str(tmp_path / "two.csv")).columns["text"] == ("x", "y")
    (tmp_path / "one.csv").write_text("text\nx\n\ny\n\n")
    with pytest.warns(Remark, match=r"1 blank rows of .*one\.csv are left out: line 3$"):
        assert read_texts(str(tmp_path / "one.csv")) == [("x",), ("y",)]
    (tmp_path / "end.csv").write_text("text\nx\n\n\n")
    with warnings.catch_warnings(action="error"):
        assert read_texts(str(tmp_path / "end.csv")) == [("x",)]


@pytest.mark.parametrize(
    "content",
    [
        "text,label,,\nx,a,,\ny,b,,\n",
        "text,label,,\nx,a\ny,b,\n",
        "text,label\nx,a,,\ny,b\n",
        ",text,,label\n1,x,,a\n2,y,z,b\n",
        "more,text,more,label\n1,x,2,a\n3,y,4,b\n",
    ],
)
def test_columns_that_nobody_asks_for_do_no_harm(tmp_path: Path, content: str) -> None:
    """Trailing delimiters as spreadsheets leave them, and unnamed or equal names, are no error."""
    (tmp_path / "a.csv").write_text(content)
    assert list(read(str(tmp_path / "a.csv")).rows()) == [
        {"text": "x", "label": "a"},
        {"text": "y", "label": "b"},
    ]


def test_a_file_without_a_header_has_the_columns_that_are_named(tmp_path: Path) -> None:
    """The first row is a row if the user names the columns."""
    (tmp_path / "a.tsv").write_text("a\tx\nb\ty\n")
    examples = read(str(tmp_path / "a.tsv"), style=Style(columns="label, text"))
    assert examples.columns == {"text": ("x", "y"), "label": ("a", "b")}
    with pytest.raises(DataError, match=r"row 1 .* 2 values between tabs and --columns names 3"):
        read(str(tmp_path / "a.tsv"), style=Style(columns="label,text,more"))


def test_a_value_of_any_length_is_read(tmp_path: Path) -> None:
    """A text longer than Python's usual limit for CSV is read, and the limit is as before."""
    usual = csv.field_size_limit()
    path = write(tmp_path / "a.csv", [{"text": "word " * 40_000, "label": "a"}])
    assert len(read(path).columns["text"][0]) == 200_000
    assert csv.field_size_limit() == usual
