"""A report by class: how often each class is found, missed, and taken for another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from taskbank.digests import Json

Entity = tuple[str, int, int]  # type, first word and last word


@dataclass(frozen=True)
class ClassScore:
    """How well one class is predicted.

    Attributes:
        label: the class; the type of an entity if words are tagged.
        precision: share of the predictions of the class that are correct; None without any.
        recall: share of the class that is found; None if the class does not occur.
        f1: their harmonic mean; None if the class is neither predicted nor occurs.
        support: how often the class occurs.
        predicted: how often the class is predicted.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix that is not zero.

    Attributes:
        label: the true class; None for a predicted entity where there is none.
        predicted: the predicted class; None for an entity that is not found.
        count: number of examples, or of entities.
    """

    label: str | None
    predicted: str | None
    count: int


@dataclass(frozen=True)
class ClassReport:
    """The scores of every class, and which classes are confused.

    Attributes:
        unit: what is counted: `examples` or `entities`.
        classes: one score per class, in the order of the task's labels.
        cells: the confusion matrix, without its zeros; None if an example has several classes.
    """

    unit: str
    classes: tuple[ClassScore, ...]
    cells: tuple[Cell, ...] | None

    def confusions(self) -> list[Cell]:
        """Return the cells off the diagonal, the largest first."""
        wrong = [cell for cell in self.cells or () if cell.label != cell.predicted]
        return sorted(wrong, key=lambda cell: -cell.count)

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> ClassReport:
        """Return the report with a given JSON form."""
        cells = values["confusion"]
        return cls(
            values["unit"],
            tuple(ClassScore(**score) for score in values["classes"]),
            None if cells is None else tuple(Cell(**cell) for cell in cells),
        )

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank show --json` prints."""
        cells = None if self.cells is None else [asdict(cell) for cell in self.cells]
        classes = [asdict(score) for score in self.classes]
        return {"unit": self.unit, "classes": classes, "confusion": cells}


def report_classes(
    labels: Sequence[str], predicted: np.ndarray, targets: np.ndarray
) -> ClassReport:
    """Return the report of examples that belong to one class each.

    Args:
        labels: the classes.
        predicted: the position of each predicted class, int64 of shape [examples].
        targets: the position of each true class, of the same shape.
    """
    pairs, counts = np.unique(targets * len(labels) + predicted, return_counts=True)
    cells = [
        Cell(labels[pair // len(labels)], labels[pair % len(labels)], count)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return _report_cells("examples", labels, cells)


def report_labels(
    labels: Sequence[str], predicted: np.ndarray, expected: np.ndarray
) -> ClassReport:
    """Return the report of examples that have any number of labels.

    Args:
        labels: the labels.
        predicted: whether each label is predicted, bool of shape [examples, labels].
        expected: whether each label is correct, of the same shape.
    """
    counts = [values.sum(axis=0).tolist() for values in (predicted & expected, expected, predicted)]
    scores = tuple(_score(*values) for values in zip(labels, *counts, strict=True))
    return ClassReport("examples", scores, None)


def report_entities(
    types: Sequence[str], predicted: Iterable[set[Entity]], correct: Iterable[set[Entity]]
) -> ClassReport:
    """Return the report of entities, which are found if their first and last word are right.

    Args:
        types: the types of entities.
        predicted: the predicted entities of each example.
        correct: the true entities of each example.
    """
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for found, wanted in zip(predicted, correct, strict=True):
        found_types, wanted_types = (
            {(first, last): name for name, first, last in entities} for entities in (found, wanted)
        )
        for place in found_types.keys() | wanted_types.keys():
            counts[wanted_types.get(place), found_types.get(place)] += 1
    order = {name: position for position, name in enumerate(types)}
    cells = sorted(
        (Cell(label, taken, count) for (label, taken), count in counts.items()),
        key=lambda cell: [
            order.get(name or "", len(order)) for name in (cell.label, cell.predicted)
        ],
    )
    return _report_cells("entities", types, cells)


def _report_cells(unit: str, labels: Sequence[str], cells: Sequence[Cell]) -> ClassReport:
    hits: Counter[str | None] = Counter()
    support: Counter[str | None] = Counter()
    predicted: Counter[str | None] = Counter()
    for cell in cells:
        support[cell.label] += cell.count
        predicted[cell.predicted] += cell.count
        if cell.label == cell.predicted:
            hits[cell.label] += cell.count
    scores = (_score(label, hits[label], support[label], predicted[label]) for label in labels)
    return ClassReport(unit, tuple(scores), tuple(cells))


def _score(label: str, hits: int, support: int, predicted: int) -> ClassScore:
    return ClassScore(
        label,
        hits / predicted if predicted else None,
        hits / support if support else None,
        2 * hits / (support + predicted) if support + predicted else None,
        support,
        predicted,
    )
