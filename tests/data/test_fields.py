"""Types of columns: which values fit them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from taskbank.data.fields import Field, Type, first_invalid_row, is_number, preview

ANSWER = {"text": ["Ada"], "answer_start": [0]}


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("text", "a", [5, None, ["a"]]),
        ("class", "a", [5, None, True]),
        ("number", 0.5, ["0.5", True, None, math.nan, math.inf, 10**400, -(10**400)]),
        ("classes", [], ["a", [5], [None], {}]),
        ("words", ["a"], [[], "a", [5]]),
        ("tags", ["a"], ["a", [["a"]], None]),
        ("answers", ANSWER, [[ANSWER], {"text": ["a"]}, {**ANSWER, "more": []}, "a", [], None]),
    ],
)
def test_a_stored_value_of_another_type_is_found(type_: Type, good: Any, bad: list[Any]) -> None:
    """What a bank or an export holds is checked as well, and the row is named."""
    field = Field("c", type_, "--option")
    assert first_invalid_row(field, [good, good]) is None
    for value in bad:
        assert first_invalid_row(field, [good, value, good]) == 2


def test_a_number_is_finite_and_no_truth_value() -> None:
    """Python counts truth values among the whole numbers; data does not."""
    assert all(map(is_number, (0, -1, 0.5, 1e308, 2**1000)))
    assert not any(map(is_number, (True, math.nan, math.inf, -math.inf, 2**1024, "1", None, [])))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a'b", '"a\'b"'),
        ("x" * 40, repr("x" * 40)),
        ("x" * 10**6, repr("x" * 40) + "…"),
        ([1, 2], "[1, 2]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1…"),
        (None, "None"),
    ],
)
def test_a_value_is_shown_as_python_writes_it_and_cut(value: Any, expected: str) -> None:
    """An error stays readable however long the value."""
    assert preview(value) == expected
