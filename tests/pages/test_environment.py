"""The environments of two verifications beside each other."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.pages.verification import verification_page


def test_the_environment_stands_beside_the_one_before(demo: Bank) -> None:
    """What differs from the verification before is marked, and nothing else is."""
    page = verification_page(demo, 7)
    assert page.compared == 6
    assert [(one.name, one.before, one.value) for one in page.environment if one.changed] == [
        ("torch", "2.8.0", "2.9.1")
    ]
    assert verification_page(demo, 6).changed == 0
    first = verification_page(demo, 1)
    assert (first.compared, first.earlier, first.later) == (None, None, 2)
    assert {one.before for one in first.environment} == {None}
