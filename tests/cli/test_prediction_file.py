"""Predictions in a file: whole, with row numbers, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from taskbank.cli.prediction_file import WRITERS, check_output, write_predictions
from taskbank.errors import InputError
from tests.helpers.terminal import Terminal

ROWS: list[dict[str, Any]] = [
    {
        "row": 1,
        "text": '=HYPERLINK("x"), ünï\n',
        "label": "good",
        "score": 0.25,
        "probabilities": {"bad": 0.75, "good": 0.25},
    },
    {"row": 3, "text": "fine", "label": "-bad", "score": -0.5, "value": -0.5, "start": None},
]


def test_csv_holds_every_value_and_runs_nothing(tmp_path: Path) -> None:
    """A text that a spreadsheet would run gets an apostrophe; a negative number does not."""
    path = tmp_path / "out.csv"
    assert write_predictions(path, ROWS) == 2
    with path.open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["text"] == "'" + ROWS[0]["text"]
    assert json.loads(first["probabilities"]) == ROWS[0]["probabilities"]
    assert (second["row"], second["label"], second["score"]) == ("3", "'-bad", "-0.5")
    assert (second["value"], second["start"], second["probabilities"]) == ("-0.5", "", "")


def test_a_label_that_is_a_number_is_written_as_it_is(tmp_path: Path) -> None:
    """A spreadsheet reads `-1` as a number, and `-1+1` as a formula."""
    rows = [{"label": label} for label in ("-1", "+1.5", "-1+1", "-", "@a")]
    assert write_predictions(tmp_path / "out.csv", rows) == 3
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["label", "-1", "+1.5", "'-1+1", "'-", "'@a"]


def test_parquet_and_json_lines_hold_texts_unchanged(tmp_path: Path) -> None:
    """Types are those of the values; the probabilities are a map."""
    assert write_predictions(tmp_path / "out.jsonl", ROWS) == 0
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert write_predictions(tmp_path / "out.parquet", ROWS) == 0
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table["text"].to_pylist() == [row["text"] for row in ROWS]
    assert dict(table["probabilities"].to_pylist()[0]) == ROWS[0]["probabilities"]
    assert str(table.schema.field("score").type) == "double"


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_the_command_writes_the_rows_that_it_predicts(
    terminal: Terminal, tmp_path: Path, ending: str
) -> None:
    """Unusable rows are refused, or left out and listed; row numbers are those of the input."""
    source, output = tmp_path / "in.csv", tmp_path / f"out{ending}"
    source.write_text("text,other\na good day,1\n,2\na bad day,3\n")
    asked = ("predict", "mood", "--file", str(source), "--output", str(output))
    terminal(*asked, code=2)
    assert "row 2 has no text in column 'text'" in terminal.err
    assert "--skip-unusable" in terminal.err
    assert not output.exists()
    assert "wrote 2 predictions" in terminal(*asked, "--skip-unusable")
    assert "left out: row 2 has no text" in terminal.err
    said = terminal.json(*asked, "--skip-unusable")
    assert said["left_out"] == [{"row": 2, "problem": "no text in column 'text'"}]
    if ending == ".jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert [row["row"] for row in rows] == [1, 3]
        printed = terminal.json("predict", "mood", "--file", str(source), "--skip-unusable")
        assert rows == printed


def test_a_file_that_cannot_be_written_is_refused_before_predicting(
    terminal: Terminal, tmp_path: Path
) -> None:
    """Unknown endings, folders, folders that do not exist, and the input itself."""
    source = tmp_path / "in.csv"
    source.write_text("text,other\na good day,1\n")
    (tmp_path / "folder.csv").mkdir()
    for output, message in (
        (tmp_path / "out.xlsx", "has the ending '.xlsx'"),
        (tmp_path / "folder.csv", "is a folder"),
        (tmp_path / "none" / "out.csv", "does not exist"),
        (source, "is the file to predict"),
    ):
        with pytest.raises(InputError, match=message):
            check_output(output, str(source))
    terminal("predict", "mood", "--file", str(source), "--output", str(source), code=2)
    assert source.read_text() == "text,other\na good day,1\n"
    terminal("predict", "mood", "a day", "--skip-unusable", code=2)
