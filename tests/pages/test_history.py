"""What the page of a bank's history shows, on every database."""

from __future__ import annotations

import json

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError, NotFoundError
from taskbank.pages.history import history_page
from tests.helpers.adapters import new_adapter
from tests.helpers.verifications import observe


@pytest.fixture
def grown(bank: Bank) -> Bank:
    """A bank whose first task got worse after the second one was added, and a version better."""
    bank.put(new_adapter("first"))
    bank.put(new_adapter("second", seed=1))
    observe(bank, first=bank["first"].score - 0.03)
    bank.put(new_adapter("third", seed=2))
    return bank


def test_the_matrix_marks_what_got_worse(grown: Bank) -> None:
    """Cells compare with the score right after the task was added; measures are those of all."""
    page = history_page(grown)
    cells = page.matrix.rows
    assert page.matrix.tasks == ("first", "second", "third")
    assert cells[0][0].colour == ""
    assert cells[0][1].score is None
    assert cells[1][0].colour == cells[2][0].colour == "wrong-4"
    assert cells[2][0].change == pytest.approx(-0.03)
    assert [value for _, value in page.matrix.measures][1:] == pytest.approx([-0.015, 0.015])


def test_many_tasks_are_a_heat_map_in_parts(bank: Bank) -> None:
    """More tasks than a table holds are columns of runs, and earlier and later ones are linked."""
    for number in range(15):
        bank.put(new_adapter(f"task-{number}", seed=number))
    observe(bank, **{"task-0": bank["task-0"].score + 0.2})
    page = history_page(bank)
    assert (page.matrix.rows, len(page.matrix.columns)) == ((), 15)
    first = page.matrix.columns[0]
    assert [run.colour for run in first.runs] == ["", "right-6"]
    assert sum(run.height for run in first.runs) == page.matrix.side
    assert first.text.startswith("task-0: ")
    part = history_page(bank, tasks=6)
    assert (part.matrix.tasks[0], len(part.matrix.tasks)) == ("task-12", 3)
    assert (part.previous, part.following) == (6, None)
    earlier = history_page(bank, tasks=6, start=0)
    assert (earlier.previous, earlier.following) == (None, 6)
    assert earlier.matrix.tasks == tuple(f"task-{number}" for number in range(6))


def test_scores_over_time_are_lines_and_data(grown: Bank) -> None:
    """A line has every score of its task in order, and a script gets the same numbers."""
    page = history_page(grown)
    assert [line.name for line in page.chart.lines] == ["first"]  # the others have one score
    data = json.loads(page.chart.data)
    score = grown["first"].score
    assert data["scores"][0] == pytest.approx([score, score - 0.03])
    assert data["times"] == sorted(data["times"])
    assert len(page.chart.lines[0].places) == 2


def test_only_the_lines_that_moved_most_are_drawn(bank: Bank) -> None:
    """Of more tasks than there are colours, those are drawn whose scores moved furthest."""
    for number in range(10):
        bank.put(new_adapter(f"task-{number}", seed=number))
    observe(bank, **{f"task-{n}": bank[f"task-{n}"].score - n / 100 for n in range(10)})
    page = history_page(bank)
    assert [line.name for line in page.chart.lines] == [f"task-{n}" for n in range(2, 10)]
    assert page.chosen


def test_a_task_has_a_history_of_its_own(demo: Bank) -> None:
    """Of one task its entries and a line for each version are shown, and no matrix."""
    page = history_page(demo, task="ticket-topic")
    assert {entry.task for entry in page.entries} == {"ticket-topic"}
    assert {"added", "alias", "retired", "verified"} == {entry.what for entry in page.entries}
    assert [line.name for line in page.chart.lines] == ["@1", "@3", "@4"]
    assert page.matrix is None
    with pytest.raises(NotFoundError, match="nothing"):
        history_page(demo, task="nothing")
    with pytest.raises(InputError, match="NUL"):
        history_page(demo, task="a\x00")


def test_an_empty_bank_has_a_history(bank: Bank) -> None:
    """Without tasks the page has neither matrix nor chart."""
    page = history_page(bank)
    assert (page.matrix, page.chart, page.entries, page.next) == (None, None, (), None)
