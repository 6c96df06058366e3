"""The types of columns, which on SQLite refuse to read what another type has stored.

SQLite stores a value of any type in any column. A value of the wrong type is damage, and reading
it raises an error here, before it can be shown or computed with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Dialect


class WrongTypeError(ValueError):
    """A stored value is not of its column's type."""


def read_json(text: Any) -> Any:
    """Return the value of a JSON text.

    Raises:
        WrongTypeError: if the stored value is not text; bytes would be decoded otherwise.
        ValueError: if it is not JSON.
    """
    _check(text, str)
    try:
        return json.loads(text)
    except RecursionError:
        raise WrongTypeError("JSON that is nested too deeply") from None


def _check(value: Any, wanted: type) -> Any:
    if value is not None and type(value) is not wanted:
        raise WrongTypeError(f"{type(value).__name__} where {wanted.__name__} belongs")
    return value


def _reader(dialect: Dialect, wanted: type) -> Callable[[Any], Any] | None:
    return (lambda value: _check(value, wanted)) if dialect.name == "sqlite" else None


class Text(sa.Text):
    """Text of any length."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that reads a stored value."""
        return _reader(dialect, str)


class String(sa.String):
    """Text of a bounded length."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that reads a stored value."""
        return _reader(dialect, str)


class Integer(sa.Integer):
    """A whole number."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that reads a stored value."""
        return _reader(dialect, int)


class BigInteger(sa.BigInteger):
    """A whole number of up to 64 bits."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that reads a stored value."""
        return _reader(dialect, int)


class Double(sa.Double[float]):
    """A number in double precision."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that reads a stored value."""
        return _reader(dialect, float)


class Boolean(sa.Boolean):
    """True or false, which SQLite stores as 1 or 0."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that reads a stored value."""
        return _read_boolean if dialect.name == "sqlite" else None


def _read_boolean(value: Any) -> bool | None:
    if _check(value, int) not in (None, 0, 1):
        raise WrongTypeError(f"{value} where 0 or 1 belongs")
    return None if value is None else bool(value)
