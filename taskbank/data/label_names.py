"""Names of classes that a data set stores as whole numbers from 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from taskbank.checks import check_text
from taskbank.data.fields import CLASS_TYPES, Field, preview
from taskbank.errors import InputError


def label_names_for(
    kind: str, label: Field, names: str | Sequence[str] | None
) -> tuple[str, ...] | None:
    """Return the names of the classes of a task; None if none are given.

    Args:
        kind: the name of the task's kind.
        label: the column to predict.
        names: as for `read_label_names`.

    Raises:
        InputError: as `read_label_names`, or if the task has no classes to name.
    """
    if names is not None and label.type not in CLASS_TYPES:
        raise InputError(
            f"label_names is given, but a task of kind {kind!r} has no classes to name: leave "
            "it out"
        )
    return None if names is None else read_label_names(names)


def read_label_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of classes, in the order of their numbers.

    Args:
        names: a list of names, a text of names with commas between them, or the path of a text
            file with one name per line.

    Raises:
        InputError: if the file cannot be read, or the names are not two or more different ones.
    """
    if isinstance(names, str):
        place = f"--label-names {names}"
        names = names.split(",") if "," in names else _lines(Path(names))
    else:
        place = "label_names"
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{place} is not a list of texts: {preview(list(names))}")
    stripped = tuple(check_text(name.strip(), "label name") for name in names)
    repeated = [name for name, count in Counter(stripped).items() if count > 1]
    if len(stripped) < 2 or not all(stripped):
        raise InputError(
            f"{place} has {len(stripped)} names, and {stripped.count('')} of them are empty: name "
            "every class, in the order of their numbers from 0"
        )
    if repeated:
        raise InputError(f"{place} has the name {preview(repeated[0])} twice: name each class once")
    return stripped


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(
            f"label names cannot be read from the file {preview(str(path))} ({error}): give names "
            "with commas between them, or a text file with one name per line"
        ) from None
