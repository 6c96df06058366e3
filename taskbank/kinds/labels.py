"""Label spaces: the classes of a task, checked and ordered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from taskbank.data.fields import shown
from taskbank.errors import DataError

if TYPE_CHECKING:
    pass

WHOLE = re.compile(r"[+-]?\d{1,300}")
FRACTION = re.compile(
    r"[+-]?((\d+\.\d*|\.\d+)(e[+-]?\d+)?|\d+e[+-]?\d+|nan|inf|infinity)", re.IGNORECASE
)


ALL_DIFFERENT = 20  # more rows than this, each with a label of its own, are no classes
MANY = 10  # labels that an error shows


def label_space(labels: Sequence[Any], origin: str) -> tuple[str, ...]:
    """Return the classes, sorted; as numbers if all of them are whole numbers.

    Args:
        labels: of the training data.
        origin: where they came from, for errors.

    Raises:
        DataError: if the labels are fractions, or all the same, or all different, or two
            of them look the same.
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
            f"every label of {origin} is {shown(labels[0])}: a task needs at least two classes"
        )
    if len(classes) == len(labels) > ALL_DIFFERENT:
        raise DataError(
            f"each of the {len(labels):,} rows of {origin} has a label of its own, such as "
            f"{shown(labels[0])}: name the column of classes with --label COL"
        )
    check_alike(classes, origin)
    if all(WHOLE.fullmatch(label) for label in classes):
        return tuple(sorted(classes, key=lambda label: (int(label), label)))
    return tuple(sorted(classes))


def check_alike(classes: set[str], origin: str) -> None:
    """Raise if two class names differ only in the space around them.

    Raises:
        DataError: naming both.
    """
    alike: dict[str, str] = {}
    for label in sorted(classes):
        other = alike.setdefault(label.strip(), label)
        if other != label:
            raise DataError(
                f"the labels {shown(other)} and {shown(label)} of {origin} differ only in "
                "the space around them: write them alike"
            )


def rarest(labels: Sequence[Sequence[str]]) -> list[str]:
    """Return the rarest label of each example, by the examples that have it; empty without any.

    All labels together would make a stratum of nearly every example.
    """
    counts = Counter(label for own in labels for label in set(own))
    return [min(own, key=lambda label: (counts[label], label), default="") for own in labels]
