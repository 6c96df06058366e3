"""Parses bank URLs and hides their passwords."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from taskbank.errors import InputError


def parse_url(url: str) -> URL:
    """Return the parsed URL of a bank.

    Raises:
        InputError: if the URL is not `sqlite:///FILE` or `postgresql+psycopg://…`.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The message omits the URL: even an invalid one may contain a password.
        raise InputError(
            "the bank URL is invalid: write sqlite:///FILE or "
            "postgresql+psycopg://USER@HOST/DATABASE"
        ) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:":
            raise InputError(
                f"bank URL {parsed.render_as_string()!r} names no file: write sqlite:///FILE"
            )
        if parsed.query:
            raise InputError(
                f"bank URL {parsed.render_as_string()!r} has options after '?': "
                "a SQLite URL takes none, so remove them"
            )
        return parsed
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise InputError(
        f"bank URL {parsed.render_as_string()!r} has the unknown scheme {parsed.drivername!r}: "
        "write sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
    )


def redacted_url(url: str) -> str:
    """Return a bank's URL with the password hidden."""
    return parse_url(url).render_as_string(hide_password=True)
