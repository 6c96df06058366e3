"""Numbers with their nouns and units, for messages."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with a noun in the singular or plural: `1 adapter`, `2,000 adapters`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(count: int) -> str:
    """Return a number of bytes in a human-readable unit."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
