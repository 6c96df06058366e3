"""What the page of a bank shows, on every database."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.pages.bank import bank_page
from tests.helpers.adapters import new_adapter
from tests.helpers.demo_bank import TASKS


def test_every_task_has_its_current_version(demo: Bank) -> None:
    """A row shows the version in production, or else the newest one, and all of it."""
    page = bank_page(demo)
    rows = {row.task: row for row in page.rows}
    assert list(rows) == sorted(made.name for made in TASKS)
    topic = rows["ticket-topic"]
    assert (topic.version, topic.aliases) == (3, ("production",))
    assert rows["review-aspects"].version == 2
    assert topic.score.low < topic.score.value < topic.score.high
    assert topic.score.share
    assert not rows["review-stars"].score.share
    assert rows["review-sentiment"].verified.status == "regressed"
    assert rows["review-sentiment"].trend.description.startswith("7 scores from")
    assert rows["spam"].tags == (("team", "mail"), ("tier", "1"))
    assert (page.tasks, page.next, page.problem) == (len(TASKS), None, None)


@pytest.mark.parametrize("sort", ["task", "-task", "score", "-score", "size", "-size", "-added"])
def test_pages_follow_each_other_in_every_order(demo: Bank, sort: str) -> None:
    """Pages of three rows together are the one long page, in its order."""
    whole = [row.task for row in bank_page(demo, sort=sort).rows]
    found: list[str] = []
    after = None
    while True:
        page = bank_page(demo, sort=sort, after=after, rows=3)
        found += [row.task for row in page.rows]
        if page.next is None:
            break
        after = page.next
    assert found == whole
    assert len(whole) == len(TASKS)


def test_rows_are_sorted_by_what_they_show(demo: Bank) -> None:
    """The order by score is that of the scores shown, and a heading turns its own order around."""
    page = bank_page(demo, sort="-score")
    scores = [row.score.value for row in page.rows]
    assert scores == sorted(scores, reverse=True)
    assert page.sort_by("score") == "score"
    assert page.sort_by("task") == "task"
    assert page.sort_by("size") == "-size"
    assert (page.direction("score"), page.direction("task")) == ("descending", None)


def test_a_filter_is_a_condition_on_current_versions(demo: Bank) -> None:
    """Only tasks whose current version satisfies the query are shown."""
    shown = [row.task for row in bank_page(demo, query='tag.team = "support"').rows]
    assert shown == ["ticket-language", "ticket-topic", "ticket-urgent"]
    assert [
        row.task for row in bank_page(demo, query='task = "ticket-topic" and version = 4').rows
    ] == []
    assert len(bank_page(demo, query="   ").rows) == len(TASKS)


@pytest.mark.parametrize("query", ["score >=", "colour = 3", 'score = "high"', "x" * 11_000])
def test_a_wrong_filter_is_reported_on_the_page(demo: Bank, query: str) -> None:
    """The page keeps the text, says what is wrong with it, and shows no tasks."""
    page = bank_page(demo, query=query)
    assert page.problem
    assert (page.filter, page.rows) == (query, ())


def test_an_unknown_order_is_refused(demo: Bank) -> None:
    """A sort that there is not names those that there are."""
    with pytest.raises(InputError, match="task, score, size, added"):
        bank_page(demo, sort="colour")


def test_an_empty_bank_has_a_page(bank: Bank) -> None:
    """Without tasks there is a page without rows."""
    page = bank_page(bank)
    assert (page.tasks, page.rows, page.next) == (0, (), None)


def test_a_page_that_begins_after_nothing_is_empty(demo: Bank) -> None:
    """After an adapter that was destroyed meanwhile, nothing is shown instead of the wrong page."""
    assert bank_page(demo, after=999_999).rows == ()


def test_a_dropped_alias_and_a_retired_task_are_noticed(bank: Bank) -> None:
    """Without production the newest version is current; a task without any in use is left out."""
    for seed in range(3):
        bank.put(new_adapter("mood", seed=seed), new_version=True)
    bank.put(new_adapter("gone"))
    bank.alias("mood@1", "production")
    assert [(row.task, row.version) for row in bank_page(bank).rows] == [("gone", 1), ("mood", 1)]
    bank.drop_alias("mood", "production")
    bank.remove("gone@1")
    bank.remove("mood@3")
    assert [(row.task, row.version) for row in bank_page(bank).rows] == [("mood", 2)]
