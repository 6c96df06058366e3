"""Any number of labels: thresholds, F1, and rows that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.data.splits import hold_out
from taskbank.errors import DataError
from taskbank.kinds.definition import Definition
from taskbank.kinds.multilabel import MULTILABEL, THRESHOLDS

NAMES = tuple("abcdef")


def columns_of(*rows: Any) -> dict[str, Any]:
    """Return examples with some lists of labels."""
    return {"text": ["x"] * len(rows), "labels": [list(row) for row in rows]}


def defined(labels: Any = NAMES, thresholds: Any = None) -> Definition:
    """Return a task of some labels."""
    settings = {"inputs": ["text"], "thresholds": thresholds or [0.5] * len(labels)}
    return Definition(tuple(labels), settings)


def chance(labels: int, rows: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return what is wanted, logits that have something of it, and the examples."""
    generator = np.random.default_rng(seed)
    wanted = generator.random((rows, labels)) < np.linspace(0.1, 0.6, labels)
    logits = (generator.normal(size=wanted.shape) + 2 * wanted - 1.5).astype(np.float32)
    rows_of = [[NAMES[place] for place in np.flatnonzero(row)] for row in wanted]
    return wanted, logits, columns_of(*rows_of)


def test_a_row_with_a_label_that_came_later_is_not_right() -> None:
    """Outputs of a task with fewer labels are right only where none of the later ones is due."""
    logits = np.array([[9, -9], [9, -9], [9, 9]], dtype=np.float32)
    targets = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 0]], dtype=np.float32)
    encoded = Encoded({}, np.arange(4), input_targets={"targets": targets})
    assert MULTILABEL.right(logits, encoded, defined("ab")).tolist() == [True, False, False]


@pytest.mark.parametrize("labels", [2, 6])
def test_metrics_are_those_of_scikit_learn(labels: int) -> None:
    """Micro and macro F1 and the share of exact matches agree, with thresholds of their own."""
    wanted, logits, columns = chance(labels)
    thresholds = np.linspace(0.2, 0.6, labels)
    chosen = 1 / (1 + np.exp(-logits.astype(float))) >= thresholds
    definition = defined(NAMES[:labels], thresholds.tolist())
    found = MULTILABEL.metrics(logits, columns, definition)
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {
            "f1_micro": f1_score(wanted, chosen, average="micro"),
            "f1_macro": f1_score(wanted, chosen, average="macro"),
            "exact_match": accuracy_score(wanted, chosen),
        },
        abs=1e-12,
    )


def test_a_single_label_is_scored_as_one_that_is_there_or_not() -> None:
    """With one label in all, F1 is that label's, and not the mean with its absence."""
    wanted, logits, columns = chance(1)
    expected = f1_score(wanted[:, 0], logits[:, 0] >= 0)
    found = MULTILABEL.scores(logits, columns, defined(NAMES[:1]))
    assert found["f1_micro"] == found["f1_macro"] == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_labels_that_nobody_has_score_nought() -> None:
    """Where neither examples nor predictions have a label, F1 is 0 as scikit-learn sets it."""
    columns, logits = columns_of([], []), np.full((2, 6), -5, dtype=np.float32)
    found = MULTILABEL.metrics(logits, columns, defined())
    assert {name: one.value for name, one in found.items()} == {
        "f1_micro": 0,
        "f1_macro": 0,
        "exact_match": 1,
    }
    assert f1_score(np.zeros((2, 6)), np.zeros((2, 6)), average="micro", zero_division=0) == 0


@pytest.mark.slow
def test_errors_are_what_resampling_examples_gives() -> None:
    """The quick bootstrap agrees with one that scores resampled examples with scikit-learn."""
    wanted, logits, columns = chance(4)
    chosen, generator, plain = logits >= 0, np.random.default_rng(5), []
    for _ in range(200):
        rows = generator.integers(0, len(wanted), len(wanted))
        plain.append(
            [f1_score(wanted[rows], chosen[rows], average=one) for one in ("micro", "macro")]
        )
    found = MULTILABEL.metrics(logits, columns, defined(NAMES[:4]))
    errors = [found[name].standard_error for name in ("f1_micro", "f1_macro")]
    assert errors == pytest.approx(np.std(plain, axis=0), rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [8, 120])
def test_each_threshold_is_the_best_of_all(rows: int) -> None:
    """No other threshold of the grid gives its label a better F1, nor an equal one nearer to ½."""
    wanted, logits, columns = chance(6, rows, seed=3)
    wanted[0] = True
    columns["labels"][0] = list(NAMES)
    tuned = MULTILABEL.tune(logits, columns, defined())
    shares = 1 / (1 + np.exp(-logits.astype(float) / tuned.settings["temperature"]))
    for place, found in enumerate(tuned.settings["thresholds"]):
        scores = {
            threshold: f1_score(wanted[:, place], shares[:, place] >= threshold, zero_division=0)
            for threshold in THRESHOLDS
        }
        best = max(scores.values())
        assert scores[found] == best
        nearest = min(abs(one - 0.5) for one, score in scores.items() if score == best)
        assert abs(found - 0.5) == nearest
    assert len(set(tuned.settings["thresholds"])) > 1


def test_a_label_that_no_example_has_keeps_its_threshold() -> None:
    """Nothing can be chosen for it, so it stays at one half."""
    logits = np.full((3, 2), 1.0, dtype=np.float32)
    tuned = MULTILABEL.tune(logits, columns_of("a", "a", ""), defined("ab"))
    assert tuned.settings["thresholds"][1] == 0.5
    assert tuned.settings["inputs"] == ["text"]


def test_weights_make_having_a_label_count_like_lacking_it() -> None:
    """The weight of a label is the ratio of scikit-learn's balanced weights of its two cases."""
    wanted, logits, columns = chance(4)
    found = MULTILABEL.balance(columns, defined(NAMES[:4]))
    for place, weight in enumerate(found):
        cases = wanted[:, place].astype(int)
        lacking, having = compute_class_weight("balanced", classes=np.array([0, 1]), y=cases)
        assert weight == pytest.approx(having / lacking, rel=1e-6)
    told = {"targets": torch.from_numpy(MULTILABEL.targets(columns, defined(NAMES[:4])))}
    loss = MULTILABEL.loss(torch.from_numpy(logits), told, torch.from_numpy(found))
    shares = 1 / (1 + np.exp(-logits.astype(float)))
    by_hand = -np.where(wanted, found * np.log(shares), np.log(1 - shares)).mean()
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_weights_of_a_label_that_all_or_none_have_are_numbers() -> None:
    """A label that nobody lacks, or nobody has, divides by nothing."""
    found = MULTILABEL.balance(columns_of("a", "a"), defined("ab"))
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[], []], r"every row of here has the labels \[\]: there is nothing to predict"),
        ([["a", "b"], ["b", "a"]], r"every row of here has the labels \['a', 'b'\]"),
        ([["a"], ["a "]], "'a' and 'a ' of here differ only in the space"),
    ],
)
def test_labels_that_make_no_task_are_refused(rows: list[list[str]], says: str) -> None:
    """Nothing to tell apart, and names that look alike, are errors."""
    with pytest.raises(DataError, match=says):
        MULTILABEL.define(columns_of(*rows), "here", {})


def test_labels_are_sorted_and_an_unknown_one_is_named() -> None:
    """A label that train lacks is an error with its row; a row without labels is none."""
    definition = MULTILABEL.define(columns_of("ba", "", "c"), "here", {})
    assert definition.labels == ("a", "b", "c")
    MULTILABEL.check(columns_of("", "cab"), definition, "here")
    with pytest.raises(DataError, match=r"row 2 of here has the label 'x', which train does not"):
        MULTILABEL.check(columns_of("a", "bx"), definition, "here")
    with pytest.raises(DataError, match="'thresholds' is"):
        MULTILABEL.check(columns_of("a"), defined("abc", [0.5, 0.5]), "here")
    with pytest.raises(DataError, match="'thresholds' is"):
        MULTILABEL.check(columns_of("a"), defined("abc", [0.5, 0.5, 1.0]), "here")


def test_rows_are_held_out_by_their_rarest_label() -> None:
    """However many sets of labels there are, a label that is rare is in both parts."""
    rows = ["ab", "a", "ac", "b", "", "abc", "b", "a"]
    assert MULTILABEL.strata(columns_of(*rows)) == ["b", "a", "c", "b", "", "c", "b", "a"]
    examples = Examples(chance(6, rows=300)[2], "here")
    rest, held = hold_out(examples, MULTILABEL.strata(examples.columns), 0.1, seed=0)
    assert len(held) == 30
    for part in (rest, held):
        assert {label for row in part.columns["labels"] for label in row} == set(NAMES)


def test_a_label_that_crosses_its_threshold_is_a_change_by_twice_the_distance() -> None:
    """From a threshold to its other side is half of what it is between two classes."""
    definition = defined("ab", [0.5, 0.9])
    edge = np.log(9)
    reference = np.array([[1e-5, 5], [3, edge - 1e-5], [3, 3]], dtype=np.float32)
    now = np.array([[-1e-5, 5], [3, edge + 1e-5], [-3, 3]], dtype=np.float32)
    found = MULTILABEL.changes(reference, now, {}, definition)
    assert found.changed.all()
    assert found.margin == pytest.approx([2e-5, 2e-5, 6], abs=1e-6)
    assert (found.margin <= 2e-4 * found.scale).tolist() == [True, True, False]
    assert not MULTILABEL.changes(reference, reference, {}, definition).margin.any()


def test_answers_list_the_labels_and_how_likely_they_are_together() -> None:
    """The score is the product of what is said of each label; none is an answer as well."""
    definition = defined("ab", [0.5, 0.9])
    logits = np.array([[0.0, np.log(9) + 1], [-5.0, 0.0]], dtype=np.float32)
    first, second = MULTILABEL.answers(logits, {}, definition)
    assert (first["label"], first["labels"]) == ("a, b", ["a", "b"])
    assert first["score"] == pytest.approx(0.5 * first["probabilities"]["b"])
    assert (second["label"], second["labels"]) == ("", [])
    assert second["probabilities"]["b"] == pytest.approx(0.5)
    assert second["score"] == pytest.approx((1 - second["probabilities"]["a"]) * 0.5)
