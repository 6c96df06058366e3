"""Probabilities that match how often answers are right: a temperature, and how well it works.

The logits of a trained model are divided by one number, the temperature, before they become
probabilities (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2). It is
fitted on validation and changes no answer. A version without the setting is older, and its
temperature is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from taskbank.data.fields import is_number
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.kinds.logits import cross_entropies, softmax
from taskbank.kinds.metrics import Measurement
from taskbank.kinds.resampling import bootstrap_error, standard_error_of_mean

LOWEST, HIGHEST = 0.05, 20.0  # bounds of a temperature
# Before any data, the logarithm of the temperature is normal with this standard deviation around
# 0. Few examples, all of them right, would otherwise make every probability 1.
PRIOR = math.log(2)
# As in Guo et al. 2017, section 2, and Naeini et al. 2015, "Obtaining Well Calibrated Probabilities
# Using Bayesian Binning": bins of equal width.
BINS = 15
TINY = 2.0**-53  # keeps the logarithm of a probability finite


def temperature_of(definition: Definition) -> float:
    """Return a task's temperature."""
    return float(definition.settings.get("temperature", 1.0))


def is_temperature(value: Json) -> bool:
    """Return whether a setting is a temperature, or missing as in an older version."""
    return value is None or (is_number(value) and LOWEST <= value <= HIGHEST)


def has_temperature(definition: Definition) -> bool:
    """Return whether a task's probabilities were calibrated; an older version's were not."""
    return "temperature" in definition.settings


def without_temperature(definition: Definition) -> Definition:
    """Return the definition of a task whose probabilities were not calibrated."""
    settings = {name: one for name, one in definition.settings.items() if name != "temperature"}
    return replace(definition, settings=settings)


def with_temperature(
    definition: Definition, loss: Callable[[float], float], count: int
) -> Definition:
    """Return the definition with the most likely temperature.

    It never has a higher loss than a temperature of 1.

    Args:
        definition: the task's definition.
        loss: returns the mean loss of the validation examples at a temperature.
        count: number of validation examples.
    """
    from scipy.optimize import minimize_scalar

    def cost(logarithm: float) -> float:
        return count * loss(math.exp(logarithm)) + (logarithm / PRIOR) ** 2 / 2

    found = minimize_scalar(
        cost,
        bounds=(math.log(LOWEST), math.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    temperature = round(math.exp(found.x), 3)
    if not cost(math.log(temperature)) < cost(0.0):
        temperature = 1.0
    return replace(definition, settings={**definition.settings, "temperature": temperature})


def bins_of(probabilities: np.ndarray) -> np.ndarray:
    """Return the bin of each probability, int64 of the same shape."""
    bins: np.ndarray = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    return bins


@dataclass(frozen=True)
class Calibration:
    """How well probabilities match what came true, with one probability or several per example.

    Attributes:
        gaps: in each bin of probabilities, the number that came true minus the sum of the
            probabilities, of shape [examples, bins].
        losses: the mean loss of each example, of shape [examples].
        squares: the mean Brier score of each example, of shape [examples].
        sizes: number of probabilities of each example, of shape [examples].
    """

    gaps: np.ndarray
    losses: np.ndarray
    squares: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(
        cls,
        probabilities: np.ndarray,
        came_true: np.ndarray,
        losses: np.ndarray,
        squares: np.ndarray,
        owner: np.ndarray,
    ) -> Calibration:
        """Return the calibration of some probabilities.

        Args:
            probabilities: of shape [probabilities].
            came_true: whether what each one is of is the case, of the same shape.
            losses: the loss of each, of the same shape.
            squares: the squared error of each, of the same shape.
            owner: the position of the example of each, in ascending order, every example at least
                once, of the same shape.
        """
        sizes = np.bincount(owner)
        cells = owner * BINS + bins_of(probabilities)
        gaps = np.bincount(cells, came_true - probabilities, len(sizes) * BINS)
        loss, square = (np.bincount(owner, values) / sizes for values in (losses, squares))
        return cls(gaps.reshape(-1, BINS), loss, square, sizes)

    def scores(self) -> dict[str, float]:
        """Return log loss, Brier score and expected calibration error."""
        share = self.sizes / self.sizes.sum()
        return {
            "log_loss": float(share @ self.losses),
            "brier": float(share @ self.squares),
            "ece": self._error(np.ones(len(self.sizes))),
        }

    def metrics(self) -> dict[str, Measurement]:
        """Return the same with standard errors over examples."""
        count = len(self.sizes)
        errors = {
            "log_loss": standard_error_of_mean(self.losses),
            "brier": standard_error_of_mean(self.squares),
            "ece": bootstrap_error(
                count, lambda rows: self._error(np.bincount(rows, minlength=count))
            ),
        }
        return {
            name: Measurement(value, errors[name], count) for name, value in self.scores().items()
        }

    def _error(self, times: np.ndarray) -> float:
        """Return the expected calibration error where each example counts some times."""
        return float(np.abs(times @ self.gaps).sum() / (times @ self.sizes))


def calibration_of_classes(
    logits: np.ndarray, targets: np.ndarray, temperature: float, owner: np.ndarray
) -> Calibration:
    """Return the calibration of the probabilities of the most likely classes.

    The Brier score is the sum over the classes (G. W. Brier, "Verification of forecasts expressed
    in terms of probability", Monthly Weather Review 78, 1950): from 0 to 2.

    Args:
        logits: of shape [rows, classes].
        targets: the position of each row's class, of shape [rows].
        temperature: the number that the logits are divided by.
        owner: the position of each row's example, of shape [rows].
    """
    probabilities, best = softmax(logits, temperature), logits.argmax(axis=1)
    rows = np.arange(len(targets))
    own = probabilities[rows, targets]
    squares = (probabilities**2).sum(axis=1) - own**2 + (1 - own) ** 2
    return Calibration.of(
        probabilities[rows, best],
        best == targets,
        cross_entropies(logits, targets, temperature),
        squares,
        owner,
    )


def calibration_of_shares(
    probabilities: np.ndarray, came_true: np.ndarray, owner: np.ndarray
) -> Calibration:
    """Return the calibration of probabilities of events that are or are not the case.

    Args:
        probabilities: of shape [probabilities].
        came_true: whether each event is the case, boolean of the same shape.
        owner: the position of the example of each, of the same shape.
    """
    own = np.where(came_true, probabilities, 1 - probabilities)
    losses = -np.log(np.maximum(own, TINY))
    return Calibration.of(probabilities, came_true, losses, (1 - own) ** 2, owner)
