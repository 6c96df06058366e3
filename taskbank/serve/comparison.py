"""Compares the answers of a shadow with those that were given, on live inputs without labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

from taskbank.digests import Json
from taskbank.kinds.intervals import wilson
from taskbank.serve.job import Job
from taskbank.serve.prediction import Prediction

CLOSE = 0.05  # a probability that moves less than this counts as close
KEPT = 10_000  # pairs of versions


@dataclass
class Comparison:
    """How the answers of two versions of a task differ on the same live inputs.

    Attributes:
        task: the task.
        version: the version that answered.
        shadow: the version that was computed beside it.
        rows: number of compared inputs.
        agreeing: number of inputs with equal labels.
        close: number of inputs whose probabilities moved by less than 0.05.
        moved: sum over the inputs of the largest change of a probability; for a number, of the
            change of the number; for answers without probabilities, of the change of the score.
        most_moved: the largest such change.
    """

    task: str
    version: int
    shadow: int
    rows: int = 0
    agreeing: int = 0
    close: int = 0
    moved: float = 0.0
    most_moved: float = 0.0

    def to_json(self) -> dict[str, Json]:
        """Return the comparison with the share of equal labels and its 95 % interval."""
        agreement = self.agreeing / self.rows
        low, high = wilson(agreement, self.rows)
        return {
            "task": self.task,
            "version": self.version,
            "shadow": self.shadow,
            "rows": self.rows,
            "agreement": agreement,
            "agreement_low": low,
            "agreement_high": high,
            "mean_moved": self.moved / self.rows,
            "most_moved": self.most_moved,
            "close": self.close,
        }


class Comparisons:
    """All comparisons of a server. It is thread-safe."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int], Comparison] = {}
        self._lock = Lock()

    def add(self, given: Job, shadow: Job) -> int:
        """Compare the predictions of a job with those of its shadow.

        Returns:
            the number of inputs with equal labels.
        """
        task, pair = given.record.task, (given.record.version, shadow.record.version)
        pairs = list(zip(given.predictions, shadow.predictions, strict=True))
        agreeing = sum(one.label == other.label for one, other in pairs)
        moves = [_move(one, other) for one, other in pairs]
        with self._lock:
            if len(self._found) >= KEPT:
                self._found.clear()
            found = self._found.setdefault((task, *pair), Comparison(task, *pair))
            found.rows += len(pairs)
            found.agreeing += agreeing
            found.close += sum(move < CLOSE for move in moves)
            found.moved += sum(moves)
            found.most_moved = max(found.most_moved, *moves)
        return agreeing

    def of(self, task: str) -> list[dict[str, Json]]:
        """Return the comparisons of a task's versions as JSON."""
        with self._lock:
            return [one.to_json() for one in self._found.values() if one.task == task]


def _move(given: Prediction, shadow: Prediction) -> float:
    """Return the largest change of a number between two predictions of one input."""
    before, after = dict(_numbers(given)), dict(_numbers(shadow))
    names = before.keys() | after.keys()
    return max((abs(before.get(name, 0.0) - after.get(name, 0.0)) for name in names), default=0.0)


def _numbers(prediction: Prediction) -> Iterator[tuple[str, float]]:
    probabilities = prediction.details.get("probabilities")
    if isinstance(probabilities, Mapping):
        yield from probabilities.items()
    else:
        yield "score", float(prediction.score)
