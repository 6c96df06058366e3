"""Metrics say what they are worth, and reports by class fit the terminal."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.bank.records import MetricRecord
from taskbank.cli.metric_fields import (
    SHOWN_CLASSES,
    evidence_fields,
    metric_fields,
    metrics_json,
    print_classes,
)
from taskbank.kinds.class_report import report_classes, report_entities
from taskbank.kinds.single import SINGLE
from tests.helpers.terminal import Screen

FEW = MetricRecord("validation", "accuracy", 1.0, 0.0, 2)
MANY = MetricRecord("test", "accuracy", 0.9, 0.0095, 1000)


def test_a_score_of_two_examples_has_its_interval() -> None:
    """Where the standard error misleads, the interval and the number of examples are added."""
    assert metric_fields(SINGLE, [FEW, MANY]) == {
        "validation accuracy": "1.0000 ± 0.0000 (95% interval 0.3424 to 1.0000, 2 examples)",
        "test accuracy": "0.9000 ± 0.0095",
    }


def test_a_score_stands_beside_that_of_a_linear_probe() -> None:
    """The difference is shown by split, and advice is given if the adapter is no better."""
    course = {"linear_probe": {"validation": 0.75, "test": 0.8}}
    assert evidence_fields("accuracy", [FEW, MANY], course, {}) == {
        "linear probe": "validation accuracy 0.7500 (adapter +0.2500), test accuracy 0.8000 "
        "(adapter +0.1000)"
    }
    course["linear_probe"]["test"] = 0.9
    worse = evidence_fields("accuracy", [FEW, MANY], course, {})["linear probe"]
    assert worse.endswith(
        "(adapter +0.0000); the adapter is no better: raise --epochs, or take --method linear"
    )
    few = evidence_fields("accuracy", [FEW, MANY], course, {"contrastive": 100})["linear probe"]
    assert few.endswith("raise --contrastive, or take --method linear")
    assert evidence_fields("accuracy", [FEW, MANY], {}, {}) == {}


def test_json_has_every_interval_that_there_is() -> None:
    """A metric that is no share of correct answers has null."""
    found = metrics_json(SINGLE, [MANY, MetricRecord("test", "f1", 1.0, 0.0, 9)])
    assert found[0]["interval"] == pytest.approx((0.8798, 0.9171), abs=1e-4)
    assert found[1]["interval"] is None
    assert found[0]["standard_error"] == 0.0095


def test_few_classes_are_a_matrix(screen: Screen) -> None:
    """Every class has a row in both tables, with the counts of a confusion matrix."""
    screen.widen(60)
    targets, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    print_classes(report_classes(("ham", "spam", "x y"), predicted, targets))
    lines = [line.split() for line in screen.lines() if line]
    assert lines[0] == ["class", "precision", "recall", "f1", "support"]
    assert lines[2] == ["ham", "1.0000", "0.5000", "0.6667", "2"]
    assert lines[4] == ["x", "y", "–", "0.0000", "0.0000", "1"]
    assert lines[5] == ["true", "\\", "predicted", "ham", "spam", "x", "y"]
    assert lines[7:] == [["ham", "1", "1", "0"], ["spam", "0", "1", "0"], ["x", "y", "0", "1", "0"]]


@pytest.mark.parametrize("width", [60, 80, 200, None])
def test_many_classes_are_the_worst_and_the_largest_confusions(
    screen: Screen, width: int | None
) -> None:
    """Of 77 classes those with the lowest F1 are listed; every line fits, the rest is counted."""
    labels = tuple(f"card_payment_{number}" for number in range(77))
    chance = np.random.default_rng(0)
    targets = chance.integers(0, 77, 2000)
    predicted = np.where(chance.random(2000) < 0.8, targets, chance.integers(0, 77, 2000))
    screen.widen(width)
    report = report_classes(labels, predicted, targets)
    print_classes(report)
    lines = screen.lines()
    assert all(len(line) <= (width or 100) for line in lines if "--json" not in line)
    assert any("57 classes with a higher F1" in line for line in lines)
    worst = min(report.classes, key=lambda score: score.f1 or 0)
    assert any(line.startswith(worst.label) for line in lines[:4])
    left_out = len(report.confusions()) - SHOWN_CLASSES
    assert any(line.startswith(f"{left_out:,} rarer confusions") for line in lines)
    assert len(lines) < 60


def test_missed_entities_are_taken_for_nothing(screen: Screen) -> None:
    """An entity that is not found, and one that is not there, have a row or column of their own."""
    screen.widen(80)
    print_classes(report_entities(["name"], [{("name", 0, 0)}, set()], [set(), {("name", 1, 1)}]))
    lines = [line.split() for line in screen.lines() if line]
    assert lines[-2:] == [["name", "0", "1"], ["(none)", "1", "0"]]
