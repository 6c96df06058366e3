"""Checks the requirements for promoting a version to an alias."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from taskbank.bank.bank import Bank
from taskbank.bank.operators import OPERATIONS
from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError, NotFoundError
from taskbank.promotion.diff import Diff, diff

# Values of the comparison with the alias's current version that a requirement can refer to.
DIFF_VALUES: dict[str, Callable[[Diff], float]] = {
    "negative_flips": lambda change: change.negative_flips,
    "positive_flips": lambda change: change.positive_flips,
    "flips": lambda change: len(change.flips),
    "drop": lambda change: change.drop,
    "p_value": lambda change: change.p_value,
}
DIFF_PATTERN = re.compile(
    rf"\s*({'|'.join(DIFF_VALUES)})\s*(<=|>=|==|!=|<|>|=)\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*",
    re.IGNORECASE,
)


def unmet_requirements(
    bank: Bank,
    ref: str,
    alias: str,
    requirements: Sequence[str],
    *,
    backbone: str | None = None,
    device: str | None = None,
) -> list[str]:
    """Return descriptions of the requirements that a version does not meet.

    Args:
        bank: an open bank.
        ref: the version to promote.
        alias: the alias that is to point at it. The version is compared with the one that the
            alias currently points at; if there is none, requirements on the difference are met.
        requirements: conditions of the query language, such as `metric.accuracy >= 0.9`, or
            conditions on the difference, such as `negative_flips <= 3`. The difference has the
            values `negative_flips`, `positive_flips`, `flips`, `drop` (of the metric) and
            `p_value` (of the drop).
        backbone: where to load the backbone from, if the current version has to predict; None
            means its recorded source.
        device: the device to compute on; None means the best available device.

    Raises:
        NotFoundError: if the version does not exist.
        InputError: if a requirement does not parse.
    """
    record = bank[ref]
    parsed = [(text, DIFF_PATTERN.fullmatch(text)) for text in requirements]
    for text, difference in parsed:
        if difference is None:
            bank.check_query(text)  # raises before anything is compared
            bank.check_query(_of_version(record, text))
        else:
            _parse_number(text, difference[3])
    unmet: list[str] = []
    change = None
    if any(difference for _, difference in parsed):
        current = find_ref(bank, f"{record.task}@{alias}")
        if current is not None and current != record.ref:
            change = diff(bank, current, record.ref, backbone=backbone, device=device)
    for text, difference in parsed:
        if difference is None:
            if not bank.query(_of_version(record, text), retired=True):
                unmet.append(f"{record.ref} does not meet {text}")
        elif change is not None:
            value = DIFF_VALUES[difference[1].lower()](change)
            if not OPERATIONS[difference[2]](value, _parse_number(text, difference[3])):
                name = difference[1].lower()
                unmet.append(
                    f"{record.ref} does not meet {text}: {name} against {change.first} is "
                    f"{value:g} on {change.examples:,} examples of split {change.split!r}"
                )
    return unmet


def _of_version(record: AdapterRecord, condition: str) -> str:
    """Return a query for a version if it meets a condition."""
    return f"task = '{record.task}' and version = {record.version} and ({condition})"


def _parse_number(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise InputError(f"requirement {text!r}: {number!r} is not a number") from None


def find_ref(bank: Bank, ref: str) -> str | None:
    """Return the full name of the adapter that a reference stands for; None if there is none."""
    try:
        return bank[ref].ref
    except NotFoundError:
        return None
