"""The protocols of a kind of task: columns, outputs, loss, metrics and answers."""

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
    from taskbank.kinds.class_report import ClassReport
    from taskbank.kinds.metrics import Measurement

Columns = Mapping[str, Sequence[Json]]  # values by canonical name, as in `Examples`


class Schema(Protocol):
    """The columns of a kind, and the definition of a task by its training data."""

    @property
    def inputs(self) -> tuple[tuple[Field, ...], ...]:
        """The possible fields of an input, such as one text, or two texts; the default first."""

    @property
    def label(self) -> Field:
        """The field to predict."""

    def define(self, columns: Columns, origin: str, requested: Mapping[str, Json]) -> Definition:
        """Return a task's definition from its training data.

        Args:
            columns: the training data's columns.
            origin: the training data's source, for errors.
            requested: settings that the user chose.

        Raises:
            DataError: if the data do not suit this kind of task.
            InputError: if a requested setting is unknown or does not suit the data.
        """

    def check(self, columns: Columns, definition: Definition, origin: str) -> None:
        """Raise unless every example of a split fits the task, and the task fits its kind.

        Raises:
            DataError: naming the row and the value, or the setting.
        """

    def strata(self, columns: Columns) -> Sequence[Hashable]:
        """Return each example's stratum, so that a held-out part has examples of every stratum."""

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the columns of inputs to predict.

        Raises:
            DataError: naming an invalid input.
        """


class Objective(Protocol):
    """The head of a task and its training objective.

    *Outputs* are the numbers that the head computes for each text or each token.
    """

    @property
    def per_token(self) -> bool:
        """Whether the head reads every token's state instead of one vector per input."""

    @property
    def training(self) -> Mapping[str, Json]:
        """Default hyperparameters that suit this kind better than the general ones."""

    def outputs(self, definition: Definition) -> int:
        """Return the number of the head's outputs."""

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
            tokenizer: the backbone's tokenizer.
            columns: the examples' columns.
            definition: the task's definition.
            max_length: maximum number of tokens per input.
            labelled: whether to include the targets.

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
            outputs: of shape [batch, outputs], or [batch, tokens, outputs] if per token.
            supervision: the batch's targets, as `Encoded.supervision` returns them.
            weights: one weight per class, as `balance` returns them. None means equal weights.
        """

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the outputs that stand for the mean of the answers of several models.

        For probabilities, they give the mean of the models' probabilities.

        Args:
            outputs: at least two arrays of shape [inputs, outputs], or [all tokens, outputs] if per
                token; where all are equal, the result is the same up to rounding.
            encoded: the inputs.
        """

    def balance(self, columns: Columns, definition: Definition) -> np.ndarray | None:
        """Return weights that give every class the same influence; None without classes."""

    def right(self, outputs: np.ndarray, encoded: Encoded, definition: Definition) -> np.ndarray:
        """Return which outputs give the right answer, boolean of shape [inputs] or [all tokens].

        For numbers, of which none is quite right, it is every output.

        Args:
            outputs: of shape [inputs, outputs], or [all tokens, outputs] if per token.
            encoded: the inputs, with targets; they may have labels after those of the definition.
            definition: the definition of the task that has these outputs.
        """


class Scoring(Protocol):
    """Predictions, metrics and answers.

    *Predictions* are the part of the outputs that the bank stores: float32, of shape `shape(…)`,
    enough to give the answers, to compute every metric, and to tell a near miss.
    """

    @property
    def metric(self) -> str:
        """The default metric for choosing and verifying a task's adapters."""

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the predictions, the part of the outputs that the bank stores.

        Args:
            outputs: of shape [inputs, outputs], or [all tokens, outputs] if per token.
            encoded: the inputs.
        """

    def shape(self, columns: Columns, definition: Definition) -> tuple[int, int]:
        """Return the shape of the predictions of some examples."""

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of the example of each row of predictions."""

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition with settings tuned on validation, such as thresholds."""

    def scores(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, float]:
        """Return the value of every metric."""

    def metrics(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> dict[str, Measurement]:
        """Return every metric with its standard error over examples."""

    def constant_baseline(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the best predictions that ignore the input, as a collapsed training makes them."""

    def by_class(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> ClassReport | None:
        """Return the scores and the confusions of every class; None for a kind without classes."""

    @property
    def proportions(self) -> tuple[str, ...]:
        """The metrics that are the share of the examples with a correct answer."""

    def answers(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> list[dict[str, Json]]:
        """Return each example's answer: `label`, `score`, and the kind's further keys."""


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
        """Return the margin of each answer over the second best, of shape [examples].

        It is infinite without a second answer, and zero for a kind without margins, as for numbers.
        """

    def correctness(
        self, predictions: np.ndarray, columns: Columns, definition: Definition
    ) -> np.ndarray:
        """Return the correctness of each answer, of shape [examples].

        It is 1 for a correct answer, 0 for a wrong one, and between for a partly correct one; for
        a number it is the negated error.
        """


class Kind(Schema, Objective, Scoring, Comparison, Protocol):
    """A kind of task. A new kind is one file with such an object, and one entry point.

    The command's help, the defaults and the documentation read everything they say about a kind
    from here.
    """

    @property
    def name(self) -> str:
        """The kind's name: `single`, `pair`, …"""

    @property
    def summary(self) -> str:
        """A short description of input and prediction."""


def input_fields(kind: Kind, definition: Definition) -> tuple[Field, ...]:
    """Return the input fields of a task."""
    names = definition.settings.get("inputs")
    candidates = (fields for fields in kind.inputs if [field.name for field in fields] == names)
    return next(candidates, kind.inputs[0])


def resolve_metric(kind: Kind, metric: str | None, names: Sequence[str]) -> str:
    """Return the metric by which a task's adapter is chosen.

    Args:
        kind: the task's kind.
        metric: the requested metric. None means the kind's default.
        names: the task's metrics.

    Raises:
        InputError: if the task has no such metric.
    """
    if metric is None:
        return kind.metric
    if metric not in names:
        raise InputError(
            f"metric {metric!r} does not exist for this task of kind {kind.name!r}: use "
            f"{', '.join(names)}"
        )
    return metric


def check_implements(kind: Kind, method: str, purpose: str, option: str) -> None:
    """Raise unless a kind has a method that some trainings need, and that older plugins lack.

    Args:
        kind: the kind.
        method: the method's name, `combine` or `right`.
        purpose: what needs it, such as `an ensemble combines the outputs of its trainings`.
        option: the option to leave out otherwise.

    Raises:
        InputError: naming the kind, the method and what to do.
    """
    own = getattr(kind, method, None)
    stub = getattr(Objective, method)  # which a kind that is derived from the protocol has
    if not callable(own) or getattr(own, "__func__", own) is stub:
        raise InputError(
            f"kind {kind.name!r} has no method {method!r}: {purpose} with it; leave {option} out, "
            f"or implement the method in the package of the kind, as "
            f"taskbank.kinds.kind.Objective.{method} describes it"
        )
