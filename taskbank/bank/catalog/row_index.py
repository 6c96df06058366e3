"""An index of a table's rows that takes 41 bytes a row, so that those of a large bank fit."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from taskbank.digests import DIGEST, PREFIX

SIZE = 32  # bytes of a digest
NONE = bytes(SIZE)


class RowIndex:
    """The ids of a table's rows, with the mark of each, and which of them the chain lists.

    The mark of a row is its seal. Rows that have child rows get theirs from the chain.
    """

    def __init__(self) -> None:
        self._ids = array("q")
        self._marks = bytearray()
        self._listed = bytearray()

    def append(self, row_id: int, mark: str | None) -> None:
        """Add a row, whose id is larger than those before; only a digest counts as a mark."""
        self._ids.append(row_id)
        self._marks += _to_bytes(mark)
        self._listed.append(False)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __contains__(self, row_id: object) -> bool:
        return isinstance(row_id, int) and self._position(row_id) is not None

    def mark(self, row_id: int) -> str | None:
        """Return the mark of a row; None if there is no such row or mark."""
        position = self._position(row_id)
        if position is None:
            return None
        mark = bytes(self._marks[position * SIZE : (position + 1) * SIZE])
        return None if mark == NONE else PREFIX + mark.hex()

    def replace(self, row_id: int, mark: str) -> None:
        """Give a row another mark."""
        position = self._position(row_id)
        if position is not None:
            self._marks[position * SIZE : (position + 1) * SIZE] = _to_bytes(mark)

    def list(self, row_id: int) -> bool:
        """Note that the chain lists a row; return whether it was noted before."""
        position = self._position(row_id)
        if position is None:
            return False
        before = bool(self._listed[position])
        self._listed[position] = True
        return before

    def unlisted(self) -> Iterator[int]:
        """Yield the ids of the rows that the chain does not list."""
        for row_id, listed in zip(self._ids, self._listed, strict=True):
            if not listed:
                yield row_id

    def _position(self, row_id: int) -> int | None:
        position = bisect_left(self._ids, row_id)
        found = position < len(self._ids) and self._ids[position] == row_id
        return position if found else None


def _to_bytes(mark: str | None) -> bytes:
    return bytes.fromhex(mark.removeprefix(PREFIX)) if mark and DIGEST.fullmatch(mark) else NONE
