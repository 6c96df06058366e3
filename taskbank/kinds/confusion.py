"""Counts of how classes were predicted, and the metrics that depend on nothing else.

The functions take one table of counts, or a stack of them for a bootstrap. Every metric equals
scikit-learn's to the last bit. A permutation test computes a metric thousands of times, and takes
more than twenty times as long with scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskbank.kinds.resampling import RESAMPLES


@dataclass(frozen=True)
class ClassCounts:
    """How often each class is the target, the prediction, and both.

    Attributes:
        classes: the classes that occur, in ascending order, int64 of shape [classes].
        targets: how often each class is the target, float64 of shape [tables, classes].
        predictions: how often each class is predicted, of the same shape.
        hits: how often each class is both, of the same shape.
    """

    classes: np.ndarray
    targets: np.ndarray
    predictions: np.ndarray
    hits: np.ndarray

    def accuracy(self) -> np.ndarray:
        """Return the share of correct predictions, of shape [tables]."""
        correct: np.ndarray = self.hits.sum(axis=1) / self.targets.sum(axis=1)
        return correct

    def f1(self, positive: int) -> np.ndarray:
        """Return the F1 of one class, of shape [tables]; 0 where it does not occur."""
        if positive not in self.classes:
            return np.zeros(len(self.targets))
        column = int(np.searchsorted(self.classes, positive))
        of_class: np.ndarray = np.nan_to_num(self._f1()[:, column])
        return of_class

    def f1_macro(self) -> np.ndarray:
        """Return the mean F1 of the classes that occur in each table, of shape [tables]."""
        mean: np.ndarray = np.nanmean(self._f1(), axis=1)
        return mean

    def matthews(self) -> np.ndarray:
        """Return Matthews' correlation coefficient for several classes, of shape [tables].

        It is 0 where all targets or all predictions are of one class. Source: Gorodkin 2004,
        "Comparing two K-category assignments by a K-category correlation coefficient", eq. 8.
        """
        examples = self.targets.sum(axis=1)
        covariance = self.hits.sum(axis=1) * examples - (self.targets * self.predictions).sum(
            axis=1
        )
        variance = (examples**2 - (self.targets**2).sum(axis=1)) * (
            examples**2 - (self.predictions**2).sum(axis=1)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(variance > 0, covariance / np.sqrt(variance), 0.0)

    def _f1(self) -> np.ndarray:
        """Return the F1 of every class; not a number where it does not occur in a table."""
        occurrences = self.targets + self.predictions
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(occurrences > 0, 2 * self.hits / occurrences, np.nan)


def count_classes(predicted: np.ndarray, targets: np.ndarray) -> ClassCounts:
    """Return the one table of some predictions.

    Args:
        predicted: the predicted classes, int64 of shape [examples].
        targets: the true classes, of the same shape.
    """
    size = int(max(predicted.max(), targets.max())) + 1
    counts = [
        np.bincount(of, minlength=size)
        for of in (targets, predicted, targets[targets == predicted])
    ]
    classes = np.flatnonzero(counts[0] + counts[1])
    return ClassCounts(classes, *(count[None, classes].astype(np.float64) for count in counts))


def resample_classes(predicted: np.ndarray, targets: np.ndarray) -> ClassCounts:
    """Return a table for each of `RESAMPLES` bootstrap samples, from a fixed seed.

    The metrics depend only on how often each pair of target and prediction is drawn, so pairs are
    drawn and not examples.

    Args:
        predicted: the predicted classes, int64 of shape [examples].
        targets: the true classes, of the same shape.
    """
    classes = np.unique(np.concatenate([targets, predicted]))
    size = len(classes)
    pairs = np.searchsorted(classes, targets) * size + np.searchsorted(classes, predicted)
    cells, counts = np.unique(pairs, return_counts=True)
    rows, columns = np.divmod(cells, size)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(len(targets), counts / len(targets), size=RESAMPLES)
    of_targets, of_predictions, hits = (np.zeros((RESAMPLES, size)) for _ in range(3))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        of_targets[:, row] += drawn[:, cell]
        of_predictions[:, column] += drawn[:, cell]
        if row == column:
            hits[:, row] += drawn[:, cell]
    return ClassCounts(classes, of_targets, of_predictions, hits)
