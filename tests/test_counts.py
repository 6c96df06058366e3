"""Numbers with their nouns."""

from __future__ import annotations

from taskbank.counts import counted


def test_one_is_singular_and_all_else_plural() -> None:
    """Large numbers have their thousands apart."""
    found = [counted(number, "adapter") for number in (0, 1, 2, 2000)]
    assert found == ["0 adapters", "1 adapter", "2 adapters", "2,000 adapters"]
