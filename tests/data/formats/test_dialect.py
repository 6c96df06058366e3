"""The delimiter of a file of separated values."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.data.remarks import Remark
from taskbank.data.style import Style
from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read, read_texts, write


@pytest.mark.parametrize(
    ("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "pipes")]
)
def test_the_only_delimiter_that_fits_is_taken(tmp_path: Path, delimiter: str, name: str) -> None:
    """A .csv file of another delimiter, as some countries have it, is read and said."""
    rows = ["text label", "one,two a", "three,four b"]
    path = tmp_path / "a.csv"
    path.write_text("".join(row.replace(" ", delimiter) + "\n" for row in rows))
    with pytest.warns(Remark, match=f"a.csv is read as values between {name}"):
        assert read(str(path)).columns["text"] == ("one,two", "three,four")


def test_a_single_column_is_not_divided(tmp_path: Path) -> None:
    """Texts with delimiters in them stay whole below a header without any."""
    (tmp_path / "a.csv").write_text("text\none;two\n")
    assert read_texts(str(tmp_path / "a.csv")) == [("one;two",)]


def test_the_user_names_delimiter_and_quote(tmp_path: Path) -> None:
    """What the user says is taken, even if the file looks otherwise."""
    (tmp_path / "a.csv").write_text("text#label\n'one#two'#a\n")
    style = Style(delimiter="#", quote="'")
    assert read(str(tmp_path / "a.csv"), style=style).columns["text"] == ("one#two",)
    with pytest.raises(DataError, match="--delimiter"):
        read(str(tmp_path / "a.csv"), style=Style(delimiter="#"))


def test_a_stray_quote_has_a_way_out(tmp_path: Path) -> None:
    """The option that the error names reads the file."""
    (tmp_path / "a.csv").write_text('text,label\n"open,a\nnext,b\n')
    with pytest.raises(DataError, match=r"never closed, in the row .* line 2; .*--quote none"):
        read(str(tmp_path / "a.csv"))
    examples = read(str(tmp_path / "a.csv"), style=Style(quote="none"))
    assert examples.columns["text"] == ('"open', "next")


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_style_that_suits_the_format_changes_nothing(tmp_path: Path, suffix: str) -> None:
    """Naming what is so anyway reads the same rows."""
    rows = ODD_ROWS[:2]
    path = write(tmp_path / f"a{suffix}", rows)
    style = Style(delimiter="tab" if suffix == ".tsv" else ",", encoding="utf-8")
    assert list(read(path, style=style).rows()) == rows
