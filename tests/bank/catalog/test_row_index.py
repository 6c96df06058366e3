"""The index of a table's rows."""

from __future__ import annotations

from taskbank.bank.catalog.row_index import RowIndex
from taskbank.digests import digest_bytes

ONE, TWO = digest_bytes(b"one"), digest_bytes(b"two")


def test_a_row_is_found_by_its_id_and_keeps_its_mark() -> None:
    """Ids need not follow each other, and what is no digest is no mark."""
    index = RowIndex()
    for row_id, mark in ((-3, ONE), (5, TWO), (2**40, None), (2**41, "sha256:broken")):
        index.append(row_id, mark)
    assert list(index) == [-3, 5, 2**40, 2**41]
    assert [index.mark(row_id) for row_id in index] == [ONE, TWO, None, None]
    assert 5 in index
    assert 4 not in index
    assert 2**90 not in index
    index.replace(5, ONE)
    assert [index.mark(5), index.mark(6)] == [ONE, None]


def test_it_tells_which_rows_were_listed() -> None:
    """A second listing of a row is told, and rows that are not there are never listed."""
    index = RowIndex()
    for row_id in range(3):
        index.append(row_id, ONE)
    assert [index.list(1), index.list(1), index.list(9), index.list(9)] == [False, True] + 2 * [
        False
    ]
    assert list(index.unlisted()) == [0, 2]
