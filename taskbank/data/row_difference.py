"""What newly labelled data adds to the rows that a version was trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from taskbank.data.examples import Examples
from taskbank.data.row_digests import RowDigests, digests_of


@dataclass(frozen=True)
class RowDifference:
    """How new data differs from known rows; positions are those of new rows, from 0.

    Attributes:
        added: rows whose inputs are new.
        relabelled: rows whose inputs were trained on with other labels only.
        known: rows that were trained on.
        held_out: rows whose inputs are in the validation or test data; they are never trained on.
        contradicting: rows whose inputs have another label elsewhere in the new data.
        absent: number of the rows trained on that the new data does not have.
    """

    added: tuple[int, ...]
    relabelled: tuple[int, ...]
    known: tuple[int, ...]
    held_out: tuple[int, ...]
    contradicting: tuple[int, ...]
    absent: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing new to train on."""
        return not self.added and not self.relabelled


def row_difference(
    old: RowDigests, held_out: Collection[bytes], new: Examples, label: str
) -> RowDifference:
    """Compare newly labelled data with the rows that a version was trained on.

    Args:
        old: the rows that it was trained on.
        held_out: digests of the inputs of its validation and test data.
        new: the new data.
        label: the column to predict.
    """
    rows, inputs = {row.row for row in old.rows}, {row.inputs for row in old.rows}
    digests = digests_of(new, label)
    labels = defaultdict(set)
    for digest in digests:
        labels[digest.inputs].add(digest.row)
    sorted_out: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(digests):
        if digest.inputs in held_out:
            sorted_out["held_out"].append(position)
        elif digest.row in rows:
            sorted_out["known"].append(position)
        else:
            sorted_out["relabelled" if digest.inputs in inputs else "added"].append(position)
    return RowDifference(
        tuple(sorted_out["added"]),
        tuple(sorted_out["relabelled"]),
        tuple(sorted_out["known"]),
        tuple(sorted_out["held_out"]),
        tuple(i for i, digest in enumerate(digests) if len(labels[digest.inputs]) > 1),
        len(rows - {digest.row for digest in digests}),
    )


def divide(
    old: Examples, new: Examples, difference: RowDifference, label: str
) -> tuple[Examples, Examples]:
    """Return the known rows that stay, and the new ones that come; together they are the union.

    A relabelled row stays with its new label only.

    Args:
        old: the rows trained on, with the columns of the new ones.
        new: the new data.
        difference: how it differs from them.
        label: the column to predict.
    """
    digests = digests_of(new, label)
    replaced = {digests[row].inputs for row in difference.relabelled}
    stay = [row for row, own in enumerate(digests_of(old, label)) if own.inputs not in replaced]
    repeated = [row for row in difference.known if digests[row].inputs in replaced]
    come = sorted([*difference.added, *difference.relabelled, *repeated])
    return old.select(stay, old.origin), new.select(come, new.origin)


def join(parts: Sequence[Examples]) -> Examples:
    """Return the examples of several parts in one, in order."""
    columns = {
        name: tuple(value for part in parts for value in part.columns[name])
        for name in parts[0].columns
    }
    return Examples(columns, " and ".join(part.origin for part in parts))
