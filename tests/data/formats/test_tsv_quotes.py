"""Quotes of .tsv files: around values, or part of the texts, as the file shows."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pandas
import pytest

from taskbank.data.formats.tsv_quotes import find_quote
from taskbank.data.remarks import Remark
from taskbank.data.style import Style
from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read

STYLES = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)
SIGNS = ["a", "good", "day", '"', '""', " ", ",", "\t", "\n", "'", "no"]


@pytest.mark.parametrize("quoting", STYLES)
def test_one_data_frame_reads_alike_as_csv_and_as_tsv(tmp_path: Path, quoting: int) -> None:
    """What pandas writes comes back letter for letter, whatever it puts in quotes."""
    frame = pandas.DataFrame(ODD_ROWS)
    frame.to_csv(tmp_path / "a.csv", index=False, quoting=quoting)
    frame.to_csv(tmp_path / "a.tsv", index=False, quoting=quoting, sep="\t")
    with pytest.warns(Remark, match="a.tsv is read with quotes around values"):
        found = read(str(tmp_path / "a.tsv"))
    assert list(found.rows()) == list(read(str(tmp_path / "a.csv")).rows()) == ODD_ROWS


@pytest.mark.parametrize("quoting", STYLES)
def test_random_data_frames_read_alike_or_are_refused(tmp_path: Path, quoting: int) -> None:
    """No mixture of quotes, tabs and line ends is read wrongly; few are refused."""
    chance = random.Random(0)
    refused = 0
    for _ in range(300):
        rows = [
            {"text": "x" + "".join(chance.choices(SIGNS, k=5)), "label": chance.choice("ab")}
            for _ in range(chance.randint(1, 5))
        ]
        pandas.DataFrame(rows).to_csv(tmp_path / "a.tsv", index=False, quoting=quoting, sep="\t")
        try:
            assert list(read(str(tmp_path / "a.tsv")).rows()) == rows
        except DataError as error:
            assert "two ways" in str(error)  # noqa: PT017 - a refusal is allowed, nothing else
            refused += 1
    assert refused < 30


def test_random_texts_without_quoting_are_read_as_written_or_refused(tmp_path: Path) -> None:
    """Texts of a file without quoting keep their quotes, or the user is asked."""
    chance = random.Random(0)
    signs = ["a", "good", '"', ' "', '" ', " ", ","]
    kept = 0
    for _ in range(300):
        rows = [
            ("x" * chance.randint(0, 1)) + "".join(chance.choices(signs, k=4)) for _ in range(6)
        ]
        rows = [row if row.strip() else "x" for row in rows] + ['"one" of many', "end"]
        (tmp_path / "a.tsv").write_text("text\tlabel\n" + "".join(f"{row}\ta\n" for row in rows))
        try:
            assert list(read(str(tmp_path / "a.tsv")).columns["text"]) == rows
            kept += 1
        except DataError as error:
            assert "two ways" in str(error)  # noqa: PT017 - a refusal is allowed, nothing else
    assert kept > 150


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('"open\tx\nnext\ty\n', None),  # as in GLUE: a text may begin with a quote
        ('"so" he said\tx\n"all"\ty\n', None),
        ('plain\tx\nwith "quotes" inside\ty\n', None),
        ('1\t"Hello\n0\tbar"\n', "two ways"),  # a stray quote on each of two lines
        ('"say ""no"""\tx\nplain\ty\n', '"'),
        ('"one, two"\tx\nplain\ty\n', '"'),  # as Excel writes it
        ('"one\ttwo"\tx\nplain\ty\n', '"'),
        ('"one\ntwo"\tx\nplain\ty\n', '"'),
        ('"one"\tx\n"two"\ty\n', '"'),
        ('"one"\tNA\n"two"\t\n', '"'),
        ('"Great movie"\tx\nplain\ty\n', "two ways"),
        ('"say ""no"""\tx\n"so" he said\ty\n', "two ways"),
    ],
)
def test_the_file_shows_its_quotes(body: str, expected: str | None) -> None:
    """Each sort of file is recognised, and what can be read in two ways is refused."""
    text = "text\tlabel\n" + body
    if expected == "two ways":
        with pytest.raises(DataError, match=f"a.tsv has quotes .* {expected}.*--quote none"):
            find_quote("a.tsv", text)
    else:
        assert find_quote("a.tsv", text) == expected


def test_the_user_overrules_the_file(tmp_path: Path) -> None:
    """Both readings of an ambiguous file can be asked for."""
    (tmp_path / "a.tsv").write_text('text\tlabel\n"Great"\tx\nplain\ty\n')
    path = str(tmp_path / "a.tsv")
    assert read(path, style=Style(quote='"')).columns["text"] == ("Great", "plain")
    assert read(path, style=Style(quote="none")).columns["text"] == ('"Great"', "plain")
