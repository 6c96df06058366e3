"""Opens, creates and upgrades banks.

Both `open_bank` and `create_bank` check the URL and the schema completely before they return.
"""

from __future__ import annotations

import os
from functools import partial

from sqlalchemy import Engine, select

from taskbank.bank.bank import Bank
from taskbank.bank.blobs.owners import Owner
from taskbank.bank.blobs.url import (
    IN_CATALOG,
    canonical_blobs_url,
    check_new_store,
    claim_new_store,
)
from taskbank.bank.catalog.bank_row import add_bank_row
from taskbank.bank.catalog.chain_upgrade import begin_chain
from taskbank.bank.catalog.database import (
    check_sqlite_folder,
    check_writable,
    home,
    open_engine,
    prepare_sqlite,
    write_transaction,
)
from taskbank.bank.catalog.grants import grant
from taskbank.bank.catalog.revision import check_revision, existing_revision, revision_of
from taskbank.bank.catalog.tables import SCHEMA_REVISION as SCHEMA_REVISION
from taskbank.bank.catalog.tables import SCHEMA_REVISIONS, BankRow
from taskbank.bank.url import redacted_url
from taskbank.errors import ConflictError
from taskbank.redaction import redacted
from taskbank.version import __version__


def open_bank(url: str | os.PathLike[str] = "sqlite:///taskbank.db") -> Bank:
    """Open a bank.

    Args:
        url: `FILE`, `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`.

    Raises:
        InputError: if the URL is not a bank's URL, or the server cannot be reached.
        NotFoundError: if there is no bank at the URL.
        SchemaError: if the bank's schema is older or newer than this code's.
    """
    return Bank(url)


def create_bank(url: str | os.PathLike[str], blobs: str | None = None) -> Bank:
    """Create an empty bank, or open an existing one.

    Args:
        url: `FILE`, `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`.
        blobs: where to store blobs: a folder or an fsspec URL; None means in the catalog.

    Raises:
        InputError: if a URL is invalid, or the database holds something other than a bank.
        ConflictError: if the bank exists and stores its blobs elsewhere, or if another bank
            stores its blobs in the same place.
    """
    store = canonical_blobs_url(blobs if blobs is not None else IN_CATALOG)
    with open_engine(url) as engine:
        if revision_of(engine) is None:
            check_new_store(store)
            _create(engine, store)
    bank = Bank(url)
    if blobs is not None and bank.blobs_url != store:
        raise ConflictError(
            f"the bank {redacted_url(url)} exists and keeps its blobs in "
            f"{redacted(bank.blobs_url)}, not in {store}: omit --blobs, or create another bank"
        )
    return bank


def check_can_create(url: str | os.PathLike[str], blobs: str | None = None) -> None:
    """Raise unless a bank exists or can be created, so that no long work is lost.

    Args:
        url: the bank's URL.
        blobs: as for `create_bank`.

    Raises:
        InputError: as `create_bank`.
        NotWritableError: if the bank exists and is read-only.
    """
    with open_engine(url) as engine:
        store = canonical_blobs_url(blobs if blobs is not None else IN_CATALOG)
        if revision_of(engine) is None:
            check_new_store(store)
            check_sqlite_folder(engine)
        check_writable(engine)


def bank_exists(url: str | os.PathLike[str]) -> bool:
    """Return whether there is a bank at a URL, whatever its schema.

    Raises:
        InputError: if the URL is not a bank's URL, or the file or database is not a bank.
    """
    with open_engine(url) as engine:
        return revision_of(engine) is not None


def schema_of(url: str | os.PathLike[str]) -> str:
    """Return the schema revision of a bank, even if this code cannot read that revision.

    Raises:
        NotFoundError: if there is no bank at the URL.
    """
    with open_engine(url) as engine:
        return existing_revision(engine)


def upgrade_bank(url: str | os.PathLike[str]) -> str:
    """Upgrade a bank to the schema of this code, and return its previous schema.

    A bank that is older than chains gets its chain, over every row that it holds.

    Raises:
        NotFoundError: if there is no bank at the URL.
        DamagedError: if a row cannot be read.
    """
    from taskbank.bank.catalog.migrate import upgrade

    before = schema_of(url)
    with open_engine(url) as engine:
        if before not in SCHEMA_REVISIONS:
            check_revision(engine)
        with write_transaction(engine, exclusive=True) as connection:
            upgrade(connection)
            begin_chain(connection)
    return before


def grant_role(url: str | os.PathLike[str], role: str) -> None:
    """Let a PostgreSQL role do normal work with a bank, and nothing that changes or deletes rows.

    Args:
        url: the bank's URL, with the owner of its tables as the user.
        role: the name of an existing role.

    Raises:
        NotFoundError: if there is no bank at the URL.
        InputError: if the bank is not on PostgreSQL, the role does not exist, or the role has
            rights that cannot be taken from it here.
    """
    with open_engine(url) as engine:
        check_revision(engine)
        with write_transaction(engine) as connection:
            grant(connection, role)


def _create(engine: Engine, blobs: str) -> None:
    from taskbank.bank.catalog.migrate import upgrade

    prepare_sqlite(engine)
    with write_transaction(engine, exclusive=True) as connection:
        upgrade(connection)
        # Another process may have created the bank while this one waited.
        if connection.execute(select(BankRow.id)).scalar() is None:
            uuid = add_bank_row(connection, blobs, f"taskbank {__version__}")
            # If the store cannot be written to, there will be no bank.
            claim_new_store(blobs, engine, Owner(uuid, partial(home, connection)))
