"""What a kind of task must say of itself: its columns, head, loss and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch


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


class Kind(Protocol):
    """The shape of a task. A new kind is one file with such an object, and a line in `plugins`."""

    @property
    def name(self) -> str:
        """The word for it: `single`, `pair`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Canonical names of the texts that make an input."""

    @property
    def metric(self) -> str:
        """The metric that a task is chosen and checked by."""

    def label_space(self, labels: Sequence[str], origin: str) -> tuple[str, ...]:
        """Return the classes in the order of the logits.

        Raises:
            DataError: if the labels do not make a task of this kind.
        """

    def targets(self, labels: Sequence[str], space: Sequence[str], origin: str) -> np.ndarray:
        """Return what the loss and the metrics compare with, an array of shape [examples].

        Raises:
            DataError: naming the row of a label that the space does not have.
        """

    def outputs(self, labels: int) -> int:
        """Return how many logits an example has, given the size of the label space."""

    def head(self, hidden_size: int, labels: int, generator: torch.Generator) -> torch.nn.Linear:
        """Return an untrained head on a text's vector of `hidden_size` numbers."""

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits [batch, outputs] against targets [batch]."""

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of each class, of shape [examples, labels]."""

    def metrics(self, logits: np.ndarray, targets: np.ndarray) -> dict[str, Measurement]:
        """Return every metric of logits [examples, outputs] against targets [examples]."""
