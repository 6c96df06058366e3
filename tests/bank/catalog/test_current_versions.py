"""The current versions of tasks and their newest results, on every database."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.current_versions import Order
from taskbank.errors import InputError
from tests.helpers.adapters import new_adapter
from tests.helpers.demo_bank import verify


@pytest.fixture
def two(bank: Bank) -> Bank:
    """A bank whose task `a` has two versions, and `b` one."""
    bank.put(new_adapter("a"))
    bank.put(new_adapter("b"))
    bank.put(new_adapter("a", seed=1), new_version=True)
    return bank


def test_any_alias_can_be_the_current_one(two: Bank) -> None:
    """The version of the alias that is asked for is current, and the newest of other tasks."""
    two.alias("a@1", "live")
    assert [one.ref for one in two.current(alias="live", limit=9)] == ["a@1", "b@1"]
    assert [one.ref for one in two.current(limit=9)] == ["a@2", "b@1"]


def test_the_newest_first(two: Bank) -> None:
    """By time of recording, what was added last comes first."""
    assert [one.ref for one in two.current(sort="-added", limit=9)] == ["a@2", "b@1"]
    assert [one.ref for one in two.current(sort="added", limit=1)] == ["b@1"]


def test_results_are_the_newest_of_each_version(two: Bank) -> None:
    """At most as many as asked for are read of each version, oldest first."""
    for number in range(4):
        verify(two, number)
    found = two.verification_log.recent_results([("a", 2), ("b", 1)], each=3)
    assert [(one.task, one.verification) for one in found if one.task == "a"] == [
        ("a", 2),
        ("a", 3),
        ("a", 4),
    ]
    assert len(found) == 6
    assert two.verification_log.recent_results([], each=3) == ()


def test_aliases_are_those_of_now(two: Bank) -> None:
    """Dropped aliases are left out, and moved ones point at their last version."""
    two.alias("a@1", "production")
    two.alias("a@2", "production")
    two.alias("b@1", "old")
    two.drop_alias("b", "old")
    assert two.current_aliases(["a", "b", "c"]) == {"a": {"production": 2}}


def test_an_order_is_read_back_as_it_was_written() -> None:
    """A sign before the name turns the order around; other names are refused."""
    assert str(Order.of("-score")) == "-score"
    assert Order.of("task") == Order()
    with pytest.raises(InputError, match="sorted by"):
        Order.of("--task")
