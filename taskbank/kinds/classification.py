"""Shared ground of the kinds whose examples belong to exactly one class."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, shown
from taskbank.digests import Json
from taskbank.errors import DataError, InputError
from taskbank.kinds.changes import Changes, moved_by, scale_of
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import MANY, label_space
from taskbank.kinds.logits import lead, other_class, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import RESAMPLES, of_mean
from taskbank.kinds.text import TextKind

if TYPE_CHECKING:
    import torch

LABEL = Field("label", "class", "--label")


@dataclass(frozen=True)
class Classification(TextKind):
    """A kind in which an example belongs to exactly one class.

    Attributes:
        name: the kind's word.
        inputs: what an input is made of.
        summary: what goes in and what is predicted, in a few words.
        metric: the metric that a task is chosen and checked by.
    """

    name: str
    inputs: tuple[tuple[Field, ...], ...]
    summary: str
    metric: str = "accuracy"
    label: Field = field(default=LABEL)

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the classes; see `label_space`.

        Args:
            columns: of the training data.
            origin: where it came from, for errors.
            requested: maybe `positive`: of two classes, the one that F1 is about.

        Raises:
            DataError: if the labels do not make a task of this kind.
            InputError: if `positive` is not one of two classes.
        """
        check_requested(self.name, requested, ("positive",))
        labels = label_space(columns["label"], origin)
        if "positive" not in requested:
            return Definition(labels, {"positive": labels[-1]} if len(labels) == 2 else {})
        if len(labels) != 2 or requested["positive"] not in labels:
            raise InputError(
                f"positive is {requested['positive']!r}: it names one of two classes, and "
                f"{origin} has {', '.join(shown(one) for one in labels[:MANY])}"
                f"{', …' if len(labels) > MANY else ''}"
            )
        return Definition(labels, {"positive": requested["positive"]})

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every label is one of the task's.

        Raises:
            DataError: naming the row and the label, or a setting.
        """
        # Two classes have one that F1 is about; an adapter from before there was F1 has none.
        choices = definition.labels if len(definition.labels) == 2 else ()
        missing = "positive" not in definition.settings
        check_settings(self.name, definition, {"positive": lambda one: missing or one in choices})
        known = set(definition.labels)
        for row, label in enumerate(columns["label"], start=1):
            if label not in known:
                some = ", ".join(shown(one) for one in definition.labels[:MANY])
                raise DataError(
                    f"row {row} of {origin} has the label {shown(label)}, which train does not "
                    f"have: it has {some}{', …' if len(known) > MANY else ''}; correct the "
                    "label, leave the row out, or add examples of it to train"
                )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return each example's class."""
        return columns["label"]

    def outputs(self, definition: Definition) -> int:
        """Return how many numbers the head gives: one a class."""
        return len(definition.labels)

    def targets(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the position of each label among the classes, int64 of shape [examples]."""
        positions = {label: position for position, label in enumerate(definition.labels)}
        return np.array([positions[label] for label in columns["label"]], dtype=np.int64)

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean cross-entropy of logits [batch, classes]."""
        import torch

        targets = supervision["targets"]
        return torch.nn.functional.cross_entropy(outputs.float(), targets, weights)

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return a weight a class, inversely to its share: 1 for a class of the mean size."""
        targets = self.targets(columns, definition)
        counts = np.bincount(targets, minlength=len(definition.labels))
        return np.asarray(len(targets) / (len(counts) * np.maximum(counts, 1)), dtype=np.float32)

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: examples, classes."""
        return len(columns["label"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition unchanged: nothing is chosen on validation."""
        return definition

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return accuracy, macro F1, Matthews' coefficient, log loss and, of two classes, F1.

        F1 is about the class that the setting `positive` names.
        """
        from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

        targets, predicted = self.targets(columns, definition), predictions.argmax(axis=1)
        alike = (targets == targets[0]).all() and (predicted == targets[0]).all()
        found = {
            "accuracy": accuracy_score(targets, predicted),
            "f1_macro": f1_score(targets, predicted, average="macro", zero_division=0),
            "matthews": 0.0 if alike else matthews_corrcoef(targets, predicted),
            "log_loss": _losses(predictions, targets).mean(),
        }
        positive = _positive(definition)
        if positive is not None:
            found["f1"] = f1_score(targets == positive, predicted == positive, zero_division=0)
        return {name: float(value) for name, value in found.items()}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return every metric with its standard error.

        That of accuracy is the binomial one, that of log loss the mean's; of the others a
        bootstrap's over examples, from a fixed seed.
        """
        targets = self.targets(columns, definition)
        found = self.scores(predictions, columns, definition)
        accuracy, count = found["accuracy"], len(targets)
        errors = _resampled(predictions.argmax(axis=1), targets, _positive(definition)) | {
            "accuracy": math.sqrt(accuracy * (1 - accuracy) / count),
            "log_loss": of_mean(_losses(predictions, targets)),
        }
        return {name: Measurement(value, errors[name], count) for name, value in found.items()}

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the logarithms of the classes' shares, for every example the same."""
        targets = self.targets(columns, definition)
        counts = np.bincount(targets, minlength=len(definition.labels))
        shares = np.log(np.maximum(counts, 0.5) / len(targets)).astype(np.float32)
        return np.tile(shares, (len(targets), 1))

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare logits: a change is another class with the largest one."""
        changed, margin = other_class(reference, predictions)
        return Changes(changed, margin, moved_by(reference, predictions), scale_of(reference))

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the lead of the largest logit over the second largest."""
        return lead(predictions)

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return 1 where the class is right, else 0."""
        right = predictions.argmax(axis=1) == self.targets(columns, definition)
        return np.asarray(right, dtype=np.float64)

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return the likeliest class of each example, its probability, and those of all."""
        found: list[dict[str, Json]] = []
        for shares in softmax(predictions):
            best = int(shares.argmax())
            found.append(
                {
                    "label": definition.labels[best],
                    "score": float(shares[best]),
                    "probabilities": dict(zip(definition.labels, map(float, shares), strict=True)),
                }
            )
        return found


def _positive(definition: Definition) -> int | None:
    # An adapter from before there was F1 has no such setting, and has not recorded it.
    name = definition.settings.get("positive")
    return None if name is None else definition.labels.index(name)


def _losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return each example's cross-entropy; scikit-learn has only the mean, of probabilities."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    losses: np.ndarray = (
        np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]
    )
    return losses


def _resampled(
    predicted: np.ndarray, targets: np.ndarray, positive: int | None
) -> dict[str, float]:
    """Return the bootstrap's standard errors of F1s and Matthews' coefficient.

    What a resample does to them is decided by how often each (target, predicted) cell is drawn,
    so the cells are drawn and not the examples.
    """
    present = np.unique(np.concatenate([targets, predicted]))
    size = len(present)
    right, guess = np.searchsorted(present, targets), np.searchsorted(present, predicted)
    cells, counts = np.unique(right * size + guess, return_counts=True)
    rows, columns = np.divmod(cells, size)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(len(targets), counts / len(targets), size=RESAMPLES)
    true, chosen = np.zeros((RESAMPLES, size)), np.zeros((RESAMPLES, size))
    hits = np.zeros((RESAMPLES, size))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        true[:, row] += drawn[:, cell]
        chosen[:, column] += drawn[:, cell]
        if row == column:
            hits[:, row] += drawn[:, cell]
    either = true + chosen
    with np.errstate(divide="ignore", invalid="ignore"):
        # As scikit-learn does, a class counts only where it is a target or a prediction.
        f1 = np.where(either > 0, 2 * hits / either, np.nan)
        macro = np.nanmean(f1, axis=1)
        total = float(len(targets))
        covariance = hits.sum(axis=1) * total - (true * chosen).sum(axis=1)
        spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (chosen**2).sum(axis=1))
        matthews = np.where(spread > 0, covariance / np.sqrt(spread), 0.0)
    errors = {"f1_macro": macro.std(ddof=1), "matthews": matthews.std(ddof=1)}
    if positive is not None:
        place = np.searchsorted(present, positive)
        there = place < size and present[place] == positive
        of_positive = np.nan_to_num(f1[:, place]) if there else np.zeros(RESAMPLES)
        errors["f1"] = of_positive.std(ddof=1)
    return {name: float(value) for name, value in errors.items()}
