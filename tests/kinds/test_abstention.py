"""Withheld answers: thresholds keep what their rules say, on data that they were not chosen on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from taskbank import plugins
from taskbank.errors import DataError, InputError
from taskbank.kinds.abstention import (
    Abstention,
    Confidence,
    abstention_of,
    check_rows,
    requested_abstention,
    withhold,
)
from taskbank.kinds.definition import Definition
from tests.helpers.uncertain import KINDS, uncertain

DRAWS = 60  # simulated validation splits
UNSEEN = 20_000  # examples on which a threshold is tried


def withheld(definition: Definition, threshold: float | None, rule: str = "coverage") -> Definition:
    """Return the definition with a threshold."""
    setting = {"rule": rule, "level": 0.5, "threshold": threshold}
    return replace(definition, settings={**definition.settings, "abstain": setting})


@pytest.mark.parametrize("rows", [600, 2000])
def test_precision_on_unseen_data_is_what_was_asked_for(rows: int) -> None:
    """Over many validation splits, 95 % of the answers are right in the mean, within a point.

    Of five thresholds at most one gives less than 93 %.
    """
    found = []
    for seed in range(DRAWS):
        kind, predictions, columns, definition = uncertain(
            "single", rows, seed, factor=1.5, abstain="precision=0.95"
        )
        tuned = kind.tune(predictions, columns, definition)
        if tuned.settings["abstain"]["threshold"] is None:
            continue
        _, unseen, of_unseen, _ = uncertain("single", UNSEEN, 1000 + seed, factor=1.5)
        scores = kind.scores(unseen, of_unseen, tuned)
        assert scores["coverage"] > 0
        found.append(scores["precision"])
    assert len(found) > DRAWS / 2
    assert np.mean(found) == pytest.approx(0.95, abs=0.01)
    assert np.mean(np.array(found) < 0.93) <= 0.2


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_conformal_sets_have_the_right_label_as_often_as_promised(level: float) -> None:
    """Over many validation splits, the set lacks the right label in alpha of the inputs."""
    missed = []
    for seed in range(DRAWS):
        kind, predictions, columns, definition = uncertain(
            "single", 200, seed, factor=2, abstain=f"alpha={level}"
        )
        tuned = kind.tune(predictions, columns, definition)
        threshold = tuned.settings["abstain"]["threshold"]
        _, unseen, of_unseen, _ = uncertain("single", 2000, 1000 + seed, factor=2)
        truths = np.array(
            [
                answer["probabilities"][label]
                for answer, label in zip(
                    kind.answers(unseen, of_unseen, tuned), of_unseen["label"], strict=True
                )
            ]
        )
        missed.append(np.mean(truths < threshold))
    assert np.mean(missed) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize("name", KINDS)
def test_the_share_that_was_asked_for_is_answered(name: str) -> None:
    """On unseen data of every kind, within 3 points."""
    kind, predictions, columns, definition = uncertain(name, 2000, abstain="coverage=0.7")
    tuned = kind.tune(predictions, columns, definition)
    _, unseen, of_unseen, _ = uncertain(name, 2000, 1)
    assert kind.scores(unseen, of_unseen, tuned)["coverage"] == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("name", KINDS)
def test_the_surer_answers_are_the_better_ones(name: str) -> None:
    """Precision is above the share of right answers without abstention, and counted by hand."""
    kind, predictions, columns, definition = uncertain(name, 800, abstain="coverage=0.3")
    tuned = kind.tune(predictions, columns, definition)
    right = kind.correctness(predictions, columns, tuned) == 1
    given = np.array(
        [
            withhold(answer, tuned)["label"] is not None
            for answer in kind.answers(predictions, columns, tuned)
        ]
    )
    scores = kind.scores(predictions, columns, tuned)
    assert scores["coverage"] == given.mean() == pytest.approx(0.3, abs=0.01)
    assert scores["precision"] == right[given].mean() > right.mean()


@pytest.mark.parametrize("name", KINDS)
def test_withholding_an_answer_is_a_change(name: str) -> None:
    """Answers cross the threshold only where it was crossed, by a margin that the outputs moved."""
    kind, predictions, columns, definition = uncertain(name, 300, abstain="coverage=0.5")
    tuned = kind.tune(predictions, columns, definition)
    assert not kind.changes(predictions, predictions, columns, tuned).changed.any()
    generator = np.random.default_rng(5)
    moved = predictions.copy()
    scored = slice(3, None, 3) if name == "span" else slice(None)
    noise = generator.uniform(-0.2, 0.2, moved[:, scored].shape).astype(np.float32)
    if name == "span":
        noise[predictions[:, 1::3] < 0] = 0
    moved[:, scored] += noise
    before, after = (
        [withhold(answer, tuned)["label"] for answer in kind.answers(one, columns, tuned)]
        for one in (predictions, moved)
    )
    differs = np.array([a != b for a, b in zip(before, after, strict=True)])
    changes = kind.changes(predictions, moved, columns, tuned)
    assert changes.changed[differs].all()
    plain = Definition(tuned.labels, {k: v for k, v in tuned.settings.items() if k != "abstain"})
    only_withheld = changes.changed & ~kind.changes(predictions, moved, columns, plain).changed
    assert only_withheld.sum() > 3
    # No flip that a move caused is larger than the move explains.
    assert changes.within(0.2 + 1e-6)[only_withheld].all()
    assert not changes.within(1e-4)[only_withheld].any()


@pytest.mark.parametrize("name", KINDS)
def test_an_answer_near_the_threshold_has_a_small_margin(name: str) -> None:
    """Margins are no larger than without abstention, and zero at the threshold."""
    kind, predictions, columns, definition = uncertain(name, 50)
    scores = [answer["score"] for answer in kind.answers(predictions, columns, definition)]
    at_first = withheld(definition, scores[0])
    plain = kind.margins(predictions, columns, definition)
    found = kind.margins(predictions, columns, at_first)
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert (found <= plain).all()
    assert (kind.margins(predictions, columns, withheld(definition, None)) == plain).all()


def test_a_rule_that_no_threshold_keeps_withholds_everything() -> None:
    """Of labels drawn by chance none can be sure: there is no threshold, and no answer."""
    kind, predictions, columns, definition = uncertain("single", 500, abstain="precision=0.95")
    columns["label"] = columns["label"][1:] + columns["label"][:1]
    tuned = kind.tune(predictions, columns, definition)
    assert tuned.settings["abstain"] == {"rule": "precision", "level": 0.95, "threshold": None}
    scores = kind.scores(predictions, columns, tuned)
    assert (scores["coverage"], scores["precision"]) == (0, 0)
    answer = withhold(kind.answers(predictions, columns, tuned)[0], tuned)
    assert answer["label"] is None
    assert len(answer["candidates"]) == 3


@pytest.mark.parametrize(
    ("rule", "least"),
    [("precision=0.95", 32), ("precision=0.8", 10), ("alpha=0.05", 19), ("coverage=0.5", 1)],
)
def test_too_few_validation_rows_are_an_error_before_training(rule: str, least: int) -> None:
    """The error says how many rows a threshold needs; with that many, one can be found."""
    definition = Definition(
        ("a", "b"), requested_abstention({"abstain": rule}, ("precision", "coverage", "alpha"))
    )
    check_rows(definition, least, "here")
    if least > 1:
        with pytest.raises(InputError, match=f"here has {least - 1} rows .* at least {least}"):
            check_rows(definition, least - 1, "here")
    sure = np.linspace(0.5, 0.99, least)
    abstention = abstention_of(definition)
    assert abstention is not None
    all_right = np.ones(least, dtype=bool)
    found = abstention.fitted(Confidence(sure, 1 - sure, 1.0), all_right, sure)
    assert found.threshold is not None
    check_rows(Definition(), 0, "here")


def test_equal_confidences_are_answered_together() -> None:
    """A threshold lies between two confidences, never within a group of equal ones."""
    sure = np.repeat([0.9, 0.6], 100)
    right = np.arange(200) < 150
    confidence = Confidence(sure, 1 - sure, 1.0)
    found = Abstention("precision", 0.9).fitted(confidence, right, sure)
    assert found.threshold == pytest.approx(0.75)
    assert found.answered(confidence).sum() == 100


def test_a_withheld_answer_has_candidates() -> None:
    """Of classes the most likely ones, of a conformal set exactly its labels; else the answer."""
    shares = {"a": 0.45, "b": 0.4, "c": 0.15}
    answer = {"label": "a", "score": 0.45, "probabilities": shares}
    definition = Definition(("a", "b", "c"))
    assert withhold(answer, definition) == answer
    assert withhold(answer, withheld(definition, 0.4)) == answer
    found = withhold(answer, withheld(definition, 0.5))
    assert found["label"] is None
    assert found["candidates"] == [{"label": k, "probability": v} for k, v in shares.items()]
    assert (found["score"], found["probabilities"]) == (0.45, shares)
    both = withhold(answer, withheld(definition, 0.3, "alpha"))
    assert [one["label"] for one in both["candidates"]] == ["a", "b"]
    assert withhold(answer, withheld(definition, 0.42, "alpha"))["label"] == "a"
    none = withhold(answer, withheld(definition, 0.9, "alpha"))
    assert [one["label"] for one in none["candidates"]] == ["a"]
    several = {"label": "a, b", "labels": ["a", "b"], "score": 0.2, "probabilities": shares}
    assert withhold(several, withheld(definition, 0.3))["candidates"] == [
        {"label": "a, b", "probability": 0.2}
    ]


@pytest.mark.parametrize(
    "wrong", ["precision", "precision=", "precision=1", "alpha=0", "recall=0.9", "coverage=nan", ""]
)
def test_a_rule_that_is_none_is_refused(wrong: str) -> None:
    """The error shows the value and the rules that the kind knows."""
    with pytest.raises(InputError, match=r"abstain is .*: write precision=LEVEL"):
        uncertain("single", 30, abstain=wrong)


def test_kinds_say_which_rules_they_do_not_know() -> None:
    """Sets of labels are for classes, and numbers have no probability."""
    for name in ("multilabel", "tagging", "span"):
        with pytest.raises(InputError, match="write precision=LEVEL or coverage=LEVEL,"):
            uncertain(name, 30, abstain="alpha=0.1")
    with pytest.raises(InputError, match="'regression' has no setting 'abstain'"):
        plugins.load("kinds", "regression").define(
            {"label": [1.0, 2.0], "text": ["x", "y"]}, "here", {"abstain": "coverage=0.5"}
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        "precision=0.95",
        {"rule": "precision", "level": 0.95},
        {"rule": "recall", "level": 0.95, "threshold": 0.5},
        {"rule": "precision", "level": 2, "threshold": 0.5},
        {"rule": "precision", "level": True, "threshold": 0.5},
        {"rule": "precision", "level": 0.95, "threshold": float("nan")},
        {"rule": "precision", "level": 0.95, "threshold": 1.5},
        {"rule": "precision", "level": 0.95, "threshold": "0.5"},
        {"rule": "precision", "level": 0.95, "threshold": 0.5, "more": 1},
        {"rule": ["precision"], "level": 0.95, "threshold": 0.5},
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_setting_is_refused(name: str, wrong: Any) -> None:
    """A setting from someone else's export has a rule, a level and a threshold, each checked."""
    kind, _, columns, definition = uncertain(name, 30)
    settings = {**definition.settings, "abstain": wrong}
    with pytest.raises(DataError, match="the setting 'abstain' is "):
        kind.check(columns, replace(definition, settings=settings), "here")
