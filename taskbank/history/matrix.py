"""The scores of all tasks after each one was added, from what the bank has recorded."""

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
    """How every task fared while others were added.

    Attributes:
        tasks: names, in the order in which they were first added.
        metrics: the metric of each.
        added_at: when each was first added.
        scores: R of shape [tasks, tasks]: `[i, j]` is the score of task j, in its newest
            version of that time, as it was last seen before task i + 1 was added. NaN above
            the diagonal: what is not added has no score.
    """

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    added_at: tuple[str, ...]
    scores: np.ndarray

    def measures(self) -> dict[str, float | None]:
        """Return the measures of continual learning.

        Forward transfer is none: an adapter is trained for its task alone, and before that the
        bank has nothing that could answer for it.
        """
        if not self.tasks:
            names = ("average_accuracy", "backward_transfer", "forward_transfer", "forgetting")
            return dict.fromkeys(names)
        # The measures want scores that are the better the higher they are.
        signs = np.array([orient(metric, 1.0) for metric in self.metrics])
        return {
            "average_accuracy": average_accuracy(self.scores * signs),
            "backward_transfer": backward_transfer(self.scores * signs),
            "forward_transfer": None,
            "forgetting": forgetting(self.scores * signs),
        }

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank history --matrix --json` prints."""
        rows = [[None if np.isnan(one) else float(one) for one in row] for row in self.scores]
        return {
            "tasks": list(self.tasks),
            "metrics": list(self.metrics),
            "added_at": list(self.added_at),
            "scores": rows,
            **self.measures(),
        }


def score_matrix(bank: Bank) -> Matrix:
    """Return the matrix of a bank: every task in use, and every score that was recorded of it.

    A verification that did not predict a task, as nothing had changed, leaves its score as it
    was.
    """
    records = bank.adapters()
    first: dict[str, str] = {}
    metric: dict[str, str] = {}
    for record in records:
        first.setdefault(record.task, record.created_at)
        metric[record.task] = record.metric
    tasks = sorted(first, key=lambda task: (first[task], task))
    place = {task: number for number, task in enumerate(tasks)}
    scores = np.full((len(tasks), len(tasks)), np.nan)
    now = np.full(len(tasks), np.nan)
    newest = dict.fromkeys(tasks, 0)
    row = 0
    for moment, task, version, score in scores_seen(bank, records):
        while row + 1 < len(tasks) and moment >= first[tasks[row + 1]]:
            scores[row] = now
            row += 1
        if version >= newest[task]:
            newest[task] = version
            now[place[task]] = score
    scores[row:] = now
    scores[np.triu_indices(len(tasks), k=1)] = np.nan
    return Matrix(
        tuple(tasks),
        tuple(metric[task] for task in tasks),
        tuple(first[task] for task in tasks),
        scores,
    )


def scores_seen(bank: Bank, records: Sequence[AdapterRecord]) -> list[tuple[str, str, int, float]]:
    """Return every score of some adapters, when they were added and whenever they were verified.

    Args:
        bank: an open bank.
        records: the adapters.

    Returns:
        moment, task, version and score, in order of time.
    """
    added = [(one.created_at, one.task, one.version, one.score) for one in records]
    wanted = {(one.task, one.version) for one in records}
    scores = bank.verification_log.scores()
    seen = [
        (one.at, one.task, one.version, one.score)
        for one in scores
        if (one.task, one.version) in wanted
    ]
    return sorted(added + seen)
