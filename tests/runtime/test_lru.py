"""What was used last is kept, up to a size."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from taskbank.runtime.lru import LruCache


def _never() -> str:
    raise AssertionError("it is kept already")


def test_what_was_not_used_for_longest_is_let_go_of() -> None:
    """Of three that do not fit together, the one goes that was asked for least lately."""
    recent: LruCache[str] = LruCache(10, len)
    recent.get("a", lambda: "aaaa")
    recent.get("b", lambda: "bbbb")
    assert recent.get("a", _never) == "aaaa"
    recent.get("c", lambda: "cccc")
    assert recent.find("b") is None
    assert recent.get("a", _never) == "aaaa"
    assert recent.get("c", _never) == "cccc"


def test_one_thing_is_kept_however_large_and_its_room_is_given_back() -> None:
    """What is larger than the room stays alone, and does not count once it is gone."""
    recent: LruCache[str] = LruCache(4, len)
    recent.get("large", lambda: "larger than all")
    assert recent.get("large", _never) == "larger than all"
    recent.get("a", lambda: "aa")
    recent.get("b", lambda: "bb")
    assert len(recent) == 2


def test_what_cannot_be_made_is_not_kept() -> None:
    """An error passes through, and the next one who asks makes it anew."""
    recent: LruCache[str] = LruCache(4, len)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: str(1 // 0))
    assert recent.get("a", lambda: "made") == "made"


def test_two_threads_that_make_the_same_get_the_one_that_is_kept() -> None:
    """Both began before either had ended; there is one thing, and its size counts once."""
    recent: LruCache[list[int]] = LruCache(4, len)
    both, found = Barrier(2), []

    def make() -> list[int]:
        both.wait()
        return [1, 2]

    threads = [Thread(target=lambda: found.append(recent.get("a", make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]
    recent.get("b", lambda: [3, 4])
    assert len(recent) == 2
