"""Digests of rows: of canonical JSON, stored in one form only, and quick."""

from __future__ import annotations

import hashlib

import pytest

from taskbank.data.examples import Examples
from taskbank.data.row_digests import HEADER, RowDigests, digests_of, shown
from taskbank.digests import canonical_json, digest_json
from taskbank.errors import DamagedError

ROWS = Examples(
    {"text": ("good", 'a "quote"\n', "日", "good"), "label": ("a", "b", "a", "a")}, "some rows"
)


def test_a_row_has_the_digest_of_its_canonical_json() -> None:
    """Both digests are those of the JSON of the row, with and without the label."""
    for row, found in zip(ROWS.rows(), digests_of(ROWS, "label"), strict=True):
        assert shown(found.row) == digest_json(row)
        assert shown(found.inputs) == digest_json({"text": row["text"]})


def test_rows_of_every_type_of_value_have_digests() -> None:
    """Lists of words and of labels, numbers and several inputs are rows like others."""
    columns = {"words": (["a", "b"],), "other": ("c",), "label": (0.5,)}
    (found,) = digests_of(Examples(columns, "one row"), "label")
    text = canonical_json({"label": 0.5, "other": "c", "words": ["a", "b"]})
    assert found.row == hashlib.sha256(text.encode()).digest()


def test_a_set_of_rows_is_read_as_it_was_written() -> None:
    """A row counts once, the order of the rows does not matter, and no rows are a set too."""
    rows = RowDigests.of(digests_of(ROWS, "label"))
    assert len(rows) == 3
    assert rows == RowDigests.of(reversed(digests_of(ROWS, "label")))
    assert RowDigests.from_bytes(rows.to_bytes()) == rows
    assert len(RowDigests.from_bytes(HEADER)) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:-1],
        b"x" * 200,
        HEADER + b"x" * 63,
        HEADER + b"x" * 65,
        HEADER + b"x" * 128,
        HEADER + b"b" * 64 + b"a" * 64,
        b"\x80\x04" + b"x" * 126,
    ],
)
def test_any_other_form_is_damage(data: bytes) -> None:
    """A wrong header or length, a row twice, and rows out of order are refused."""
    with pytest.raises(DamagedError, match="row digests are not in"):
        RowDigests.from_bytes(data)
