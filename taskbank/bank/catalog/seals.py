"""Seals: the digests by which a row shows that it is what was recorded.

A sealed row's `seal` is the digest of the canonical JSON of all its other columns.
Rows that belong to another (an adapter's tags, metrics and predictions, a
verification's results and findings) are covered by one digest a table in their
parent's `contents`, so that a row that was changed, lost or added shows as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from taskbank.bank.catalog.tables import CHILDREN, LATER, VERIFICATION_CHILDREN
from taskbank.digests import canonical_json, digest_bytes, digest_json


def seal(values: Mapping[str, Any]) -> str:
    """Return the seal of a row, given all its columns by name."""
    return digest_json(_covered(values, "seal"))


def contents(rows: Iterable[Mapping[str, Any]], parent: str) -> str:
    """Return the digest of a parent's child rows, in whatever order they are given.

    Args:
        rows: the child rows, all columns by name.
        parent: the column that names the parent; like `id` it is not part of the content.
    """
    texts = sorted(canonical_json(_covered(row, parent)) for row in rows)
    return digest_bytes("\n".join(texts).encode())


def _covered(values: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """Return the columns that a digest covers: a row from before it had some has the same."""
    return {
        key: value
        for key, value in values.items()
        if key not in ("id", *without) and not (key in LATER and value == LATER[key])
    }


def row_damage(table: str, row: Mapping[Any, Any]) -> str | None:
    """Return what is wrong with a sealed row, or none.

    Args:
        table: the table's name, for the message.
        row: all its columns by name.
    """
    try:
        found = seal(row)
    except ValueError as error:
        return f"row {row['id']} of table {table!r} holds what cannot be: {error}"
    if found == row["seal"]:
        return None
    return (
        f"row {row['id']} of table {table!r} was changed: its content has the digest {found}, "
        f"its seal says {row['seal']}"
    )


def children_damage(
    row: Mapping[Any, Any], children: Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]]
) -> Iterator[str]:
    """Give what is wrong with the rows that belong to a parent row.

    Args:
        row: the parent, whose `contents` says what its child rows should be.
        children: child rows by table, then by parent.
    """
    parents = {name: parent for name, (_, parent) in (CHILDREN | VERIFICATION_CHILDREN).items()}
    for name, recorded in row["contents"].items():
        found = contents(children[name].get(row["id"], []), parents[name])
        if found != recorded:
            yield (
                f"the rows of table {name!r} for row {row['id']} were changed, lost or added to: "
                f"together they have the digest {found}, recorded was {recorded}"
            )
