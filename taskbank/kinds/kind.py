"""The protocol of a kind of task: columns, outputs, loss, metrics and answers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from taskbank.data.fields import Field
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    import torch

    from taskbank.data.encoded import Encoded
    from taskbank.kinds.changes import Changes
    from taskbank.kinds.metrics import Measurement

Columns = Mapping[str, Sequence[Json]]  # values by canonical name, as `Examples` has them


class Schema(Protocol):
    """The columns of a kind, and what the training data fixes about a task."""

    @property
    def inputs(self) -> tuple[tuple[Field, ...], ...]:
        """What an input may be made of, such as one text, or two; the usual one first."""

    @property
    def label(self) -> Field:
        """What is to be predicted."""

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return what the training data fixes.

        Args:
            columns: of the training data.
            origin: where it came from, for errors.
            requested: settings that the user asked for.

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

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the columns of inputs that are to be predicted.

        Raises:
            DataError: naming an input that is not usable.
        """


class Objective(Protocol):
    """The head of a task and what it is trained for.

    *Outputs* are what the head gives, for each text or each token.
    """

    @property
    def per_token(self) -> bool:
        """Whether the head is on every token's state, and not on the text's vector."""

    @property
    def training(self) -> Mapping[str, Json]:
        """Defaults of the training that are better for this kind than the general ones."""

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


class Scoring(Protocol):
    """Predictions, metrics and answers.

    *Predictions* are what the bank keeps of the outputs: float32, of shape `shape(…)`, enough to
    give the answers, to compute every metric, and to tell a near miss.
    """

    @property
    def metric(self) -> str:
        """The metric that a task is chosen and checked by, unless another is asked for."""

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

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return predictions that look at no input: what a training that collapsed gives."""

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return what is predicted for each example: `label`, `score`, and what else there is."""


class Comparison(Protocol):
    """How two predictions of the same examples differ."""

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

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return how right the answer of each example is, of shape [examples].

        It is 1 where it is right and 0 where it is wrong, and in between where part of it is;
        for a number it is minus the error.
        """


class Kind(Schema, Objective, Scoring, Comparison, Protocol):
    """The shape of a task. A new kind is one file with such an object, and one entry point.

    The command's help, the defaults and the documentation read everything they say about a kind
    from here.
    """

    @property
    def name(self) -> str:
        """The kind's name: `single`, `pair`, …"""

    @property
    def summary(self) -> str:
        """What goes in and what is predicted, in a few words."""


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
