"""Label spaces: the classes of a task, checked and ordered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from taskbank.data.fields import preview
from taskbank.errors import DataError

WHOLE = re.compile(r"[+-]?\d{1,300}")
FRACTION = re.compile(
    r"[+-]?((\d+\.\d*|\.\d+)(e[+-]?\d+)?|\d+e[+-]?\d+|nan|inf|infinity)", re.IGNORECASE
)


MAX_UNIQUE_LABELS = 20  # above this number of rows, labels that are all different are not classes
MAX_LISTED_LABELS = 10  # labels that a message shows


def label_space(labels: Sequence[Any], origin: str) -> tuple[str, ...]:
    """Return the classes, sorted by number if all of them are whole numbers, else by name.

    Args:
        labels: the training data's labels.
        origin: the training data's source, for errors.

    Raises:
        DataError: if the labels are fractions, or all the same, or all different, or if two
            of them differ only in surrounding space.
    """
    classes = set(labels)
    if all(FRACTION.fullmatch(label) or WHOLE.fullmatch(label) for label in classes) and any(
        FRACTION.fullmatch(label) for label in classes
    ):
        fraction = next(label for label in labels if FRACTION.fullmatch(label))
        raise DataError(
            f"the labels of {origin} are fractions such as {fraction}, not classes: name another "
            "column with --label COL, write the classes as names or whole numbers, or use "
            "--kind regression"
        )
    if len(classes) == 1:
        raise DataError(
            f"every label of {origin} is {preview(labels[0])}: a task needs at least two classes"
        )
    if len(classes) == len(labels) > MAX_UNIQUE_LABELS:
        raise DataError(
            f"each of the {len(labels):,} rows of {origin} has a label of its own, such as "
            f"{preview(labels[0])}: name the column of classes with --label COL"
        )
    check_distinct(classes, origin)
    if all(WHOLE.fullmatch(label) for label in classes):
        return tuple(sorted(classes, key=lambda label: (int(label), label)))
    return tuple(sorted(classes))


def listed_labels(labels: Sequence[str]) -> str:
    """Return labels as messages list them, without those after the first ten."""
    shown = ", ".join(preview(label) for label in labels[:MAX_LISTED_LABELS])
    return shown + (", …" if len(labels) > MAX_LISTED_LABELS else "")


def check_distinct(classes: set[str], origin: str) -> None:
    """Raise if two class names differ only in surrounding space.

    Raises:
        DataError: naming both classes.
    """
    by_stripped_name: dict[str, str] = {}
    for label in sorted(classes):
        other = by_stripped_name.setdefault(label.strip(), label)
        if other != label:
            raise DataError(
                f"the labels {preview(other)} and {preview(label)} of {origin} differ only in "
                "the space around them: write them alike"
            )


def rarest(labels: Sequence[Sequence[str]]) -> list[str]:
    """Return each example's label with the fewest examples; empty if it has no labels.

    With whole label sets as strata, nearly every example would be its own stratum.
    """
    counts = Counter(label for example_labels in labels for label in set(example_labels))
    return [
        min(example_labels, key=lambda label: (counts[label], label), default="")
        for example_labels in labels
    ]
