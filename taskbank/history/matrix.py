"""The matrix of all tasks' scores after each task was added, from the bank's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.history.continual import average_accuracy, backward_transfer, forgetting
from taskbank.kinds.metrics import orient


@dataclass(frozen=True)
class Matrix:
    """The scores of every task while others were added.

    Attributes:
        tasks: task names, in the order in which the tasks were first added.
        metrics: the metric of each task.
        added_at: when each task was first added, ISO 8601 in UTC.
        scores: R of shape [tasks, tasks]: `[i, j]` is the last recorded score of task j, in its
            newest version, before task i + 1 was added. It is NaN above the diagonal, where task
            j does not exist yet.
    """

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    added_at: tuple[str, ...]
    scores: np.ndarray

    def measures(self) -> dict[str, float | None]:
        """Return the measures of continual learning.

        Forward transfer is None because it is undefined: an untrained task makes no predictions.
        """
        if not self.tasks:
            names = ("average_accuracy", "backward_transfer", "forward_transfer", "forgetting")
            return dict.fromkeys(names)
        # The measures need scores for which higher is better.
        signs = np.array([orient(metric, 1.0) for metric in self.metrics])
        return {
            "average_accuracy": average_accuracy(self.scores * signs),
            "backward_transfer": backward_transfer(self.scores * signs),
            "forward_transfer": None,
            "forgetting": forgetting(self.scores * signs),
        }

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank history --matrix --json` prints."""
        rows = [[None if np.isnan(value) else float(value) for value in row] for row in self.scores]
        return {
            "tasks": list(self.tasks),
            "metrics": list(self.metrics),
            "added_at": list(self.added_at),
            "scores": rows,
            **self.measures(),
        }


def score_matrix(bank: Bank, tasks: Sequence[str] | None = None) -> Matrix:
    """Return the matrix of all recorded scores of a bank's tasks in use.

    If a verification did not predict a task because nothing had changed, its score stays the same.

    Args:
        bank: an open bank.
        tasks: only these tasks, as if there were no others; None means all.
    """
    records = bank.adapters(tasks=tasks)
    return matrix_of(records, recorded_scores(bank, records, tasks))


def matrix_of(
    records: Sequence[AdapterRecord], recorded: Sequence[tuple[str, str, int, float]]
) -> Matrix:
    """Return the matrix of adapters, given their scores as `recorded_scores` returns them."""
    added_at: dict[str, str] = {}
    metric: dict[str, str] = {}
    for record in records:
        added_at.setdefault(record.task, record.created_at)
        metric[record.task] = record.metric
    names = sorted(added_at, key=lambda task: (added_at[task], task))
    position = {task: number for number, task in enumerate(names)}
    scores = np.full((len(names), len(names)), np.nan)
    latest = np.full(len(names), np.nan)
    version_of_latest = dict.fromkeys(names, 0)
    row = 0
    for time, task, version, score in recorded:
        while row + 1 < len(names) and time >= added_at[names[row + 1]]:
            scores[row] = latest
            row += 1
        if version >= version_of_latest[task]:
            version_of_latest[task] = version
            latest[position[task]] = score
    scores[row:] = latest
    scores[np.triu_indices(len(names), k=1)] = np.nan
    return Matrix(
        tuple(names),
        tuple(metric[task] for task in names),
        tuple(added_at[task] for task in names),
        scores,
    )


def recorded_scores(
    bank: Bank, records: Sequence[AdapterRecord], tasks: Sequence[str] | None = None
) -> list[tuple[str, str, int, float]]:
    """Return the scores of adapters from when they were added and from every verification.

    Args:
        bank: an open bank.
        records: the adapters.
        tasks: their tasks, so that only verifications of these are read; None means all.

    Returns:
        time, task, version and score, in chronological order.
    """
    added = [(record.created_at, record.task, record.version, record.score) for record in records]
    # After a cross-validation, a verification observes train; the score moves as far as train does.
    offset = {
        (record.task, record.version): record.score - record.verified_score for record in records
    }
    scores = bank.verification_log.scores(tasks)
    verified = [
        (score.at, score.task, score.version, score.score + offset[score.task, score.version])
        for score in scores
        if (score.task, score.version) in offset
    ]
    return sorted(added + verified)
