"""The URL of a bank: parsed, and shown without its password."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from taskbank.errors import InputError


def parse_url(url: str) -> URL:
    """Return the parsed URL of a bank.

    Raises:
        InputError: if it is not `sqlite:///FILE` or `postgresql+psycopg://…`.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The text is not repeated: what does not parse may still hold a password.
        raise InputError(
            "the bank URL cannot be read: write sqlite:///FILE or "
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
                "a SQLite bank takes none"
            )
        return parsed
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise InputError(
        f"bank URL {parsed.render_as_string()!r} is of an unknown kind {parsed.drivername!r}: "
        "a bank is sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
    )


def shown(url: str) -> str:
    """Return a bank's URL as it may be shown, the password hidden."""
    return parse_url(url).render_as_string(hide_password=True)
