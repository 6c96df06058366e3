"""Metrics from counts are those of scikit-learn, bit for bit, and their bootstrap is fixed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from taskbank.kinds.confusion import count_classes, resample_classes
from taskbank.kinds.resampling import RESAMPLES


@pytest.mark.parametrize("classes", [2, 3, 9, 60, 150])
@pytest.mark.parametrize("examples", [1, 5, 100, 5000])
def test_metrics_equal_those_of_scikit_learn(classes: int, examples: int) -> None:
    """Every metric has the same bits, from predictions at random, good, perfect and constant."""
    generator = np.random.default_rng([classes, examples])
    targets = generator.integers(0, classes, examples)
    noise = generator.integers(0, classes, examples)
    constant = np.full(examples, classes - 1)
    for predicted in (
        noise,
        np.where(generator.random(examples) < 0.8, targets, noise),
        targets,
        constant,
    ):
        counts = count_classes(predicted, targets)
        assert counts.accuracy().item() == accuracy_score(targets, predicted)
        macro = f1_score(targets, predicted, average="macro", zero_division=0)
        assert counts.f1_macro().item() == macro
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one class alone: scikit-learn warns and returns 0
            assert counts.matthews().item() == matthews_corrcoef(targets, predicted)
        for positive in (0, classes - 1):
            of_one = f1_score(targets == positive, predicted == positive, zero_division=0)
            assert counts.f1(positive).item() == of_one


def test_a_class_that_does_not_occur_has_an_f1_of_0() -> None:
    """A class that is neither a target nor a prediction leaves the macro F1 as it is."""
    counts = count_classes(np.array([0, 2, 2]), np.array([0, 2, 0]))
    assert counts.classes.tolist() == [0, 2]
    assert counts.f1(1).tolist() == counts.f1(7).tolist() == [0.0]
    assert counts.f1_macro().item() == pytest.approx(2 / 3)


def test_resamples_draw_as_many_examples_as_there_are() -> None:
    """Every bootstrap sample has all examples' number, and two calls draw the same samples."""
    generator = np.random.default_rng(0)
    targets, predicted = generator.integers(0, 3, 50), generator.integers(0, 3, 50)
    samples = resample_classes(predicted, targets)
    assert samples.targets.shape == (RESAMPLES, 3)
    assert (samples.targets.sum(axis=1) == 50).all()
    assert (samples.predictions.sum(axis=1) == 50).all()
    assert (samples.hits <= np.minimum(samples.targets, samples.predictions)).all()
    again = resample_classes(predicted, targets)
    assert (samples.hits == again.hits).all()
