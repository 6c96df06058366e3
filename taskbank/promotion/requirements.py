"""What a version must fulfil before an alias names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from taskbank.bank.bank import Bank
from taskbank.bank.operators import OPERATIONS
from taskbank.errors import InputError, NotFoundError
from taskbank.promotion.diff import Diff, diff

# What a requirement may say of the difference to the version that the alias names now.
DIFFERENCES: dict[str, Callable[[Diff], float]] = {
    "negative_flips": lambda found: found.negative_flips,
    "positive_flips": lambda found: found.positive_flips,
    "flips": lambda found: len(found.flips),
    "drop": lambda found: found.drop,
    "p_value": lambda found: found.p_value,
}
DIFFERENCE = re.compile(
    rf"\s*({'|'.join(DIFFERENCES)})\s*(<=|>=|==|!=|<|>|=)\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*",
    re.IGNORECASE,
)


def unfulfilled(
    bank: Bank,
    ref: str,
    alias: str,
    requirements: Sequence[str],
    *,
    backbone: str | None = None,
    device: str | None = None,
) -> list[str]:
    """Return which requirements a version does not fulfil, with what it has instead.

    Args:
        bank: an open bank.
        ref: the version.
        alias: that is to name it; what it names now is what the version is compared with. Where
            it names nothing yet, there is nothing to be worse than.
        requirements: conditions of the query language, such as `metric.accuracy >= 0.9`, or on
            the difference, such as `negative_flips <= 3`: also `positive_flips`, `flips`, `drop`
            (of the metric) and `p_value` (of the drop).
        backbone: where to load the backbone from, if the older version has to predict.
        device: to compute on; none means the best there is.

    Raises:
        NotFoundError: if there is no such version.
        InputError: if a requirement does not parse.
    """
    record = bank[ref]
    parsed = [(text, DIFFERENCE.fullmatch(text)) for text in requirements]
    for text, difference in parsed:
        if difference is None:
            bank.check_query(text)  # raises before anything is compared
        else:
            _number(text, difference[3])
    found: list[str] = []
    change = None
    if any(difference for _, difference in parsed):
        now = found_ref(bank, f"{record.task}@{alias}")
        if now is not None and now != record.ref:
            change = diff(bank, now, record.ref, backbone=backbone, device=device)
    for text, difference in parsed:
        if difference is None:
            own = f"task = '{record.task}' and version = {record.version} and ({text})"
            if not bank.query(own, retired=True):
                found.append(f"{record.ref} does not fulfil {text}")
        elif change is not None:
            value = DIFFERENCES[difference[1].lower()](change)
            if not OPERATIONS[difference[2]](value, _number(text, difference[3])):
                name = difference[1].lower()
                found.append(
                    f"{record.ref} does not fulfil {text}: {name} against {change.first} is "
                    f"{value:g} on {change.examples:,} examples of split {change.split!r}"
                )
    return found


def _number(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise InputError(f"requirement {text!r}: {number!r} is no number") from None


def found_ref(bank: Bank, ref: str) -> str | None:
    """Return the full name of what a reference names; none if it names nothing."""
    try:
        return bank[ref].ref
    except NotFoundError:
        return None
