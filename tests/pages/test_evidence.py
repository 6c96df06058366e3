"""What a version got right and wrong, compared with counts made by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.pages.evidence import SHOWN_ROWS, Asked, Evidence, read_evidence
from tests.helpers.versions import version


def evidence_of(bank: Bank, ref: str, **asked: object) -> Evidence:
    """Return the evidence of a version."""
    found = read_evidence(bank, bank[ref], Asked(**asked))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.fixture
def mood(own: Bank) -> Bank:
    """A bank whose task `mood` answers 36 of 40 rightly: the last 4 wrongly."""
    own.put(version(36))
    return own


def test_the_matrix_counts_labels_and_answers(mood: Bank) -> None:
    """Each cell has the number of its examples, and opens exactly those."""
    found = evidence_of(mood, "mood@1")
    cells = {(cell.label, cell.predicted): cell.count for _, row in found.matrix for cell in row}
    assert cells == {
        ("bad", "bad"): 18,
        ("bad", "good"): 2,
        ("good", "bad"): 2,
        ("good", "good"): 18,
    }
    opened = evidence_of(mood, "mood@1", label="bad", predicted="good")
    assert opened.found == 2
    assert {(one.label, one.predicted) for one in opened.examples} == {("bad", "good")}
    assert [one.number for one in opened.examples] == [37, 39]


def test_classes_have_intervals(mood: Bank) -> None:
    """Recall is 18 of 20 for each class, with the interval that 20 examples allow."""
    for one in evidence_of(mood, "mood@1").classes:
        assert (one.recall, one.support) == (0.9, 20)
        assert one.recall_interval == pytest.approx((0.699, 0.972), abs=1e-3)


def test_reliability_compares_probabilities_with_shares(mood: Bank) -> None:
    """All answers have one probability, 1 / (1 + exp(-2)), and 36 of 40 are correct."""
    found = evidence_of(mood, "mood@1").reliability
    ((confidence, share, _, count),) = found.rows
    assert confidence == pytest.approx(1 / (1 + np.exp(-2)))
    assert (share, count) == (0.9, 40)
    assert found.error == pytest.approx(abs(0.9 - confidence))


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


def test_lengths_hold_every_example(demo: Bank) -> None:
    """Groups by length follow each other and hold all examples."""
    groups = evidence_of(demo, "ticket-topic@3").lengths
    assert sum(group.count for group in groups) == 400
    assert all(one.longest < other.shortest for one, other in pairwise(groups))


def test_an_unknown_order_is_refused(demo: Bank) -> None:
    """An order that there is not names those that there are."""
    with pytest.raises(InputError, match="wrong, unsure, stored"):
        evidence_of(demo, "spam@1", order="best")


def test_many_classes_have_a_list_in_place_of_a_matrix(own: Bank) -> None:
    """Beyond 16 classes, the most frequent confusions are listed."""
    from taskbank.kinds.definition import Definition

    names = tuple(f"class-{number:02}" for number in range(20))
    own.put(replace(version(30, definition=Definition(names, {}), labels=names * 2), task="many"))
    found = evidence_of(own, "many@1")
    assert found.matrix == ()
    assert len(found.confusions) == 10
