"""What the page of a task shows, on every database."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError, NotFoundError
from taskbank.pages.links import ServerLinks
from taskbank.pages.render import render
from taskbank.pages.task import task_page
from tests.helpers.adapters import new_adapter


def test_versions_stand_beside_the_one_in_production(demo: Bank) -> None:
    """Each version shows its difference to production, and only the options that differ."""
    page = task_page(demo, "ticket-topic")
    rows = {row.version: row for row in page.versions}
    assert [row.version for row in page.versions] == [4, 3, 2, 1]
    assert page.baseline == 3
    assert rows[3].difference is None
    assert rows[4].difference == pytest.approx(rows[4].score.value - rows[3].score.value)
    assert rows[4].same_examples
    assert {name for name, _ in rows[4].options} == {"size", "epochs", "seed"}
    assert (rows[2].retired, rows[2].verified) == (True, None)
    assert (rows[3].aliases, rows[4].aliases) == (("production",), ("canary",))
    assert [dot.text[:9] for dot in page.chart.dots] == [f"version {n}" for n in (1, 2, 3, 4)]


def test_the_baseline_can_be_chosen(demo: Bank) -> None:
    """Any version, a retired one too, can be the one to compare with; one that is not cannot."""
    page = task_page(demo, "ticket-topic", baseline=2)
    assert page.baseline == 2
    assert next(row for row in page.versions if row.version == 1).difference < 0
    with pytest.raises(NotFoundError, match="no version 9"):
        task_page(demo, "ticket-topic", baseline=9)


def test_what_happened_to_a_task_is_shown_newest_first(demo: Bank) -> None:
    """Changes of aliases, verifications and trials are there, each with the newest first."""
    page = task_page(demo, "ticket-topic")
    assert [(one.alias, one.version) for one in page.aliases] == [
        ("canary", 4),
        ("production", 3),
        ("production", 1),
    ]
    numbers = [result.verification for result in page.results]
    assert numbers == sorted(numbers, reverse=True)
    assert {result.version for result in page.results} == {1, 3, 4}
    assert page.trial_count == len(page.trials) == 3


def test_an_unknown_task_is_not_found(demo: Bank) -> None:
    """A name that there is not is an error that says so, one that cannot be there too."""
    with pytest.raises(NotFoundError, match="nothing"):
        task_page(demo, "nothing")
    for name in ("a\x00", "a\udcff"):
        with pytest.raises(InputError, match="NUL"):
            task_page(demo, name)


def test_scores_of_different_metrics_are_not_compared(bank: Bank) -> None:
    """Versions with another metric have neither a difference nor a common chart."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1, metric="f1_macro"), new_version=True)
    page = task_page(bank, "mood")
    assert [row.difference for row in page.versions] == [None, None]
    assert (page.baseline, page.chart, page.same_metric) == (1, None, False)
    bank.put(new_adapter("mood", seed=2), new_version=True)
    rows = {row.version: row for row in task_page(bank, "mood").versions}
    assert rows[3].difference is not None
    assert not rows[3].same_examples  # another seed makes other texts


def test_the_version_in_production_is_the_current_one(demo: Bank) -> None:
    """What the page says of calls and wrong answers is of it, or else of the newest one in use."""
    assert task_page(demo, "ticket-topic").current == "ticket-topic@3"
    assert task_page(demo, "review-stars").current == "review-stars@2"
    address = 'href="/tasks/ticket-topic@3#call"'
    assert address in render(task_page(demo, "ticket-topic"), ServerLinks())
