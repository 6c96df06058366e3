"""How the files of a task are written, where their endings and contents do not say it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskbank.errors import InputError

NO_QUOTE = "none"
# The endings of every format's files.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "json": (".jsonl", ".json", ".ndjson"),
    "parquet": (".parquet",),
    "arrow": (".arrow", ".feather"),
    "conll": (".conll", ".conllu", ".bio", ".iob"),
    "txt": (".txt",),
}
DELIMITER_NAMES: Mapping[str, str] = {
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
}


@dataclass(frozen=True)
class Style:
    """What is said about files that are to be read; None leaves it to the file.

    Attributes:
        format: the format, instead of the one that the file's ending names.
        delimiter: the character between two values: itself, or a name such as `tab`.
        quote: the character around values, or `none` if quotes are part of the values.
        encoding: the encoding of the text, such as `cp1252`.
        columns: the names of the columns, separated by commas, if the file has no header.
    """

    format: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    columns: str | None = None

    def __post_init__(self) -> None:
        for name, (is_valid, requirement) in _CHECKS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and is_valid(value)):
                raise InputError(f"{name} is {value!r}: it must be {requirement}")
        if self.delimiter is not None and self.separator == self.quote:
            raise InputError(f"delimiter and quote are both {self.quote!r}: they must differ")

    @property
    def separator(self) -> str | None:
        """The character between two values, or None."""
        return (
            None if self.delimiter is None else DELIMITER_NAMES.get(self.delimiter, self.delimiter)
        )

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the columns of a file without a header, or None."""
        if self.columns is None:
            return None
        return tuple(name.strip() for name in self.columns.split(","))


def _is_text_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding and "\x00" not in name
    except (LookupError, ValueError):
        return False


def _is_separator(value: str) -> bool:
    return value in DELIMITER_NAMES or (len(value) == 1 and value not in '\r\n"\x00')


_CHECKS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "format": (lambda value: value in FORMATS, f"one of {', '.join(FORMATS)}"),
    "delimiter": (_is_separator, f"one character, or {', '.join(DELIMITER_NAMES)}"),
    "quote": (
        lambda value: value == NO_QUOTE or (len(value) == 1 and value not in "\r\n\t \x00"),
        f"one character, or {NO_QUOTE}",
    ),
    "encoding": (_is_text_encoding, "the name of an encoding, such as utf-8, utf-16 or cp1252"),
    "columns": (
        lambda value: all(name.strip() for name in value.split(",")),
        "the names of all columns, separated by commas",
    ),
}
