"""The base of the kinds whose examples belong to exactly one class."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, preview
from taskbank.digests import Json
from taskbank.errors import DataError, InputError
from taskbank.kinds.abstention import (
    CLASS_RULES,
    Confidence,
    abstention_of,
    is_abstention,
    metrics_of_abstention,
    requested_abstention,
    with_abstention,
    with_threshold_margins,
    with_withheld_changes,
)
from taskbank.kinds.calibration import (
    Calibration,
    calibration_of_classes,
    has_temperature,
    is_temperature,
    temperature_of,
    with_temperature,
)
from taskbank.kinds.changes import Changes, largest_changes, output_scale
from taskbank.kinds.class_report import ClassReport, report_classes
from taskbank.kinds.confusion import count_classes, resample_classes
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import label_space, listed_labels
from taskbank.kinds.logits import class_changes, cross_entropies, log_mean_softmax, margins, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import standard_error_of_mean, standard_error_of_share
from taskbank.kinds.text import TextKind

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded

LABEL = Field("label", "class", "--label")


@dataclass(frozen=True)
class Classification(TextKind):
    """A kind in which an example belongs to exactly one class.

    Attributes:
        name: the kind's name.
        inputs: the possible fields of an input.
        summary: a short description of input and prediction.
        metric: the default metric for choosing and verifying adapters.
        proportions: the metrics that are the share of the examples with a correct answer.
    """

    name: str
    inputs: tuple[tuple[Field, ...], ...]
    summary: str
    metric: str = "accuracy"
    label: Field = field(default=LABEL)
    proportions: tuple[str, ...] = ("accuracy",)

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the classes; see `label_space`.

        Args:
            columns: the training data's columns.
            origin: the training data's source, for errors.
            requested: settings; `positive` names the class, of two, whose F1 is computed, and
                `abstain` the rule by which answers are withheld.

        Raises:
            DataError: if the labels do not make a task of this kind.
            InputError: if `positive` is not one of two classes, or `abstain` is no rule.
        """
        check_requested(self.name, requested, ("positive", "abstain"))
        abstain = requested_abstention(requested, CLASS_RULES)
        labels = label_space(columns["label"], origin)
        if "positive" not in requested:
            positive = {"positive": labels[-1]} if len(labels) == 2 else {}
            return Definition(labels, positive | abstain)
        if len(labels) != 2 or requested["positive"] not in labels:
            raise InputError(
                f"positive is {requested['positive']!r}: it must name one of two classes, and "
                f"{origin} has {listed_labels(labels)}"
            )
        return Definition(labels, {"positive": requested["positive"]} | abstain)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every label is one of the task's.

        Raises:
            DataError: naming the row and the label, or a setting.
        """
        # F1 is computed for one of two classes; an adapter older than F1 has no such setting.
        choices = definition.labels if len(definition.labels) == 2 else ()
        missing = "positive" not in definition.settings
        checks = {
            "positive": lambda value: missing or value in choices,
            "temperature": is_temperature,
            "abstain": lambda value: is_abstention(value, CLASS_RULES),
        }
        check_settings(self.name, definition, checks)
        known = set(definition.labels)
        for row, label in enumerate(columns["label"], start=1):
            if label not in known:
                raise DataError(
                    f"row {row} of {origin} has the label {preview(label)}, which train does not "
                    f"have: it has {listed_labels(definition.labels)}; correct the label, leave "
                    "the row out, or add examples of it to train"
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

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the logits of the mean probabilities."""
        return log_mean_softmax(outputs)

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return one weight per class, inverse to its share: 1 for a class of mean size."""
        targets = self.targets(columns, definition)
        counts = np.bincount(targets, minlength=len(definition.labels))
        return np.asarray(len(targets) / (len(counts) * np.maximum(counts, 1)), dtype=np.float32)

    def right(self, outputs: np.ndarray, encoded: Encoded, definition: Definition) -> np.ndarray:
        """Return the inputs whose own class has the largest logit."""
        return np.asarray(outputs.argmax(axis=1) == encoded.input_targets["targets"])

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: [examples, classes]."""
        return len(columns["label"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with the temperature of its probabilities, and its threshold."""
        targets = self.targets(columns, definition)
        tuned = with_temperature(
            definition,
            lambda temperature: float(cross_entropies(predictions, targets, temperature).mean()),
            len(targets),
        )
        abstention = abstention_of(tuned)
        if abstention is None:
            return tuned
        probabilities = _probabilities(predictions, tuned)
        truth = probabilities[np.arange(len(targets)), targets]
        right = predictions.argmax(axis=1) == targets
        return with_abstention(
            tuned, abstention.fitted(_confidence(predictions, tuned), right, truth)
        )

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return accuracy, macro F1, Matthews' coefficient, log loss and, for two classes, F1.

        F1 is computed for the class that the setting `positive` names. With a temperature, also
        Brier score and expected calibration error; with abstention, coverage and precision.
        """
        targets = self.targets(columns, definition)
        counts = count_classes(predictions.argmax(axis=1), targets)
        scores = {
            "accuracy": counts.accuracy(),
            "f1_macro": counts.f1_macro(),
            "matthews": counts.matthews(),
            "log_loss": cross_entropies(predictions, targets, temperature_of(definition)).mean(),
        }
        positive = _positive(definition)
        if positive is not None:
            scores["f1"] = counts.f1(positive)
        found = {name: value.item() for name, value in scores.items()}
        if has_temperature(definition):
            found |= _calibration(predictions, targets, definition).scores()
        return found | {
            name: one.value for name, one in _withheld(predictions, targets, definition).items()
        }

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
        samples = resample_classes(predictions.argmax(axis=1), targets)
        errors = {
            "accuracy": standard_error_of_share(accuracy, count),
            "f1_macro": samples.f1_macro().std(ddof=1),
            "matthews": samples.matthews().std(ddof=1),
            "log_loss": standard_error_of_mean(
                cross_entropies(predictions, targets, temperature_of(definition))
            ),
        }
        positive = _positive(definition)
        if positive is not None:
            errors["f1"] = samples.f1(positive).std(ddof=1)
        found = {
            name: Measurement(scores[name], float(error), count) for name, error in errors.items()
        }
        if has_temperature(definition):
            found |= _calibration(predictions, targets, definition).metrics()
        return found | _withheld(predictions, targets, definition)

    def by_class(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> ClassReport:
        """Return the scores of every class, and the confusion matrix."""
        targets = self.targets(columns, definition)
        return report_classes(definition.labels, predictions.argmax(axis=1), targets)

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
        """Compare logits: an example changes if another class has the largest logit.

        It also changes if its answer is withheld only before or only after.
        """
        changed, margin = class_changes(reference, predictions)
        changes = Changes(
            changed, margin, largest_changes(reference, predictions), output_scale(reference)
        )
        confidence = partial(_confidence, definition=definition)
        return with_withheld_changes(changes, definition, confidence, reference, predictions)

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the margin of the largest logit over the second largest, or to the threshold."""
        found = margins(predictions)
        confidence = partial(_confidence, definition=definition)
        return with_threshold_margins(found, definition, confidence, predictions)

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
        # Among equal probabilities, the logits decide, so that no temperature changes an answer.
        rows = zip(_probabilities(predictions, definition), predictions.argmax(axis=1), strict=True)
        for probabilities, best in rows:
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


def _probabilities(predictions: np.ndarray, definition: Definition) -> np.ndarray:
    return softmax(predictions, temperature_of(definition))


def _confidence(predictions: np.ndarray, definition: Definition) -> Confidence:
    ordered = np.sort(_probabilities(predictions, definition), axis=1)
    return Confidence(ordered[:, -1], ordered[:, -2], temperature_of(definition))


def _calibration(
    predictions: np.ndarray, targets: np.ndarray, definition: Definition
) -> Calibration:
    """Return the calibration of the probabilities of the most likely classes."""
    return calibration_of_classes(
        predictions, targets, temperature_of(definition), np.arange(len(targets))
    )


def _withheld(
    predictions: np.ndarray, targets: np.ndarray, definition: Definition
) -> dict[str, Measurement]:
    return metrics_of_abstention(
        definition,
        partial(_confidence, definition=definition),
        predictions,
        lambda: predictions.argmax(axis=1) == targets,
    )
