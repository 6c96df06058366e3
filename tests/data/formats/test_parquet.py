"""Parquet: only the columns that are needed are read, within bounds."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from taskbank.data import files
from taskbank.data.formats import parquet as parquet_format
from taskbank.data.formats import typed
from taskbank.data.sources import read_table
from taskbank.data.style import Style
from taskbank.errors import DataError
from tests.helpers.sources import read, read_texts, write


def test_types_that_nobody_asks_for_do_no_harm(tmp_path: Path) -> None:
    """Dates, structs, maps, decimals and durations stand beside the columns that are read."""
    others = {
        "when": pa.array([1, 2], pa.timestamp("ns", "UTC")),
        "struct": pa.array([{"a": {"b": 1}}, None]),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        "null": pa.nulls(2),
        "far": pa.array([2**40, 1], pa.timestamp("s")),
        "": pa.array([1, 2]),
        "a.b": pa.array([1.5, 2.5]),
    }
    parquet.write_table(
        pa.table(others | {"text": ["x", "y"], "label": ["a", "b"]}), tmp_path / "a.parquet"
    )
    assert len(read(str(tmp_path / "a.parquet"))) == 2
    with pytest.raises(DataError, match=r"column 'far' of .* holds timestamp"):
        read_texts(str(tmp_path / "a.parquet"), text="far")


def test_two_columns_of_one_name_are_refused_only_if_asked_for(tmp_path: Path) -> None:
    """Equal names do no harm elsewhere in the table."""
    table = pa.table([["x"], ["a"], [1], [2]], names=["text", "label", "more", "more"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert len(read(str(tmp_path / "a.parquet"))) == 1
    with pytest.raises(DataError, match="more than one column 'more': text, label, more, more"):
        read_texts(str(tmp_path / "a.parquet"), text="more")


def test_a_text_that_every_row_shares_is_one_object(tmp_path: Path) -> None:
    """A small file that stands for very much text takes little memory."""
    long = "word " * 10_000
    table = pa.table({"text": ["a", long, long], "label": ["a", "b", "b"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    texts = read(str(tmp_path / "a.parquet")).columns["text"]
    assert texts[1] == long
    assert texts[1] is texts[2]


def test_values_beyond_the_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of more bytes than can be held is refused, also where each text is stored once."""
    monkeypatch.setattr(typed, "MAX_BYTES", 5_000)
    columns = {"text": ["x" * 100] * 100, "label": ["a", "b"] * 50, "other": list(range(100))}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 5_000
    with pytest.raises(DataError, match=r"column 'text' of .* has values of more than 5,000 bytes"):
        read(str(tmp_path / "a.parquet"))
    assert len(read_texts(str(tmp_path / "a.parquet"), text="label")) == 100


def test_row_groups_are_read_one_after_another(tmp_path: Path) -> None:
    """All rows of a file of many row groups are read, in order."""
    numbers = [str(number) for number in range(10_000)]
    table = pa.table({"text": numbers, "label": numbers})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=99)
    assert read(str(tmp_path / "a.parquet")).columns["text"] == tuple(numbers)
    assert read_table(str(tmp_path / "a.parquet"), "train", Style()).rows == len(numbers)
    assert files.MAX_BYTES >= 1 << 31


def test_a_column_that_lost_its_values_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One changed byte can leave a column empty, and pyarrow reads it without an error."""
    path = write(tmp_path / "a.parquet", [{"text": "x", "label": "a"}] * 3)
    real = parquet_format._chunks
    monkeypatch.setattr(
        parquet_format, "_chunks", lambda *given: () if given[1] == "label" else real(*given)
    )
    match = "column 'label' of .*a.parquet is damaged: it has 0 values, but the file has 3 rows"
    with pytest.raises(DataError, match=match):
        read(path)
