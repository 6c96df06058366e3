"""Which examples are shown of a version, and in which order."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.pages.evidence import SHOWN_ROWS
from tests.helpers.evidence import evidence_of


def test_wrong_answers_come_first_and_pages_hold_all(demo: Bank) -> None:
    """The worst answers are the most confident wrong ones; pages hold every wrong one once."""
    first = evidence_of(demo, "ticket-topic@3")
    scores = [one.score for one in first.examples]
    assert scores == sorted(scores, reverse=True)
    assert all(one.label != one.predicted for one in first.examples)
    numbers, start = [], 0
    while start is not None:
        page = evidence_of(demo, "ticket-topic@3", start=start)
        numbers += [one.number for one in page.examples]
        start = page.next
    record = demo["ticket-topic@3"]
    wrong = round((1 - record.score) * record.splits[0].rows)
    assert len(numbers) == len(set(numbers)) == first.found == wrong
    assert evidence_of(demo, "ticket-topic@3", start=SHOWN_ROWS).previous == 0


def test_the_least_certain_come_first_when_asked(demo: Bank) -> None:
    """With two classes, the least certain answers are those with the lowest probability."""
    found = evidence_of(demo, "spam@1", order="unsure")
    scores = [one.score for one in found.examples]
    assert scores == sorted(scores)
    assert found.found == 600


def test_numbers_and_labels_get_what_fits(demo: Bank) -> None:
    """A regression has errors, the largest first, and several labels have classes but no matrix."""
    stars = evidence_of(demo, "review-stars@2")
    errors = [-one.correct for one in stars.examples]
    assert errors == sorted(errors, reverse=True)
    assert (stars.numeric, stars.classes, stars.matrix, stars.reliability) == (True, (), (), None)
    aspects = evidence_of(demo, "review-aspects@2")
    assert [one.label for one in aspects.classes] == ["price", "quality", "service"]
    assert (aspects.matrix, aspects.reliability, aspects.numeric) == ((), None, False)


def test_an_unknown_order_is_refused(demo: Bank) -> None:
    """An order that there is not names those that there are."""
    with pytest.raises(InputError, match="wrong, unsure, stored"):
        evidence_of(demo, "spam@1", order="best")
