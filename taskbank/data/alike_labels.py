"""Finds classes that only look different, in all splits of a task together.

Labels that are equal but for invisible characters, space or Unicode's forms are refused: nobody can
see which is meant. Labels that differ only in letter case, or are the same number, are reported, or
merged on request.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

from taskbank.data.examples import Examples
from taskbank.data.fields import CLASS_TYPES, Field
from taskbank.data.normal_text import escaped, visible_text
from taskbank.data.remarks import remark
from taskbank.digests import Json
from taskbank.errors import DataError

NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d*)?|\.\d{1,300})")
LISTED = 5  # groups of labels that a remark lists

Labels = dict[str, str]  # the place of each label's first row, by label


def check_alike(
    given: Mapping[str, Examples], field: Field, *, merge: bool
) -> Mapping[str, Examples]:
    """Return the examples, with labels merged if that is requested.

    Args:
        given: the examples by role; the first are those of train.
        field: the column to predict; a column without classes is left alone.
        merge: whether to replace labels that differ only in letter case, or are the same number,
            by the most common of them in train.

    Raises:
        DataError: if two labels cannot be told apart, or a label cannot be seen; naming the rows,
            with the characters escaped. Also if a label of another split differs from one of train
            only in letter case or as a number, unless they are merged.
    """
    if field.type not in CLASS_TYPES:
        return given
    first = _first_places(given.values(), field)
    _refuse_equal(first)
    groups = _alike(first)
    if not groups:
        return given
    counts = Counter(label for _, label in _labels(next(iter(given.values())), field))
    if not merge:
        _report(groups, first, counts)
        return given
    spelling: dict[str, str] = {}
    for group in groups:
        chosen = max(group, key=counts.__getitem__)  # the first of equally common ones
        spelling |= dict.fromkeys(group, chosen)
        others = ", ".join(escaped(label) for label in group if label != chosen)
        remark(f"the labels {others} are read as {escaped(chosen)}")
    return {role: _respelled(examples, field, spelling) for role, examples in given.items()}


def match_labels(
    examples: Examples, field: Field, labels: Sequence[str], *, merge: bool
) -> Examples:
    """Return newly labelled examples with the labels of a task.

    A label that the task does not have, and that resembles none it has, is left alone.

    Args:
        examples: the examples.
        field: the column of the labels; a column without classes is left alone.
        labels: the task's labels.
        merge: whether to replace a label that the task does not have by its only label that
            differs in letter case alone, or is the same number.

    Raises:
        DataError: if there is such a label and it is not to be replaced, or if a label differs from
            the task's only in invisible characters, space or the form of Unicode.
    """
    if field.type not in CLASS_TYPES:
        return examples
    alike = _by_alike_key(labels)
    spelling: dict[str, str] = {}
    for label, place in _first_places([examples], field).items():
        known = alike.get(_alike_key(label), [])
        if label in known or len(known) != 1:
            continue
        if visible_text(label) == visible_text(known[0]):
            raise DataError(
                f"{place} has the label {escaped(label)}, and the task has {escaped(known[0])}, "
                "which looks the same: write them alike"
            )
        if not merge:
            raise _unmerged(place, label, "the task", known[0])
        remark(f"the label {escaped(label)} is read as {escaped(known[0])}")
        spelling[label] = known[0]
    return _respelled(examples, field, spelling) if spelling else examples


def new_labels(examples: Examples, field: Field, labels: Sequence[str]) -> list[str]:
    """Return the labels of examples that a task does not have, in the order of their first rows.

    Args:
        examples: the examples.
        field: the column of the labels; a column without classes has none.
        labels: the task's labels.
    """
    if field.type not in CLASS_TYPES:
        return []
    return [label for label in _first_places([examples], field) if label not in labels]


def _first_places(given: Iterable[Examples], field: Field) -> Labels:
    first: Labels = {}
    for examples in given:
        for row, label in _labels(examples, field):
            if label not in first:
                first[label] = f"row {row:,} of {examples.origin}"
    return first


def _labels(examples: Examples, field: Field) -> Iterator[tuple[int, str]]:
    """Yield the row, from 1, and each label of all examples."""
    for row, value in enumerate(examples.columns[field.name], start=1):
        for label in [value] if isinstance(value, str) else value:
            yield row, label


def _refuse_equal(first: Labels) -> None:
    for label, place in first.items():
        if not visible_text(label):
            raise DataError(
                f"{place} has the label {escaped(label)}, which cannot be seen: correct it, or "
                "leave the row out"
            )
    for one, other in _groups(first, visible_text):
        reason = "invisible characters or in the form of Unicode"
        if one.strip() == other.strip():
            reason = "the space around them"
        raise DataError(
            f"the labels {escaped(one)} ({first[one]}) and {escaped(other)} ({first[other]}) "
            f"differ only in {reason}: write them alike"
        )


def _alike(first: Labels) -> list[list[str]]:
    """Return the groups of labels that differ only in letter case, or are the same number."""
    return [labels for labels in _by_alike_key(first).values() if len(labels) > 1]


def _by_alike_key(labels: Iterable[str]) -> Mapping[Hashable, list[str]]:
    members: dict[Hashable, list[str]] = defaultdict(list)
    for label in labels:
        members[_alike_key(label)].append(label)
    return members


def _alike_key(label: str) -> Hashable:
    text = visible_text(label).casefold()
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _groups(first: Labels, key: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of labels with equal keys."""
    seen: dict[str, str] = {}
    for label in first:
        other = seen.setdefault(key(label), label)
        if other != label:
            yield other, label


def _report(groups: list[list[str]], first: Labels, counts: Mapping[str, int]) -> None:
    """Report labels that are alike; raise if one of them is missing in train."""
    for group in groups:
        known = [label for label in group if counts[label]]
        for label in group:
            if known and not counts[label]:
                raise _unmerged(first[label], label, "train", known[0])
    listed = "; ".join(
        ", ".join(f"{escaped(label)} ({first[label]})" for label in group)
        for group in groups[:LISTED]
    )
    more = f"; and {len(groups) - LISTED:,} more" if len(groups) > LISTED else ""
    remark(
        f"labels that differ only in letter case, or are the same number, are different classes: "
        f"{listed}{more}; --merge-labels counts them as one"
    )


def _unmerged(place: str, label: str, owner: str, known: str) -> DataError:
    return DataError(
        f"{place} has the label {escaped(label)}, and {owner} has {escaped(known)}, which differs "
        f"only {_difference(label, known)}: write them alike, or merge them with --merge-labels"
    )


def _difference(one: str, other: str) -> str:
    same = visible_text(one).casefold() == visible_text(other).casefold()
    return "in letter case" if same else "in how the number is written"


def _respelled(examples: Examples, field: Field, spelling: Mapping[str, str]) -> Examples:
    def respelled(value: Json) -> Json:
        if isinstance(value, str):
            return spelling.get(value, value)
        labels = [spelling.get(label, label) for label in value]
        return labels if field.type == "tags" else list(dict.fromkeys(labels))

    column = tuple(respelled(value) for value in examples.columns[field.name])
    return Examples({**examples.columns, field.name: column}, examples.origin)
