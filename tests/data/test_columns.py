"""Columns of every type: what is read, and what is refused with its row and value."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, get_args

import datasets
import numpy as np
import pyarrow as pa
import pytest

from taskbank.data.columns import read_column
from taskbank.data.fields import Field, Type, first_invalid_row
from taskbank.data.formats.arrow import table_of_arrow
from taskbank.digests import Json, canonical_json
from taskbank.errors import DataError

TYPES: tuple[Type, ...] = get_args(Type)
ANSWER = {"text": ["Ada"], "answer_start": [0]}
NO_ANSWER: dict[str, list[Any]] = {"text": [], "answer_start": []}
STRUCT = pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())})


def read(type_: Type, values: Any, features: datasets.Features | None = None) -> list[Json]:
    """Read a column `c` of a source `here`."""
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    table = pa.table({"c": column})
    if features is not None:
        table = table.replace_schema_metadata(features.arrow_schema.metadata)
    return list(read_column(table_of_arrow("here", table), Field("c", type_, "--option"), "c"))


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("text", pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        ("text", pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
        ("text", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        ("text", pa.chunked_array([["a"], [], ["b"]]), ["a", "b"]),
        ("class", pa.array([1, -1], pa.int8()), ["1", "-1"]),
        ("class", pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        ("class", [True, False], ["true", "false"]),
        ("class", pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        ("number", [1, -2], [1.0, -2.0]),
        ("number", pa.array([0.5, 1e300]), [0.5, 1e300]),
        ("number", pa.array(np.array([0.5], np.float16)), [0.5]),
        ("number", [Decimal("1.25")], [1.25]),
        ("number", ["1", " 2.5 ", "-3e2", "+4"], [1.0, 2.5, -300.0, 4.0]),
        ("classes", [["a", "b"], []], [["a", "b"], []]),
        ("classes", pa.array([["a"]], pa.large_list(pa.large_string())), [["a"]]),
        ("classes", pa.array([["a"]], pa.list_(pa.string(), 1)), [["a"]]),
        ("classes", [[1, 2]], [["1", "2"]]),
        ("classes", ['["a", 1, true]', "[]"], [["a", "1", "true"], []]),
        ("words", [["Ada", "lives"], ["!"]], [["Ada", "lives"], ["!"]]),
        ("words", ['["Ada", "7"]', "[7]"], [["Ada", "7"], ["7"]]),
        ("words", [["New York"]], [["New York"]]),
        ("tags", [["O", "O"], []], [["O", "O"], []]),
        ("answers", pa.array([ANSWER, NO_ANSWER], STRUCT), [ANSWER, NO_ANSWER]),
        ("answers", [json.dumps(ANSWER), json.dumps(NO_ANSWER)], [ANSWER, NO_ANSWER]),
        ("answers", [[{"text": "Ada", "answer_start": 0}], []], [ANSWER, NO_ANSWER]),
        ("answers", [json.dumps({**ANSWER, "more": [1]})], [ANSWER]),
    ],
)
def test_every_arrow_type_that_fits_is_read(type_: Type, values: Any, expected: Any) -> None:
    """Values come out as plain JSON, whatever types they were stored as."""
    found = read(type_, values)
    assert found == expected
    assert [type(one) for one in found] == [type(one) for one in expected]
    assert first_invalid_row(Field("c", type_, "--option"), found) is None


def test_lists_of_class_labels_are_read_by_name() -> None:
    """Numbers that the data set gives names to become these, in lists as in single values."""
    tags = datasets.ClassLabel(names=["O", "B-name"])
    for feature in (datasets.List(tags), datasets.Sequence(tags)):
        features = datasets.Features({"c": feature})
        assert read("tags", [[0, 1]], features) == [["O", "B-name"]]
        assert read("classes", [[1], []], features) == [["B-name"], []]
        with pytest.raises(DataError, match=r"here is not labelled: row 2 has -1 in column 'c'"):
            read("tags", [[0, 1], [-1, -1]], features)
        with pytest.raises(DataError, match=r"row 1 of here has class 2 .*names only 2 classes"):
            read("tags", [[0, 2]], features)


@pytest.mark.parametrize(
    ("type_", "values", "says"),
    [
        ("text", [5], "column 'c' of here holds int64, not text: .*--option COL"),
        ("text", [b"x"], "holds binary, not text"),
        ("text", [["x"]], "holds list<.*>, not text"),
        ("text", ["x", None, " \n"], "2 rows of here have no text in column 'c': row 2, 3"),
        ("text", ["x", "a\0b"], "row 2 of here has a NUL character in column 'c'"),
        ("class", [0.5], r"holds fractions \(double\), not classes"),
        ("class", [Decimal("0.5")], "holds fractions"),
        ("class", [["x"], ["x", "y"]], "which is not one class: use --kind multilabel"),
        ("class", [b"x"], "not one class per row"),
        ("class", ["x", ""], "1 rows of here have no label in column 'c': row 2"),
        ("class", ["x", "\0"], "row 2 of here has a NUL"),
        (
            "number",
            [1.0, None],
            "row 2 of here has None in column 'c', which is not a finite number",
        ),
        ("number", [0.5, math.nan], "row 2 of here has nan in column 'c'"),
        ("number", [0.5, math.inf], "row 2 of here has inf in column 'c'"),
        ("number", ["1", "many"], "row 2 of here has 'many' in column 'c'"),
        ("number", ["nan"], "row 1 of here has 'nan'"),
        ("number", ["1e999"], "row 1 of here has '1e999'"),
        ("number", ["9" * 999], "row 1 of here has '9{40}'…"),
        ("number", [""], "row 1 of here has ''"),
        ("number", ["1_000"], "row 1 of here has '1_000'"),
        ("number", ["1,5"], "row 1 of here has '1,5'"),
        ("number", [True], "holds bool, not numbers"),
        ("number", [b"1"], "holds binary, not numbers"),
        ("number", [[1]], "holds list<.*>, not numbers"),
        ("classes", ["sport"], "row 1 of here has 'sport' .*not a list of labels: write .*sport"),
        ("classes", ['["a"]', '["a'], r"row 2 of here has '\[\"a' in column 'c'"),
        ("classes", ['{"a": 1}'], "not a list of labels"),
        ("classes", [["a"], None], "row 2 of here has None in column 'c', which is not a list"),
        (
            "classes",
            [["a", None]],
            r"row 1 of here has \['a', None\] .*of the labels is blank or not text",
        ),
        (
            "classes",
            [["a", " "]],
            r"row 1 of here has \['a', ' '\] .*of the labels is blank or not text",
        ),
        ("classes", [[0.5]], r"row 1 of here has \[0.5\] .*of the labels is blank or not text"),
        ("classes", ["[[]]"], r"row 1 of here has '\[\[\]\]' .*of the labels is blank or not text"),
        ("classes", ['["a", NaN]'], "one of the labels is blank or not text"),
        ("classes", [["a", "b"], ["a", "a"]], r"row 2 of here has \['a', 'a'\] .*repeats a label"),
        ("classes", ['["1", 1]'], "which repeats a label: write each label once"),
        ("classes", [["a\0"]], r"row 1 of here has a NUL character in column 'c': 'a\\x00'"),
        ("classes", ['["\\udc00"]'], "row 1 of here has half a surrogate pair"),
        ("classes", [f"[{'9' * 5000}]"], "row 1 of here .*not a list"),
        ("classes", ["[" * 99999], r"row 1 of here has '\[{40}'…"),
        ("words", [["a"], []], r"row 2 of here has \[\] in column 'c', which has no word"),
        ("words", [["a", ""]], "in which one of the words is blank or not text"),
        ("words", ["plain text"], "not a list of words: write .*--option COL"),
        (
            "words",
            [["\ud800".encode("utf-8", "surrogatepass")]],
            "one of the words is blank or not text",
        ),
        ("tags", [["O", None]], "in which one of the tags is blank or not text"),
        ("tags", [5], "row 1 of here has 5 .*not a list of tags"),
        ("answers", [None], "row 1 of here has None in column 'c', which is not a list of answers"),
        ("answers", ["Ada"], r"row 1 of here has 'Ada' .*write {\"text\""),
        ("answers", [["Ada"]], "not a list of answers"),
        ("answers", [{"text": ["Ada"]}], "not a list of answers"),
        ("answers", [{"text": "Ada", "answer_start": 0}], "not a list of answers"),
        ("answers", [{"text": ["Ada"], "answer_start": [0, 1]}], "not a list of answers"),
        ("answers", [{"text": ["Ada"], "answer_start": [0.5]}], "not a list of answers"),
        ("answers", [{"text": ["Ada"], "answer_start": ["0"]}], "not a list of answers"),
        ("answers", [{"text": ["Ada"], "answer_start": [True]}], "not a list of answers"),
        ("answers", [{"text": [None], "answer_start": [0]}], "not a list of answers"),
        ("answers", [{"text": [5], "answer_start": [0]}], "not a list of answers"),
        ("answers", [[{"text": "Ada"}]], "not a list of answers"),
        ("answers", ['{"text": ["a\\u0000"], "answer_start": [0]}'], "row 1 .*NUL"),
        ("answers", ['{"text": ["\\ud800"], "answer_start": [0]}'], "row 1 .*surrogate"),
    ],
)
def test_a_value_that_does_not_fit_is_named(type_: Type, values: Any, says: str) -> None:
    """The error has the source, the column, the row, the value, and what to write instead."""
    with pytest.raises(DataError, match=says) as caught:
        read(type_, values)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**62], pa.timestamp("s")),
        pa.array([1], pa.timestamp("us", tz="Nowhere/Land")),
        pa.array([1], pa.duration("ns")),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["text", "text"]),
        pa.array([[2**62]], pa.list_(pa.timestamp("s"))),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1]), pa.array(["a"])]),
        pa.array([b"0" * 16], pa.uuid()),
        pa.nulls(3),
    ],
    ids=lambda values: str(values.type)[:20],
)
def test_arrow_types_that_python_cannot_hold_are_refused(type_: Type, values: pa.Array) -> None:
    """A column whose values cannot even be looked at is an error that names it."""
    with pytest.raises(DataError, match="here"):
        read(type_, values)


RUBBISH: Sequence[Any] = (
    None,
    "",
    " ",
    "a",
    "a\0",
    "\u2028",
    "[]",
    "{}",
    "null",
    "NaN",
    "1e5",
    '["a"]',
    '["a", null]',
    '{"text": [], "answer_start": []}',
    '{"text": ["a"], "answer_start": [-1]}',
    "0",
    0,
    -1,
    2**63 - 1,
    0.5,
    math.nan,
    -math.inf,
    True,
    b"\xff",
)


def rubbish(chance: random.Random, depth: int = 0) -> Any:
    """Return a random value, nested now and then."""
    pick = chance.random()
    if depth > 2 or pick < 0.5:
        return chance.choice(RUBBISH)
    if pick < 0.8:
        return [rubbish(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    names = chance.sample(["text", "answer_start", "other"], chance.randint(0, 3))
    return {name: rubbish(chance, depth + 1) for name in names}


@pytest.mark.parametrize("type_", TYPES)
def test_random_rubbish_is_read_or_refused(type_: Type) -> None:
    """Whatever Arrow can hold either becomes values that can be stored, or one clear error."""
    chance, good = random.Random(0), 0
    refusals: list[str] = []
    while good + len(refusals) < 400:
        alike = rubbish(chance)
        rows = [chance.choice([alike, rubbish(chance)]) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.4:
            rows = [json.dumps(row, default=str) for row in rows]
        try:
            column = pa.array(rows)
        except (pa.ArrowException, OverflowError):
            continue  # no column of Arrow holds these together
        try:
            values = read(type_, column)
        except DataError as error:
            refusals.append(str(error))
            continue
        good += 1
        assert len(values) == len(rows)
        assert first_invalid_row(Field("c", type_, "--option"), values) is None
        assert json.loads(canonical_json(values).encode()) == values
    assert good > 3
    assert all("here" in refusal for refusal in refusals)
