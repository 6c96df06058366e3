"""Seals: the digests by which a row shows that it is what was recorded.

A sealed row's `seal` is the digest of the canonical JSON of all its other columns.
Rows that belong to another (an adapter's tags, metrics and predictions, a
verification's results and findings) are covered by one digest a table in their
parent's `contents`, so that a row that was changed, lost or added shows as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from taskbank.specs import canonical_json, digest_bytes, digest_json


def seal(values: Mapping[str, Any]) -> str:
    """Return the seal of a row, given all its columns by name."""
    return digest_json({key: value for key, value in values.items() if key not in ("id", "seal")})


def contents(rows: Iterable[Mapping[str, Any]], parent: str) -> str:
    """Return the digest of a parent's child rows, in whatever order they are given.

    Args:
        rows: the child rows, all columns by name.
        parent: the column that names the parent; like `id` it is not part of the content.
    """
    texts = sorted(
        canonical_json({key: value for key, value in row.items() if key not in ("id", parent)})
        for row in rows
    )
    return digest_bytes("\n".join(texts).encode())
