"""The examples whose answer differs between two predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskbank.data.examples import Examples
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
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
    """Return the examples that two predictions answer otherwise.

    Args:
        kind: of the task.
        examples: that were predicted.
        split: its name.
        first: predictions, and the definition that says how they are read.
        second: the others.
        rows: positions of the examples that count; none means those with another answer.
        within: of each example, whether rounding explains it; none means of none.
    """
    if rows is not None and not len(rows):
        return ()
    columns = examples.columns
    before, after = (kind.answers(one, columns, how) for one, how in (first, second))
    was, now = (kind.correctness(one, columns, how) for one, how in (first, second))
    if rows is None:
        pairs = zip(before, after, strict=True)
        rows = np.flatnonzero([one["label"] != other["label"] for one, other in pairs])
    inputs = [values for name, values in columns.items() if name != kind.label.name]
    return tuple(
        Flip(
            split,
            int(row) + 1,
            _cut(" | ".join(_plain(values[row]) for values in inputs)),
            _cut(_plain(columns[kind.label.name][row])),
            _cut(before[row]["label"]),
            _cut(after[row]["label"]),
            _effect(was[row], now[row]),
            within is not None and bool(within[row]),
        )
        for row in rows
    )


def _effect(before: float, after: float) -> Effect:
    if before == after:
        return "neither"
    return "worse" if after < before else "better"


def _cut(text: str) -> str:
    return text[:SHOWN_TEXT]


def _plain(value: Json) -> str:
    """Return a value of an example as text for people."""
    if isinstance(value, dict):
        value = value["text"]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
