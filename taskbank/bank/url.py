"""Parses bank URLs, and shows them without their secrets.

A bank is named by a file, as `bank.db` or `sqlite:///bank.db`, or by a PostgreSQL database. The
name of a file is taken as it is written: `%`, `?`, `#` and spaces have no special meaning.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from taskbank.errors import InputError
from taskbank.redaction import HIDDEN, redacted

FORMS = "write FILE, sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[\w.:,%/-]*")
_OPTIONS = re.compile(r"\?[\w.-]+=")
# Options of PostgreSQL that are shown with their values; every other value may be a secret.
_HARMLESS = {
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "sslmode",
    "target_session_attrs",
    "user",
}


@dataclass(frozen=True)
class BankUrl:
    """The parsed URL of a bank.

    Attributes:
        shown: the URL as the user wrote it, without secrets.
        file: the absolute path of a SQLite bank, with symbolic links followed; None for PostgreSQL.
        database: the URL for SQLAlchemy.
        secrets: what must not appear in messages.
    """

    shown: str
    file: Path | None
    database: URL
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The name of the file or of the database, which does not say where it is."""
        return _printable(Path(self.database.database or "").name)

    def hide_secrets(self, text: str) -> str:
        """Return a text without the secrets of this URL, or of any other that it contains."""
        return redacted(text, self.secrets)


def parse_url(url: str | os.PathLike[str]) -> BankUrl:
    """Return the parsed URL of a bank.

    Raises:
        InputError: if the URL is not a file, `sqlite:///FILE` or `postgresql+psycopg://…`.
    """
    text = os.fspath(url)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _plain_path(text)
    name, rest = scheme[1].lower(), text[scheme.end() :]
    if name in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(text, rest)
    if name in ("postgresql", "postgresql+psycopg"):
        return _postgresql(scheme[1], rest)
    raise InputError(f"the bank URL has the unknown scheme {name!r}: {FORMS}")


def redacted_url(url: str | os.PathLike[str]) -> str:
    """Return a bank's URL as the user wrote it, without secrets."""
    return parse_url(url).shown


def is_plainly_path(text: str) -> bool:
    """Return whether a text without a scheme is a path, and not a URL with a slip in it."""
    if not text or re.match(r"[.~]|/(?!/)", text):
        return True
    return not re.match(r"(sqlite|postgres)[\w+]*:|.*:.*@", text) and redacted(text) == text


def _plain_path(text: str) -> BankUrl:
    if not is_plainly_path(text):  # the message omits the text: it may contain a password
        raise InputError(f"the bank URL is invalid: {FORMS}; ./FILE is always a file")
    return _file(text, os.path.expanduser(text))  # noqa: PTH111 (Path fails without a home)


def _sqlite(text: str, rest: str) -> BankUrl:
    if not rest.startswith("/"):
        raise InputError(
            "a SQLite URL names no file unless three slashes come before it: write sqlite:///FILE"
        )
    options = _OPTIONS.search(rest)
    if options is not None:
        file = redacted(f"sqlite://{rest[: options.start()]}")
        raise InputError(
            f"bank URL {file!r} has options after '?', but a SQLite URL takes none: remove them; "
            "if they are part of the file's name, write its path without sqlite:///"
        )
    if not is_plainly_path(rest[1:]):
        raise InputError(f"the bank URL is invalid: {FORMS}; sqlite:///./FILE is always a file")
    return _file(text, rest[1:])


def _file(text: str, path: str) -> BankUrl:
    shown = _printable(redacted(text))
    if not path.strip() or path == ":memory:":
        raise InputError(f"bank URL '{shown}' names no file: write FILE or sqlite:///FILE")
    if "\x00" in path:
        raise InputError(f"bank URL '{shown}' contains a NUL: no file can have such a name")
    # SQLite keeps its log beside the file that a symbolic link points to.
    file = Path(os.path.realpath(path))
    return BankUrl(shown, file, URL.create("sqlite", database=str(file)))


def _postgresql(scheme: str, rest: str) -> BankUrl:
    # A password with an unescaped character can be read in several ways, and part of it as a host.
    user_part, at, place_part = rest.rpartition("@")
    if "@" in user_part or (at and re.search(r"[/?#]", user_part)):
        raise InputError(
            "the bank URL has an @ that does not stand before the host, or a /, ? or # before it: "
            "in a user name, a password or an option write %40 for @, %2F for /, %3F for ? and "
            "%23 for #"
        )
    try:
        parsed = make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise InputError(f"the bank URL is invalid: {FORMS}") from None
    user, colon, password = user_part.partition(":")
    if colon and not _HOST.fullmatch(parsed.host or ""):
        raise InputError(
            "the bank URL has a host that no server can have: in a password write %40 for @"
        )
    place, mark, query = place_part.partition("?")
    options, secrets = _read_options(query)
    shown = f"{scheme}://{user}{colon and colon + HIDDEN}{at}{place}{mark}{options}"
    forms = {form(secret) for secret in (password, *secrets) for form in (str, quote, unquote_plus)}
    return BankUrl(_printable(shown), None, parsed, tuple(forms - {""}))


def _read_options(query: str) -> tuple[str, list[str]]:
    """Return the options of a URL in the form to show them, and the secrets among them."""
    shown, secrets = [], []
    for option in query.split("&") if query else ():
        key, equals, value = option.partition("=")
        if key.lower() in _HARMLESS:
            shown.append(option)
        elif redacted(f"?{option}") != f"?{option}":
            shown.append(f"{key}={HIDDEN}")
            secrets.append(value)
        else:  # perhaps the rest of a secret that contains an unescaped `&`
            shown.append(HIDDEN)
            secrets += [value] if equals and key in _known_options() else [key.strip(), value]
    return "&".join(shown), secrets


def _known_options() -> set[str]:
    """Return the names of PostgreSQL's options, or none without the driver, which has them."""
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        return set()
    return {option.keyword.decode() for option in Conninfo.get_defaults()}


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
