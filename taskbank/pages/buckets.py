"""Sorts examples into buckets by how correct two answers to each are, and filters them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from taskbank.bank.records import AdapterRecord
from taskbank.pages.common_examples import Common
from taskbank.pages.shown_text import as_text

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

SHOWN_LABELS = 500  # labels to choose from
Bucket = Literal["regressed", "fixed", "wrong", "unchanged"]
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)


def buckets_of(
    kind: Kind,
    found: Common,
    one: AdapterRecord,
    other: AdapterRecord,
    before: np.ndarray,
    after: np.ndarray,
) -> np.ndarray:
    """Return the position in `BUCKETS` of each example's bucket.

    Args:
        kind: the kind of task.
        found: the examples with the predictions of both.
        one: the first version.
        other: the second one.
        before: how correct the first's answers are, of shape [examples].
        after: how correct the second's answers are, of shape [examples].
    """
    columns = found.examples.columns
    if kind.label.type == "number":
        # Numbers that are shown alike have not changed; a wrong number is never quite right.
        answers = [
            [answer["label"] for answer in kind.answers(predictions, columns, record.definition)]
            for predictions, record in ((found.before, one), (found.after, other))
        ]
        alike = np.array([a == b for a, b in zip(*answers, strict=True)]) | (before == after)
        return np.select([alike, after < before], [3, 0], 1)
    return np.select([after < before, after > before, after < 1], [0, 1, 2], 3)


def matching(kind: Kind, columns: Columns, wanted: str | None, text: str) -> np.ndarray:
    """Return which examples pass the filters, as a mask of shape [examples].

    Args:
        kind: the kind of task.
        columns: the examples' columns.
        wanted: the label that they must have; None means any.
        text: what their input must contain, in any letter case.
    """
    label = kind.label
    keep = np.ones(len(columns[label.name]), dtype=bool)
    if wanted is not None:
        several = label.type == "classes"
        keep &= np.array(
            [
                wanted in value if several else as_text(value) == wanted
                for value in columns[label.name]
            ]
        )
    part = text.casefold()
    if part:
        texts = [values for name, values in columns.items() if name != label.name]
        keep &= np.array(
            [
                any(part in as_text(value).casefold() for value in values)
                for values in zip(*texts, strict=True)
            ]
        )
    return keep


def labels_of(kind: Kind, columns: Columns) -> tuple[str, ...]:
    """Return the labels that examples have; none for a kind without classes."""
    values = columns[kind.label.name]
    if kind.label.type == "class":
        found = set(values)
    elif kind.label.type == "classes":
        found = {label for value in values for label in value}
    else:
        return ()
    return tuple(sorted(found)[:SHOWN_LABELS])
