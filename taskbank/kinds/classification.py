"""What kinds share in which an example belongs to exactly one class."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank.errors import DataError
from taskbank.kinds.kind import Measurement

if TYPE_CHECKING:
    import torch

HEAD_STD = 0.02  # truncated at two of it, as the paper's code does
RESAMPLES = 200  # of the bootstrap that gives macro F1's standard error
WHOLE = re.compile(r"[+-]?\d{1,300}")
FRACTION = re.compile(
    r"[+-]?((\d+\.\d*|\.\d+)(e[+-]?\d+)?|\d+e[+-]?\d+|nan|inf|infinity)", re.IGNORECASE
)
ALL_DIFFERENT = 20  # more rows than this, each with a label of its own, are no classes
SHOWN = 40  # characters of a label, and
MANY = 10  # labels, that an error shows


@dataclass(frozen=True)
class Classification:
    """A kind in which an example belongs to exactly one class.

    Attributes:
        name: the kind's word.
        columns: canonical names of the texts that make an input.
        metric: the metric that a task is chosen and checked by.
    """

    name: str
    columns: tuple[str, ...]
    metric: str = "accuracy"

    def label_space(self, labels: Sequence[str], origin: str) -> tuple[str, ...]:
        """Return the classes, sorted; as numbers if all of them are whole numbers.

        Raises:
            DataError: if the labels are fractions, or all the same, or all different, or two
                of them look the same.
        """
        classes = set(labels)
        if all(FRACTION.fullmatch(label) or WHOLE.fullmatch(label) for label in classes) and any(
            FRACTION.fullmatch(label) for label in classes
        ):
            shown = next(label for label in labels if FRACTION.fullmatch(label))
            raise DataError(
                f"the labels of {origin} are fractions such as {shown}, not classes: name another "
                "column with --label COL, or write the classes as names or whole numbers"
            )
        if len(classes) == 1:
            raise DataError(
                f"every label of {origin} is {_shown(labels[0])}: a task needs at least two classes"
            )
        if len(classes) == len(labels) > ALL_DIFFERENT:
            raise DataError(
                f"each of the {len(labels):,} rows of {origin} has a label of its own, such as "
                f"{_shown(labels[0])}: name the column of classes with --label COL"
            )
        alike: dict[str, str] = {}
        for label in sorted(classes):
            other = alike.setdefault(label.strip(), label)
            if other != label:
                raise DataError(
                    f"the labels {_shown(other)} and {_shown(label)} of {origin} differ only in "
                    "the space around them: write them alike"
                )
        if all(WHOLE.fullmatch(label) for label in classes):
            return tuple(sorted(classes, key=lambda label: (int(label), label)))
        return tuple(sorted(classes))

    def targets(self, labels: Sequence[str], space: Sequence[str], origin: str) -> np.ndarray:
        """Return the position of each label in the label space, int64 of shape [examples].

        Raises:
            DataError: naming the row of a label that the space does not have.
        """
        positions = {label: position for position, label in enumerate(space)}
        for row, label in enumerate(labels, start=1):
            if label not in positions:
                known = ", ".join(_shown(known) for known in space[:MANY])
                raise DataError(
                    f"row {row} of {origin} has the label {_shown(label)}, which train does not "
                    f"have: it has {known}{', …' if len(space) > MANY else ''}; correct the "
                    "label, leave the row out, or add examples of it to train"
                )
        return np.array([positions[label] for label in labels], dtype=np.int64)

    def outputs(self, labels: int) -> int:
        """Return how many logits an example has: one a class."""
        return labels

    def head(self, hidden_size: int, labels: int, generator: torch.Generator) -> torch.nn.Linear:
        """Return an untrained linear layer: truncated normal weights, zero biases."""
        import torch

        head = torch.nn.Linear(hidden_size, labels, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            torch.nn.init.trunc_normal_(
                head.weight, 0.0, HEAD_STD, -2 * HEAD_STD, 2 * HEAD_STD, generator=generator
            )
            head.bias.zero_()
        return head

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of logits [batch, classes] against targets [batch]."""
        import torch

        return torch.nn.functional.cross_entropy(logits.float(), targets)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return the softmax of logits, in float64, of shape [examples, classes]."""
        shifted = logits.astype(np.float64)
        shifted -= shifted.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        shares: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return shares

    def metrics(self, logits: np.ndarray, targets: np.ndarray) -> dict[str, Measurement]:
        """Return accuracy and macro F1 of logits [examples, classes] against targets [examples].

        The standard error of accuracy is the binomial one; of macro F1 a bootstrap's over
        examples, from a fixed seed.
        """
        from sklearn.metrics import accuracy_score, f1_score

        predicted = logits.argmax(axis=1)
        count = len(targets)
        accuracy = float(accuracy_score(targets, predicted))
        macro = float(f1_score(targets, predicted, average="macro", zero_division=0))
        return {
            "accuracy": Measurement(accuracy, math.sqrt(accuracy * (1 - accuracy) / count), count),
            "f1_macro": Measurement(macro, _f1_error(predicted, targets), count),
        }


def _shown(label: str) -> str:
    return repr(label[:SHOWN]) + ("…" if len(label) > SHOWN else "")


def _f1_error(predicted: np.ndarray, targets: np.ndarray) -> float:
    # What a resample does to F1 is decided by how often each (target, predicted) cell is drawn.
    present = np.unique(np.concatenate([targets, predicted]), return_inverse=True)[1]
    size = present.max() + 1
    right, guess = present[: len(targets)], present[len(targets) :]
    cells, counts = np.unique(right * size + guess, return_counts=True)
    rows, columns = np.divmod(cells, size)
    generator = np.random.default_rng(0)
    macros = []
    for _ in range(RESAMPLES):
        drawn = generator.multinomial(len(targets), counts / len(targets))
        hits = np.bincount(rows, np.where(rows == columns, drawn, 0), minlength=size)
        either = np.bincount(rows, drawn, minlength=size)
        either += np.bincount(columns, drawn, minlength=size)
        # As scikit-learn does, a class counts only where it is a target or a prediction.
        macros.append(np.mean(2 * hits[either > 0] / either[either > 0]))
    return float(np.std(macros, ddof=1))
