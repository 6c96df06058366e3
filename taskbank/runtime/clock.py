"""The time, as every record holds it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the time in UTC as ISO 8601 text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
