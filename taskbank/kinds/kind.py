"""What a kind of task must say of itself: its columns, outputs, loss, metrics and answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from taskbank.data.columns import Field, shown
from taskbank.errors import DataError, InputError
from taskbank.specs import Definition, Json

if TYPE_CHECKING:
    import torch

    from taskbank.data.batches import Encoded

Columns = Mapping[str, Sequence[Json]]  # values by canonical name, as `Examples` has them

LOWER_IS_BETTER = ("log_loss",)  # every other metric is the better the higher it is


@dataclass(frozen=True)
class Measurement:
    """A metric's value.

    Attributes:
        value: the metric.
        standard_error: of the value over examples.
        count: number of examples.
    """

    value: float
    standard_error: float
    count: int


@dataclass(frozen=True)
class Changes:
    """How predictions differ from reference predictions of the same examples.

    Attributes:
        changed: whether what is predicted is another, of shape [examples].
        margin: by how much the reference preferred what it predicted to what is predicted now;
            infinite where that is not known.
        moved: the largest change of any output of an example; infinite where one is no number.
        scale: the largest output of the reference, at least 1: rounding is relative to it.
    """

    changed: np.ndarray
    margin: np.ndarray
    moved: np.ndarray
    scale: float

    def within(self, noise: float) -> np.ndarray:
        """Return which examples moved by no more than noise, across no more than it can bridge.

        Args:
            noise: how far rounding alone may move an output.

        Returns:
            an array of shape [examples].
        """
        within: np.ndarray = (self.margin <= 2 * noise) & (self.moved <= noise)
        return within


class Kind(Protocol):
    """The shape of a task. A new kind is one file with such an object, and a line in `plugins`.

    *Outputs* are what the head gives, for each text or each token; *predictions* are what the
    bank keeps of them: float32, of shape `shape(…)`, enough to say what is predicted, to compute
    every metric, and to tell a near miss.
    """

    @property
    def name(self) -> str:
        """The word for it: `single`, `pair`, …"""

    @property
    def inputs(self) -> tuple[tuple[Field, ...], ...]:
        """What an input may be made of, such as one text, or two; the usual one first."""

    @property
    def label(self) -> Field:
        """What is to be predicted."""

    @property
    def per_token(self) -> bool:
        """Whether the head is on every token's state, and not on the text's vector."""

    @property
    def metric(self) -> str:
        """The metric that a task is chosen and checked by, unless another is asked for."""

    @property
    def training(self) -> Mapping[str, Json]:
        """Defaults of the training that are better for this kind than the general ones."""

    def define(self, columns: Columns, origin: str, wishes: Mapping[str, Json]) -> Definition:
        """Return what the training data fixes.

        Args:
            columns: of the training data.
            origin: where it came from, for errors.
            wishes: settings that the user asked for.

        Raises:
            DataError: if the data do not make a task of this kind.
            InputError: if a wish cannot be had.
        """

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every example of a split fits the task, and the task its kind.

        Raises:
            DataError: naming the row and the value, or the setting.
        """

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return what each example belongs to, so that a held-out part has some of each."""

    def outputs(self, definition: Definition) -> int:
        """Return how many numbers the head gives."""

    def encode(
        self,
        tokenizer: Any,
        columns: Columns,
        definition: Definition,
        max_length: int,
        *,
        labelled: bool,
    ) -> Encoded:
        """Tokenise every example once.

        Args:
            tokenizer: of the backbone.
            columns: of the examples.
            definition: of the task.
            max_length: tokens an input is cut to.
            labelled: whether the targets are needed as well.

        Raises:
            InputError: if `max_length` leaves too little room.
            DataError: naming an example that has no tokens.
        """

    def loss(
        self,
        outputs: torch.Tensor,
        supervision: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the mean loss of a batch.

        Args:
            outputs: of shape [batch, outputs], or [batch, tokens, outputs] where per token.
            supervision: what `Encoded.supervision` gives for the batch.
            weights: of the classes, as `balance` gives them; none means that all count alike.
        """

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray | None:
        """Return a weight a class that makes every class count alike; none if there are none."""

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return what the bank keeps of the outputs.

        Args:
            outputs: of shape [inputs, outputs], or [all tokens, outputs] where per token.
            encoded: the inputs.
        """

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape that the predictions of some examples have."""

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of the example that each row of predictions is of."""

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with what is chosen on validation, such as thresholds."""

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return the value of every metric."""

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return every metric with its standard error over examples."""

    def untaught(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return predictions that look at no input: what a training that collapsed gives."""

    def changes(
        self,
        reference: np.ndarray,
        predictions: np.ndarray,
        columns: Columns,
        definition: Definition,
    ) -> Changes:
        """Compare predictions with reference predictions, example by example."""

    def margins(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return by how much the answer of each example leads the next best, of shape [examples].

        Infinite where there is no other; zero where there is no such thing, as for a number.
        """

    def credit(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return how right the answer of each example is, of shape [examples].

        It is 1 where it is right and 0 where it is wrong, and in between where part of it is;
        for a number it is minus the error.
        """

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the columns of inputs that are to be predicted.

        Raises:
            DataError: naming an input that is not usable.
        """

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return what is predicted for each example: `label`, `score`, and what else there is."""


def better(metric: str, score: float) -> float:
    """Return a score so that higher is better, whatever the metric."""
    return -score if metric in LOWER_IS_BETTER else score


def drop_of(metric: str, before: float, after: float) -> float:
    """Return by how much a metric is worse; negative if it is better."""
    return better(metric, before) - better(metric, after)


def input_fields(kind: Kind, definition: Definition) -> tuple[Field, ...]:
    """Return the fields that make an input of a task."""
    names = definition.settings.get("inputs")
    fitting = (fields for fields in kind.inputs if [field.name for field in fields] == names)
    return next(fitting, kind.inputs[0])


def checked_metric(kind: Kind, metric: str | None, names: Sequence[str]) -> str:
    """Return the metric that a task is chosen by.

    Args:
        kind: of the task.
        metric: the one asked for; none means the kind's own.
        names: those that the task has.

    Raises:
        InputError: if the task has no such metric.
    """
    if metric is None:
        return kind.metric
    if metric not in names:
        raise InputError(
            f"metric {metric!r} is none that this task of kind {kind.name!r} has: use "
            f"{', '.join(names)}"
        )
    return metric


def check_wishes(kind: str, wishes: Mapping[str, Json], known: Sequence[str] = ()) -> None:
    """Raise if a setting was asked for that a kind does not have.

    Raises:
        InputError: naming it.
    """
    for name in wishes:
        if name not in known:
            raise InputError(f"a task of kind {kind!r} has no setting {name!r}: leave it out")


def check_settings(
    kind: str, definition: Definition, fits: Mapping[str, Callable[[Json], bool]]
) -> None:
    """Raise if a task's settings, which may come from an export, are none that its kind makes.

    Args:
        kind: the kind's word.
        definition: of the task.
        fits: of each setting that there is, whether it can have a value; none where it is missing.

    Raises:
        DataError: naming the setting.
    """
    for name in definition.settings:
        if name not in fits:
            raise DataError(
                f"the setting {name!r} is unknown to tasks of kind {kind!r}: they have "
                f"{', '.join(fits) or 'no settings'}"
            )
    for name, fit in fits.items():
        value = definition.settings.get(name)
        if not fit(value):
            raise DataError(
                f"the setting {name!r} is {shown(value)}, which a task of kind {kind!r} cannot have"
            )


def rarest(labels: Sequence[Sequence[str]]) -> list[str]:
    """Return the rarest label of each example, by the examples that have it; empty without any.

    All labels together would make a stratum of nearly every example.
    """
    counts = Counter(label for own in labels for label in set(own))
    return [min(own, key=lambda label: (counts[label], label), default="") for own in labels]


def scale_of(reference: np.ndarray) -> float:
    """Return the largest output of a reference that is a number, at least 1."""
    return max(1.0, float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0)))


def moved_by(reference: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the largest change in each row, infinite where it is no number."""
    with np.errstate(invalid="ignore"):  # of infinity and infinity
        moved = np.abs(predictions.astype(np.float64) - reference).max(axis=1)
    return np.where(np.isfinite(moved), moved, np.inf)
