"""A table of labelled text, whose columns are read when they are asked for.

Every format gives one. What nobody asks for is not read, so it can neither be refused nor fill the
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from taskbank.data.fields import PREVIEW_LENGTH, preview
from taskbank.data.remarks import remark
from taskbank.errors import DataError

MAX_LISTED_COLUMNS = 20  # number of columns that an error lists
# What pyarrow and Python raise for damaged files, which may ask for any amount of memory.
READING_ERRORS = (
    pa.ArrowException,
    OSError,
    UnicodeError,
    RecursionError,
    OverflowError,
    MemoryError,
)


def _none(_name: str) -> None:
    return None


def _never(_name: str) -> bool:
    return False


@dataclass(frozen=True)
class Table:
    """The columns of a source.

    Attributes:
        origin: the source, for errors.
        names: the names of the columns, in order; a name may occur twice.
        rows: number of rows.
        read: returns the values of a column that occurs once, or of a nested field.
        class_names: returns the names of the classes that a column of whole numbers stands for,
            or None if the source has none.
        has_nested: returns whether there is a nested field of a dotted name, such as `data.text`.
        blank: the lines of blank rows, which are left out, except those at the end.
        is_lines: whether the source has lines of text instead of columns.
    """

    origin: str
    names: Sequence[str]
    rows: int
    read: Callable[[str], pa.ChunkedArray]
    class_names: Callable[[str], tuple[str, ...] | None] = _none
    has_nested: Callable[[str], bool] = _never
    blank: Sequence[int] = ()
    is_lines: bool = False

    def find(self, name: str) -> str | None:
        """Return the column that a name means, or None.

        It is the column of exactly this name; else the nested field; else the only column whose
        name differs in upper case, in the space around it or in invisible characters.

        Raises:
            DataError: if there is more than one column of this name.
        """
        count = self.names.count(name)
        if count > 1:
            raise DataError(
                f"{self.origin} has more than one column {preview(name)}: {self.listed_names()}; "
                "rename one"
            )
        if count == 1 or self.has_nested(name):
            return name
        alike = [column for column in self.names if _plain(column) == _plain(name) != ""]
        return alike[0] if len(alike) == 1 else None

    def has(self, name: str) -> bool:
        """Return whether a name means a column."""
        return name in self.names or self.find(name) is not None

    def column(self, name: str, option: str) -> pa.ChunkedArray:
        """Return the values of the column that a name means.

        Args:
            name: the column's name.
            option: the command-line option that names another column.

        Raises:
            DataError: if there is no such column, or its values are damaged.
        """
        found = self.find(name)
        if found is None:
            raise DataError(
                f"{self.origin} has no column {preview(name)}; its columns are "
                f"{self.listed_names()}. Name the right one with {option} COL"
            )
        if found != name:
            remark(f"the column {preview(found)} of {self.origin} is read as {preview(name)}")
        with explained(f"column {preview(found)} of {self.origin} is damaged"):
            column = self.read(found)
            column.validate(full=True)  # reading checks neither UTF-8 nor value offsets
        if len(column) != self.rows:
            raise DataError(
                f"column {preview(found)} of {self.origin} is damaged: it has {len(column):,} "
                f"values, but the file has {self.rows:,} rows"
            )
        return column

    def listed_names(self) -> str:
        """Return the names of the columns for an error, quoted where space or signs would hide."""
        listed = ", ".join(
            column if _is_plain(column) else preview(column)
            for column in self.names[:MAX_LISTED_COLUMNS]
        )
        return listed + (", …" if len(self.names) > MAX_LISTED_COLUMNS else "")


def _plain(name: str) -> str:
    return "".join(sign for sign in name if sign.isprintable()).strip().casefold()


def _is_plain(name: str) -> bool:
    return name.isprintable() and 0 < len(name) <= PREVIEW_LENGTH and name == name.strip()


@contextmanager
def explained(problem: str) -> Iterator[None]:
    """Raise errors of the libraries that read files as errors of the data.

    Args:
        problem: what cannot be read, for the message.

    Raises:
        DataError: with the problem and the library's reason.
    """
    try:
        yield
    except READING_ERRORS as error:
        raise DataError(f"{problem}: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
