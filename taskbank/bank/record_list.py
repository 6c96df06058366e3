"""A list of adapter records that sorts, filters and tabulates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from taskbank.bank.records import SUMMARY, AdapterRecord
from taskbank.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import pandas


class Records(tuple[AdapterRecord, ...]):
    """Adapters as a bank gave them: an immutable sequence that sorts, filters and tabulates."""

    __slots__ = ()

    def sort(self, by: str, *, descending: bool = False) -> Records:
        """Return the records ordered by one field.

        Args:
            by: a field such as `score` or `created_at`.
            descending: largest first.

        Raises:
            InputError: if a record has no such field, or its values cannot be ordered.
        """
        if by not in SUMMARY:
            raise InputError(f"records cannot be sorted by {by!r}: use one of {', '.join(SUMMARY)}")
        return Records(sorted(self, key=lambda record: getattr(record, by), reverse=descending))

    def filter(self, keep: Callable[[AdapterRecord], bool]) -> Records:
        """Return the records for which a function is true, in the same order."""
        return Records(record for record in self if keep(record))

    def to_pandas(self) -> pandas.DataFrame:
        """Return a frame with a row an adapter: fields, `metric.*`, `tag.*` and `training.*`.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise MissingExtraError(
                "a frame needs pandas: install it with pip install 'taskbank[pandas]'"
            ) from None
        return pandas.DataFrame.from_records([_flat(record) for record in self])


def _flat(record: AdapterRecord) -> dict[str, Any]:
    groups: Iterable[tuple[str, Iterable[tuple[str, Any]]]] = (
        ("metric", ((f"{m.split}.{m.name}", m.value) for m in record.metrics)),
        ("tag", record.tags.items()),
        ("training", record.training.items()),
        ("options", record.options.items()),
    )
    return record.summary() | {
        f"{group}.{name}": value for group, pairs in groups for name, value in pairs
    }
