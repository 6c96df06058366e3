"""Canonical JSON, and tagged SHA-256 digests of stored data."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

Json = Any  # what json.loads returns: None, bool, int, float, str, list, dict
PREFIX = "sha256:"
DIGEST = re.compile(PREFIX + "[0-9a-f]{64}")
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Json) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: if the value contains NaN or infinity, which JSON cannot represent.
    """
    return _ENCODER.encode(value)


def digest_bytes(data: bytes | memoryview) -> str:
    """Return the tagged SHA-256 of bytes: `sha256:` and 64 hex digits."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def digest_json(value: Json) -> str:
    """Return the tagged SHA-256 of a value's canonical JSON."""
    return digest_bytes(canonical_json(value).encode())
