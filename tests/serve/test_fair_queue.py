"""Tasks take turns."""

from __future__ import annotations

from taskbank.serve.fair_queue import FairQueue


def drained(queue: FairQueue[str]) -> str:
    """Take everything from a queue."""
    taken = ""
    while (item := queue.take()) is not None:
        taken += item
    return taken


def test_tasks_take_turns() -> None:
    """A task with many items waits for one of each other task between two of its own."""
    queue: FairQueue[str] = FairQueue()
    for item in "AAAABBC":
        queue.put(item, item)
    assert queue
    assert drained(queue) == "ABCABAA"
    assert not queue


def test_the_items_of_a_task_keep_their_order() -> None:
    """Items of one task come in the order in which they were put, one that is put back first."""
    queue: FairQueue[str] = FairQueue()
    for item in "123":
        queue.put("digits", item)
    queue.put("letters", "a")
    assert queue.take() == "1"
    queue.put_back("digits", "1")
    assert drained(queue) == "1a23"


def test_a_task_that_may_have_no_turn_keeps_its_place() -> None:
    """A task that is passed over is the next once it may have a turn."""
    queue: FairQueue[str] = FairQueue()
    for item in "ABC":
        queue.put(item, item)
    assert queue.take(lambda task: task == "B") == "B"
    assert queue.take(lambda task: task == "B") is None
    assert drained(queue) == "AC"
