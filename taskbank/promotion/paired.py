"""How much better or worse answers are than others to the same examples, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.records import AdapterRecord
from taskbank.data.examples import Examples
from taskbank.errors import DataError
from taskbank.kinds.intervals import Interval, Z
from taskbank.verify.statistics import mcnemar, paired_permutation

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


@dataclass(frozen=True)
class Paired:
    """How the correctness of answers differs from that of others to the same examples.

    Attributes:
        examples: number of examples.
        before: the mean correctness of the first answers; for numbers, the negated mean error.
        after: that of the second answers.
        worse: number of examples whose second answer is less correct.
        better: number of examples whose second answer is more correct.
        interval: the 95 % interval of the difference.
        p_value: the two-sided p-value of the difference: twice the one-sided one of a
            verification, in the direction of the difference.
    """

    examples: int
    before: float
    after: float
    worse: int
    better: int
    interval: Interval
    p_value: float

    @property
    def difference(self) -> float:
        """How much more correct the second answers are; negative if they are less."""
        return self.after - self.before


def paired(before: np.ndarray, after: np.ndarray) -> Paired:
    """Compare the correctness of answers with that of others to the same examples.

    Args:
        before: the correctness of the first answers, as `Kind.correctness` returns it; not empty.
        after: that of the second answers, of the same shape.
    """
    worse, better = int((after < before).sum()), int((after > before).sum())
    rises = after.mean() >= before.mean()
    one_sided = correctness_p_value(after, before) if rises else correctness_p_value(before, after)
    return Paired(
        len(before),
        float(before.mean()),
        float(after.mean()),
        worse,
        better,
        _interval(before, after),
        min(1.0, 2 * one_sided),
    )


def correctness_p_value(before: np.ndarray, after: np.ndarray) -> float:
    """Return the one-sided p-value of a drop in the correctness of answers.

    Args:
        before: the correctness of the first answers.
        after: that of the second answers.
    """
    worse, improved = int((after < before).sum()), int((after > before).sum())
    if _is_binary(before, after):
        return mcnemar(worse, improved)
    changes = (after - before)[after != before]
    return paired_permutation(len(changes), lambda now: np.asarray(now @ changes))


def comparable_rows(kind: Kind, record: AdapterRecord, examples: Examples) -> list[int]:
    """Return the positions of the examples whose labels an adapter has.

    Args:
        kind: the task's kind.
        record: the adapter.
        examples: the examples, perhaps of another task.
    """

    def has_answer(columns: dict[str, tuple[object, ...]]) -> bool:
        try:
            kind.check(columns, record.definition, "split")
        except DataError:
            return False
        return True

    if has_answer(dict(examples.columns)):
        return list(range(len(examples)))
    return [
        row
        for row in range(len(examples))
        if has_answer({name: (values[row],) for name, values in examples.columns.items()})
    ]


def _is_binary(before: np.ndarray, after: np.ndarray) -> bool:
    return set(np.unique(before)) | set(np.unique(after)) <= {0.0, 1.0}


def _interval(before: np.ndarray, after: np.ndarray) -> Interval:
    """Return the 95 % interval of the difference of two means over the same examples.

    For shares it is that of A. Agresti and Y. Min, "Simple improved confidence intervals for
    comparing matched proportions", Statistics in Medicine 24 (2005), which adds half an example to
    each of the four combinations of right and wrong.
    """
    count = len(before)
    if _is_binary(before, after):
        better, worse = int((after > before).sum()) + 0.5, int((after < before).sum()) + 0.5
        middle = (better - worse) / (count + 2)
        half = Z * sqrt(better + worse - (better - worse) ** 2 / (count + 2)) / (count + 2)
        return max(-1.0, middle - half), min(1.0, middle + half)
    changes = after - before
    half = Z * float(changes.std(ddof=1)) / sqrt(count) if count > 1 else float("inf")
    return float(changes.mean()) - half, float(changes.mean()) + half
