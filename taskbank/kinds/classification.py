"""The base of the kinds whose examples belong to exactly one class."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, preview
from taskbank.digests import Json
from taskbank.errors import DataError, InputError
from taskbank.kinds.changes import Changes, largest_changes, output_scale
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import MAX_LISTED_LABELS, label_space
from taskbank.kinds.logits import class_changes, margins, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import RESAMPLES, standard_error_of_mean
from taskbank.kinds.text import TextKind

if TYPE_CHECKING:
    import torch

LABEL = Field("label", "class", "--label")


@dataclass(frozen=True)
class Classification(TextKind):
    """A kind in which an example belongs to exactly one class.

    Attributes:
        name: the kind's name.
        inputs: the possible fields of an input.
        summary: a short description of input and prediction.
        metric: the default metric for choosing and verifying adapters.
    """

    name: str
    inputs: tuple[tuple[Field, ...], ...]
    summary: str
    metric: str = "accuracy"
    label: Field = field(default=LABEL)

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the classes; see `label_space`.

        Args:
            columns: the training data's columns.
            origin: the training data's source, for errors.
            requested: settings; `positive` names the class, of two, whose F1 is computed.

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
                f"positive is {requested['positive']!r}: it must name one of two classes, and "
                f"{origin} has {', '.join(preview(label) for label in labels[:MAX_LISTED_LABELS])}"
                f"{', …' if len(labels) > MAX_LISTED_LABELS else ''}"
            )
        return Definition(labels, {"positive": requested["positive"]})

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every label is one of the task's.

        Raises:
            DataError: naming the row and the label, or a setting.
        """
        # F1 is computed for one of two classes; an adapter older than F1 has no such setting.
        choices = definition.labels if len(definition.labels) == 2 else ()
        missing = "positive" not in definition.settings
        check_settings(
            self.name, definition, {"positive": lambda value: missing or value in choices}
        )
        known = set(definition.labels)
        for row, label in enumerate(columns["label"], start=1):
            if label not in known:
                listed = ", ".join(
                    preview(value) for value in definition.labels[:MAX_LISTED_LABELS]
                )
                raise DataError(
                    f"row {row} of {origin} has the label {preview(label)}, which train does not "
                    f"have: it has {listed}{', …' if len(known) > MAX_LISTED_LABELS else ''}; "
                    "correct the label, leave the row out, or add examples of it to train"
                )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return each example's class."""
        return columns["label"]

    def outputs(self, definition: Definition) -> int:
        """Return the number of outputs: one per class."""
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
        """Return one weight per class, inverse to its share: 1 for a class of mean size."""
        targets = self.targets(columns, definition)
        counts = np.bincount(targets, minlength=len(definition.labels))
        return np.asarray(len(targets) / (len(counts) * np.maximum(counts, 1)), dtype=np.float32)

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: [examples, classes]."""
        return len(columns["label"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition unchanged: it has nothing to tune on validation."""
        return definition

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return accuracy, macro F1, Matthews' coefficient, log loss and, for two classes, F1.

        F1 is computed for the class that the setting `positive` names.
        """
        from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

        targets, predicted = self.targets(columns, definition), predictions.argmax(axis=1)
        constant = (targets == targets[0]).all() and (predicted == targets[0]).all()
        scores = {
            "accuracy": accuracy_score(targets, predicted),
            "f1_macro": f1_score(targets, predicted, average="macro", zero_division=0),
            "matthews": 0.0 if constant else matthews_corrcoef(targets, predicted),
            "log_loss": _losses(predictions, targets).mean(),
        }
        positive = _positive(definition)
        if positive is not None:
            scores["f1"] = f1_score(targets == positive, predicted == positive, zero_division=0)
        return {name: float(value) for name, value in scores.items()}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return every metric with its standard error.

        The standard error of accuracy is binomial, that of log loss is the standard error of the
        mean; the others are bootstrapped over examples from a fixed seed.
        """
        targets = self.targets(columns, definition)
        scores = self.scores(predictions, columns, definition)
        accuracy, count = scores["accuracy"], len(targets)
        errors = _bootstrap_errors(predictions.argmax(axis=1), targets, _positive(definition)) | {
            "accuracy": math.sqrt(accuracy * (1 - accuracy) / count),
            "log_loss": standard_error_of_mean(_losses(predictions, targets)),
        }
        return {name: Measurement(value, errors[name], count) for name, value in scores.items()}

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the logarithms of the classes' shares, the same for every example."""
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
        """Compare logits: an example changes if another class has the largest logit."""
        changed, margin = class_changes(reference, predictions)
        return Changes(
            changed, margin, largest_changes(reference, predictions), output_scale(reference)
        )

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the margin of the largest logit over the second largest."""
        return margins(predictions)

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return 1 for a correct class, else 0."""
        correct = predictions.argmax(axis=1) == self.targets(columns, definition)
        return np.asarray(correct, dtype=np.float64)

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return each example's most likely class, its probability, and all probabilities."""
        answers: list[dict[str, Json]] = []
        for probabilities in softmax(predictions):
            best = int(probabilities.argmax())
            answers.append(
                {
                    "label": definition.labels[best],
                    "score": float(probabilities[best]),
                    "probabilities": dict(
                        zip(definition.labels, map(float, probabilities), strict=True)
                    ),
                }
            )
        return answers


def _positive(definition: Definition) -> int | None:
    # An adapter older than F1 has neither this setting nor a recorded F1.
    name = definition.settings.get("positive")
    return None if name is None else definition.labels.index(name)


def _losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return each example's cross-entropy; scikit-learn computes only the mean."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    losses: np.ndarray = (
        np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]
    )
    return losses


def _bootstrap_errors(
    predicted: np.ndarray, targets: np.ndarray, positive: int | None
) -> dict[str, float]:
    """Return bootstrapped standard errors of F1, macro F1 and Matthews' coefficient.

    They depend only on how often each (target, predicted) cell is drawn, so the resamples
    draw cells and not examples.
    """
    present = np.unique(np.concatenate([targets, predicted]))
    size = len(present)
    target_positions, predicted_positions = (
        np.searchsorted(present, targets),
        np.searchsorted(present, predicted),
    )
    cells, counts = np.unique(target_positions * size + predicted_positions, return_counts=True)
    rows, columns = np.divmod(cells, size)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(len(targets), counts / len(targets), size=RESAMPLES)
    target_counts, predicted_counts = np.zeros((RESAMPLES, size)), np.zeros((RESAMPLES, size))
    hit_counts = np.zeros((RESAMPLES, size))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        target_counts[:, row] += drawn[:, cell]
        predicted_counts[:, column] += drawn[:, cell]
        if row == column:
            hit_counts[:, row] += drawn[:, cell]
    total_counts = target_counts + predicted_counts
    with np.errstate(divide="ignore", invalid="ignore"):
        # As in scikit-learn, a class counts only if it is a target or a prediction.
        f1 = np.where(total_counts > 0, 2 * hit_counts / total_counts, np.nan)
        macro = np.nanmean(f1, axis=1)
        examples = float(len(targets))
        covariance = hit_counts.sum(axis=1) * examples - (target_counts * predicted_counts).sum(
            axis=1
        )
        variance = (examples**2 - (target_counts**2).sum(axis=1)) * (
            examples**2 - (predicted_counts**2).sum(axis=1)
        )
        matthews = np.where(variance > 0, covariance / np.sqrt(variance), 0.0)
    errors = {"f1_macro": macro.std(ddof=1), "matthews": matthews.std(ddof=1)}
    if positive is not None:
        index = np.searchsorted(present, positive)
        occurs = index < size and present[index] == positive
        f1_of_positive = np.nan_to_num(f1[:, index]) if occurs else np.zeros(RESAMPLES)
        errors["f1"] = f1_of_positive.std(ddof=1)
    return {name: float(value) for name, value in errors.items()}
