"""One thing is made while the one before it is used."""

from __future__ import annotations

import threading

import pytest

from taskbank.runtime.prefetch import prefetch


def test_the_next_thing_is_made_while_the_one_before_is_used() -> None:
    """Making runs one thing ahead, in another thread, and keeps the order."""
    made: list[int] = []
    started = threading.Event()

    def make(number: int) -> int:
        made.append(number)
        if number == 1:
            started.set()
        assert threading.current_thread() is not threading.main_thread()
        return number * 10

    found = []
    for one in prefetch(make, range(4)):
        if one == 0:
            assert started.wait(5)
        found.append(one)
    assert found == [0, 10, 20, 30]
    assert made == [0, 1, 2, 3]
    assert list(prefetch(make, [])) == []


def test_what_making_raises_is_raised_where_it_is_asked_for() -> None:
    """What came before is given first."""

    def make(number: int) -> int:
        return 1 // number

    found = prefetch(make, [1, 0, 1])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_single_thing_is_made_by_its_caller() -> None:
    """One thing has nothing to be made ahead of, so no thread is started for it."""
    assert list(prefetch(lambda _: threading.current_thread(), [0])) == [threading.current_thread()]
