"""Temperatures: fitted on validation, harmless to answers, and checked when they come from others.

Every kind with probabilities is tested on predictions whose true temperature is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from taskbank.errors import DataError
from taskbank.kinds.calibration import (
    BINS,
    HIGHEST,
    LOWEST,
    Calibration,
    calibration_of_classes,
    calibration_of_shares,
    with_temperature,
)
from taskbank.kinds.definition import Definition
from taskbank.kinds.logits import softmax
from tests.helpers.uncertain import KINDS, LABELS, uncertain


def at(definition: Definition, temperature: float) -> Definition:
    """Return the definition with a temperature."""
    return replace(definition, settings={**definition.settings, "temperature": temperature})


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", KINDS)
def test_the_temperature_of_logits_is_found(name: str, factor: float) -> None:
    """Logits that are so many times too large get that temperature, within a tenth of it."""
    kind, predictions, columns, definition = uncertain(name, 3000, factor=factor)
    tuned = kind.tune(predictions, columns, definition)
    assert tuned.settings["temperature"] == pytest.approx(factor, rel=0.1)
    scores = kind.scores(predictions, columns, tuned)
    assert scores["ece"] < 0.03
    before = kind.scores(predictions, columns, at(tuned, 1.0))
    assert scores["log_loss"] <= before["log_loss"]
    if factor == 3:
        assert scores["ece"] < before["ece"] / 2
        assert scores["brier"] < before["brier"]


@pytest.mark.parametrize("rows", [12, 40])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", KINDS)
def test_log_loss_on_validation_never_rises(name: str, seed: int, rows: int) -> None:
    """However few the rows, probabilities are no worse than without a temperature."""
    kind, predictions, columns, definition = uncertain(name, rows, seed, factor=2)
    tuned = kind.tune(predictions, columns, definition)
    after = kind.scores(predictions, columns, tuned)["log_loss"]
    assert after <= kind.scores(predictions, columns, at(tuned, 1.0))["log_loss"]


@pytest.mark.parametrize("name", ["single", "pair", "tagging", "span"])
def test_no_temperature_changes_an_answer(name: str) -> None:
    """Labels are the same at every temperature, among nearly equal logits, too."""
    kind, predictions, columns, definition = uncertain(name, 200)
    if name != "span":
        predictions[0] = np.array([0, 1e-30, 0], dtype=np.float32)
    expected = [answer["label"] for answer in kind.answers(predictions, columns, definition)]
    for temperature in (LOWEST, 0.7, HIGHEST):
        found = kind.answers(predictions, columns, at(definition, temperature))
        assert [answer["label"] for answer in found] == expected


@pytest.mark.parametrize("name", ["single", "pair"])
def test_probabilities_add_up_to_one(name: str) -> None:
    """At any temperature, for extreme logits too, and the score is that of the label."""
    kind, predictions, columns, definition = uncertain(name, 50, factor=100)
    for temperature in (LOWEST, 1.3, HIGHEST):
        for answer in kind.answers(predictions, columns, at(definition, temperature)):
            assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-12)
            assert answer["probabilities"][answer["label"]] == answer["score"]


@pytest.mark.parametrize("name", KINDS)
def test_a_version_without_a_temperature_gives_what_it_gave(name: str) -> None:
    """Answers are equal bit by bit to those of temperature 1, and no new metric is there."""
    kind, predictions, columns, definition = uncertain(name, 60)
    kind.check(columns, definition, "here")
    assert kind.answers(predictions, columns, definition) == kind.answers(
        predictions, columns, at(definition, 1.0)
    )
    if name in ("single", "pair"):
        (first, *_) = kind.answers(predictions, columns, definition)
        assert list(first["probabilities"].values()) == softmax(predictions)[0].tolist()
    old = kind.metrics(predictions, columns, definition)
    new = kind.metrics(predictions, columns, at(definition, 1.0))
    assert new.keys() - old.keys() >= {"ece", "brier"}
    assert old.keys() == kind.scores(predictions, columns, definition).keys()
    for metric, one in old.items():
        assert one.value == pytest.approx(new[metric].value, abs=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_scores_and_metrics_are_the_same_values(name: str) -> None:
    """What a verification recomputes without errors is what was recorded with them."""
    kind, predictions, columns, definition = uncertain(name, 60, abstain="coverage=0.5")
    tuned = kind.tune(predictions, columns, definition)
    found = kind.metrics(predictions, columns, tuned)
    scores = kind.scores(predictions, columns, tuned)
    assert {metric: one.value for metric, one in found.items()} == scores
    assert all(one.standard_error >= 0 and one.count == 60 for one in found.values())


@pytest.mark.parametrize("wrong", [float("nan"), 0, -1.0, 1e9, float("inf"), "1", True, [1.0]])
@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_temperature_is_refused(name: str, wrong: Any) -> None:
    """A setting from someone else's export is a number within the bounds of the fit."""
    kind, _, columns, definition = uncertain(name, 30)
    with pytest.raises(DataError, match="the setting 'temperature' is "):
        kind.check(columns, at(definition, wrong), "here")


def test_few_examples_that_are_all_right_do_not_make_probabilities_certain() -> None:
    """Without the prior, the best temperature would be the lowest; with it, it is moderate."""
    logits = np.tile(np.array([[2.0, 0.0]], dtype=np.float32), (10, 1))

    def loss(temperature: float) -> float:
        return float(np.log1p(np.exp(-2 / temperature)))

    found = with_temperature(Definition(), loss, len(logits)).settings["temperature"]
    assert 0.3 < found < 1
    assert loss(LOWEST) < loss(found)


def test_scores_are_those_of_scikit_learn() -> None:
    """Log loss and, for two classes, Brier score as a sum over both classes."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(300, 2)).astype(np.float32)
    targets = generator.integers(0, 2, 300)
    scores = calibration_of_classes(logits, targets, 0.7, np.arange(300)).scores()
    shares = softmax(logits, 0.7)
    assert scores["log_loss"] == pytest.approx(log_loss(targets, shares), abs=1e-12)
    assert scores["brier"] == pytest.approx(2 * brier_score_loss(targets, shares[:, 1]), abs=1e-12)
    alone = calibration_of_shares(shares[:, 1], targets == 1, np.arange(300)).scores()
    assert alone["log_loss"] == pytest.approx(log_loss(targets, shares), abs=1e-12)
    assert alone["brier"] == pytest.approx(brier_score_loss(targets, shares[:, 1]), abs=1e-12)


def test_the_calibration_error_is_the_mean_distance_in_bins() -> None:
    """It equals the sum over bins, written out, and a probability of 1 is in the last bin."""
    generator = np.random.default_rng(1)
    shares = np.append(generator.random(200), [0.0, 1.0])
    right = generator.random(202) < shares**2
    found = calibration_of_shares(shares, right, np.arange(202))
    expected = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = (shares >= low) & ((shares < high) | (number == BINS - 1))
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - shares[inside].mean())
    assert found.scores()["ece"] == pytest.approx(expected, abs=1e-12)
    assert found.gaps[-1, -1] == 0  # 1 came true


def test_an_example_may_have_several_probabilities() -> None:
    """The values are means over probabilities, the errors those over examples."""
    shares = np.array([0.9, 0.8, 0.3])
    came_true = np.array([True, False, False])
    found: Calibration = calibration_of_shares(shares, came_true, np.array([0, 0, 1]))
    assert found.sizes.tolist() == [2, 1]
    own = np.array([0.9, 0.2, 0.7])
    assert found.scores()["log_loss"] == pytest.approx(-np.log(own).mean())
    assert found.scores()["brier"] == pytest.approx(((1 - own) ** 2).mean())
    assert found.metrics()["brier"].standard_error == pytest.approx(
        abs(((1 - own[:2]) ** 2).mean() - 0.3**2) / 2 / np.sqrt(2)
    )


def test_labels_of_one_example_may_be_many() -> None:
    """Every label of a task of several labels counts, for its probability being near or far."""
    kind, predictions, columns, definition = uncertain("multilabel", 400)
    scores = kind.scores(predictions, columns, at(definition, 1.0))
    shares = 1 / (1 + np.exp(-predictions.astype(float)))
    wanted = np.array([[label in row for label in LABELS] for row in columns["labels"]])
    assert scores["brier"] == pytest.approx(((shares - wanted) ** 2).mean(), abs=1e-12)
