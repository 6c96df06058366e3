"""Digests of the rows of a data set, by which rows are found again without keeping their texts.

A row has two: that of its inputs and its label, and that of its inputs alone, which is the same for
a relabelled row. Each is the SHA-256 of canonical JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from taskbank.data.examples import Examples
from taskbank.digests import canonical_json
from taskbank.errors import DamagedError

HEADER = b"taskbank-row-digests/1\n"  # of the stored form
SIZE = 32  # bytes of one digest


class RowDigest(NamedTuple):
    """The two digests of a row, 32 bytes each.

    Attributes:
        inputs: the digest of the row's inputs.
        row: the digest of the whole row.
    """

    inputs: bytes
    row: bytes


def digests_of(examples: Examples, label: str) -> list[RowDigest]:
    """Return the digests of every row, in order.

    Args:
        examples: the labelled examples.
        label: the column to predict, which is not an input.
    """
    names = sorted(examples.columns)
    # Equal to the canonical JSON of whole rows, and faster, as texts have a short way.
    entries = [
        [f"{canonical_json(name)}:{canonical_json(value)}" for value in examples.columns[name]]
        for name in names
    ]
    inputs = [own for name, own in zip(names, entries, strict=True) if name != label]
    return [
        RowDigest(_digest(of_inputs), _digest(of_row))
        for of_inputs, of_row in zip(
            zip(*inputs, strict=True), zip(*entries, strict=True), strict=True
        )
    ]


def shown(digest: bytes) -> str:
    """Return a digest as text: `sha256:` and 64 hex digits."""
    return f"sha256:{digest.hex()}"


@dataclass(frozen=True)
class RowDigests:
    """The set of rows that a version was trained on.

    Attributes:
        rows: the digests of every row once, in ascending order.
    """

    rows: tuple[RowDigest, ...]

    @classmethod
    def of(cls, rows: Iterable[RowDigest]) -> RowDigests:
        """Return the set of some rows."""
        return cls(tuple(sorted(set(rows))))

    def __len__(self) -> int:
        return len(self.rows)

    def to_bytes(self) -> bytes:
        """Return the stored form: a header, then 64 bytes a row."""
        return HEADER + b"".join(part for row in self.rows for part in row)

    @classmethod
    def from_bytes(cls, data: bytes) -> RowDigests:
        """Return the rows in their stored form as bytes.

        Args:
            data: the stored form that `to_bytes` returns; no other form is accepted.

        Raises:
            DamagedError: if it is another.
        """
        body = data[len(HEADER) :]
        if data[: len(HEADER)] != HEADER or len(body) % (2 * SIZE):
            raise DamagedError(
                f"the row digests are not in their form: {len(data):,} bytes that start with "
                f"{data[: len(HEADER)]!r}"
            )
        rows = tuple(
            RowDigest(body[start : start + SIZE], body[start + SIZE : start + 2 * SIZE])
            for start in range(0, len(body), 2 * SIZE)
        )
        for number, (row, following) in enumerate(pairwise(rows), start=2):
            if row >= following:
                raise DamagedError(
                    f"the row digests are not in ascending order: number {number:,} is "
                    f"{shown(following.row)}"
                )
        return cls(rows)


def _digest(entries: Iterable[str]) -> bytes:
    return hashlib.sha256(f"{{{','.join(entries)}}}".encode()).digest()
