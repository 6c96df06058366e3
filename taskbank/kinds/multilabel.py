"""The kind `multilabel`: one text or two, any number of labels.

Each label has its own probability and its own threshold, which is chosen on validation for the
label's best F1 and stored with the task.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, is_number, preview
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.abstention import (
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
    calibration_of_shares,
    has_temperature,
    is_temperature,
    temperature_of,
    with_temperature,
)
from taskbank.kinds.changes import Changes, largest_changes, output_scale
from taskbank.kinds.class_report import ClassReport, report_labels
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import check_distinct, rarest
from taskbank.kinds.logits import logit_of_mean
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap_error
from taskbank.kinds.text import ONE_TEXT, TWO_TEXTS, TextKind, input_names, inputs_check

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded

# Candidate thresholds: fine enough to matter, too coarse to fit a single example.
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)
SMALLEST, LARGEST = 1e-3, 1 - 1e-3  # bounds on shares, so that their logits are finite


class Multilabel(TextKind):
    """Any number of labels for one text or two."""

    name = "multilabel"
    summary = "one text or two, any number of labels"
    inputs = (ONE_TEXT, TWO_TEXTS)
    label = Field("labels", "classes", "--label")
    metric = "f1_micro"
    proportions = ("exact_match",)

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the sorted labels of the training data, with thresholds of one half.

        Raises:
            DataError: if every row has the same labels, or two labels look alike.
            InputError: if a setting other than `abstain` is requested, or that is no rule.
        """
        check_requested(self.name, requested, ("abstain",))
        abstain = requested_abstention(requested)
        names = {label for row in columns["labels"] for label in row}
        if len({frozenset(row) for row in columns["labels"]}) < 2:
            raise DataError(
                f"every row of {origin} has the labels {preview(columns['labels'][0])}: there is "
                "nothing to predict"
            )
        check_distinct(names, origin)
        labels = tuple(sorted(names))
        settings = {
            "inputs": input_names(self.inputs, columns),
            "thresholds": [0.5] * len(labels),
            **abstain,
        }
        return Definition(labels, settings)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every label is one of the task's.

        Raises:
            DataError: naming the row and the label, or a setting.
        """
        checks = {
            "inputs": inputs_check(self.inputs, columns),
            "thresholds": lambda value: _are_thresholds(value, len(definition.labels)),
            "temperature": is_temperature,
            "abstain": is_abstention,
        }
        check_settings(self.name, definition, checks)
        known = set(definition.labels)
        for row, labels in enumerate(columns["labels"], start=1):
            for label in labels:
                if label not in known:
                    raise DataError(
                        f"row {row} of {origin} has the label {preview(label)}, which train does "
                        "not have: correct it, leave it out, or add examples of it to train"
                    )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return each example's rarest label."""
        return rarest(columns["labels"])

    def outputs(self, definition: Definition) -> int:
        """Return the number of outputs: one per label."""
        return len(definition.labels)

    def targets(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return 1 for each label of an example, else 0: float32 [examples, labels]."""
        positions = {label: position for position, label in enumerate(definition.labels)}
        targets = np.zeros((len(columns["labels"]), len(positions)), dtype=np.float32)
        for row, labels in enumerate(columns["labels"]):
            targets[row, [positions[label] for label in labels]] = 1
        return targets

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean binary cross-entropy of logits [batch, labels]."""
        import torch

        return torch.nn.functional.binary_cross_entropy_with_logits(
            outputs.float(), supervision["targets"], pos_weight=weights
        )

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the logits of the mean probability of each label."""
        return logit_of_mean(outputs)

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return for each label the ratio of examples without it to examples with it."""
        with_label = self.targets(columns, definition).sum(axis=0)
        without_label = len(columns["labels"]) - with_label
        return np.asarray(
            np.maximum(without_label, 1) / np.maximum(with_label, 1), dtype=np.float32
        )

    def right(self, outputs: np.ndarray, encoded: Encoded, definition: Definition) -> np.ndarray:
        """Return the inputs that get exactly their own labels."""
        known = len(definition.labels)
        expected = encoded.input_targets["targets"] > 0
        same = _predicted_labels(outputs, definition) == expected[:, :known]
        return np.asarray(same.all(axis=1) & ~expected[:, known:].any(axis=1))

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: [examples, labels]."""
        return len(columns["labels"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with a temperature, and thresholds of each label's best F1.

        Ties go to the threshold nearest one half; a label without examples keeps one half. The
        threshold of abstention is chosen last.
        """
        expected = self.targets(columns, definition) > 0
        definition = with_temperature(
            definition,
            lambda temperature: float(_losses(predictions, expected, temperature).mean()),
            len(expected),
        )
        probabilities = _probabilities(predictions, definition)
        f1 = np.array(
            [_f1_by_label(expected, probabilities >= threshold) for threshold in THRESHOLDS]
        )
        nearness = -np.abs(THRESHOLDS - 0.5)[:, None]
        best = np.lexsort((np.broadcast_to(nearness, f1.shape), f1), axis=0)[-1]
        thresholds = np.where(expected.any(axis=0), THRESHOLDS[best], 0.5)
        settings = {
            **definition.settings,
            "thresholds": [float(threshold) for threshold in thresholds],
        }
        tuned = replace(definition, settings=settings)
        abstention = abstention_of(tuned)
        if abstention is None:
            return tuned
        confidence = _confidence(predictions, tuned)
        right = (_predicted_labels(predictions, tuned) == expected).all(axis=1)
        return with_abstention(tuned, abstention.fitted(confidence, right, confidence.answers))

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return micro F1, macro F1 and the share of examples with exactly the right labels.

        With a temperature, also log loss, Brier score and calibration error, over all labels of all
        examples; with abstention, coverage and precision.
        """
        expected = self.targets(columns, definition) > 0
        metrics = _metric_functions(expected, _predicted_labels(predictions, definition))
        found = {name: score(np.arange(len(expected))) for name, score in metrics.items()}
        if has_temperature(definition):
            found |= _calibration(predictions, expected, definition).scores()
        return found | {
            name: one.value for name, one in _withheld(predictions, expected, definition).items()
        }

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return every metric with its bootstrapped standard error."""
        expected = self.targets(columns, definition) > 0
        metrics = _metric_functions(expected, _predicted_labels(predictions, definition))
        count = len(expected)
        found = {
            name: Measurement(score(np.arange(count)), bootstrap_error(count, score), count)
            for name, score in metrics.items()
        }
        if has_temperature(definition):
            found |= _calibration(predictions, expected, definition).metrics()
        return found | _withheld(predictions, expected, definition)

    def by_class(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> ClassReport:
        """Return the scores of every label; as an example has several, none are confused."""
        expected = self.targets(columns, definition) > 0
        return report_labels(
            definition.labels, _predicted_labels(predictions, definition), expected
        )

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the logit of each label's share, the same for every example."""
        expected = self.targets(columns, definition)
        shares = np.clip(expected.mean(axis=0), SMALLEST, LARGEST)
        logits = np.log(shares / (1 - shares)).astype(np.float32)
        return np.tile(logits, (len(expected), 1))

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare logits: an example changes if a label's logit crosses its threshold.

        It also changes if its answer is withheld only before or only after.
        """
        broken = ~np.isfinite(predictions).all(axis=1)
        before = _predicted_labels(reference, definition)
        crossed = before != _predicted_labels(predictions, definition)
        margin = np.where(crossed, _threshold_margins(reference, definition), 0).max(axis=1)
        margin = np.where(broken, np.inf, margin)
        moved = largest_changes(reference, predictions)
        changes = Changes(crossed.any(axis=1) | broken, margin, moved, output_scale(reference))
        confidence = partial(_confidence, definition=definition)
        return with_withheld_changes(changes, definition, confidence, reference, predictions)

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the smallest margin of a logit to its threshold in each example.

        With abstention, the margin of the confidence to its threshold counts, too.
        """
        found = np.asarray(_threshold_margins(predictions, definition).min(axis=1))
        confidence = partial(_confidence, definition=definition)
        return with_threshold_margins(found, definition, confidence, predictions)

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the share of all labels that are correctly predicted or omitted."""
        expected = self.targets(columns, definition) > 0
        return np.asarray((expected == _predicted_labels(predictions, definition)).mean(axis=1))

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return the labels of each example, and the probability of every label.

        The score is the joint probability of the predicted labels, assuming independence.
        """
        answers: list[dict[str, Json]] = []
        rows = zip(
            _probabilities(predictions, definition),
            _predicted_labels(predictions, definition),
            strict=True,
        )
        for probabilities, predicted in rows:
            labels = [
                label
                for label, is_predicted in zip(definition.labels, predicted, strict=True)
                if is_predicted
            ]
            answers.append(
                {
                    "label": ", ".join(labels),
                    "labels": labels,
                    "score": float(np.where(predicted, probabilities, 1 - probabilities).prod()),
                    "probabilities": dict(
                        zip(definition.labels, map(float, probabilities), strict=True)
                    ),
                }
            )
        return answers


def _threshold_margins(logits: np.ndarray, definition: Definition) -> np.ndarray:
    """Return the distance of each logit to its threshold, as a margin between two classes.

    The distance is doubled: between two classes, noise moves both logits, here only one.
    """
    thresholds = np.array(definition.settings["thresholds"])
    places = temperature_of(definition) * np.log(thresholds / (1 - thresholds))
    return np.asarray(2 * np.abs(logits - places))


def _probabilities(logits: np.ndarray, definition: Definition) -> np.ndarray:
    from scipy.special import expit

    shares: np.ndarray = expit(logits.astype(np.float64) / temperature_of(definition))
    return shares


def _losses(logits: np.ndarray, expected: np.ndarray, temperature: float) -> np.ndarray:
    """Return the binary cross-entropy of each label of each example."""
    signed = np.where(expected, -1.0, 1.0) * logits.astype(np.float64) / temperature
    return np.asarray(np.logaddexp(0, signed))


def _confidence(logits: np.ndarray, definition: Definition) -> Confidence:
    """Return the joint probability of each example's predicted labels, assuming independence.

    Its log odds change by no more than the sum of the changes of the logits.
    """
    probabilities = _probabilities(logits, definition)
    predicted = probabilities >= np.array(definition.settings["thresholds"])
    joint = np.where(predicted, probabilities, 1 - probabilities).prod(axis=1)
    unit = 2 * temperature_of(definition) / len(definition.labels)
    return Confidence(joint, np.zeros(len(joint)), unit)


def _calibration(logits: np.ndarray, expected: np.ndarray, definition: Definition) -> Calibration:
    owner = np.repeat(np.arange(len(expected)), expected.shape[1])
    probabilities = _probabilities(logits, definition)
    return calibration_of_shares(probabilities.ravel(), expected.ravel(), owner)


def _withheld(
    logits: np.ndarray, expected: np.ndarray, definition: Definition
) -> dict[str, Measurement]:
    return metrics_of_abstention(
        definition,
        partial(_confidence, definition=definition),
        logits,
        lambda: (_predicted_labels(logits, definition) == expected).all(axis=1),
    )


def _predicted_labels(logits: np.ndarray, definition: Definition) -> np.ndarray:
    thresholds = np.array(definition.settings["thresholds"])
    predicted: np.ndarray = _probabilities(logits, definition) >= thresholds
    return predicted


def _are_thresholds(value: Json, count: int) -> bool:
    if not isinstance(value, list) or len(value) != count:
        return False
    return all(is_number(threshold) and 0 < threshold < 1 for threshold in value)


def _f1_by_label(expected: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the F1 of each label; 0 for a label that is neither expected nor predicted."""
    hits = (expected & predicted).sum(axis=0)
    f1: np.ndarray = 2 * hits / np.maximum(expected.sum(axis=0) + predicted.sum(axis=0), 1)
    return f1


def _metric_functions(
    expected: np.ndarray, predicted: np.ndarray
) -> dict[str, Callable[[np.ndarray], float]]:
    """Return every metric as a function of the positions of examples, with repeats.

    Scikit-learn treats a single label as a task of two classes, and scores both.
    """
    hits, exact = expected & predicted, (expected == predicted).all(axis=1)
    all_hits, all_total = hits.sum(axis=1), expected.sum(axis=1) + predicted.sum(axis=1)
    # Counts are exact in float32 up to 16 million examples.
    hits_by_label = hits.astype(np.float32)
    total_by_label = expected.astype(np.float32) + predicted

    def micro(rows: np.ndarray) -> float:
        return float(2 * all_hits[rows].sum() / max(all_total[rows].sum(), 1))

    def macro(rows: np.ndarray) -> float:
        times = np.bincount(rows, minlength=len(expected)).astype(np.float32)
        hit_counts, total = times @ hits_by_label, times @ total_by_label
        return float(np.mean(2.0 * hit_counts.astype(np.float64) / np.maximum(total, 1)))

    return {
        "f1_micro": micro,
        "f1_macro": macro,
        "exact_match": lambda rows: float(exact[rows].mean()),
    }


MULTILABEL = Multilabel()
