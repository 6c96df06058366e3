"""What a version must fulfil before an alias names it."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.promotion.requirements import unmet_requirements


@pytest.mark.parametrize(
    ("requirement", "fulfilled"),
    [
        ("metric.accuracy >= 0.4", True),
        ("metric.accuracy >= 0.9", False),
        ("metric.accuracy >= 0.4 and method = 'houlsby'", True),
        ("negative_flips <= 18", True),
        ("negative_flips <= 17", False),
        ("Negative_Flips < 18", False),
        ("positive_flips = 0", True),
        ("flips != 18", False),
        ("drop <= 0.01", False),
        ("p_value > 0.05", False),
    ],
)
def test_requirements_are_checked_against_what_the_alias_names(
    versions: Bank, requirement: str, fulfilled: bool
) -> None:
    """Conditions on the version, and on its difference to the one in production."""
    versions.alias("mood@2", "production")
    found = unmet_requirements(versions, "mood@3", "production", [requirement])
    assert (found == []) == fulfilled
    if found:
        assert f"mood@3 does not meet {requirement}" in found[0]


def test_where_an_alias_names_nothing_there_is_nothing_to_be_worse_than(versions: Bank) -> None:
    """The first version of an alias needs only what is asked of itself."""
    wanted = ["negative_flips <= 0", "metric.accuracy > 0.9"]
    assert unmet_requirements(versions, "mood@2", "production", wanted) == []
    assert len(unmet_requirements(versions, "mood@3", "production", wanted)) == 1
    versions.alias("mood@2", "production")
    assert unmet_requirements(versions, "mood@2", "production", wanted) == []
    assert len(unmet_requirements(versions, "mood@3", "production", wanted)) == 2


@pytest.mark.parametrize(
    "wrong", ["", "negative_flips", "negative_flips <= 1.2.3", "accuracy >>", "1=1) or (1=1", "a b"]
)
def test_a_requirement_that_is_none_is_an_error(versions: Bank, wrong: str) -> None:
    """What does not parse is said, and does not count as fulfilled."""
    with pytest.raises(InputError):
        unmet_requirements(versions, "mood@3", "production", [wrong])
