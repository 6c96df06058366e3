"""Finds how a file of separated values is written, and divides it into rows."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from io import StringIO

from taskbank.data.formats.tsv_quotes import find_quote
from taskbank.data.remarks import remark
from taskbank.data.style import NO_QUOTE, Style
from taskbank.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "pipes", " ": "spaces"}


@dataclass(frozen=True)
class Dialect:
    """How a file of separated values is written.

    Attributes:
        delimiter: the character between two values.
        quote: the character around values; None means that quotes are part of the values.
    """

    delimiter: str
    quote: str | None


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
        line: the number of the line on which the row begins.
        values: the values.
    """

    line: int
    values: list[str]

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in the row but space."""
        return not any(value.strip() for value in self.values)

    def fits(self, width: int) -> bool:
        """Return whether the row has a number of values, apart from blank ones at its end."""
        values = self.values
        return len(values) >= width and not any(value.strip() for value in values[width:])


def find_dialect(source: str, text: str, usual: Dialect, style: Style) -> Dialect:
    """Return how a text is written, and say it if it is not as its format is usually written.

    Args:
        source: the text's source, for errors.
        text: the text, which is not blank.
        usual: how the format is usually written.
        style: what the user said about the file.

    Raises:
        DataError: if quotes can be read in two ways, and nothing shows which is right.
    """
    dialect = replace(usual, delimiter=style.separator or usual.delimiter)
    if style.quote is not None:
        dialect = replace(dialect, quote=None if style.quote == NO_QUOTE else style.quote)
    if style.separator is None:
        dialect = _find_delimiter(source, text, dialect, style)
    if style.quote is None and dialect == Dialect("\t", None):
        return replace(dialect, quote=find_quote(source, text))
    return dialect


def split_rows(source: str, text: str, dialect: Dialect) -> list[Row]:
    """Return the rows of a text.

    Raises:
        DataError: if a quote is never closed, or something follows a closing quote.
    """
    # Python's reader instead of pyarrow's, which reads an unclosed quote as one long value and
    # silently drops the rows after it.
    reader = csv.reader(
        StringIO(text, newline=""),
        strict=True,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        quoting=csv.QUOTE_NONE if dialect.quote is None else csv.QUOTE_MINIMAL,
    )
    rows, first_line = [], 1
    limit = csv.field_size_limit(len(text) + 1)
    try:
        for values in reader:
            rows.append(Row(first_line, values))
            first_line = reader.line_num + 1
    except csv.Error as error:
        quote = dialect.quote or '"'
        reason = "a quote is never closed" if "end of data" in str(error) else str(error)
        raise DataError(
            f"{source} cannot be read: {reason}, in the row that begins on line {first_line}; "
            f"write a quote in a value twice, as in {quote}say {quote * 2}no{quote * 3}, or add "
            f"--quote {NO_QUOTE} if quotes are part of the texts"
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows


def _find_delimiter(source: str, text: str, dialect: Dialect, style: Style) -> Dialect:
    """Return the dialect with the only delimiter that divides all rows alike."""
    first_line = text.lstrip("\r\n").splitlines()[0]
    if dialect.delimiter in first_line:
        return dialect
    width = None if style.names is None else len(style.names)
    fitting = []
    for delimiter in DELIMITERS:
        if delimiter not in first_line:
            continue
        other = Dialect(delimiter, dialect.quote or '"')
        try:
            rows = [row for row in split_rows(source, text, other) if not row.is_blank]
        except DataError:
            continue
        columns = width or len(rows[0].values)
        if columns > 1 and all(row.fits(columns) for row in rows):
            fitting.append(other)
    if len(fitting) != 1:
        return dialect
    name = NAMES[fitting[0].delimiter]
    remark(f"{source} is read as values between {name} (--delimiter says otherwise)")
    return fitting[0]
