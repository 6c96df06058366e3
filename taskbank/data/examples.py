"""A labelled data set in memory, and its stored form as bytes.

Knows nothing of files, kinds or torch. The stored form is canonical JSON lines, so equal
data sets have equal digests wherever they came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from taskbank.digests import Json, canonical_json, digest_bytes
from taskbank.errors import DamagedError

SHOWN_LINE = 60


@dataclass(frozen=True)
class Examples:
    """A data set held as columns, in order.

    Attributes:
        columns: inputs and labels by canonical name, such as `text` and `label`, as plain JSON
            values; all of one length.
        origin: the source of the data, for messages.
    """

    columns: Mapping[str, tuple[Json, ...]]
    origin: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def rows(self) -> Iterator[dict[str, Json]]:
        """Yield each example as a dictionary, in order."""
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def select(self, rows: Iterable[int], origin: str) -> Examples:
        """Return the examples at some positions, from 0, in the order given."""
        chosen = list(rows)
        return Examples(
            {name: tuple(column[row] for row in chosen) for name, column in self.columns.items()},
            origin,
        )

    def to_bytes(self) -> bytes:
        """Return the examples as canonical JSON lines in UTF-8."""
        return "".join(canonical_json(row) + "\n" for row in self.rows()).encode()

    @cached_property
    def digest(self) -> str:
        """Digest of the stored form."""
        return digest_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, origin: str) -> Examples:
        """Return the examples in their stored form as bytes.

        Args:
            data: the stored form that `to_bytes` returns; no other form is accepted, as it would
                have a different digest.
            origin: the source of the data, for messages.

        Raises:
            DamagedError: naming the first line that is not an example like the others.
        """
        try:
            *lines, rest = data.decode().split("\n")
        except UnicodeDecodeError as error:
            raise DamagedError(f"the examples of {origin} are not UTF-8: {error}") from None
        columns: dict[str, list[Json]] = {}
        for number, line in enumerate(lines, start=1):
            row = _parse(line)
            if row is None or (columns and row.keys() != columns.keys()):
                raise DamagedError(
                    f"line {number} of the examples of {origin} is not an example like the others: "
                    f"{line[:SHOWN_LINE]!r}"
                )
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        if rest or not lines:
            raise DamagedError(
                f"line {len(lines) + 1} of the examples of {origin} is cut off: "
                f"{rest[:SHOWN_LINE]!r}"
            )
        return cls({name: tuple(values) for name, values in columns.items()}, origin)


def _parse(line: str) -> dict[str, Json] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not row:
        return None
    if any(value is None for value in row.values()):
        return None
    try:
        return row if canonical_json(row) == line else None
    # NaN, which Python reads though JSON excludes it, or nesting that can be read but not written
    except (ValueError, RecursionError):
        return None
