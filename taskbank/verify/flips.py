"""Finds the examples whose answers differ between two sets of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.examples import Examples
from taskbank.digests import Json
from taskbank.kinds.abstention import withhold
from taskbank.kinds.definition import Definition
from taskbank.kinds.withheld import shown_label
from taskbank.verify.report import Effect, Flip

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

SHOWN_TEXT = 120  # characters of an example that a report shows


def flips_between(
    kind: Kind,
    examples: Examples,
    split: str,
    first: tuple[np.ndarray, Definition],
    second: tuple[np.ndarray, Definition],
    rows: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> tuple[Flip, ...]:
    """Return the examples whose answers differ between two sets of predictions.

    Args:
        kind: the task's kind.
        examples: the predicted examples.
        split: the split's name.
        first: the first predictions, and the definition that turns them into answers.
        second: the second predictions, and their definition.
        rows: positions of the examples that flipped; None means all whose answers differ.
        within: for each example, whether rounding explains its flip; None means that it explains
            no flip.
    """
    if rows is not None and not len(rows):
        return ()
    columns = examples.columns
    before, after = (
        [shown_label(withhold(answer, one[1])) for answer in kind.answers(one[0], columns, one[1])]
        for one in (first, second)
    )
    was, now = (kind.correctness(one, columns, definition) for one, definition in (first, second))
    if rows is None:
        rows = np.flatnonzero([one != other for one, other in zip(before, after, strict=True)])
    inputs = [values for name, values in columns.items() if name != kind.label.name]
    return tuple(
        Flip(
            split,
            int(row) + 1,
            _truncate(" | ".join(_to_text(values[row]) for values in inputs)),
            _truncate(_to_text(columns[kind.label.name][row])),
            _truncate(before[row]),
            _truncate(after[row]),
            _effect(was[row], now[row]),
            within is not None and bool(within[row]),
        )
        for row in rows
    )


def _effect(before: float, after: float) -> Effect:
    if before == after:
        return "neither"
    return "worse" if after < before else "better"


def _truncate(text: str) -> str:
    return text[:SHOWN_TEXT]


def _to_text(value: Json) -> str:
    """Return a value of an example as readable text."""
    if isinstance(value, dict):
        value = value["text"]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
