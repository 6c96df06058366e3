"""Decides whether a .tsv file has quotes around its values, or quotes that are part of its texts.

Programs for tables write quotes as in CSV, while data sets such as GLUE write texts as they are,
quotes included. Reading one sort as the other changes every text with a quote, so the file itself
must show its sort:

- A value that begins with a quote and goes on after the closing one shows that quotes are text.
- Rows that have equally many values only if quotes may surround tabs and line ends show that quotes
  surround values.
- A program puts quotes around those values that need them (because of a quote or, in Excel, a
  comma), around all values, or around all values of some columns. A rule that explains every value
  shows that quotes surround values.

If nothing shows it, or two values show different sorts, the user has to say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taskbank.data.fields import preview
from taskbank.data.remarks import remark
from taskbank.data.style import NO_QUOTE
from taskbank.errors import DataError

QUOTE = '"'
MISSING = ("", "NA")  # written without quotes even in columns of values in quotes
LINE_END = re.compile(r"\r\n|\r|\n")
# A value in quotes, in which two quotes stand for one, or any other value.
CELL = re.compile(r'"((?:[^"]|"")*+)"(?=[\t\r\n]|\Z)|([^\t\r\n]*)')
LEADING_QUOTE = re.compile(r'(?:^|[\t\r\n])"')


@dataclass(frozen=True)
class Cell:
    """A value of a file.

    Attributes:
        value: the value, without the quotes around it.
        quoted: whether there are quotes around it.
    """

    value: str
    quoted: bool

    @property
    def is_malformed(self) -> bool:
        """Whether the value begins with a quote, but is not in quotes."""
        return not self.quoted and self.value.startswith(QUOTE)


Rows = Sequence[Sequence[Cell]]


def find_quote(source: str, text: str) -> str | None:
    """Return the quote around the values of a text, or None if quotes are part of its texts.

    Args:
        source: the text's source, for errors.
        text: rows of values between tabs.

    Raises:
        DataError: if nothing shows it, or two values show different sorts.
    """
    if LEADING_QUOTE.search(text) is None:
        return None
    plain, quoted = list(_plain_rows(text)), list(_quoted_rows(text))
    malformed = [cell for row in plain for cell in row if cell.is_malformed]
    escaped = [cell for row in plain for cell in row if cell.quoted and QUOTE in cell.value]
    fits_plain = _is_even(plain)
    fits_quoted = _is_even(quoted) and not any(cell.is_malformed for row in quoted for cell in row)
    if fits_plain and malformed and escaped:
        raise _ambiguous(source, escaped[0], malformed[0])
    if fits_plain and fits_quoted and not _is_explained(quoted):
        in_quotes = next(cell for row in quoted for cell in row if cell.quoted)
        bare = (cell for row in quoted[1:] for cell in row if not cell.quoted)
        raise _ambiguous(source, in_quotes, next(bare, None))
    if fits_quoted or (escaped and not fits_plain):
        remark(
            f"{source} is read with quotes around values (--quote {NO_QUOTE} reads quotes as text)"
        )
        return QUOTE
    remark(
        f"{source} is read with quotes as part of the texts (--quote '{QUOTE}' reads quotes around "
        "values)"
    )
    return None


def _plain_rows(text: str) -> Iterator[list[Cell]]:
    """Yield the rows of a text if quotes surround neither tabs nor line ends."""
    for line in LINE_END.split(text):
        if line.strip():
            yield [_cell(CELL.fullmatch(value)) for value in line.split("\t")]


def _quoted_rows(text: str) -> Iterator[list[Cell]]:
    """Yield the rows of a text if quotes surround values, which may have tabs and line ends."""
    row: list[Cell] = []
    place = 0
    while place <= len(text):
        match = CELL.match(text, place)
        row.append(_cell(match))
        place = match.end() if match is not None else len(text)
        if not text.startswith("\t", place):
            if len(row) > 1 or row[0].quoted or row[0].value.strip():
                yield row
            row = []
            place += text.startswith("\r\n", place)
        place += 1


def _cell(match: re.Match[str] | None) -> Cell:
    if match is None:
        return Cell("", quoted=False)
    if match[1] is None:
        return Cell(match[2], quoted=False)
    return Cell(match[1].replace(QUOTE * 2, QUOTE), quoted=True)


def _is_even(rows: Rows) -> bool:
    """Return whether every row has as many values as the first, apart from blank ones."""
    width = len(rows[0])
    return all(
        len(row) >= width and not any(cell.value.strip() for cell in row[width:]) for row in rows
    )


def _is_explained(rows: Rows) -> bool:
    """Return whether a rule by which programs write quotes explains every value.

    The rows have no tabs and line ends in quotes, or they would not be even without quotes, too.
    """
    cells = [cell for row in rows for cell in row]
    if any(cell.quoted and re.search(r"[\t\r\n]", cell.value) for cell in cells):
        return False
    if any(not cell.quoted and QUOTE in cell.value for cell in cells):
        return False
    for signs in (QUOTE, QUOTE + ","):
        if all(cell.quoted == any(sign in cell.value for sign in signs) for cell in cells):
            return True
    header, *body = rows
    if len({cell.quoted for cell in header}) > 1:
        return False
    columns = zip(*(row[: len(header)] for row in body), strict=True)
    return all(
        len({cell.quoted for cell in column if cell.quoted or cell.value not in MISSING}) <= 1
        for column in columns
    )


def _ambiguous(source: str, quoted: Cell, other: Cell | None) -> DataError:
    shown = f"{preview(quoted.value)} is in quotes"
    shown += f" and {preview(other.value)} is not" if other is not None else ""
    return DataError(
        f"{source} has quotes that can be read in two ways ({shown}): add --quote '{QUOTE}' if "
        f"quotes surround values, or --quote {NO_QUOTE} if they are part of the texts"
    )
