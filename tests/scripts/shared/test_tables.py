"""Tests of scripts/shared/tables.py."""

from __future__ import annotations

import csv
from pathlib import Path

from scripts.shared.tables import aligned, markdown, markdown_header, markdown_row, write_csv


def test_a_text_table_is_aligned() -> None:
    """The first column is left-aligned, the others right-aligned; a missing cell is empty."""
    assert aligned([{"side": "one", "s": "1.0"}, {"side": "another"}]).splitlines() == [
        "side       s",
        "-------  ---",
        "one      1.0",
        "another",
    ]


def test_a_markdown_table_is_aligned() -> None:
    """All lines have the same length, and the second separates the header."""
    assert markdown([["a", "long"], ["word", "b"]]).splitlines() == [
        "| a    | long |",
        "| ---- | ---- |",
        "| word | b    |",
    ]


def test_a_markdown_table_can_be_printed_row_by_row() -> None:
    """A header and rows make a table, and a bar within a cell is escaped."""
    assert markdown_header(["a", "b"]) == "| a | b |\n| --- | --- |"
    assert markdown_row(["1", "x|y"]) == r"| 1 | x\|y |"


def test_csv_has_every_column_and_nested_values_as_json(tmp_path: Path) -> None:
    """The header has the columns of all rows, a mapping becomes JSON, and no rows an empty file."""
    write_csv(tmp_path / "a.csv", [{"a": 1}, {"a": 2, "options": {"size": 64}}])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"a": "1", "options": ""}, {"a": "2", "options": '{"size": 64}'}]
    write_csv(tmp_path / "b.csv", [])
    assert (tmp_path / "b.csv").read_bytes() == b""
