"""Numbers with their nouns, for messages."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with a noun in the singular or plural: `1 adapter`, `2,000 adapters`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
