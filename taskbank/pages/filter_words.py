"""What the filter box offers while a condition is typed: fields, and values that they have.

Names of metrics, tags and options and all values are those of the newest versions, so that the
answer takes as long for a large bank as for a small one.
"""

from __future__ import annotations

from collections.abc import Iterator

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.runtime.visible_text import is_visible

NEWEST = 200  # tasks that are read
VALUES = 50  # of a field
FIELDS = 200
LONGEST = 80  # characters of a value
OFFERED = ("task", "kind", "method", "metric", "split")  # columns whose values are worth a list


def filter_words(bank: Bank) -> dict[str, Json]:
    """Return fields by type, and the values of fields that are text.

    Args:
        bank: an open bank.

    Returns:
        `fields`, an object of `number` or `text` by field, and `values`, an object of
        lists of texts by field.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    fields: dict[str, Json] = dict(bank.query_fields())
    values: dict[str, dict[str, None]] = {
        name: dict.fromkeys(plugins.names(group))
        for name, group in (("kind", "kinds"), ("method", "methods"))
    }
    for record in bank.current(sort="-added", limit=NEWEST):
        for name, value in _found(record):
            if name not in fields and (len(fields) >= FIELDS or not is_visible(name)):
                continue
            if isinstance(value, str):
                fields.setdefault(name, "text")
                known = values.setdefault(name, {})
                if len(known) < VALUES and len(value) <= LONGEST and is_visible(value):
                    known[value] = None
            elif isinstance(value, int | float) and not isinstance(value, bool):
                fields.setdefault(name, "number")
    return {
        "fields": fields,
        "values": {name: sorted(known) for name, known in values.items() if known},
    }


def _found(record: AdapterRecord) -> Iterator[tuple[str, Json]]:
    for name in OFFERED:
        yield name, getattr(record, name)
    for metric in record.metrics:
        yield f"metric.{metric.name}", metric.value
    for group, pairs in (
        ("tag", record.tags),
        ("training", record.training),
        ("options", record.options),
    ):
        for name, value in pairs.items():
            yield f"{group}.{name}", value
