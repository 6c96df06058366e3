"""Records, which are dictionaries from JSON or from Python, as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from taskbank.data.formats.records import table_of_records
from taskbank.errors import DataError


def test_a_field_that_a_record_lacks_has_no_value() -> None:
    """Records need not have the same fields."""
    table = table_of_records("here", [{"a": 1}, {"b": "x"}])
    assert table.names == ("a", "b")
    assert table.read("a").to_pylist() == [1, None]


def test_a_dotted_name_is_a_nested_field_unless_a_field_has_it() -> None:
    """The field of exactly this name comes first."""
    records: list[dict[str, Any]] = [{"a": {"b": "nested"}, "a.b": "flat"}, {"a": None}]
    assert table_of_records("here", records).read("a.b").to_pylist() == ["flat", None]
    del records[0]["a.b"]
    table = table_of_records("here", records)
    assert table.has_nested("a.b")
    assert table.read("a.b").to_pylist() == ["nested", None]
    assert not table.has_nested("a.c")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1, "x"], "'c' of here is 1 in row 1 and 'x' in row 2: write one type"),
        ([1, True], "one type in every row"),
        ([[1], {"a": 1}], "one type in every row"),
        (["\ud800"], "row 1 of here has half a surrogate pair"),
        ([1, 2**70], "row 2 of here has .* cannot be read together"),
        ([["a"], [["b"]]], "row 2 of here"),
    ],
)
def test_values_that_make_no_column_are_named(values: list[Any], says: str) -> None:
    """The row and the value are in the error."""
    with pytest.raises(DataError, match=says):
        table_of_records("here", [{"c": value} for value in values]).read("c")


def test_values_of_numpy_are_values() -> None:
    """Records that a program made may hold numbers and arrays of numpy."""
    records = [{"n": np.int64(1), "l": np.array(["a", "b"]), "t": ("a",)}]
    table = table_of_records("here", records)
    assert table.read("n").to_pylist() == [1]
    assert table.read("l").to_pylist() == [["a", "b"]]
    assert table.read("t").to_pylist() == [["a"]]
