"""The kind `regression`: one text or two, one number.

The head learns the number in standard deviations from the mean of the training data, so that a
learning rate has the same effect in any unit. Houlsby et al. 2019 use STS-B, scored by
Spearman's rank correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, is_number
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.changes import Changes, largest_changes, output_scale
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap_error
from taskbank.kinds.text import ONE_TEXT, TWO_TEXTS, TextKind, input_names, inputs_check

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded

STRATA = 10  # number of parts, by rank, that stratification distinguishes
FARTHEST = 1e6  # standard deviations from the mean; a number beyond is a typing error


class Regression(TextKind):
    """One number for one text or two."""

    name = "regression"
    summary = "one text or two, a number"
    inputs = (ONE_TEXT, TWO_TEXTS)
    label = Field("label", "number", "--label")
    metric = "spearman"
    proportions: tuple[str, ...] = ()

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return the mean and standard deviation of the numbers, and the input fields.

        Raises:
            DataError: if all numbers are equal, or too large or too close for their deviation to be
            a finite positive number.
            InputError: if any setting is requested.
        """
        check_requested(self.name, requested)
        values = np.array(columns["label"], dtype=np.float64)
        if _is_constant(values):
            raise DataError(
                f"every label of {origin} is {values[0]:g}: there is nothing to predict"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(values.mean()), float(values.std())
        if not np.isfinite(mean) or not 0 < std < np.inf:
            raise DataError(
                f"the labels of {origin} go from {values.min():g} to {values.max():g}: write them "
                "in a unit that makes them neither so large nor so small"
            )
        settings = {"mean": mean, "std": std, "inputs": input_names(self.inputs, columns)}
        return Definition((), settings)

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every label is of the training data's order of magnitude.

        For an imported adapter, only this can be checked of mean and standard deviation: both are
        finite, the deviation is positive and the labels are near. Correlations, and so the metrics,
        are the same in any unit.

        Raises:
            DataError: naming the row and the value, or a setting.
        """
        inputs = inputs_check(self.inputs, columns)
        checks = {"mean": is_number, "std": _is_positive_number, "inputs": inputs}
        check_settings(self.name, definition, checks)
        mean, std = definition.settings["mean"], definition.settings["std"]
        for row, value in enumerate(columns["label"], start=1):
            if not abs(value - mean) / std <= FARTHEST:
                raise DataError(
                    f"row {row} of {origin} has the label {value:g}, more than {FARTHEST:,.0f} "
                    f"standard deviations from the mean of train, {mean:g}: correct it, or leave "
                    "the row out"
                )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return the tenth, by rank, that each number is in; fewer, larger parts for few rows."""
        values = np.array(columns["label"], dtype=np.float64)
        ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        # At least ten rows per part, so that each part has a row to hold out of ten.
        parts = max(1, min(STRATA, len(ranks) // STRATA))
        found: list[int] = (ranks * parts // len(ranks)).tolist()
        return found

    def outputs(self, definition: Definition) -> int:
        """Return the number of outputs: one."""
        return 1

    def targets(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the numbers in standard deviations from the mean, float32 [examples]."""
        values = np.array(columns["label"], dtype=np.float64)
        settings = definition.settings
        targets: np.ndarray = ((values - settings["mean"]) / settings["std"]).astype(np.float32)
        return targets

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean squared error of outputs [batch, 1]."""
        import torch

        return torch.nn.functional.mse_loss(outputs.float().squeeze(-1), supervision["targets"])

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the mean number."""
        return np.asarray(np.mean(outputs, axis=0, dtype=np.float64), dtype=np.float32)

    def balance(self, columns: Columns, definition: Definition) -> None:
        """Return None: there are no classes."""

    def right(self, outputs: np.ndarray, encoded: Encoded, definition: Definition) -> np.ndarray:
        """Return every input."""
        return np.ones(len(outputs), dtype=bool)

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: [examples, 1]."""
        return len(columns["label"]), 1

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition unchanged: it has nothing to tune on validation."""
        return definition

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return Pearson's and Spearman's correlation; 0 if one side is constant."""
        metrics = _metric_functions(*_values_and_labels(predictions, columns))
        return {name: score(np.arange(len(predictions))) for name, score in metrics.items()}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return both correlations with bootstrapped standard errors."""
        metrics = _metric_functions(*_values_and_labels(predictions, columns))
        count = len(predictions)
        return {
            name: Measurement(score(np.arange(count)), bootstrap_error(count, score), count)
            for name, score in metrics.items()
        }

    def by_class(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> None:
        """Return None: numbers are no classes."""

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the mean of the training data for every example."""
        return np.zeros((len(columns["label"]), 1), dtype=np.float32)

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare the numbers: an example changes if its number differs in four digits.

        A number between two of four digits may be rounded to either, which is no change. So the
        difference must be at least half a unit of the fourth digit, of the number or of the labels'
        standard deviation if that is larger.
        """
        moved = largest_changes(reference, predictions)
        before, after = (
            [answer["label"] for answer in self.answers(outputs, columns, definition)]
            for outputs in (reference, predictions)
        )
        differs = np.array([old != new for old, new in zip(before, after, strict=True)])
        deviation = definition.settings["std"]
        values = np.abs(
            reference[:, 0].astype(np.float64) * deviation + definition.settings["mean"]
        )
        unit = 10.0 ** (np.floor(np.log10(np.maximum(values, deviation))) - 3)
        changed = differs & (moved * deviation >= unit / 2)
        return Changes(changed | ~np.isfinite(moved), moved, moved, output_scale(reference))

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return zeros: numbers have no decision boundary."""
        return np.zeros(len(predictions))

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the negated error of each number, in the units of the labels."""
        settings = definition.settings
        values, expected = _values_and_labels(predictions, columns)
        return np.asarray(-np.abs(values * settings["std"] + settings["mean"] - expected))

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return each number as `value` and `score`, and as text."""
        settings = definition.settings
        values = predictions[:, 0].astype(np.float64) * settings["std"] + settings["mean"]
        return [
            {"label": f"{value:.4g}", "score": float(value), "value": float(value)}
            for value in values
        ]


def _is_positive_number(value: Json) -> bool:
    return is_number(value) and value > 0


def _values_and_labels(predictions: np.ndarray, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    return predictions[:, 0].astype(np.float64), np.array(columns["label"], dtype=np.float64)


def _metric_functions(
    values: np.ndarray, expected: np.ndarray
) -> dict[str, Callable[[np.ndarray], float]]:
    """Return each correlation as a function of the examples' positions."""
    # Ranks depend on the order alone, so the numbers are sorted once and not in every resample.
    places, expected_places, unordered = _places(values), _places(expected), np.isnan(values)

    def pearson(rows: np.ndarray) -> float:
        return _pearson(values[rows], expected[rows])

    def spearman(rows: np.ndarray) -> float:
        if unordered[rows].any():
            return 0.0
        return _pearson(_ranks(places[rows]), _ranks(expected_places[rows]))

    return {"pearson": pearson, "spearman": spearman}


def _pearson(values: np.ndarray, expected: np.ndarray) -> float:
    if _is_constant(values) or _is_constant(expected) or not np.isfinite(values).all():
        return 0.0
    deviations, expected_deviations = values - values.mean(), expected - expected.mean()
    norm = np.sqrt(deviations @ deviations) * np.sqrt(expected_deviations @ expected_deviations)
    return float(np.clip(deviations @ expected_deviations / norm, -1, 1)) if norm > 0 else 0.0


def _places(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among the different ones, from 0."""
    return np.unique(values, return_inverse=True)[1]


def _ranks(places: np.ndarray) -> np.ndarray:
    """Return the rank of each place, from 1; of equal ones the mean of their ranks."""
    counts = np.bincount(places)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _is_constant(values: np.ndarray) -> bool:
    return bool(values.min() == values.max())


REGRESSION = Regression()
