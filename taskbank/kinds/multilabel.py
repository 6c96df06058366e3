"""The kind `multilabel`: one text or two, any number of labels.

Each label has a probability of its own and a threshold, chosen on validation for the best F1 of
that label and stored with the task.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, is_number, shown
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.changes import Changes, moved_by, scale_of
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.labels import check_alike, rarest
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap
from taskbank.kinds.text import ONE_TEXT, TWO_TEXTS, TextKind, are_inputs, input_names

if TYPE_CHECKING:
    import torch

# What a threshold may be: fine enough to matter, coarse enough not to fit a single example.
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)
SMALLEST, LARGEST = 1e-3, 1 - 1e-3  # shares whose logits are still ordinary numbers


class Multilabel(TextKind):
    """Any number of labels for one text or two."""

    name = "multilabel"
    summary = "one text or two, any number of labels"
    inputs = (ONE_TEXT, TWO_TEXTS)
    label = Field("labels", "classes", "--label")
    metric = "f1_micro"

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the labels that occur, sorted, with thresholds of one half.

        Raises:
            DataError: if there is no label, or every row has the same ones, or two look alike.
            InputError: if a setting is asked for.
        """
        check_requested(self.name, requested)
        found = {label for row in columns["labels"] for label in row}
        if len({frozenset(row) for row in columns["labels"]}) < 2:
            raise DataError(
                f"every row of {origin} has the labels {shown(columns['labels'][0])}: there is "
                "nothing to predict"
            )
        check_alike(found, origin)
        labels = tuple(sorted(found))
        settings = {
            "inputs": input_names(self.inputs, columns),
            "thresholds": [0.5] * len(labels),
        }
        return Definition(labels, settings)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every label is one of the task's.

        Raises:
            DataError: naming the row and the label, or a setting.
        """
        fits = {
            "inputs": are_inputs(self.inputs, columns),
            "thresholds": lambda value: _are_thresholds(value, len(definition.labels)),
        }
        check_settings(self.name, definition, fits)
        known = set(definition.labels)
        for row, labels in enumerate(columns["labels"], start=1):
            for label in labels:
                if label not in known:
                    raise DataError(
                        f"row {row} of {origin} has the label {shown(label)}, which train does "
                        "not have: correct it, leave it out, or add examples of it to train"
                    )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return each example's rarest label."""
        return rarest(columns["labels"])

    def outputs(self, definition: Definition) -> int:
        """Return how many numbers the head gives: one a label."""
        return len(definition.labels)

    def targets(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return 1 for each label that an example has, else 0: float32 [examples, labels]."""
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

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return for each label how many examples lack it to one that has it."""
        having = self.targets(columns, definition).sum(axis=0)
        lacking = len(columns["labels"]) - having
        return np.asarray(np.maximum(lacking, 1) / np.maximum(having, 1), dtype=np.float32)

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: examples, labels."""
        return len(columns["labels"]), len(definition.labels)

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with the threshold of each label that gives it the best F1.

        Of equal ones the nearest to one half; a label that no example has keeps one half.
        """
        wanted = self.targets(columns, definition) > 0
        shares = _probabilities(predictions)
        f1 = np.array([_f1_by_label(wanted, shares >= threshold) for threshold in THRESHOLDS])
        nearness = -np.abs(THRESHOLDS - 0.5)[:, None]
        best = np.lexsort((np.broadcast_to(nearness, f1.shape), f1), axis=0)[-1]
        thresholds = np.where(wanted.any(axis=0), THRESHOLDS[best], 0.5)
        settings = {**definition.settings, "thresholds": [float(one) for one in thresholds]}
        return replace(definition, settings=settings)

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return micro and macro F1, and the share of examples with exactly their labels."""
        wanted = self.targets(columns, definition) > 0
        scored = _scored(wanted, _chosen(predictions, definition))
        return {name: score(np.arange(len(wanted))) for name, score in scored.items()}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return every metric with a bootstrap's standard error."""
        wanted = self.targets(columns, definition) > 0
        scored, count = _scored(wanted, _chosen(predictions, definition)), len(wanted)
        return {
            name: Measurement(score(np.arange(count)), bootstrap(count, score), count)
            for name, score in scored.items()
        }

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the logit of each label's share, for every example the same."""
        wanted = self.targets(columns, definition)
        shares = np.clip(wanted.mean(axis=0), SMALLEST, LARGEST)
        logits = np.log(shares / (1 - shares)).astype(np.float32)
        return np.tile(logits, (len(wanted), 1))

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare logits: a change is a label that is now on the other side of its threshold."""
        broken = ~np.isfinite(predictions).all(axis=1)
        other = _chosen(reference, definition) != _chosen(predictions, definition)
        margin = np.where(other, _leads(reference, definition), 0).max(axis=1)
        margin = np.where(broken, np.inf, margin)
        moved = moved_by(reference, predictions)
        return Changes(other.any(axis=1) | broken, margin, moved, scale_of(reference))

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the smallest distance of a logit to its threshold, as `changes` counts it."""
        return np.asarray(_leads(predictions, definition).min(axis=1))

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the share of all labels that are rightly given or not given."""
        wanted = self.targets(columns, definition) > 0
        return np.asarray((wanted == _chosen(predictions, definition)).mean(axis=1))

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return the labels of each example, and the probability of every one.

        The score is the probability of the labels together, as if they were independent.
        """
        found: list[dict[str, Json]] = []
        shares, chosen = _probabilities(predictions), _chosen(predictions, definition)
        for own, picked in zip(shares, chosen, strict=True):
            labels = [label for label, one in zip(definition.labels, picked, strict=True) if one]
            found.append(
                {
                    "label": ", ".join(labels),
                    "labels": labels,
                    "score": float(np.where(picked, own, 1 - own).prod()),
                    "probabilities": dict(zip(definition.labels, map(float, own), strict=True)),
                }
            )
        return found


def _leads(logits: np.ndarray, definition: Definition) -> np.ndarray:
    """Return how far each logit is from its threshold, as a lead of one class over another.

    From a threshold to the other side of it is half of what it is between two classes.
    """
    thresholds = np.array(definition.settings["thresholds"])
    return np.asarray(2 * np.abs(logits - np.log(thresholds / (1 - thresholds))))


def _probabilities(logits: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    shares: np.ndarray = expit(logits.astype(np.float64))
    return shares


def _chosen(logits: np.ndarray, definition: Definition) -> np.ndarray:
    chosen: np.ndarray = _probabilities(logits) >= np.array(definition.settings["thresholds"])
    return chosen


def _are_thresholds(value: Json, count: int) -> bool:
    if not isinstance(value, list) or len(value) != count:
        return False
    return all(is_number(one) and 0 < one < 1 for one in value)


def _f1_by_label(wanted: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the F1 of each label; 0 where it is neither wanted nor chosen."""
    hits = (wanted & chosen).sum(axis=0)
    f1: np.ndarray = 2 * hits / np.maximum(wanted.sum(axis=0) + chosen.sum(axis=0), 1)
    return f1


def _scored(wanted: np.ndarray, chosen: np.ndarray) -> dict[str, Callable[[np.ndarray], float]]:
    """Return every metric, as a function of which examples are counted (some maybe twice).

    Scikit-learn takes a task of one label for one of two classes, and scores both.
    """
    hits, exact = wanted & chosen, (wanted == chosen).all(axis=1)
    all_hits, all_total = hits.sum(axis=1), wanted.sum(axis=1) + chosen.sum(axis=1)
    # Counts are exact in float32 up to 16 million examples.
    hits_by_label = hits.astype(np.float32)
    total_by_label = wanted.astype(np.float32) + chosen

    def micro(rows: np.ndarray) -> float:
        return float(2 * all_hits[rows].sum() / max(all_total[rows].sum(), 1))

    def macro(rows: np.ndarray) -> float:
        times = np.bincount(rows, minlength=len(wanted)).astype(np.float32)
        own, total = times @ hits_by_label, times @ total_by_label
        return float(np.mean(2.0 * own.astype(np.float64) / np.maximum(total, 1)))

    return {
        "f1_micro": micro,
        "f1_macro": macro,
        "exact_match": lambda rows: float(exact[rows].mean()),
    }


MULTILABEL = Multilabel()
