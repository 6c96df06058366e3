"""Rows that cannot be predicted are found, each with what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.data.fields import Field
from taskbank.data.sources import read_usable_inputs
from taskbank.data.unusable import describe, unusable_rows
from taskbank.errors import DataError
from taskbank.kinds.pair import PAIR
from taskbank.kinds.single import SINGLE
from tests.helpers.sources import write

TEXT = Field("text", "text", "--text")
WORDS = Field("words", "words", "--text")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a day", None),
        ("0", None),
        (None, "no text"),
        ("", "no text"),
        (" \t\n", "no text"),
        ("\u200b\u200d", "no visible text"),
        ("a\x00b", "a NUL character"),
        ("a\ud800b", "half a surrogate pair"),
    ],
)
def test_a_text_is_usable_or_says_why_not(value: Any, problem: str | None) -> None:
    """Blank, missing, invisible and unstorable texts are named with their column."""
    found = unusable_rows([TEXT], ["body"], [["fine", value]])
    if problem is None:
        assert found == {}
    else:
        assert found[2].startswith(problem)
        assert found[2].endswith("in column 'body'")


@pytest.mark.parametrize("value", [None, "", [], "[]", "no list", ["a", " "], ["a", None], [["a"]]])
def test_words_are_a_list_of_texts_that_are_not_blank(value: Any) -> None:
    """As a list, or as the JSON of one."""
    columns = [[["Ada", "lives"], '["here"]', value]]
    assert list(unusable_rows([WORDS], ["words"], columns)) == [3]


def test_many_rows_are_counted(tmp_path: Path) -> None:
    """An error describes a few rows and counts the others."""
    problems = unusable_rows([TEXT], ["text"], [[""] * 1234])
    assert describe(problems, 2)[-1] == "and 1,232 more"


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_unusable_rows_are_refused_or_left_out_with_their_numbers(
    tmp_path: Path, ending: str
) -> None:
    """The error names rows and option; with the option, the others keep their numbers."""
    rows = [{"text": text, "other": "x"} for text in ("one", "", "three", " ", "five")]
    source = write(tmp_path / f"a.{ending}", rows)
    with pytest.raises(DataError, match=r"2 rows .* row 2 has no text .* --skip-unusable"):
        read_usable_inputs(source, SINGLE.inputs[0])
    inputs = read_usable_inputs(source, SINGLE.inputs[0], skip=True)
    assert list(inputs.rows) == [("one",), ("three",), ("five",)]
    assert list(inputs.numbers) == [1, 3, 5]
    assert list(inputs.unusable) == [2, 4]


def test_a_missing_field_is_unusable_and_a_missing_column_an_error(tmp_path: Path) -> None:
    """A row of JSON lines may lack a field; a file without the column is refused even so."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text_a": "x", "text_b": "y"}\n{"text_a": "x"}\n{"text_b": "y"}\n')
    inputs = read_usable_inputs(str(path), PAIR.inputs[0], skip=True)
    assert list(inputs.unusable) == [2, 3]
    assert inputs.unusable[2] == "no text in column 'text_b'"
    with pytest.raises(DataError, match="no column 'text'"):
        read_usable_inputs(str(path), SINGLE.inputs[0], skip=True)


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    """There is nothing to predict."""
    source = write(tmp_path / "a.csv", [{"text": "", "label": "x"}])
    with pytest.raises(DataError, match=r"no row of .* can be predicted"):
        read_usable_inputs(source, SINGLE.inputs[0], skip=True)
