"""The matrix of tasks' scores after each one was added, as a table or as a heat map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskbank.history.matrix import Matrix
from taskbank.kinds.metrics import orient

TABLE = 12  # tasks whose scores are written out; more are a heat map
CELL = 6  # units of a cell of the heat map
LIMITS = (0.0005, 0.005, 0.01, 0.02, 0.05, 0.1)  # changes from which a colour is stronger
MEASURES = {
    "average_accuracy": "average score of all tasks now",
    "backward_transfer": "backward transfer: mean change since each task was added",
    "forgetting": "forgetting: mean drop from each task's best score",
}


@dataclass(frozen=True)
class Cell:
    """A score.

    Attributes:
        score: the score; None before the task was added.
        change: the score minus that right after the task was added.
        colour: `right-N` if it is better than then, `wrong-N` if it is worse, by strength; empty
            if it is the same.
    """

    score: float | None
    change: float
    colour: str


@dataclass(frozen=True)
class Run:
    """A part of a task's column in the heat map in which its score stays the same."""

    top: int
    height: int
    colour: str


@dataclass(frozen=True)
class Column:
    """A task's column in the heat map."""

    left: int
    text: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class MatrixView:
    """What is drawn of a matrix.

    Attributes:
        tasks: task names in the order in which the tasks were added.
        metrics: the metric of each task.
        measures: the measures of continual learning with their meaning.
        rows: the cells of each row, if there are few tasks.
        columns: the columns of the heat map, if there are many.
        side: of the heat map.
    """

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    measures: tuple[tuple[str, float], ...]
    rows: tuple[tuple[Cell, ...], ...]
    columns: tuple[Column, ...]
    side: int


def view_of(matrix: Matrix) -> MatrixView:
    """Return what is drawn of a matrix."""
    count = len(matrix.tasks)
    found = matrix.measures()
    measures = tuple(
        (text, value)
        for name, text in MEASURES.items()
        if (value := found[name]) is not None and np.isfinite(value)
    )
    numbers = range(count)
    few = count <= TABLE
    return MatrixView(
        matrix.tasks,
        matrix.metrics,
        measures,
        tuple(tuple(_cell(matrix, row, task) for task in numbers) for row in numbers if few),
        tuple(_column(matrix, task) for task in numbers if not few),
        count * CELL,
    )


def _cell(matrix: Matrix, row: int, task: int) -> Cell:
    score = float(matrix.scores[row, task])
    if np.isnan(score):
        return Cell(None, 0.0, "")
    change = score - float(matrix.scores[task, task])
    strength = sum(abs(change) >= limit for limit in LIMITS)
    better = orient(matrix.metrics[task], change) > 0
    return Cell(score, change, f"{'right' if better else 'wrong'}-{strength}" if strength else "")


def _column(matrix: Matrix, task: int) -> Column:
    runs: list[Run] = []
    for row in range(task, len(matrix.tasks)):
        colour = _cell(matrix, row, task).colour
        if runs and runs[-1].colour == colour:
            runs[-1] = Run(runs[-1].top, runs[-1].height + CELL, colour)
        else:
            runs.append(Run(row * CELL, CELL, colour))
    first, last = matrix.scores[task, task], matrix.scores[-1, task]
    text = f"{matrix.tasks[task]}: {first:.4f} when added, {last:.4f} now"
    return Column(task * CELL, text, tuple(runs))
