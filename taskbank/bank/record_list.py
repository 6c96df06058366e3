"""A list of adapter records that sorts, filters and tabulates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from taskbank.bank.records import SUMMARY_FIELDS, AdapterRecord
from taskbank.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import pandas


class Records(tuple[AdapterRecord, ...]):
    """An immutable sequence of adapter records that sorts, filters and tabulates."""

    __slots__ = ()

    def sort(self, by: str, *, descending: bool = False) -> Records:
        """Return the records ordered by one field.

        Args:
            by: the field's name, such as `score` or `created_at`.
            descending: whether the largest value comes first.

        Raises:
            InputError: if records cannot be sorted by that field.
        """
        if by not in SUMMARY_FIELDS:
            raise InputError(
                f"records cannot be sorted by {by!r}: use one of {', '.join(SUMMARY_FIELDS)}"
            )
        return Records(sorted(self, key=lambda record: getattr(record, by), reverse=descending))

    def filter(self, keep: Callable[[AdapterRecord], bool]) -> Records:
        """Return the records for which `keep` returns true, in the same order."""
        return Records(record for record in self if keep(record))

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame with one row per adapter.

        Its columns are the record's fields, `metric.*`, `tag.*`, `training.*` and `options.*`.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise MissingExtraError(
                "a data frame needs pandas: install it with pip install 'taskbank[pandas]'"
            ) from None
        return pandas.DataFrame.from_records([_flatten(record) for record in self])


def _flatten(record: AdapterRecord) -> dict[str, Any]:
    groups: Iterable[tuple[str, Iterable[tuple[str, Any]]]] = (
        ("metric", ((f"{m.split}.{m.name}", m.value) for m in record.metrics)),
        ("tag", record.tags.items()),
        ("training", record.training.items()),
        ("options", record.options.items()),
    )
    return record.summary() | {
        f"{group}.{name}": value for group, pairs in groups for name, value in pairs
    }
