"""Opens, creates and upgrades banks.

Both `open_bank` and `create_bank` check everything about the URL and the schema before they return.
"""

from __future__ import annotations

from sqlalchemy import Engine, select

from taskbank.bank.bank import Bank
from taskbank.bank.blobs.url import IN_CATALOG, blob_store, canonical_blobs_url
from taskbank.bank.catalog.bank_row import add_bank_row
from taskbank.bank.catalog.database import (
    connected,
    prepare_sqlite,
    writing,
)
from taskbank.bank.catalog.revision import check_revision, revision_of
from taskbank.bank.catalog.tables import SCHEMA_REVISION as SCHEMA_REVISION
from taskbank.bank.catalog.tables import SCHEMA_REVISIONS, BankRow
from taskbank.bank.url import shown
from taskbank.errors import ConflictError
from taskbank.version import __version__


def open_bank(url: str = "sqlite:///taskbank.db") -> Bank:
    """Open a bank.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`.

    Raises:
        InputError: if the URL is not one of a bank, or the server cannot be reached.
        NotFoundError: if there is no bank.
        SchemaError: if the bank is older or newer than this code.
    """
    return Bank(url)


def create_bank(url: str, blobs: str | None = None) -> Bank:
    """Make an empty bank, or open the one that is there.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`.
        blobs: where blobs go: a folder or an fsspec URL; none means into the catalog.

    Raises:
        InputError: if a URL is not usable or the database holds something else.
        ConflictError: if the bank is there with other blobs.
    """
    store = canonical_blobs_url(blobs if blobs is not None else IN_CATALOG)
    with connected(url) as engine:
        blob_store(store, engine)  # says now that it cannot be opened
        if revision_of(engine) is None:
            _create(engine, store)
    bank = Bank(url)
    if blobs is not None and bank.blobs_url != store:
        raise ConflictError(
            f"the bank {shown(url)} exists and keeps its blobs in {bank.blobs_url}, not in "
            f"{store}: leave out --blobs, or make another bank"
        )
    return bank


def bank_exists(url: str) -> bool:
    """Return whether there is a bank at a URL, of whatever schema.

    Raises:
        InputError: if the URL is not one of a bank, or the file or database is something else.
    """
    with connected(url) as engine:
        return revision_of(engine) is not None


def schema_of(url: str) -> str:
    """Return the schema that a bank has, whether this code can read it or not.

    Raises:
        NotFoundError: if there is no bank.
    """
    with connected(url) as engine:
        revision = revision_of(engine)
        if revision is None:
            check_revision(engine)
    return str(revision)


def upgrade_bank(url: str) -> str:
    """Bring a bank to the schema of this code, and return the schema it had.

    Raises:
        NotFoundError: if there is no bank.
    """
    from taskbank.bank.catalog.migrate import upgrade

    before = schema_of(url)
    with connected(url) as engine:
        if before not in SCHEMA_REVISIONS:
            check_revision(engine)
        with writing(engine, alone=True) as connection:
            upgrade(connection)
    return before


def _create(engine: Engine, blobs: str) -> None:
    from taskbank.bank.catalog.migrate import upgrade

    prepare_sqlite(engine)
    with writing(engine, alone=True) as connection:
        upgrade(connection)
        # Another process may have made the bank while this one waited.
        if connection.execute(select(BankRow.id)).scalar() is None:
            add_bank_row(connection, blobs, f"taskbank {__version__}")
