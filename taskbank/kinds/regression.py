"""The kind `regression`: one text or two, one number.

The head learns the number in units of train's standard deviation around train's mean, so
that a learning rate means the same whatever the numbers are; Houlsby et al. 2019 have STS-B,
scored by Spearman's rank correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.fields import Field, is_number
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.changes import Changes, moved_by, scale_of
from taskbank.kinds.definition import Definition, check_requested, check_settings
from taskbank.kinds.kind import Columns
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap
from taskbank.kinds.text import ONE_TEXT, TWO_TEXTS, TextKind, are_inputs, input_names

if TYPE_CHECKING:
    import torch

STRATA = 10  # parts of the range that a held-out part has some of each
FARTHEST = 1e6  # standard deviations from the mean, beyond which a number is a slip


class Regression(TextKind):
    """One number for one text or two."""

    name = "regression"
    summary = "one text or two, a number"
    inputs = (ONE_TEXT, TWO_TEXTS)
    label = Field("label", "number", "--label")
    metric = "spearman"

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return mean and standard deviation of the numbers, and what an input is made of.

        Raises:
            DataError: if all numbers are the same, or too large or too close to be told apart.
            InputError: if a setting is asked for.
        """
        check_requested(self.name, requested)
        values = np.array(columns["label"], dtype=np.float64)
        if _constant(values):
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
        """Raise unless every label is a number of train's order.

        Of an adapter that was imported, no more can be known of mean and standard deviation than
        that they are finite, the latter positive, and the labels near: correlations, and so the
        metrics, are the same in any unit.

        Raises:
            DataError: naming the row and the value, or a setting.
        """
        inputs = are_inputs(self.inputs, columns)
        fits = {"mean": is_number, "std": _is_spread, "inputs": inputs}
        check_settings(self.name, definition, fits)
        mean, std = definition.settings["mean"], definition.settings["std"]
        for row, value in enumerate(columns["label"], start=1):
            if not abs(value - mean) / std <= FARTHEST:
                raise DataError(
                    f"row {row} of {origin} has the label {value:g}, more than {FARTHEST:,.0f} "
                    f"times as far from the mean of train, {mean:g}, as its numbers usually are: "
                    "correct it, or leave the row out"
                )

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return the tenth (of few rows, the larger part) that each number is in, by rank."""
        values = np.array(columns["label"], dtype=np.float64)
        ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        parts = max(1, min(STRATA, len(ranks) // STRATA))  # each with one to hold out of ten
        found: list[int] = (ranks * parts // len(ranks)).tolist()
        return found

    def outputs(self, definition: Definition) -> int:
        """Return how many numbers the head gives: one."""
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

    def balance(self, columns: Columns, definition: Definition) -> None:
        """Return none: there are no classes."""

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of predictions: examples, 1."""
        return len(columns["label"]), 1

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition unchanged: nothing is chosen on validation."""
        return definition

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return Pearson's and Spearman's correlation; 0 where nothing varies."""
        values, wanted = _compared(predictions, columns)
        return {name: function(values, wanted) for name, function in CORRELATIONS.items()}

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return both correlations with a bootstrap's standard errors."""
        values, wanted = _compared(predictions, columns)
        count = len(wanted)

        def measured(function: Callable[[np.ndarray, np.ndarray], float]) -> Measurement:
            error = bootstrap(count, lambda rows: function(values[rows], wanted[rows]))
            return Measurement(function(values, wanted), error, count)

        return {name: measured(function) for name, function in CORRELATIONS.items()}

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the mean, for every example."""
        return np.zeros((len(columns["label"]), 1), dtype=np.float32)

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare the numbers: a change is one that is written otherwise, in four digits."""
        moved = moved_by(reference, predictions)
        before, after = (
            [answer["label"] for answer in self.answers(one, columns, definition)]
            for one in (reference, predictions)
        )
        changed = np.array([one != two for one, two in zip(before, after, strict=True)])
        return Changes(changed | ~np.isfinite(moved), moved, moved, scale_of(reference))

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return zeros: between numbers there is no boundary."""
        return np.zeros(len(predictions))

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return minus the error of each number, in the units of the labels."""
        settings = definition.settings
        values, wanted = _compared(predictions, columns)
        return np.asarray(-np.abs(values * settings["std"] + settings["mean"] - wanted))

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return each number, as `value` and `score`, and as text."""
        settings = definition.settings
        values = predictions[:, 0].astype(np.float64) * settings["std"] + settings["mean"]
        return [
            {"label": f"{value:.4g}", "score": float(value), "value": float(value)}
            for value in values
        ]


def _is_spread(value: Json) -> bool:
    return is_number(value) and value > 0


def _compared(predictions: np.ndarray, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    return predictions[:, 0].astype(np.float64), np.array(columns["label"], dtype=np.float64)


def _pearson(values: np.ndarray, wanted: np.ndarray) -> float:
    if _constant(values) or _constant(wanted) or not np.isfinite(values).all():
        return 0.0
    one, other = values - values.mean(), wanted - wanted.mean()
    spread = np.sqrt(one @ one) * np.sqrt(other @ other)
    return float(np.clip(one @ other / spread, -1, 1)) if spread > 0 else 0.0


def _spearman(values: np.ndarray, wanted: np.ndarray) -> float:
    from scipy.stats import rankdata

    return _pearson(rankdata(values), rankdata(wanted))


def _constant(values: np.ndarray) -> bool:
    return bool(values.min() == values.max())


CORRELATIONS = {"pearson": _pearson, "spearman": _spearman}
REGRESSION = Regression()
