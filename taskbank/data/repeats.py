"""Finds inputs that repeat: in train and in an evaluated split, and with different labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskbank.data.equal_inputs import input_keys
from taskbank.data.examples import Examples
from taskbank.digests import Json, canonical_json

LISTED = 5  # contradictory inputs that are listed, and rows of each


@dataclass(frozen=True)
class Place:
    """A row of the data, and its label.

    Attributes:
        split: the data's role: `train`, `validation` or `test`.
        row: the row's number in its source, from 1.
        label: the row's label.
    """

    split: str
    row: int
    label: Json


@dataclass(frozen=True)
class Contradictions:
    """Equal inputs with different labels.

    Attributes:
        inputs: number of such inputs.
        rows: number of their rows.
        first: the first rows with different labels, for some of these inputs.
    """

    inputs: int
    rows: int
    first: tuple[tuple[Place, ...], ...]

    def to_json(self) -> dict[str, Json]:
        """Return the form in which the bank records them."""
        return {
            "inputs": self.inputs,
            "rows": self.rows,
            "first": [[dict(vars(place)) for place in places] for places in self.first],
        }


def rows_in_train(train: Examples, evaluated: Examples, label: str) -> int:
    """Return the number of evaluated examples whose input is also in train.

    Args:
        train: the training examples.
        evaluated: the examples of another split.
        label: the column to predict, which is not an input.
    """
    known = set(input_keys(train, label))
    return sum(key in known for key in input_keys(evaluated, label))


def contradictions(sources: Mapping[str, Examples], label: str) -> Contradictions:
    """Return the equal inputs that have different labels, within and across the sources.

    Args:
        sources: the examples as they were read, by role.
        label: the column to predict.
    """
    keys = {role: input_keys(examples, label) for role, examples in sources.items()}
    labels = {
        role: [_comparable(value) for value in examples.columns[label]]
        for role, examples in sources.items()
    }
    first: dict[bytes, str] = {}
    different: dict[bytes, dict[str, Place]] = {}
    for role in sources:
        for key, value in zip(keys[role], labels[role], strict=True):
            if first.setdefault(key, value) != value:
                different.setdefault(key, {})
    rows = 0
    for role, examples in sources.items() if different else ():
        for row, key in enumerate(keys[role]):
            if key in different:
                rows += 1
                place = Place(role, row + 1, examples.columns[label][row])
                different[key].setdefault(labels[role][row], place)
    listed = list(different.values())[:LISTED]
    return Contradictions(
        len(different), rows, tuple(tuple(places.values())[:LISTED] for places in listed)
    )


def _comparable(label: Json) -> str:
    """Return a text that is equal for equal labels; the order of several classes has no meaning."""
    if isinstance(label, str):
        return label
    return canonical_json(label)
