"""Seals: digests that prove that a row is unchanged since it was recorded.

The `seal` of a row is the digest of the canonical JSON of all its other columns. Child rows (an
adapter's tags, metrics and predictions; a verification's results and findings) have no seals:
the `contents` of their parent holds one digest per child table, which reveals rows that were
changed, removed or added. Neither covers the ids of rows: the chain does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from taskbank.bank.catalog.tables import ADDED_COLUMNS, CHILDREN, VERIFICATION_CHILDREN
from taskbank.digests import PREFIX, canonical_json, digest_json


def seal(values: Mapping[str, Any]) -> str:
    """Return the seal of a row, given all its columns by name."""
    return digest_json(_sealed_columns(values, "seal"))


def contents(rows: Iterable[Mapping[str, Any]], parent: str) -> str:
    """Return the digest of a parent's child rows; it does not depend on their order.

    Args:
        rows: the child rows, each with all columns by name.
        parent: the column that refers to the parent; like `id`, the digest does not cover it.
    """
    texts = sorted(canonical_json(_sealed_columns(row, parent)) for row in rows)
    digest = sha256()
    for number, text in enumerate(texts):
        digest.update(("\n" * (number > 0) + text).encode())
    return PREFIX + digest.hexdigest()


def family_seal(own: str, children: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    """Return the digest of a row's seal and of all its child rows with their ids.

    It is the digest of the canonical JSON of `[seal, {table: [[id, columns], …], …}]`, written
    piece by piece, as a verification may have a result for every adapter of a large bank.

    Args:
        own: the row's seal.
        children: its child rows by table, each with all columns by name, in the order of the ids.
            They are read once.
    """
    digest = sha256(f"[{canonical_json(own)},{{".encode())
    is_first = True
    for name in sorted(children):
        is_open = False
        for row in children[name]:
            if not is_open:
                digest.update(("," * (not is_first) + f"{canonical_json(name)}:[").encode())
            columns = canonical_json([row["id"], _sealed_columns(row)])
            digest.update(("," * is_open + columns).encode())
            is_open, is_first = True, False
        # A table without rows is left out, so that digests outlive the addition of a child table.
        digest.update(b"]" * is_open)
    digest.update(b"}]")
    return PREFIX + digest.hexdigest()


def _sealed_columns(values: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """Return the columns that a digest covers.

    Columns that were added later are left out at their default, so that older rows keep their
    digests.
    """
    return {
        key: value
        for key, value in values.items()
        if key not in ("id", *without)
        and not (key in ADDED_COLUMNS and value == ADDED_COLUMNS[key])
    }


def row_damage(table: str, row: Mapping[Any, Any]) -> str | None:
    """Return a description of the damage to a sealed row, or None if it is intact.

    Args:
        table: the table's name, for the message.
        row: all columns by name.
    """
    try:
        found = seal(row)
    except (ValueError, TypeError, RecursionError) as error:
        return f"row {row['id']} of table {table!r} contains an impossible value: {error}"
    if found == row["seal"]:
        return None
    return (
        f"row {row['id']} of table {table!r} was changed: its content has the digest {found}, "
        f"but its seal is {row['seal']}"
    )


def children_damage(
    row: Mapping[Any, Any], children: Mapping[str, Mapping[int, Iterable[Mapping[str, Any]]]]
) -> Iterator[str]:
    """Yield descriptions of the damage to the child rows of a parent row.

    Args:
        row: the parent, whose `contents` holds the digests of its child rows.
        children: child rows, by table and then by parent id.
    """
    parents = {name: parent for name, (_, parent) in (CHILDREN | VERIFICATION_CHILDREN).items()}
    for name, rows in children.items():
        recorded = row["contents"].get(name)
        try:
            found = contents(rows.get(row["id"], []), parents[name])
        except ValueError as error:
            yield f"rows of table {name!r} for row {row['id']} have an impossible value: {error}"
            continue
        if found != recorded:
            yield (
                f"rows of table {name!r} for row {row['id']} were changed, removed or added: "
                f"their digest is {found}, the recorded digest is {recorded}"
            )
