"""On SQLite, a value of another type than its column's is refused when it is read."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import DamagedError
from tests.helpers.adapters import new_adapter, record_finding
from tests.helpers.tampering import rewrite


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("description", b"is it good?"),
        ("labels", b'["bad","good"]'),
        ("metric", b""),
        ("version", b"1"),
        ("version", "one"),
        ("version", 1.5),
        ("score", b"\x00"),
        ("score", "high"),
        ("digest", b"\xff\xfe"),
    ],
)
def test_a_value_of_another_type_is_an_error_wherever_it_is_read(
    own: Bank, column: str, value: object
) -> None:
    """Listing, querying and showing raise an error for a damaged bank, whatever is stored."""
    own.put(new_adapter())
    rewrite(own, f"UPDATE adapters SET {column} = ?", value)
    for read in (own.adapters, lambda: own.query("score >= 0"), lambda: own["mood"]):
        with pytest.raises(DamagedError, match="unreadable value"):
            read()


@pytest.mark.parametrize("value", [2, -1, b"\x01"])
def test_a_truth_value_is_zero_or_one(own: Bank, value: object) -> None:
    """Any other number would be read as true."""
    own.put(new_adapter())
    record_finding(own)
    rewrite(own, "UPDATE verifications SET ok = ?", value)
    with pytest.raises(DamagedError, match="unreadable value"):
        own.verification_log.verifications()
